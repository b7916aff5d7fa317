-- SPDX-License-Identifier: ISC
-- Nothing of an application runs with rights other than its own: casts,
-- operators, conditions, renders and rules, and who may change what.
\set QUIET 1
SET client_min_messages = error;
BEGIN;
SET LOCAL pgpush.bell = off;
SELECT plan(17);

CREATE ROLE t_evil; CREATE ROLE t_victim; CREATE ROLE t_stranger;
GRANT pgpush_admin TO t_evil, t_victim;
CREATE SCHEMA evil AUTHORIZATION t_evil;
CREATE SCHEMA victim AUTHORIZATION t_victim;
CREATE SCHEMA pub;
GRANT USAGE ON SCHEMA evil, victim TO PUBLIC;
GRANT ALL ON SCHEMA pub TO PUBLIC;
CREATE TABLE evil.ran (who text, what text);
GRANT ALL ON evil.ran TO PUBLIC;
CREATE FUNCTION pg_temp.ran() RETURNS text LANGUAGE sql AS $$
  WITH d AS (DELETE FROM evil.ran RETURNING *)
  SELECT coalesce(string_agg(DISTINCT what || ' as ' || who, ', ' ORDER BY what || ' as ' || who), '') FROM d
$$;
CREATE FUNCTION pg_temp.try(role text, sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE sql;
  EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
  END;
  RESET ROLE;
  RETURN 'ok';
END $$;

-- A cast to json that the owner of a type wrote
SET ROLE t_evil;
CREATE TYPE evil.mood AS ENUM ('ok');
CREATE FUNCTION evil.cast(m evil.mood) RETURNS json LANGUAGE plpgsql AS $$
BEGIN INSERT INTO evil.ran VALUES (current_user, 'cast'); RETURN '1'; END $$;
CREATE CAST (evil.mood AS json) WITH FUNCTION evil.cast(evil.mood);
CREATE FUNCTION evil.same(a evil.mood, b evil.mood) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN INSERT INTO evil.ran VALUES (current_user, 'operator'); RETURN true; END $$;
CREATE OPERATOR evil.= (LEFTARG = evil.mood, RIGHTARG = evil.mood, FUNCTION = evil.same);
CREATE TABLE evil.t (id int PRIMARY KEY, m evil.mood);
SELECT pgpush.attach('evil.t', 'r:{m}', '{"insert":"i","update":"u"}', '{id,m}') \g /dev/null
INSERT INTO evil.t VALUES (1, 'ok'); INSERT INTO evil.t VALUES (2, 'ok'), (3, 'ok'); UPDATE evil.t SET m = 'ok';
RESET ROLE;
SELECT is(pg_temp.ran(), 'cast as t_evil', 'a cast to json runs as the table''s owner');
SET ROLE t_stranger;
SELECT pg_temp.try('t_stranger', 'SELECT 1') \g /dev/null
RESET ROLE;
GRANT INSERT ON evil.t TO t_stranger;
SET ROLE t_stranger; INSERT INTO evil.t VALUES (4, 'ok'); RESET ROLE;
SELECT is(pg_temp.ran(), 'cast as t_evil', 'whoever writes');

-- An expression, attached by the superuser; immutable, so that planning may run it
SET ROLE t_evil;
CREATE FUNCTION evil.word() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN INSERT INTO evil.ran VALUES (current_user, 'expression'); RETURN 'w';
EXCEPTION WHEN OTHERS THEN RETURN 'w'; END $$;
CREATE TABLE evil.e (id int PRIMARY KEY, at timestamptz);
RESET ROLE;
SELECT pgpush.attach('evil.e', 'r:{id}', '{"insert":"i","update":"u"}', data => 'to_json(evil.word())', "when" => 'evil.word() = ''w'' OR old.id = 1') \g /dev/null
SELECT * FROM pgpush.attach('evil.e', 'r:{id}', '{"insert":"i"}', data => 'to_json(evil.word())', dry_run => true) \g /dev/null
INSERT INTO evil.e VALUES (1);
SELECT ok(pg_temp.ran() IN ('', 'expression as t_evil'), 'an expression runs as the table''s owner, also when the superuser attaches');
TABLE pgpush.attached \g /dev/null
SELECT is(pg_temp.ran(), '', 'looking at pgpush.attached runs nothing');

-- Search path: the writer's own operators and tables are not found
SET ROLE t_stranger;
CREATE FUNCTION pub.eq(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN INSERT INTO evil.ran VALUES (current_user, 'text ='); RETURN true; END $$;
CREATE OPERATOR pub.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pub.eq);
CREATE OPERATOR pub.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.textcat);
CREATE TEMP TABLE pgpush_new (id int, m int);
SET search_path = pub, pg_catalog;
INSERT INTO evil.t VALUES (5, 'ok');
RESET search_path; RESET ROLE;
SELECT is(pg_temp.ran(), 'cast as t_evil', 'what the writer has in his search_path is not called');
SELECT is((SELECT count(*)::int FROM pgpush.outbox WHERE data ->> 'id' = '5'), 1, 'nor his temporary tables taken for the rows');

-- The generated functions
SELECT is(pg_temp.try('t_stranger', 'CREATE TABLE pub.s (id int PRIMARY KEY, m evil.mood);
  CREATE TRIGGER x AFTER INSERT ON pub.s REFERENCING NEW TABLE AS pgpush_new FOR EACH STATEMENT EXECUTE FUNCTION pgpush_triggers.t_insert_i()'),
  '42501', 'a stranger cannot hang one on a table of his own');
SELECT is(pg_temp.try('t_victim', 'CREATE OR REPLACE FUNCTION pgpush_triggers.t_insert_i() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END'''),
  '42501', 'nor can another admin replace it');

-- A render of another's
SET ROLE t_victim;
CREATE TABLE victim.secrets (id int PRIMARY KEY, s text);
INSERT INTO victim.secrets VALUES (1, 'secret');
CREATE FUNCTION victim.render(arg jsonb) RETURNS json LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'SELECT to_json(s) FROM victim.secrets LIMIT 1';
REVOKE ALL ON FUNCTION victim.render(jsonb) FROM PUBLIC;
DO $$ BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION victim.render(jsonb) TO %s', (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'pgpush'));
END $$;
RESET ROLE;
DELETE FROM pgpush.outbox;
SELECT pg_temp.try('t_evil', $$SELECT pgpush.hold('k', 'evil', 'e', 'victim.render(jsonb)', '{}', '0')$$) \g /dev/null
SELECT pg_temp.try('t_evil', $$INSERT INTO pgpush.outbox (key, room, event, render, arg, due) VALUES ('k', 'evil', 'e', 'victim.render(jsonb)', '{}', '0')$$) \g /dev/null
DO $$
DECLARE s record; done json := '[]';
BEGIN
  LOOP
    SELECT * INTO s FROM pgpush.move_on(done, 1000);
    EXIT WHEN s.cut IS NULL;
    done := pgpush.rendered(s.cut_xid, s.cut, 1000);
  END LOOP;
  UPDATE pgpush.held SET due = now() - interval '1 s';
  PERFORM pgpush.move_on(coalesce(pgpush.rendered_due(1000), '[]'), 1000);
END $$;
SELECT is((SELECT count(*)::int FROM pgpush.log WHERE data::text LIKE '%secret%'), 0, 'one admin does not read another''s table by its render');
SELECT is((SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'pgpush.outbox'::regclass AND attnum > 0
  AND attname = ANY ('{kind,user_id,bytes,origin,who,xid,id,at}') AND NOT attisdropped
  AND has_column_privilege('pgpush_admin', attrelid, attnum, 'INSERT')), NULL, 'no admin says kind, user, origin or who');

-- Rules
SET ROLE t_victim;
CREATE FUNCTION victim.allow(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT false';
CREATE FUNCTION victim.handle(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::jsonb';
REVOKE ALL ON FUNCTION victim.allow, victim.handle FROM PUBLIC;
SELECT pgpush.allow('secret:{id}', 'victim.allow(text,jsonb,jsonb)'), pgpush.on('say', 'victim.handle(text,text,jsonb,jsonb)') \g /dev/null
RESET ROLE;
SET ROLE t_evil;
CREATE FUNCTION evil.handle(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::jsonb';
REVOKE ALL ON FUNCTION evil.handle FROM PUBLIC;
RESET ROLE;
SELECT is(pg_temp.try('t_evil', $$SELECT pgpush.forget('victim.allow(text,jsonb,jsonb)')$$), '42501', 'another''s rule is not forgotten');
SELECT is(pg_temp.try('t_evil', $$DELETE FROM pgpush.rules WHERE pattern = 'secret:{id}'$$), '42501', 'nor deleted');
SELECT is(pg_temp.try('t_evil', $$SELECT pgpush.on('say', 'evil.handle(text,text,jsonb,jsonb)')$$), '42501', 'nor is another''s handler replaced');
SELECT is(pg_temp.try('t_evil', $$UPDATE pgpush.rules SET pattern = 'open:{id}' WHERE pattern = 'secret:{id}'$$), '42501', 'nor a rule changed');
SELECT is(pg_temp.try('t_evil', 'TRUNCATE pgpush.rules'), '42501', 'nor all of them taken away');
SELECT is(pg_temp.try('t_victim', $$SELECT pgpush.forget('victim.allow(text,jsonb,jsonb)')$$), 'ok', 'one''s own is');

-- Every function that runs with pgpush's rights, reviewed: none evaluates
-- anything of the application but by a call of a registered SECURITY DEFINER
-- function, by its exact signature.
SELECT set_eq($$SELECT proname::text FROM pg_proc WHERE pronamespace = 'pgpush'::regnamespace AND prosecdef$$,
  ARRAY[
    'authorize', 'connections_changed', 'doctor', 'explain', 'greet_user',
    'handle', 'handlers', 'here', 'history', 'kick', 'lead', 'may', 'minute_begin',
    'move_on', 'node_gone', 'node_stamp', 'nodes_forget', 'presence_ring',
    'presence_sync', 'purge', 'rendered', 'rendered_due', 'repeated',
    'replay', 'revoke', 'ring', 'rules_changed', 'sessions_write', 'signal',
    'socket_take', 'sockets_tidy', 'sockets_write', 'sweep', 'try_handler', 'why', 'why_event'], 'the functions that run with pgpush''s rights');

SELECT * FROM finish();
ROLLBACK;
