-- SPDX-License-Identifier: ISC
-- Rules: what is accepted, what is refused and why, who may join.
BEGIN;
SELECT plan(66);

CREATE ROLE t_owner NOLOGIN;
CREATE ROLE t_stranger NOLOGIN;
GRANT pgpush_admin TO t_owner, t_stranger;
CREATE SCHEMA app AUTHORIZATION t_owner;
CREATE SCHEMA shut AUTHORIZATION t_owner;
GRANT USAGE ON SCHEMA app TO t_stranger;
-- An owner who is no superuser, so that his rights can be seen to matter.
CREATE ROLE t_pgpush NOLOGIN;
ALTER SCHEMA pgpush OWNER TO t_pgpush;
GRANT USAGE ON SCHEMA app TO t_pgpush;

SET ROLE t_owner;
CREATE FUNCTION app.good(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT p ->> 'id' = '42' AND u = 'ann' $$;
CREATE FUNCTION app.bob(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT u = 'bob' AND c #>> '{claims,role}' = 'admin' $$;
CREATE FUNCTION app.raises(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT (p ->> 'id')::uuid IS NOT NULL $$;
CREATE FUNCTION app.asserts(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ BEGIN ASSERT false; RETURN true; END $$;
CREATE FUNCTION app.nothing(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT NULL::boolean $$;
CREATE FUNCTION app.params(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT p = '{"a": "1", "b": "x y"}' $$;
CREATE FUNCTION app.yes(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT true $$;
CREATE FUNCTION app.rooms(u text, c jsonb) RETURNS text[] LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT CASE WHEN u <> 'nobody' THEN ARRAY['user:' || u, 'all', NULL] END $$;
CREATE FUNCTION app.more(u text, c jsonb) RETURNS text[] LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT ARRAY['all', 'mod'] $$;
CREATE FUNCTION app.h(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION app.h2(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION app.seen(u text, o boolean, l timestamptz) RETURNS void LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT $$;
CREATE FUNCTION app.invoker(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SET search_path = pg_catalog, pg_temp AS $$ SELECT true $$;
CREATE FUNCTION app.nopath(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER AS $$ SELECT true $$;
CREATE FUNCTION shut.yes(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT true $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app, shut FROM PUBLIC;
CREATE FUNCTION app.open(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT true $$;
GRANT EXECUTE ON FUNCTION app.open(text, jsonb, jsonb) TO PUBLIC;

-- Patterns
SELECT results_eq($$ SELECT * FROM pgpush.compile('order:{id}') $$,
  $$ VALUES ('order:', '^order:([^:]+)$', '{id}'::text[]) $$, 'a pattern is taken apart');
SELECT results_eq($$ SELECT * FROM pgpush.compile('{a}.x[1]+(b)|^$*?\{c_1}') $$,
  $$ VALUES ('', '^([^:]+)\.x\[1\]\+\(b\)\|\^\$\*\?\\([^:]+)$', '{a,c_1}'::text[]) $$,
  'characters that mean something in a regular expression are quoted');
SELECT throws_ok(format('SELECT pgpush.allow(%L, ''app.good(text,jsonb,jsonb)'')', ''), '22023',
  'pgpush: "" is not a room pattern', 'an empty pattern is refused');
SELECT throws_ok(format('SELECT pgpush.allow(%L, ''app.good(text,jsonb,jsonb)'')', 'a' || E'\n'),
  '22023', NULL, 'so is a control character');
SELECT throws_ok(format('SELECT pgpush.allow(%L, ''app.good(text,jsonb,jsonb)'')', repeat('é', 101)),
  '22023', NULL, 'and more than 200 bytes');
SELECT throws_ok(format('SELECT pgpush.allow(%L, ''app.good(text,jsonb,jsonb)'')', p), '22023',
    format('pgpush: cannot read the pattern "%s" from "%s" on', p, rest), 'refused: ' || p)
  FROM (VALUES ('a:{}', '{}'), ('a:{b', '{b'), ('a}', '}'), ('{a}{b}', '{b}'),
               ('a:{b c}', '{b c}'), ('{1a}', '{1a}')) AS v (p, rest);
SELECT throws_ok($$ SELECT pgpush.allow('{a}:{a}', 'app.good(text,jsonb,jsonb)') $$, '22023',
  'pgpush: {a} stands twice in the pattern "{a}:{a}"', 'a name may stand once');

-- What is accepted
SELECT lives_ok($$ SELECT pgpush.allow('order:{id}', 'app.good(text,jsonb,jsonb)') $$, 'allow');
SELECT ok(has_function_privilege('t_pgpush', 'app.good(text,jsonb,jsonb)', 'EXECUTE'),
  'the owner of pgpush may now execute the function');
SELECT is((SELECT count(*) FROM pgpush.outbox WHERE kind = 'config'), 1::bigint,
  'the daemons are told');
SELECT lives_ok($$ SELECT pgpush.allow('order:{id}', 'app.good(text,jsonb,jsonb)') $$, 'allow again');
SELECT is((SELECT count(*) FROM pgpush.rules), 1::bigint, 'and there is still one rule');
SELECT lives_ok($$ INSERT INTO pgpush.rules (kind, pattern, function, room, prefix)
  VALUES ('allow', 'order:{id}', 'app.bob(text,jsonb,jsonb)', 'x', 'x') $$, 'a rule by hand');
SELECT results_eq($$ SELECT prefix, regex, names, room FROM pgpush.rules WHERE function ~ 'bob' $$,
  $$ VALUES ('order:', '^order:([^:]+)$', '{id}'::text[], NULL) $$,
  'what a rule by hand says of what pgpush works out does not count');
SELECT is((SELECT count(*) FROM pgpush.outbox WHERE kind = 'config'), 1::bigint,
  'one word to the daemons per transaction');

SELECT pgpush.on('say', 'app.h(text,text,jsonb,jsonb)');
SELECT pgpush.on('join', 'app.h(text,text,jsonb,jsonb)', 'order:{orderId}', false, true);
SELECT pgpush.on('say', 'app.h2(text,text,jsonb,jsonb)', member => false);
SELECT results_eq('SELECT * FROM pgpush.handlers()',
  $$ VALUES ('join', 'order:{orderId}', false, true, false), ('say', NULL, false, false, false) $$,
  'one handler per event, the last one said');
SELECT lives_ok($$ SELECT pgpush.present('app.seen(text,boolean,timestamptz)') $$, 'present');
SELECT is(pgpush.forget('app.seen(text,boolean,timestamptz)'), 1, 'forget');
SELECT is(pgpush.forget('app.seen(text,boolean,timestamptz)'), 0, 'forget what is not there');
SELECT is((SELECT count(*) FROM pgpush.rules WHERE kind = 'present'), 0::bigint, 'it is gone');

-- What is refused
SELECT throws_ok(format('SELECT pgpush.allow(''x'', %L)', f), code, message, 'refused: ' || f)
  FROM (VALUES
    ('app.invoker(text,jsonb,jsonb)', '42P13',
     'pgpush: the function app.invoker(text,jsonb,jsonb) is not SECURITY DEFINER'),
    ('app.nopath(text,jsonb,jsonb)', '42P13',
     'pgpush: the function app.nopath(text,jsonb,jsonb) has no fixed search_path'),
    ('app.open(text,jsonb,jsonb)', '42P13',
     'pgpush: everybody may execute the function app.open(text,jsonb,jsonb)'),
    ('app.h(text,text,jsonb,jsonb)', '42P13',
     'pgpush: the function app.h(text,text,jsonb,jsonb) has the wrong arguments or result'),
    ('shut.yes(text,jsonb,jsonb)', '42501',
     'pgpush: t_pgpush may not use the schema shut of the function shut.yes(text,jsonb,jsonb)')
  ) AS v (f, code, message);
SELECT throws_ok($$ INSERT INTO pgpush.rules (kind, function) VALUES ('greet', 'app.none(text)') $$,
  '42883', 'pgpush: there is no function app.none(text)', 'refused: a function that is not there');
SELECT throws_ok($$ INSERT INTO pgpush.rules (kind, pattern, function)
  VALUES ('deny', 'x', 'app.good(text,jsonb,jsonb)') $$, NULL, NULL, 'refused: a kind that is not there');
SELECT throws_ok($$ SELECT pgpush.on('', 'app.h(text,text,jsonb,jsonb)') $$, '22023',
  'pgpush: "" is not an event name', 'refused: an empty event');
SELECT throws_ok($$ SELECT pgpush.on('e', 'app.h(text,text,jsonb,jsonb)', 'order:{') $$, '22023',
  NULL, 'refused: a room template that cannot be read');
RESET ROLE;
SET ROLE t_stranger;
SELECT throws_ok($$ SELECT pgpush.allow('x', 'app.good(text,jsonb,jsonb)') $$, '42501',
  'pgpush: t_stranger does not own the function app.good(text,jsonb,jsonb)',
  'refused: a function of another');
SELECT throws_ok($$ UPDATE pgpush.rules SET pattern = 'y' WHERE function ~ 'good' $$, '42501',
  NULL, 'refused: changing such a rule by hand');
RESET ROLE;
REVOKE pgpush_admin FROM t_stranger;
GRANT USAGE ON SCHEMA pgpush TO t_stranger;
SET ROLE t_stranger;
SELECT throws_ok($$ SELECT pgpush.forget('app.good(text,jsonb,jsonb)') $$, '42501', NULL,
  'nobody but pgpush_admin changes rules');
SELECT throws_ok($$ SELECT pgpush.authorize('ann', 'order:42', '{}') $$, '42501', NULL,
  'nobody but the daemon asks');
RESET ROLE;

-- Who may join
SELECT is(pgpush.authorize(u, room, c), want, format('%s in %s: %s', u, room, want))
  FROM (VALUES
    ('ann', 'order:42', '{}'::jsonb, true),
    ('ann', 'order:43', '{}', false),
    ('ann', 'xorder:42', '{}', false),
    ('ann', 'order:42:1', '{}', false),
    ('ann', 'order:', '{}', false),
    ('bob', 'order:1', '{"claims":{"role":"admin"}}', true),
    ('bob', 'order:1', '{"claims":{"role":"client"}}', false)) AS v (u, room, c, want);
SET ROLE t_owner;
SELECT pgpush.allow('two:{a}/{b}', 'app.params(text,jsonb,jsonb)');
SELECT pgpush.allow('a.b', 'app.yes(text,jsonb,jsonb)');
SELECT pgpush.allow('bad:{id}', 'app.raises(text,jsonb,jsonb)');
SELECT pgpush.allow('assert:{id}', 'app.asserts(text,jsonb,jsonb)');
SELECT pgpush.allow('null:{id}', 'app.nothing(text,jsonb,jsonb)');
RESET ROLE;
SET client_min_messages = error;
SELECT is(pgpush.authorize('u', 'two:1/x y', '{}'), true, 'several parameters');
SELECT is(pgpush.authorize('u', 'a.b', '{}'), true, 'a room without parameters');
SELECT is(pgpush.authorize('u', 'axb', '{}'), false, 'a dot is a dot');
SELECT is(pgpush.authorize('u', 'bad:1', '{}'), false, 'a rule that raises says no');
SELECT is(pgpush.authorize('u', 'assert:1', '{}'), false, 'so does a failed assertion');
SELECT is(pgpush.authorize('u', 'null:1', '{}'), false, 'and NULL');
SELECT is(pgpush.authorize('u', NULL, '{}'), false, 'no room, no entry');
SELECT is(pgpush.authorize('u', 'null:' || repeat('x', 200), '{}'), false, 'over 200 bytes');
SET ROLE t_owner;
SELECT pgpush.allow('bad:{id}', 'app.yes(text,jsonb,jsonb)');
SELECT is(pgpush.forget('app.params(text,jsonb,jsonb)'), 1, 'forget a rule');
RESET ROLE;
SELECT is(pgpush.authorize('u', 'bad:1', '{}'), true, 'another rule may still say yes');
SELECT is(pgpush.authorize('u', 'two:1/x y', '{}'), false, 'a rule forgotten');
ALTER FUNCTION app.yes(text, jsonb, jsonb) SECURITY INVOKER;
SELECT is(pgpush.authorize('u', 'a.b', '{}'), false,
  'a function that would now run with pgpush''s rights is not called');
DROP FUNCTION app.yes(text, jsonb, jsonb);
SELECT is(pgpush.authorize('u', 'a.b', '{}'), false, 'a function dropped says no');

-- Where a user starts
SELECT is(pgpush.greet_user('ann', '{}'), '{}', 'no greet function, no rooms');
SET ROLE t_owner;
SELECT pgpush.greet('app.rooms(text,jsonb)');
SELECT pgpush.greet('app.more(text,jsonb)');
RESET ROLE;
SELECT is(pgpush.greet_user('ann', '{}'), '{all,mod,user:ann}', 'the rooms of all functions, each once');
SELECT is(pgpush.greet_user('nobody', '{}'), NULL, 'one says that there is no such user');
ALTER FUNCTION app.more(text, jsonb) SECURITY INVOKER;
SELECT throws_ok($$ SELECT pgpush.greet_user('ann', '{}') $$, 'P0001',
  'pgpush: the greet function app.more(text,jsonb) is gone or no longer SECURITY DEFINER',
  'nor does greet_user lend its rights');

-- A rule and its word to the daemons live and die together
DELETE FROM pgpush.outbox;
SAVEPOINT s;
DELETE FROM pgpush.rules;
SELECT is((SELECT count(*) FROM pgpush.outbox WHERE kind = 'config'), 1::bigint, 'DELETE is told');
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM pgpush.outbox), 0::bigint, 'nothing is told after a rollback');
DELETE FROM pgpush.rules WHERE false;
SELECT is((SELECT count(*) FROM pgpush.outbox), 0::bigint, 'nor if nothing changed');

SELECT is(ARRAY(SELECT p.oid::regprocedure::text FROM pg_proc AS p
                 WHERE p.pronamespace = 'pgpush'::regnamespace
                   AND (obj_description(p.oid, 'pg_proc') IS NULL
                     OR NOT EXISTS (SELECT FROM unnest(proconfig) AS c WHERE c LIKE 'search\_path=%')
                     OR has_function_privilege('t_stranger', p.oid, 'EXECUTE'))), '{}',
  'every function has a comment and a search_path and is not for everybody');
SELECT * FROM finish();
ROLLBACK;
