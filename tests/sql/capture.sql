-- SPDX-License-Identifier: ISC
-- The trigger functions that attach writes send what the general capture sends,
-- whatever the types and the kind of statement.
BEGIN;
SELECT plan(6);

CREATE SCHEMA app;
CREATE TYPE app.pair AS (a int, b timestamptz);
CREATE TABLE app.d (
  id int PRIMARY KEY, gone int, k text, b bool, i2 int2, i8 bigint, n numeric, f4 real, f8 float8, v varchar(10), c char(4),
  u uuid, d date, ts timestamp, tz timestamptz, tm timetz, iv interval, j json, jb jsonb, ar text[], ba bytea, p app.pair,
  m money, ip inet, bits bit(3), big text, gen int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE app.child () INHERITS (app.d);
CREATE TABLE app.parted (LIKE app.d) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parted FOR VALUES FROM (100) TO (200);

-- The same attached both ways, to a room of each column.
CREATE FUNCTION pg_temp.both(tbl regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  cols text[] := ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = tbl AND attnum > 0);
  op text;
  col text;
BEGIN
  FOR op, col IN SELECT * FROM unnest('{insert,update,delete}'::text[]) AS o, unnest(cols) AS c 
      WHERE c NOT IN ('id', 'big') AND (o = 'insert' OR c IN ('k', 'tz', 'p')) LOOP
    PERFORM pgpush.attach(tbl, 'r:{' || col || '}:{id}', jsonb_build_object(op, 'new ' || col || op), cols);
    EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s TABLE AS pgpush_rows
      FOR EACH STATEMENT EXECUTE FUNCTION pgpush.capture(%L, %L, %L, '''')', 'old_' || col || op, op, tbl,
      CASE op WHEN 'delete' THEN 'OLD' ELSE 'NEW' END, 'r:{' || col || '}:{id}', 'old ' || col || op, cols);
  END LOOP;
END $$;
CREATE FUNCTION pg_temp.sent(how text) RETURNS TABLE (kind text, room text, event text, data jsonb) LANGUAGE sql AS $$
  SELECT kind, room, substr(event, 5), CASE kind WHEN 'resync' THEN data::jsonb - 'event' ELSE data::jsonb END FROM pgpush.outbox WHERE event LIKE how || ' %'
$$;
CREATE FUNCTION pg_temp.write(tbl text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s text;
BEGIN
  FOREACH s IN ARRAY ARRAY[
    $q$INSERT INTO %s (id, k, b, i2, i8, n, f4, f8, v, c, u, d, ts, tz, tm, iv, j, jb, ar, ba, p, m, ip, bits) VALUES
      (1, 'a"\'' %%s', true, 1, 2, 'NaN', 1.5, 0.1, 'vv', 'c', 'a0000000-0000-4000-8000-00000000000c', '2020-02-03', 'infinity',
        '2020-01-01 01:02:03.456', '03:04+02', '1 day 2:3', '{"a" : 1, "a": 2}', '"str"', '{a,NULL,"x y"}', '\x00ff',
        (1, '2020-01-01 00:00'), 3.5, '10.0.0.1/8', '101')$q$,
    'INSERT INTO %s (id) VALUES (2)',
    $q$INSERT INTO %s (id, k) SELECT i, 'k' || i %% 3 FROM generate_series(3, 120) AS i$q$,
    $q$INSERT INTO %s (id, k) VALUES (3, 'y'), (150, 'z') ON CONFLICT (id) DO UPDATE SET k = excluded.k || '!'$q$,
    $q$WITH w AS (INSERT INTO %1$s (id, k) VALUES (151, 'w') RETURNING id), q AS (DELETE FROM %1$s WHERE id = 5)
      UPDATE %1$s SET k = 'cte', id = id + 150 WHERE id = 9$q$,
    'UPDATE %s SET k = NULL WHERE id = 10',
    $q$UPDATE %s SET big = repeat('x', 50000), k = 'same' WHERE id > 10$q$,
    'UPDATE %s SET k = k WHERE false',
    'DELETE FROM %s WHERE id < 20',
    'DELETE FROM %s']
  LOOP
    EXECUTE format(s, tbl);
  END LOOP;
END $$;

SET LOCAL TIME ZONE 'America/New_York';
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL datestyle = 'SQL, DMY';
SET LOCAL bytea_output = 'escape';
SELECT pg_temp.both('app.d');
ALTER TABLE app.parted ADD PRIMARY KEY (id);
SELECT pg_temp.both('app.parted');

SELECT pg_temp.write('app.d');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.sent('new')), '>', 300::bigint, 'much is sent');
SELECT bag_eq($$ SELECT * FROM pg_temp.sent('new') $$, $$ SELECT * FROM pg_temp.sent('old') $$, 'a table');
DELETE FROM pgpush.outbox;

INSERT INTO app.child (id, k, b) VALUES (1, 'kid', true);
INSERT INTO app.d (id, k, b) VALUES (2, 'kid', true);
UPDATE app.d SET b = false;
DELETE FROM app.d;
SELECT bag_eq($$ SELECT * FROM pg_temp.sent('new') $$, $$ SELECT * FROM pg_temp.sent('old') $$, 'one that is inherited');
DELETE FROM pgpush.outbox;

SELECT pg_temp.write('app.parted');
SELECT bag_eq($$ SELECT * FROM pg_temp.sent('new') $$, $$ SELECT * FROM pg_temp.sent('old') $$, 'a partitioned one');
DELETE FROM pgpush.outbox;

-- Now it goes on from the rows alone.
ALTER TABLE app.d DROP gone;
SELECT pg_temp.write('app.d');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.sent('new')), '>', 300::bigint, 'much is sent without a column');
SELECT bag_eq($$ SELECT * FROM pg_temp.sent('new') $$, $$ SELECT * FROM pg_temp.sent('old') $$, 'the same as before');

SELECT * FROM finish();
ROLLBACK;
