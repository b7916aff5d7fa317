-- SPDX-License-Identifier: ISC
-- Live state: nodes, connections, presence.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;
\ir lib/other.psql
SELECT dblink_exec('other', 'LISTEN pgpush') \g /dev/null

-- What the registered functions are told, since it was last asked.
CREATE TABLE t.calls (n int GENERATED ALWAYS AS IDENTITY, who text, on_ boolean,
  seen timestamptz);
CREATE FUNCTION t.note(user_id text, online boolean, last_seen timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ INSERT INTO t.calls (who, on_, seen) VALUES (user_id, online, last_seen) $$;
CREATE FUNCTION t.fails(user_id text, online boolean, last_seen timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO t.calls (who) VALUES ('never');
  RAISE EXCEPTION 'on purpose';
END $$;
REVOKE EXECUTE ON FUNCTION t.note(text, boolean, timestamptz),
  t.fails(text, boolean, timestamptz) FROM PUBLIC;
SELECT pgpush.present('t.fails(text, boolean, timestamptz)'),
  pgpush.present('t.note(text, boolean, timestamptz)') \g /dev/null
CREATE FUNCTION t.calls() RETURNS text LANGUAGE sql AS $$
  WITH d AS (DELETE FROM t.calls RETURNING *)
  SELECT coalesce(string_agg(who || CASE WHEN on_ THEN '+' ELSE '-' END, ' '
    ORDER BY n), '') FROM d
$$;
CREATE FUNCTION t.sync(grace interval) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pgpush.presence_sync(grace);
  RETURN t.calls();
END $$;
CREATE FUNCTION t.sessions() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(format('%s@%s:%s', session, node, user_id), ' '
    ORDER BY session) FROM pgpush.connections
$$;

SELECT plan(51);

-- Nodes
SELECT is(pgpush.node_stamp('n1', true, 3, '{7,8}', '1.0'), false,
  'a node that nobody knew');
SELECT results_eq(
  $$SELECT node, leader, connections, backends, version,
    now() - seen < interval '1 min', seen - started < interval '1 min' FROM pgpush.nodes$$,
  $$VALUES ('n1', true, 3, '{7,8}'::int[], '1.0', true, true)$$, 'is written');
UPDATE pgpush.nodes SET seen = seen - interval '1 h', started = '2026-01-01';
SELECT is(pgpush.node_stamp('n1', false, 4, NULL, '1.1'), true, 'now it is known');
SELECT results_eq(
  $$SELECT node, leader, connections, backends, version,
    now() - seen < interval '1 min', started = '2026-01-01' FROM pgpush.nodes$$,
  $$VALUES ('n1', false, 4, '{}'::int[], '1.1', true, true)$$, 'and stamped again');

-- Sessions
SELECT pgpush.sessions_write('n1',
  '[{"session": "a", "user": "u", "address": "::1", "since": "2026-01-02T03:04:05.678Z"},
    {"session": "b", "user": "v"}]', '{}', true) \g /dev/null
SELECT results_eq(
  $$SELECT session, node, user_id, address, pgpush.iso(since) FROM pgpush.connections
    WHERE session = 'a'$$,
  $$VALUES ('a', 'n1', 'u', '::1', '2026-01-02T03:04:05.678Z')$$, 'a session');
SELECT is(t.sessions(), 'a@n1:u b@n1:v', 'all of them');
SELECT matches(array_to_string(t.told(), ' '), '^\{"presence":"n1:[0-9]+"\}$',
  'the leader is told');
SELECT pgpush.sessions_write('n1', NULL, NULL, false),
  pgpush.sessions_write('n1', '[]', '{x}', false) \g /dev/null
SELECT is(t.told(), '{}', 'but not of nothing');
BEGIN;
SELECT pgpush.sessions_write('n1', '[{"session": "c", "user": "v"}]', '{a}', false) \g /dev/null
SELECT pgpush.sessions_write('n1', '[]', '{c}', false) \g /dev/null
COMMIT;
SELECT is(cardinality(t.told()), 2, 'and of two changes in one transaction, twice');
SELECT is(t.sessions(), 'b@n1:v', 'closed ones are gone');
SELECT lives_ok($$SELECT pgpush.sessions_write('n1',
  '[{"session": "d", "user": "x"}, {"session": "d", "user": "u"},
    {"session": "e", "user": "u"}]', '{e}', false)$$, 'one session twice');
SELECT is(t.sessions(), 'b@n1:v d@n1:u',
  'the last counts; one that came and went was never here');
SELECT pgpush.sessions_write('n2', '[{"session": "d", "user": "u"}]', '{}', true),
  pgpush.sessions_write('n1', '[]', '{d}', false) \g /dev/null
SELECT is(t.sessions(), 'b@n1:v d@n2:u',
  'a session that went on at another node is not closed by the first');
SELECT pgpush.sessions_write('n1', '[{"session": "f", "user": "u"}]', '{}', true) \g /dev/null
SELECT is(t.sessions(), 'd@n2:u f@n1:u', 'fresh: what was there before is not any more');
SELECT is((SELECT array_agg(node ORDER BY node) FROM pgpush.nodes), '{n1,n2}',
  'and a node that writes is there');
SELECT t.told() \g /dev/null
SELECT pgpush.node_gone('n2') \g /dev/null
SELECT is(t.sessions(), 'f@n1:u', 'a node that ends takes its sessions along');
SELECT is((SELECT array_agg(node) FROM pgpush.nodes), '{n1}', 'and is gone');
SELECT is(cardinality(t.told()), 1, 'of which the leader is told');
SELECT pgpush.node_gone('n1') \g /dev/null
TRUNCATE pgpush.connections, pgpush.presence, pgpush.presence_todo;

-- Presence
SELECT pgpush.sessions_write('n1', '[{"session": "a", "user": "u"},
  {"session": "b", "user": "u"}, {"session": "c", "user": "v"},
  {"session": "d"}]', '{}', true) \g /dev/null
SELECT is(t.sync('1 h'), 'u+ v+',
  'the first connection of each is told, though another function fails');
SELECT is(t.sync('1 h'), '', 'once');
SELECT results_eq($$SELECT user_id, online, gone_at FROM pgpush.presence ORDER BY 1$$,
  $$VALUES ('u', true, NULL::timestamptz), ('v', true, NULL)$$, 'and written');
SELECT pgpush.sessions_write('n1', '[]', '{a}', false) \g /dev/null
SELECT is(pgpush.presence_sync('1 h'), NULL, 'one of two connections ends: nothing');
SELECT pgpush.sessions_write('n1', '[]', '{b}', false) \g /dev/null
SELECT is(round(extract(epoch FROM pgpush.presence_sync('1 h') - now()) / 60), 60::numeric,
  'the last one ends: to be looked at after the grace');
SELECT is(t.calls(), '', 'and not told before');
SELECT ok((SELECT online AND gone_at IS NOT NULL FROM pgpush.presence
  WHERE user_id = 'u'), 'he still counts as online');
SELECT pgpush.sessions_write('n1', '[{"session": "e", "user": "u"}]', '{}', false) \g /dev/null
SELECT is(pgpush.presence_sync('0'), NULL, 'he is back within the grace');
SELECT is(t.calls(), '', 'nobody is told');
SELECT pgpush.sessions_write('n1', '[]', '{e}', false) \g /dev/null
SELECT is(t.sync('1 h'), '', 'he goes again');
UPDATE pgpush.presence SET gone_at = gone_at - interval '2 h', last_seen = '2026-01-01'
  WHERE user_id = 'u';
SELECT is(pgpush.presence_sync('1 h'), NULL, 'the grace is over');
SELECT results_eq('SELECT who, on_, seen FROM t.calls',
  $$VALUES ('u', false, '2026-01-01'::timestamptz)$$,
  'it is told that he went, and when he was last seen');
SELECT results_eq($$SELECT online, gone_at, last_seen FROM pgpush.presence
    WHERE user_id = 'u'$$,
  $$VALUES (false, NULL::timestamptz, '2026-01-01'::timestamptz)$$, 'and written');
DELETE FROM t.calls;
SELECT is(t.sync('0'), '', 'once');
SELECT pgpush.sessions_write('n1', '[{"session": "f", "user": "u"}]', '{}', false) \g /dev/null
SELECT is(t.sync('0'), 'u+', 'he comes again');
SELECT pgpush.sessions_write('n1', '[{"session": "g", "user": "u"},
  {"session": "c", "user": "v"}]', '{}', true) \g /dev/null
SELECT is(t.sync('0'), '', 'a node that writes all afresh moves nobody');
DELETE FROM pgpush.connections WHERE user_id = 'v';
SELECT is(t.sync('0'), 'v-', 'a row deleted by hand counts');
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT t.other($$SELECT pgpush.sessions_write('n1', '[{"session": "c", "user": "v"}]',
  '{g}', false)$$) \g /dev/null
SELECT is(t.sync('0'), '', 'what a node has not committed is not seen');
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT is(t.sync('0'), 'u- v+', 'and is when it has');
TRUNCATE pgpush.connections;
SELECT is(t.sync('0'), 'v-', 'nor does TRUNCATE leave anybody behind');

-- Dead nodes
SELECT pgpush.sessions_write('n1', '[{"session": "a", "user": "u"}]', '{}', true),
  pgpush.sessions_write('n2', '[{"session": "b", "user": "u"},
    {"session": "c", "user": "v"}]', '{}', true) \g /dev/null
SELECT is(t.sync('0'), 'u+ v+', 'two nodes');
BEGIN;  -- one time for all of it
UPDATE pgpush.nodes SET seen = now() - interval '11 s' WHERE node = 'n2';
SELECT is(t.sync('0'), '', 'one of which was not seen for 11 seconds');
UPDATE pgpush.nodes SET seen = now() - interval '13 s' WHERE node = 'n2';
SELECT is(t.sync('0'), 'v-', 'and then for 13');
COMMIT;
SELECT is(t.sessions(), 'a@n1:u', 'its sessions are gone');
SELECT pgpush.sessions_write('n2', '[{"session": "b", "user": "w"}]', '{}', false) \g /dev/null
SELECT is(t.sync('0'), '', 'what it writes is not believed');
SELECT is(pgpush.node_stamp('n2', false, 0, '{}', ''), false, 'it learns why');
SELECT pgpush.sessions_write('n2', '[{"session": "b", "user": "v"}]', '{}', true) \g /dev/null
SELECT is(t.sync('0'), 'v+', 'and writes all afresh');

-- A leader does not wait for a node that is just writing, dead or not
UPDATE pgpush.nodes SET seen = seen - interval '13 s' WHERE node = 'n2';
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT t.other($$SELECT pgpush.sessions_write('n2', '[{"session": "b", "user": "v"}]',
  '{}', true)$$) \g /dev/null
SET lock_timeout = '5 s';
SELECT lives_ok($$SELECT pgpush.presence_sync('0')$$, 'a locked row is left');
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT pgpush.node_stamp('n2', false, 0, '{}', '') \g /dev/null

-- Its backends: tests/run/deadnode.py has some that are old enough
SELECT pgpush.node_stamp('n3', false, 0, ARRAY[pid::int], '')
  FROM t.other('SELECT pg_backend_pid()') AS o (pid) \g /dev/null
SELECT is(pgpush.backends_end('n1'), 0, 'nobody is dead');
UPDATE pgpush.nodes SET seen = seen - interval '11 s' WHERE node = 'n3';
SELECT is(pgpush.backends_end('n1'), 0, 'its number was given again');
SELECT is(t.other('SELECT 1'), '1', 'to one that lives on');
DELETE FROM pgpush.nodes WHERE node = 'n3';

-- Many at once
SELECT t.calls() \g /dev/null
SELECT pgpush.sessions_write('n1', (SELECT jsonb_agg(jsonb_build_object(
  'session', 's' || i, 'user', 'm' || i)) FROM generate_series(1, 150) i), '{}', false) \g /dev/null
SELECT cmp_ok(pgpush.presence_sync('1 h'), '<', clock_timestamp(),
  'many come: to be called again at once');
SELECT pgpush.presence_sync('1 h') FROM generate_series(1, 3) \g /dev/null
SELECT is((SELECT count(*) FROM t.calls WHERE on_ AND who LIKE 'm%'), 150::bigint,
  'until all have been told');

SELECT dblink_disconnect('other') \g /dev/null
