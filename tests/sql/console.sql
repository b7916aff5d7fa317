-- SPDX-License-Identifier: ISC
-- The DBA's questions, and the answers in each state.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;

BEGIN;
SELECT plan(41);

CREATE SCHEMA app;
CREATE TABLE app.written (who text);
CREATE FUNCTION app.even(u text, p jsonb, c jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO app.written VALUES (u);
  RETURN (p ->> 'id')::int % 2 = 0;
END $$;
CREATE FUNCTION app.vip(u text, p jsonb, c jsonb) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT c #>> '{claims,vip}' = 'yes' $$;
CREATE FUNCTION app.say(u text, r text, d jsonb, c jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF d ->> 'text' IS NULL THEN
    RAISE EXCEPTION 'nothing to say';
  END IF;
  INSERT INTO app.written VALUES (current_setting('pgpush.user'));
  PERFORM pgpush.emit(r, 'said', d);
  RETURN '{"reply": 1}';
END $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;

-- Nothing is known
SELECT is_empty('SELECT * FROM pgpush.tail', 'nothing was sent');
SELECT is_empty('SELECT * FROM pgpush.rooms', 'there are no rooms');
SELECT is_empty($$SELECT * FROM pgpush.may('u', 'even:2')$$,
  'no rule, no row');
SELECT results_eq($$SELECT * FROM pgpush.explain('even:2')$$,
  $$VALUES ('rule', 'no rule matches: nobody may join')$$,
  'an unknown room is explained');
SELECT results_eq($$SELECT pgpush.why('u', 'even:2')$$,
  $$VALUES ('User u is not connected.'),
    ('No rule matches room even:2: nobody may join it.')$$,
  'an unknown user in an unknown room');
SELECT throws_ok($$SELECT * FROM pgpush.try_handler('say', 'u')$$, '42704',
  NULL, 'an event without a function cannot be tried');

-- Rules
SELECT pgpush.allow('even:{id}', 'app.even(text,jsonb,jsonb)');
SELECT pgpush.allow('even:{id}', 'app.vip(text,jsonb,jsonb)');
SELECT results_eq($$SELECT rule, pattern, answer, error
    FROM pgpush.may('u', 'even:2')$$,
  $$VALUES ('app.even(text,jsonb,jsonb)', 'even:{id}', true, NULL::text),
    ('app.vip(text,jsonb,jsonb)', 'even:{id}', false, NULL)$$,
  'what each rule says');
SELECT results_eq($$SELECT answer FROM pgpush.may('u', 'even:3',
    '{"vip": "yes"}')$$, 'VALUES (false), (true)', 'claims reach the rule');
SELECT results_eq($$SELECT answer, error FROM pgpush.may('u', 'even:x')
    LIMIT 1$$,
  $$VALUES (false, 'invalid input syntax for type integer: "x"')$$,
  'a rule that raises says why');
SELECT ok(bool_and(ms >= 0), 'each answer has its time')
  FROM pgpush.may('u', 'even:2');
SELECT is_empty('SELECT * FROM app.written', 'what a rule wrote is undone');

-- Handlers
SELECT pgpush.on('say', 'app.say(text,text,jsonb,jsonb)');
SELECT results_eq($$SELECT what, room, event, data
    FROM pgpush.try_handler('say', 'u', 'even:2', '{"text": "x"}')$$,
  $$VALUES ('answer', 'even:2', 'say', '{"reply": 1}'::jsonb),
    ('event', 'even:2', 'said', '{"text": "x"}')$$,
  'a handler is tried: its answer, and what it would send');
SELECT is_empty('SELECT * FROM app.written', 'what it wrote is undone');
SELECT is_empty($$SELECT FROM pgpush.outbox WHERE event = 'said'$$,
  'and so is what it would have sent');
SELECT results_eq($$SELECT what, data #>> '{}'
    FROM pgpush.try_handler('say', 'u', 'even:2', '{}')$$,
  $$VALUES ('error', 'nothing to say')$$, 'a handler that raises says why');
SELECT is(current_setting('pgpush.user', true), '',
  'the user is not left behind');

-- Connections
INSERT INTO pgpush.nodes (node, leader) VALUES ('n1', true);
SELECT FROM pgpush.sessions_write('n1', '[
  {"session": "s1", "user": "u", "address": "a:1", "dialect": "native",
   "rooms": ["even:2", "user:u"]},
  {"session": "s2", "user": "u", "address": "a:2", "dialect": "sse",
   "rooms": ["even:2"]},
  {"session": "s3", "user": "v", "address": "a:3", "dialect": "native",
   "rooms": []}]', '{}', true);
INSERT INTO pgpush.log (id, kind, room, event, data, bytes, at) VALUES
  (1, 'event', 'even:2', 'old', '{}', 2, now() - interval '1 hour'),
  (2, 'event', 'even:2', 'new', '{"n": 1}', 8, now()),
  (3, 'signal', 'even:2', 'blip', '{}', 2, now()),
  (4, 'event', 'user:u', 'new', '{}', 2, now() + interval '1 s'),
  (5, 'revoke', 'even:2', '', '{}', 2, now());
UPDATE pgpush.log SET user_id = 'v' WHERE id = 5;
UPDATE pgpush.connections SET since = now() - interval '5 minutes';

SELECT results_eq($$SELECT room, connections, users, newest,
    events_last_minute, bytes_last_minute FROM pgpush.rooms ORDER BY room$$,
  $$VALUES ('even:2', 2::bigint, 1::bigint, 5::bigint, 3::bigint, 12::bigint),
    ('user:u', 1, 1, 4, 1, 2)$$, 'rooms, and their traffic');
SELECT results_eq('SELECT id FROM pgpush.tail',
  'VALUES (5::bigint), (4), (3), (2), (1)', 'the newest comes first');
SELECT results_eq($$SELECT id, event FROM pgpush.replay('even:2', 1, 2)$$,
  $$VALUES (2::bigint, 'new'), (3, 'blip')$$, 'a replay from a position');
SELECT results_eq($$SELECT what, detail FROM pgpush.explain('even:2')
    WHERE what = 'member' ORDER BY detail$$,
  $$VALUES ('member', 'user u, session s1, by native from a:1 at node n1'),
    ('member', 'user u, session s2, by sse from a:2 at node n1')$$,
  'who is in the room');
SELECT is(count(*), 2::bigint, 'which rules decide')
  FROM pgpush.explain('even:2') WHERE what = 'rule';
SELECT matches(detail, '^5  at ', 'the newest event')
  FROM pgpush.explain('even:2') WHERE what = 'newest';

SELECT results_eq($$SELECT pgpush.why('u', 'even:2')$$,
  $$VALUES ('User u is in room even:2 with 2 connection(s).'),
    ('The rule app.even(text,jsonb,jsonb) admits the user now.'),
    ('The rule app.vip(text,jsonb,jsonb) refuses the user now.')$$,
  'why: a member');
SELECT is((SELECT w FROM pgpush.why('v', 'even:2') w LIMIT 1),
  'User v is connected, but not in room even:2.', 'why: not a member');
SELECT matches((SELECT w FROM pgpush.why('v', 'even:2') w OFFSET 3),
  '^Event 5 of .* took the user out of the room.$', 'why: revoked');
SELECT is((SELECT w FROM pgpush.why('u', 'even:x') w OFFSET 1 LIMIT 1),
  'The rule app.even(text,jsonb,jsonb) failed, which is a no: invalid input syntax for type integer: "x"',
  'why: the rule fails');

-- About one event
CREATE FUNCTION pg_temp.last(u text, room text, id bigint) RETURNS text
LANGUAGE sql AS $$
  SELECT w FROM pgpush.why(u, room, id) WITH ORDINALITY w (w, n)
    ORDER BY n DESC LIMIT 1
$$;
SELECT matches(pg_temp.last('u', 'even:2', 2),
  '^Event 2 was sent to room even:2 at ', 'it was sent');
SELECT is(pg_temp.last('u', 'even:2', 4), 'Event 4 was sent to room user:u.',
  'it was sent to another room');
SELECT matches(pg_temp.last('u', 'even:2', 3), 'ephemeral', 'it was a signal');
SELECT is(pg_temp.last('u', 'even:2', 99), 'There is no event 99.',
  'there is none');
SELECT matches(pg_temp.last('u', 'even:2', 1), 'connected later',
  'it was sent before the user came');
UPDATE pgpush.floor SET id = 1;
DELETE FROM pgpush.log WHERE id = 1;
SELECT is(pg_temp.last('u', 'even:2', 1), 'Event 1 has been purged.',
  'it was purged');
UPDATE pgpush.log SET origin = 's1' WHERE id = 2;
SELECT matches(pg_temp.last('u', 'even:2', 2), 'not sent to the session',
  'the session caused it itself');

-- The doctor
SELECT is_empty($$SELECT * FROM pgpush.doctor()
    WHERE finding !~ 'greet|create roles|transaction'$$, 'all is well');
SELECT ok(EXISTS (SELECT FROM pgpush.doctor() WHERE finding ~ 'No greet'),
  'no greet function is found');
UPDATE pgpush.nodes SET leader = false;
SELECT is(severity, 'error', 'no leader is found') FROM pgpush.doctor()
  WHERE finding ~ 'is the leader';
UPDATE pgpush.nodes SET seen = now() - interval '1 hour';
SELECT bag_eq($$SELECT severity FROM pgpush.doctor()
    WHERE finding ~ 'No daemon is running|last seen'$$,
  $$VALUES ('error'), ('error')$$, 'a daemon that hangs is found');
INSERT INTO pgpush.outbox (room, event, at)
  VALUES ('r', 'e', now() - interval '1 minute');
SELECT matches(finding, '^1 event', 'an outbox that waits is found')
  FROM pgpush.doctor() WHERE finding ~ 'outbox, the oldest';
ALTER FUNCTION app.even(text, jsonb, jsonb) SECURITY INVOKER;
SELECT matches(remedy, '^DELETE FROM pgpush.rules WHERE id = \d+;$',
  'a rule that lost its rights is found')
  FROM pgpush.doctor() WHERE finding ~ 'app\.even';
SELECT results_eq($$SELECT answer, error FROM pgpush.may('u', 'even:2')
    LIMIT 1$$, $$VALUES (false,
    'the function is gone or no longer SECURITY DEFINER')$$,
  'and it admits nobody');

-- Rights
SELECT set_eq($$SELECT p.proname::text FROM pg_proc p
    WHERE p.pronamespace = 'pgpush'::regnamespace AND p.proname IN ('tail',
      'replay', 'may', 'try_handler', 'explain', 'why', 'doctor')
    AND NOT has_function_privilege('pgpush_admin', p.oid, 'EXECUTE')$$,
  ARRAY[]::text[], 'a DBA may ask all of it');

SELECT * FROM finish();
ROLLBACK;
