-- SPDX-License-Identifier: ISC
-- The log is read by room, whatever the planner has been told of rooms.
BEGIN;
SELECT plan(3);

-- As the daemon plans its reads.
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE catch_up (text, bigint, bigint, bigint) AS
  SELECT * FROM pgpush.log WHERE room = $1 AND id > $2 AND id <= $3
    AND kind IN ('event', 'resync') ORDER BY id LIMIT $4;

CREATE FUNCTION pg_temp.rows(first int, last int, rooms int) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO pgpush.log (id, kind, room, event, bytes, at)
    SELECT i, 'event', 'r' || i % rooms, 'e', 300, now()
      FROM generate_series(first, last) i
$$;

CREATE FUNCTION pg_temp.index_used() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) EXECUTE catch_up(''r7'', 1, 100000, 500)'
    INTO plan;
  RETURN substring(plan::text FROM '"Index Name": "([a-z_]*)"');
END $$;

SELECT pg_temp.rows(1, 20000, 1) \g /dev/null
ANALYZE pgpush.log;
SELECT is(pg_temp.index_used(), 'log_room', 'when there was one room only');
SELECT pg_temp.rows(20001, 40000, 2000) \g /dev/null
SELECT is(pg_temp.index_used(), 'log_room', 'when many are new');
ANALYZE pgpush.log;
SELECT is(pg_temp.index_used(), 'log_room', 'when they are known');

SELECT * FROM finish();
ROLLBACK;
