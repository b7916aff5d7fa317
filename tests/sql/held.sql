-- SPDX-License-Identifier: ISC
-- Held events: hold and release, and what the leader makes of them.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;
SET lock_timeout = '10 s';  -- nothing here may wait
\ir lib/other.psql
SELECT dblink_exec('other', 'SET client_min_messages = error') \g /dev/null

-- A message and its attachments, as an application has them.
CREATE TABLE t.files (message int, name text);
CREATE FUNCTION t.render(arg jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT arg || jsonb_build_object('files', count(*)) FROM t.files f
    WHERE f.message = (arg ->> 'id')::int
$$;
CREATE FUNCTION t."Odd name"(jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT '"odd"'::jsonb
$$;
CREATE FUNCTION t.nothing(jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NULL::jsonb
$$;
CREATE FUNCTION t.broken(jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO t.files VALUES (99, 'taken back');
  RETURN 1 / 0;
END $$;
CREATE FUNCTION t.invoker(jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT '"with the rights of pgpush''s owner"'::jsonb
$$;
-- Of this name the one that fits what it is called with is another.
CREATE FUNCTION t.two(text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$
  SELECT '"with the rights of its own"'::jsonb
$$;
CREATE FUNCTION t.two(jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT '"with the rights of pgpush''s owner"'::jsonb
$$;
CREATE FUNCTION t.long() RETURNS text LANGUAGE sql AS $$  -- not compressible
  SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i
$$;
-- What the leader does until there is nothing to do but to wait.
CREATE FUNCTION t.lead(due boolean DEFAULT false) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
  s    record;
  done json := '[]';
BEGIN
  IF due THEN
    done := coalesce(pgpush.rendered_due(1000), '[]');
  END IF;
  LOOP
    SELECT * INTO s FROM pgpush.move_on(done, 1000);
    EXIT WHEN s.cut IS NULL;
    done := coalesce(pgpush.rendered(s.cut_xid, s.cut, 1000), '[]');
  END LOOP;
  RETURN s.due;
END $$;
-- What has come into the log since the last call.
CREATE FUNCTION t.sent() RETURNS text[] LANGUAGE sql AS $$
  SELECT t.lead();
  WITH d AS (DELETE FROM pgpush.log RETURNING *)
  SELECT coalesce(array_agg(concat_ws(' ', nullif(kind, 'event'), room, event,
    data::jsonb, origin) ORDER BY id), '{}') FROM d
$$;

SELECT plan(31);

-- hold and release
BEGIN;
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
SELECT is_empty('TABLE pgpush.held', 'a writer only says that it holds');
SELECT is(t.sent(), '{}', 'nothing is sent yet');
SELECT results_eq(
  $$SELECT key, room, event, render, arg, origin, dup, who, xid,
      due BETWEEN now() + interval '200 ms'
        AND clock_timestamp() + interval '200 ms'
    FROM pgpush.held$$,
  $$VALUES ('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}'::jsonb, NULL::text,
    NULL::text, current_user::text COLLATE "default", pg_current_xact_id(), true)$$,
  'the leader holds it for 200 ms');
INSERT INTO t.files VALUES (1, 'a'), (1, 'b');
SELECT pgpush.release('other'), pgpush.release(NULL) \g /dev/null
SELECT is(t.sent(), '{}', 'neither another key nor NULL releases it');
SELECT pgpush.release('k'), pgpush.emit('r', 'after', '1') \g /dev/null
SELECT is(t.sent(), '{"r e {\"id\": 1, \"files\": 2}",r after 1}',
  'released as things stand then, in front of what was written after');
SELECT pgpush.release('k') \g /dev/null
SELECT is(t.sent(), '{}', 'once');
SELECT is_empty('TABLE pgpush.outbox', 'and the releases are gone');
ROLLBACK;

BEGIN;
SET LOCAL pgpush.session = 's1';
SELECT pgpush.hold('k', 'r', 'e', 't.nothing(jsonb)', '{"id": 0}'),
  pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}', '1 h', true),
  pgpush.hold('k', 'r', 'broken', 't.broken(jsonb)', '{"id": 2}'),
  pgpush.hold('k', 'r', 'invoker', 't.invoker(jsonb)', '{"id": 3}'),
  pgpush.hold('k', 'r', 'two', 't.two(text)', '{"id": 3}'),
  pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 4}', '1 ms'),
  pgpush.hold('k', 'r', 'e', 't."Odd name"(jsonb)', '{"id": 5}') \g /dev/null
SET LOCAL pgpush.session = 's2';
SELECT pgpush.release('k') \g /dev/null
SELECT is(t.sent(), ARRAY['r e {"id": 1, "files": 0} s1',
  'resync r broken {"count": 1, "event": "broken"}',
  'resync r invoker {"count": 1, "event": "invoker"}',
  'resync r two {"count": 1, "event": "two"}',
  'r e {"id": 4, "files": 0}', 'r e "odd"'],
  'in the order in which they were held; one that fails becomes a resync');
SELECT is_empty('TABLE pgpush.held', 'none is left');
SELECT is_empty('TABLE t.files', 'and what a failed function wrote is undone');
SELECT results_eq('SELECT event, rows FROM pgpush.lost ORDER BY event',
  $$VALUES ('broken', 1::bigint), ('invoker', 1), ('two', 1)$$,
  'those that failed are counted');
ROLLBACK;

BEGIN;
SELECT lives_ok($$SELECT pgpush.hold('k', NULL, 'e', 't.render(jsonb)', '{}'),
    pgpush.hold(NULL, 'r', 'n', NULL, NULL, NULL, NULL),
    pgpush.hold(t.long(), 'r', 'e', 't.render(jsonb)', '{"id": 1}')$$,
  'NULLs and a long key are no errors');
SELECT t.lead() \g /dev/null
SELECT is((SELECT count(*) FROM pgpush.held), 2::bigint, 'a NULL room holds nothing');
SELECT pgpush.release(t.long()) \g /dev/null
SELECT is(t.sent(), '{"r e {\"id\": 1, \"files\": 0}"}', 'a long key is a key');
SELECT pgpush.hold('k', repeat('r', 201), 'e', 't.render(jsonb)', '{"id": 1}'),
  pgpush.release('k') \g /dev/null
SELECT is(t.sent(), '{}', 'a long room is dropped');
SELECT is((SELECT why FROM pgpush.lost), 'a room name over 200 bytes',
  'and counted');
CREATE FUNCTION t.gone(jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
  AS $$SELECT $1$$;
SELECT pgpush.hold('g', 'r', 'e', 't.gone(jsonb)', '{"id": 1}') \g /dev/null
DROP FUNCTION t.gone(jsonb);
SELECT pgpush.release('g') \g /dev/null
SELECT is(t.sent(), ARRAY['resync r e {"count": 1, "event": "e"}'],
  'one whose function is gone becomes a resync');
ROLLBACK;

-- about
BEGIN;
SELECT pgpush.hold('k', 'r', 'new', 't.render(jsonb)', '{"id": 1}', about => 'm1'),
  pgpush.hold('k', 'r', 'edit', 't.render(jsonb)', '{"id": 1}', '0', about => 'm1'),
  pgpush.hold('k', 'r', 'edit', 't.render(jsonb)', '{"id": 2}', '0', about => 'm2'),
  pgpush.hold('j', 'r', 'edit', 't.render(jsonb)', '{"id": 1}', '0', about => 'm1'),
  pgpush.release('k'), pgpush.release('j') \g /dev/null
SELECT is(t.sent(), ARRAY['r new {"id": 1, "files": 0}',
  'r edit {"id": 2, "files": 0}', 'r edit {"id": 1, "files": 0}'],
  'an event is dropped if one about the same is held under the same key');
SELECT pgpush.hold('k', 'r', 'edit', 't.render(jsonb)', '{"id": 1}', about => 'm1'),
  pgpush.release('k') \g /dev/null
SELECT is(cardinality(t.sent()), 1, 'but not once that has been released');
ROLLBACK;

-- Writers do not meet
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 7}', '0'),
  pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 8}', '0') \g /dev/null
SELECT t.lead() \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT t.other($$SELECT pgpush.release('k')$$) \g /dev/null
SELECT t.lead(true) \g /dev/null
SELECT is(cardinality(t.sent()), 2,
  'an open transaction that has released keeps nothing back');
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT is(t.sent(), '{}', 'and finds nothing when it commits');
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT t.other($$SELECT pgpush.release('k')$$) \g /dev/null
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT is(t.sent(), '{}', 'a release that is rolled back was none');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 2}'),
  pgpush.release('k') \g /dev/null
SELECT dblink_exec('other', 'BEGIN ISOLATION LEVEL SERIALIZABLE') \g /dev/null
SELECT t.other($$SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 3}')$$),
  t.other($$SELECT pgpush.release('k')$$) \g /dev/null
COMMIT;
SELECT lives_ok($$SELECT dblink_exec('other', 'COMMIT')$$,
  'of two SERIALIZABLE writers of one key neither fails');
SELECT is(cardinality(t.sent()), 3, 'and all is sent');

-- No transaction id of its own for each statement
BEGIN;
DO $$
BEGIN
  FOR i IN 1 .. 100 LOOP
    PERFORM pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}');
    PERFORM pgpush.emit('r', 'e', '1');
    PERFORM pgpush.release('k');
  END LOOP;
END $$;
SELECT is((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
    AND locktype = 'transactionid'), 1::bigint,
  'a hundred holds, events and releases take one transaction id');
ROLLBACK;

-- What is due
BEGIN;
SELECT pgpush.hold('a', 'r', 'e', 't.render(jsonb)', '{"id": 1}', '-1 s'),
  pgpush.hold('d', 'r', 'e', 't.render(jsonb)', '{"id": 4}', '1 h') \g /dev/null
SELECT t.lead() \g /dev/null
SELECT is(t.lead(true), (SELECT due FROM pgpush.held WHERE key = 'd'),
  'the leader knows when the next one is due');
SELECT is(t.sent(), '{"r e {\"id\": 1, \"files\": 0}"}', 'what is due is sent');
SELECT lives_ok($$SELECT pgpush.hold('x', 'r', 'e', 't.render(jsonb)', '1',
  '178000000 years'), t.sent()$$, 'no time is too long');
SELECT pgpush.release('d'), pgpush.release('x') \g /dev/null
SELECT is(json_array_length(pgpush.rendered(cut_xid, cut, 1000, true)), 4,
  'a leader that cannot ask')
  FROM pgpush.move_on('[]', 1000);
SELECT is(t.lead(), NULL, 'nothing is held any more');
ROLLBACK;

-- A render that takes too long
CREATE FUNCTION t.slow(jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
  AS $$SELECT to_jsonb(pg_sleep(60)::text)$$;
SELECT pgpush.hold('s', 'r', 'slow', 't.slow(jsonb)', '1', '1 h'),
  pgpush.hold('s', 'r', 'e', 't.render(jsonb)', '{"id": 2}', '1 h'),
  pgpush.release('s') \g /dev/null
SELECT cut_xid, cut FROM pgpush.move_on('[]', 1000) \gset
SET statement_timeout = '200 ms';
SELECT d AS done FROM pgpush.rendered(:'cut_xid', :cut, 1000) d \gset
RESET statement_timeout;
SELECT pgpush.move_on(:'done', 1000) \g /dev/null
SELECT is(t.sent(), ARRAY['resync r slow {"count": 1, "event": "slow"}', 'r e {"id": 2, "files": 0}'],
  'becomes a resync, and no other with it');

SELECT dblink_disconnect('other') \g /dev/null
