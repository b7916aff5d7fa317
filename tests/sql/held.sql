-- SPDX-License-Identifier: ISC
-- Held events: hold, is_held, release, release_due.
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
PREPARE sent AS SELECT room, event, data, bytes = octet_length(data::text)
  FROM pgpush.outbox ORDER BY id;
PREPARE names AS SELECT data ->> 'id' FROM pgpush.outbox ORDER BY id;

SELECT plan(36);

-- hold and release
BEGIN;
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
SELECT results_eq(
  $$SELECT key, room, event, render, arg, origin, dup,
      due BETWEEN now() + interval '200 ms'
        AND clock_timestamp() + interval '200 ms'
    FROM pgpush.held$$,
  $$VALUES ('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}'::jsonb,
    NULL::text, NULL::text, true)$$, 'hold keeps it for 200 ms');
SELECT is_empty('TABLE pgpush.outbox', 'and sends nothing yet');
INSERT INTO t.files VALUES (1, 'a'), (1, 'b');
SELECT is(pgpush.release('other'), 0, 'another key releases nothing');
SELECT is(pgpush.release(NULL), 0, 'nor does NULL');
SELECT is(pgpush.release('k'), 1, 'release says how many it sent');
SELECT results_eq('sent', $$VALUES ('r', 'e', '{"id": 1, "files": 2}'::jsonb, true)$$,
  'rendered as things stand at the release');
SELECT is(pgpush.release('k'), 0, 'once');
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
SELECT is(pgpush.release('k'), 3, 'one that fails or has nothing to say is dropped');
SELECT results_eq('SELECT data, origin FROM pgpush.outbox ORDER BY id',
  $$VALUES ('{"id": 1, "files": 0}'::jsonb, 's1'),
      ('{"id": 4, "files": 0}', NULL), ('"odd"', NULL)$$,
  'the others are sent in the order in which they were held');
SELECT is_empty('TABLE pgpush.held', 'none is left');
SELECT is_empty('TABLE t.files', 'and what a failed function wrote is undone');
ROLLBACK;

BEGIN;
SELECT lives_ok($$SELECT pgpush.hold('k', NULL, 'e', 't.render(jsonb)', '{}'),
    pgpush.hold(NULL, 'r', NULL, NULL, NULL, NULL, NULL),
    pgpush.hold(t.long(), 'r', 'e', 't.render(jsonb)', '{"id": 1}')$$,
  'NULLs and a long key are no errors');
SELECT is((SELECT count(*) FROM pgpush.held), 2::bigint, 'a NULL room holds nothing');
SELECT ok(pgpush.is_held(t.long(), '{"id": 1}'), 'a long key is a key');
SELECT pgpush.hold('k', repeat('r', 201), 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
SELECT lives_ok($$SELECT pgpush.release('k')$$, 'a long room is dropped');
CREATE FUNCTION t.gone(jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
  AS $$SELECT $1$$;
SELECT pgpush.hold('g', 'r', 'e', 't.gone(jsonb)', '{"id": 1}') \g /dev/null
DROP FUNCTION t.gone(jsonb);
SELECT is(pgpush.release('g'), 0, 'and so is one whose function is gone');
ROLLBACK;

-- is_held
BEGIN;
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1, "x": 2}') \g /dev/null
SELECT is(ARRAY[pgpush.is_held('k', '{"id": 1}'), pgpush.is_held('k', '{"id": 2}'),
  pgpush.is_held('j', '{"id": 1}'), pgpush.is_held('k', NULL)],
  '{t,f,f,f}', 'is_held looks at the key and at what arg contains');
ROLLBACK;

-- is_held keeps others from releasing until its transaction ends
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 7}', '0'),
  pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 8}', '0') \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT is(t.other($$SELECT pgpush.is_held('k', '{"id": 7}')$$), 't',
  'held, says another transaction');
SELECT t.other($$INSERT INTO t.files VALUES (7, 'late') RETURNING ''$$) \g /dev/null
SELECT is(pgpush.release('k'), 1, 'release leaves what that one has locked');
SELECT results_eq('names', ARRAY['8'], 'and sends the rest');
SELECT clock_timestamp() AS before \gset
SELECT cmp_ok(pgpush.release_due() - :'before'::timestamptz, '>', interval '10 ms',
  'release_due leaves it too, and is to be called again only after a while');
SELECT ok(pgpush.is_held('k', '{"id": 7}'), 'two may look at it');
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT is(pgpush.release('k'), 1, 'when that one has ended it is released');
SELECT is((SELECT data FROM pgpush.outbox ORDER BY id DESC LIMIT 1),
  '{"id": 7, "files": 1}', 'and shows what that one wrote');

-- Two that release at once
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT is(t.other($$SELECT pgpush.release('k')$$), '1', 'one of two sends');
SELECT is(pgpush.release('k'), 0, 'the other does not wait');
SELECT is(pgpush.is_held('k', '{"id": 1}'), false, 'nor does is_held');
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT is(pgpush.release('k'), 1, 'a release that is rolled back was none');

-- Many under one key: the application waits for the first few only
SELECT count(pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}'))
  FROM generate_series(1, 150) \g /dev/null
SELECT is(pgpush.release('k'), 100, 'release sends a hundred at most');
SELECT pgpush.release('k') \g /dev/null

-- An old snapshot
SELECT pgpush.hold('k', 'r', 'e', 't.render(jsonb)', '{"id": 1}') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pgpush.held \g /dev/null
SELECT t.other($$SELECT pgpush.release('k')$$) \g /dev/null
SELECT is(pgpush.is_held('k', '{"id": 1}'), false,
  'under an old snapshot too, what has been released is not held');
SELECT is(pgpush.release('k'), 0, 'and no error');
COMMIT;

-- release_due
DELETE FROM pgpush.outbox;
BEGIN;
SELECT pgpush.hold('a', 'r', 'e', 't.render(jsonb)', '{"id": 1}', '-1 s'),
  pgpush.hold('b', 'r', 'e', 't.render(jsonb)', '{"id": 2}', '-3 s'),
  pgpush.hold('c', 'r', 'e', 't.render(jsonb)', '{"id": 3}', '-2 s'),
  pgpush.hold('d', 'r', 'e', 't.render(jsonb)', '{"id": 4}', '1 h') \g /dev/null
SELECT cmp_ok(pgpush.release_due(2), '<', clock_timestamp(),
  'release_due takes no more than it may and is to be called again at once');
SELECT results_eq('names', ARRAY['2', '3'], 'those that have been due longest');
SELECT is(pgpush.release_due(), (SELECT due FROM pgpush.held WHERE key = 'd'),
  'else when the next one is due');
SELECT results_eq('names', ARRAY['2', '3', '1'], 'which it has not sent');
DELETE FROM pgpush.held;
SELECT is(pgpush.release_due(), NULL, 'NULL if nothing is held');
ROLLBACK;

SELECT dblink_disconnect('other') \g /dev/null
