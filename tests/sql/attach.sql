-- SPDX-License-Identifier: ISC
-- Tables that push by themselves.
BEGIN;
SELECT plan(82);

-- The application: a role with no right on schema pgpush, tables of another.
CREATE ROLE t_owner NOLOGIN;
CREATE ROLE t_app NOLOGIN;
CREATE ROLE t_pgpush NOLOGIN;
GRANT pgpush_admin TO t_owner;
CREATE SCHEMA app AUTHORIZATION t_owner;
SET ROLE t_owner;
GRANT USAGE ON SCHEMA app TO t_app;
CREATE TABLE app.msg (
  id int, gone int, n int, event text, room text, "Wörd" text,
  password_hash text, api_token text, at timestamptz DEFAULT '2026-01-02 03:04:05.678+00');
ALTER TABLE app.msg DROP COLUMN gone;
CREATE TABLE app.untouched (id int);
CREATE VIEW app.view AS SELECT 1 AS id;
CREATE TABLE app.parted (id int) PARTITION BY RANGE (id);
CREATE TABLE app.part PARTITION OF app.parted FOR VALUES FROM (0) TO (10);
CREATE FUNCTION app.who(i int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING 'as %', current_user;
  PERFORM set_config('test.who', current_user, true);
  RETURN i > 1;
END $$;
GRANT ALL ON ALL TABLES IN SCHEMA app TO t_app;

-- What was sent since the last call, as room event data, and forget it.
RESET ROLE;
CREATE FUNCTION pg_temp.sent() RETURNS text[] LANGUAGE sql AS $$
  WITH d AS (DELETE FROM pgpush.outbox RETURNING *)
  SELECT coalesce(array_agg(concat_ws(' ', nullif(kind, 'event'), room, event, data::jsonb) ORDER BY id), '{}') FROM d
$$;
CREATE TEMP TABLE before ON COMMIT DROP AS
  SELECT array_agg(p.oid ORDER BY p.oid) AS procs,
         (SELECT array_agg(oid ORDER BY oid) FROM pg_trigger) AS triggers FROM pg_proc AS p;
GRANT SELECT ON before TO t_owner;

-- What is refused
SET ROLE t_owner;
SET client_min_messages = error;
SELECT throws_ok('SELECT pgpush.attach(' || args || ')', code, message, 'refused: ' || args)
  FROM (VALUES
    ($$'app.msg', 'm:{n}'$$, '22023', 'pgpush: attach needs to know which columns of app.msg to send'),
    ($$'app.msg', 'm:{n}', columns => '{}'$$, '22023', 'pgpush: attach needs to know which columns of app.msg to send'),
    ($$'app.msg', 'm:{n}', columns => '{id,no}'$$, '42703', 'pgpush: app.msg has no column ''no'''),
    ($$'app.msg', 'm:{n}', columns => '{id,NULL}'$$, '42703', 'pgpush: app.msg has no column NULL'),
    ($$'app.msg', 'm:{n}', columns => '{gone}'$$, '42703', 'pgpush: app.msg has no column ''gone'''),
    ($$'app.msg', 'm:{no}', columns => '{id}'$$, '42703', 'pgpush: app.msg has no column ''no'' for the room m:{no}'),
    ($$'app.msg', 'm:{n', columns => '{id}'$$, '22023', 'pgpush: cannot read the pattern "m:{n" from "{n" on'),
    ($$'app.msg', NULL, columns => '{id}'$$, '22023', 'pgpush: attach needs to know to which room app.msg pushes'),
    ($$'app.msg', 'm:{n}', '{"truncate":"x"}', '{id}'$$, '22023', 'pgpush: cannot read the events {"truncate": "x"}'),
    ($$'app.msg', 'm:{n}', '{"insert":1}', '{id}'$$, '22023', 'pgpush: cannot read the events {"insert": 1}'),
    ($$'app.msg', 'm:{n}', '{"insert":""}', '{id}'$$, '22023', 'pgpush: cannot read the events {"insert": ""}'),
    ($$'app.msg', 'm:{n}', '["insert"]', '{id}'$$, '22023', 'pgpush: cannot read the events ["insert"]'),
    ($$'app.msg', 'm:{n}', '{}', '{id}'$$, '22023', 'pgpush: cannot read the events {}'),
    ($$'app.msg', 'm:{n}', columns => '{id}', "when" => 'nope = 1'$$, '42703',
      'pgpush: cannot use the condition nope = 1: column "nope" does not exist'),
    ($$'app.msg', 'm:{n}', columns => '{id}', "when" => 'id'$$, '42804',
      'pgpush: cannot use the condition id: argument of WHERE must be type boolean, not type integer'),
    ($$'app.view', 'm', columns => '{id}'$$, '42809', 'pgpush: app.view is not a table'),
    ($$'app.part', 'm', columns => '{id}'$$, '42809', 'pgpush: app.part is a partition'),
    ($$'pgpush.outbox', 'm', columns => '{id}'$$, '42501', 'pgpush: t_owner does not own the table pgpush.outbox')
  ) AS v (args, code, message);
RESET ROLE;
SELECT throws_ok($$ SELECT pgpush.attach('pgpush.outbox', 'm', columns => '{id}') $$, '42809',
  'pgpush: pgpush.outbox is one of pgpush''s own tables', 'no loop');
SET ROLE t_app;
SELECT throws_ok($$ SELECT pgpush.attach('app.msg', 'm', columns => '{id}') $$, '42501', NULL,
  'the application attaches nothing');
RESET ROLE;
SELECT is((SELECT array_agg(oid ORDER BY oid) FROM pg_trigger), (SELECT triggers FROM before),
  'a refusal leaves no trigger');

-- Rows that are there, before anything is attached
INSERT INTO app.msg (id, n, event, password_hash) VALUES (1, 7, 'x', 's'), (2, NULL, 'y', 's'), (3, 7, 'z', 's');
SET ROLE t_owner;
SELECT results_eq($$ SELECT * FROM pgpush.attach('app.msg', 'm:{n}', '{"insert":"i","update":"u","delete":"d"}', '{id}', dry_run => true) $$,
  $$ VALUES ('m:7', 'd', '[{"id": 1}, {"id": 3}]'::jsonb), ('m:7', 'i', '{"id": 1}'),
            ('m:7', 'i', '{"id": 3}'), ('m:7', 'u', '[{"id": 1}, {"id": 3}]') $$,
  'dry_run shows what the last rows would have sent');
SELECT results_eq($$ SELECT * FROM pgpush.attach('app.msg', 'm', '{"insert":"i"}', '{id}', 'event > ''x'' AND new.n IS NULL', dry_run => true) $$,
  $$ VALUES ('m', 'i', '{"id": 2}'::jsonb) $$, 'dry_run asks the condition');
RESET ROLE;
SELECT is((SELECT array_agg(oid ORDER BY oid) FROM pg_trigger), (SELECT triggers FROM before), 'and makes no trigger');
SELECT is((SELECT array_agg(oid ORDER BY oid) FROM pg_proc), (SELECT procs FROM before),
  'and no function');
DELETE FROM app.msg;

-- Everyday
SET ROLE t_owner;
SELECT is_empty($$ SELECT pgpush.attach('app.msg', 'm:{n}', columns => ARRAY['*']) $$, 'attach');
RESET ROLE;
SET TIME ZONE 'Asia/Tokyo';
SET ROLE t_app;
INSERT INTO app.msg (id, n, event, room, "Wörd", password_hash, api_token)
VALUES (1, 5, 'e', 'r', 'ü"', 's', 's'), (2, NULL, 'e', NULL, NULL, 's', 's');
RESET ROLE;
SELECT is(pg_temp.sent(), ARRAY['m:5 msg.insert ' || ('{"n": 5, "at": "2026-01-02T03:04:05.678+00:00", "id": 1, "room": "r", "Wörd": "ü\"", "event": "e"}'::jsonb)::text],
  'one event per row, no secrets, no event without a room, a role without rights on pgpush');
SET ROLE t_app;
UPDATE app.msg SET id = id WHERE false;
RESET ROLE;
SELECT is(pg_temp.sent(), '{}', 'no row, no event');
SELECT results_eq($$ SELECT "table"::text, operation, room, event, columns, others, enabled, missing FROM pgpush.attached ORDER BY operation $$,
  $$ SELECT 'app.msg', o, 'm:{n}', 'msg.' || o, '{id,n,event,room,Wörd,at}'::text[], false, true, '{}'::text[]
       FROM unnest(ARRAY['delete', 'insert', 'update']) AS o $$, 'attached shows it');
SET ROLE t_owner;
SELECT pgpush.attach('app.msg', 'm:{n}', columns => '{id,api_token}');
RESET ROLE;
SELECT is((SELECT count(*) FROM pgpush.attached), 3::bigint, 'attaching again replaces');
DELETE FROM app.msg;
DELETE FROM pgpush.outbox;
INSERT INTO app.msg (id, n, api_token) SELECT i, i % 2, 't' FROM generate_series(1, 500) AS i;
SELECT is(cardinality(pg_temp.sent()), 500, 'a bulk INSERT is all there');
UPDATE app.msg SET event = 'read' WHERE n = 1;
SELECT is(pg_temp.sent(), ARRAY['m:1 msg.update ' || (SELECT jsonb_agg(jsonb_build_object('id', i, 'api_token', 't') ORDER BY i)::text FROM generate_series(1, 500, 2) AS i)],
  'an UPDATE of many rows is one event, a secret is sent when it is named');
UPDATE app.msg SET n = 3;
SELECT is(cardinality(pg_temp.sent()), 1, 'an UPDATE of 500 rows is one event');
DELETE FROM app.msg WHERE id < 3;
SELECT results_eq('SELECT room, event, json_array_length(data) FROM pgpush.outbox',
  $$ VALUES ('m:3', 'msg.delete', 2) $$, 'so is a DELETE');
DELETE FROM pgpush.outbox;
UPDATE app.msg SET n = id % 2;
SELECT is((SELECT array_agg(json_array_length(data) ORDER BY room) FROM pgpush.outbox), '{249,249}', 'one per room');
DELETE FROM pgpush.outbox;
UPDATE app.msg SET api_token = repeat('x', 20000) WHERE n = 1;
SELECT is(pg_temp.sent(), ARRAY['resync m:1 msg.update {"count": 249, "event": "msg.update"}'], 'over 4 MB: resync with the count');
DELETE FROM app.msg;
DELETE FROM pgpush.outbox;
SELECT pgpush.detach('app.msg');

-- Rooms, events, others
SELECT pgpush.attach('app.msg', '{room}/{n}:x', '{"insert":"new"}', '{id}', others => true);
SELECT pgpush.attach('app.msg', 'all', '{"insert":"new"}', '{id}');
SET LOCAL pgpush.session = 's7';
INSERT INTO app.msg (id, n, room) VALUES (1, 2, 'a'), (2, NULL, 'a');
UPDATE app.msg SET id = id;
SELECT results_eq('SELECT room, event, data::jsonb, CASE WHEN others THEN origin END FROM pgpush.outbox ORDER BY room, id',
  $$ VALUES ('a/2:x', 'new', '{"id":1}'::jsonb, 's7'), ('all', 'new', '{"id":1}', NULL), ('all', 'new', '{"id":2}', NULL) $$,
  'several columns or none in a room, several rooms, only the operations named, minus the sender');
DELETE FROM pgpush.outbox;
SELECT pgpush.detach('app.msg');

-- Conditions
CREATE FUNCTION pg_temp.again(condition text) RETURNS void LANGUAGE sql AS $$
  SELECT pgpush.attach('app.msg', 'm:{n}', '{"insert":"i","update":"u","delete":"d"}', '{id}', condition)
$$;
-- Any role but the table's owner, above all pgpush's, would show up here.
SELECT pg_temp.again('app.who(id)');
INSERT INTO app.msg (id, n) VALUES (1, 1), (2, 1), (3, 1);
SELECT is(pg_temp.sent(), ARRAY['m:1 i {"id": 2}', 'm:1 i {"id": 3}'], 'rows that pass are sent, others are not');
SELECT is(current_setting('test.who', true), 't_owner', 'the condition has the rights of the table''s owner');
SET ROLE t_app;
UPDATE app.msg SET event = 'x' WHERE id < 3;
DELETE FROM app.msg WHERE id < 3;
RESET ROLE;
SELECT is(pg_temp.sent(), ARRAY['m:1 u [{"id": 2}]', 'm:1 d [{"id": 2}]'], 'for UPDATE and DELETE too, whoever writes');
SELECT is((SELECT count(*) FROM pgpush.attached WHERE "when" = 'app.who(id)'), 3::bigint, 'attached shows the condition');
INSERT INTO app.msg (id, n, event) VALUES (4, 1, 'a'), (5, 1, 'b');
DELETE FROM pgpush.outbox;
SELECT pg_temp.again('new.event IS DISTINCT FROM old.event -- changed');
UPDATE app.msg SET event = 'b';
SELECT is(pg_temp.sent(), ARRAY['m:1 u [{"id": 3}, {"id": 4}]'], 'new and old belong together');
INSERT INTO app.msg (id, n, event) VALUES (6, 1, NULL), (7, 1, 'x');
SELECT is(pg_temp.sent(), ARRAY['m:1 i {"id": 7}'], 'an INSERT has no old row');
SELECT is((SELECT count(*) FROM pg_proc WHERE proname LIKE 'pgpush\_when\_%'), 3::bigint, 'a condition replaced is gone');
SELECT pg_temp.again('false');
INSERT INTO app.msg (id, n) VALUES (8, 1);
SELECT is(pg_temp.sent(), '{}', 'a condition that is false');
SELECT pg_temp.again('NULL::boolean');
INSERT INTO app.msg (id, n) VALUES (9, 1);
SELECT is(pg_temp.sent(), '{}', 'or NULL');

-- Nothing of ours fails the application's write
SELECT pg_temp.again('1 / (id - id) > 0');
SELECT lives_ok('INSERT INTO app.msg (id, n) VALUES (10, 1)', 'a condition that raises');
SELECT lives_ok('UPDATE app.msg SET n = 2 WHERE id = 10', 'in an UPDATE');
SELECT is((SELECT n FROM app.msg WHERE id = 10), 2, 'the row is written');
SELECT is(pg_temp.sent(), '{}', 'and not sent');
SELECT pg_temp.again('true');
ALTER FUNCTION app.who(int) RENAME TO whom;
DO $$ BEGIN EXECUTE (SELECT format('ALTER FUNCTION %s SECURITY INVOKER', oid::regprocedure)
  FROM pg_proc WHERE proname = (SELECT (pgpush.arguments(tgargs))[6] FROM pg_trigger
                                 WHERE tgrelid = 'app.msg'::regclass AND tgname ~ 'insert')); END $$;
SELECT lives_ok('INSERT INTO app.msg (id, n) VALUES (11, 1)', 'a condition that would have pgpush''s rights');
SELECT is(pg_temp.sent(), '{}', 'is not asked');
SELECT pg_temp.again('true');
INSERT INTO app.msg (id, n) VALUES (11, 1);
SELECT is(cardinality(pg_temp.sent()), 1, 'one that is made again is asked');
DO $$ BEGIN EXECUTE (SELECT format('CREATE FUNCTION app.%I(app.msg, app.msg) RETURNS boolean LANGUAGE sql AS ''SELECT true''; GRANT EXECUTE ON FUNCTION app.%1$I(app.msg, app.msg) TO PUBLIC',
    (pgpush.arguments(tgargs))[6]) FROM pg_trigger WHERE tgrelid = 'app.msg'::regclass AND tgname ~ 'insert'); END $$;
DISCARD PLANS;
INSERT INTO app.msg (id, n) VALUES (11, 1);
SELECT is(pg_temp.sent(), '{}', 'nor is another function of its name');
DO $$ BEGIN EXECUTE (SELECT format('DROP FUNCTION app.%I(app.msg, app.msg)',
    (pgpush.arguments(tgargs))[6]) FROM pg_trigger WHERE tgrelid = 'app.msg'::regclass AND tgname ~ 'insert'); END $$;
CREATE TABLE app.loot (row app.msg);
DO $$ BEGIN EXECUTE (SELECT format('CREATE FUNCTION app.%I(app.msg, app.msg) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS ''INSERT INTO app.loot VALUES ($1); SELECT true''',
    (pgpush.arguments(tgargs))[6]) FROM pg_trigger WHERE tgrelid = 'app.msg'::regclass AND tgname ~ 'insert'); END $$;
DISCARD PLANS;
INSERT INTO app.msg (id, n) VALUES (11, 1);
SELECT is_empty('TABLE app.loot', 'who may make one beside it does not get the rows so');
SELECT is(pg_temp.sent(), '{}', 'and nothing is sent');
DO $$ BEGIN EXECUTE (SELECT format('DROP FUNCTION app.%I(app.msg, app.msg)',
    (pgpush.arguments(tgargs))[6]) FROM pg_trigger WHERE tgrelid = 'app.msg'::regclass AND tgname ~ 'insert'); END $$;
DROP TABLE app.loot;
SELECT pg_temp.again(NULL);
SELECT is((SELECT count(*) FROM pg_proc WHERE proname LIKE 'pgpush\_when\_%'), 0::bigint, 'no condition any more');
SAVEPOINT s;
ALTER TABLE app.msg DROP COLUMN id, DROP COLUMN n;
SELECT lives_ok('INSERT INTO app.msg (event) VALUES (''x'')', 'columns dropped later');
SELECT is(ARRAY(SELECT DISTINCT missing::text FROM pgpush.attached), '{"{id,n}"}', 'are missing in attached');
SELECT is(pg_temp.sent(), '{}', 'a room that cannot be told gets nothing');
ROLLBACK TO s;
ALTER TABLE pgpush.outbox RENAME TO elsewhere;
SELECT lives_ok('INSERT INTO app.msg (id, n) VALUES (12, 1)', 'even without an outbox');
ROLLBACK TO s;
SELECT lives_ok('DROP TABLE app.msg', 'an attached table can be dropped');
ROLLBACK TO s;
SELECT lives_ok('ALTER TABLE app.msg RENAME TO letter; ALTER TABLE app.letter RENAME id TO nr',
  'and renamed');
INSERT INTO app.letter (nr, n) VALUES (1, 1);
SELECT is(pg_temp.sent(), ARRAY['m:1 i {}'], 'a column renamed is not sent, nor is any other');
ROLLBACK TO s;

-- A partitioned table
SELECT pgpush.attach('app.parted', 'p:{id}', columns => '{id}', "when" => 'id <> 3');
INSERT INTO app.parted VALUES (3), (4);
UPDATE app.parted SET id = id + 1;
SELECT is(pg_temp.sent(), ARRAY['p:4 parted.insert {"id": 4}', 'p:4 parted.update [{"id": 4}]', 'p:5 parted.update [{"id": 5}]'],
  'a partitioned table pushes what is written through it');

-- Names that must be quoted, and those that the statement itself uses
CREATE TABLE app."o'd %s \d" (
  "room" int, "data" int, "sent" int, "i" int, "size" int, "first" int, "rows" int,
  "sized" int, "pgpush_rows" int, "found" int, "new" int, "event" int, "it's" int,
  "a ""b"" $q$ %s \n" int, "{x}" int);
SELECT pgpush.attach($$app."o'd %s \d"$$, '%''\{room}"$q$', '{"insert":"i''%s\\","update":"u","delete":"d"}', ARRAY['*']);
INSERT INTO app."o'd %s \d" VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
UPDATE app."o'd %s \d" SET sent = 0;
DELETE FROM app."o'd %s \d";
SELECT is(pg_temp.sent(), (SELECT array_agg($$%'\1"$q$ $$ || x) FROM (VALUES
    ($$i'%s\ $$ || (row || '{"sent":3}')::text), ('u ' || jsonb_build_array(row)::text), ('d ' || jsonb_build_array(row)::text)) AS v (x)),
  'odd names')
  FROM (SELECT jsonb_build_object('room', 1, 'data', 2, 'sent', 0, 'i', 4, 'size', 5, 'first', 6, 'rows', 7, 'sized', 8,
    'pgpush_rows', 9, 'found', 10, 'new', 11, 'event', 12, 'it''s', 13, $$a "b" $q$ %s \n$$, 14, '{x}', 15)) AS r (row);
DO $$ BEGIN EXECUTE (SELECT format('CREATE TABLE app.wide (%s)', string_agg(format('c%s int DEFAULT %s', i, i), ', '))
  FROM generate_series(1, 120) AS i); END $$;
SELECT pgpush.attach('app.wide', 'w', '{"insert":"i"}', ARRAY['*']);
INSERT INTO app.wide DEFAULT VALUES;
SELECT is(pg_temp.sent(), ARRAY['w i ' || (SELECT jsonb_object_agg('c' || i, i) FROM generate_series(1, 120) AS i)::text], 'more columns than a function has arguments');

-- Rooms and times are as json writes them, whatever the session's zone.
SET intervalstyle = 'sql_standard';
CREATE DOMAIN app.nr AS int;
CREATE TYPE app.mood AS ENUM ('so so');
CREATE TABLE app.types (
  b bool, i app.nr, n numeric, f float8, t text, c char(3), u uuid, e app.mood,
  z timestamptz, r tstzrange, j jsonb, a int[]);
INSERT INTO app.types VALUES (true, 7, 1.50, 0.1, 'ä', 'x', 'a0000000-0000-4000-8000-00000000000c', 'so so',
  '2026-01-02 03:04:05+00', '[2026-01-02 03:04:05+00,)', '{"k": 1}', '{1,2}');
SELECT pgpush.attach('app.types', 'r:{' || attname || '}', jsonb_build_object('update', 'u'), ARRAY[attname::text])
  FROM pg_attribute WHERE attrelid = 'app.types'::regclass AND attnum > 0;
UPDATE app.types SET b = b;
SET LOCAL TIME ZONE 'UTC';
SELECT bag_eq('SELECT room, data::jsonb FROM pgpush.outbox', $$ SELECT 'r:' || value, jsonb_build_array(jsonb_build_object(key, to_jsonb(whole) -> key))
  FROM app.types AS whole, jsonb_each_text(to_jsonb(whole)) $$, 'values in rooms and data are those of json');
SET LOCAL TIME ZONE 'Asia/Tokyo';
DELETE FROM pgpush.outbox;

-- The table changes after attach, and the session has its plan already.
CREATE TABLE app.later (id int, x int);
SELECT pgpush.attach('app.later', 'l:{id}', '{"insert":"i"}', '{id,x}');
INSERT INTO app.later VALUES (1, 1);
ALTER TABLE app.later ALTER x TYPE text USING 'n' || x, ALTER id TYPE text;
INSERT INTO app.later VALUES ('a', 'b');
ALTER TABLE app.later ADD secret text DEFAULT 's';
INSERT INTO app.later VALUES ('c', 'd');
SELECT is(pg_temp.sent(), ARRAY['l:1 i {"x": 1, "id": 1}', 'l:a i {"x": "b", "id": "a"}', 'l:c i {"x": "d", "id": "c"}'],
  'a column''s type is changed, another is added');
ALTER TABLE app.later RENAME x TO y;
INSERT INTO app.later VALUES ('e', 'f');
ALTER TABLE app.later RENAME y TO x;
INSERT INTO app.later VALUES ('g', 'h');
SELECT is(pg_temp.sent(), ARRAY['l:e i {"id": "e"}', 'l:g i {"x": "h", "id": "g"}'], 'one is renamed: the rest is sent; and back');
CREATE TABLE app.zoned (at timestamp);
SELECT pgpush.attach('app.zoned', 'z', '{"insert":"i"}', '{at}');
ALTER TABLE app.zoned ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC';
INSERT INTO app.zoned VALUES ('2026-01-02 03:04:05+00');
SELECT is(pg_temp.sent(), ARRAY['z i {"at": "2026-01-02T03:04:05+00:00"}'], 'a time is given a zone, and still sent in UTC');
ALTER TABLE app.later DROP x;
ALTER TABLE app.later ADD x int GENERATED ALWAYS AS (7) STORED;
INSERT INTO app.later VALUES ('k');
SELECT is(pg_temp.sent(), ARRAY['l:k i {"x": 7, "id": "k"}'], 'one is dropped and made anew');
SET LOCAL pgpush.session = 's7';
SELECT pgpush.attach('app.later', 'o', '{"insert":"i"}', '{id}', others => true);
ALTER TABLE app.later RENAME id TO nr;
INSERT INTO app.later VALUES ('m');
SELECT results_eq('SELECT room, data::jsonb, CASE WHEN others THEN origin END FROM pgpush.outbox', $$ VALUES ('o', '{}'::jsonb, 's7') $$, 'still minus the sender');
DELETE FROM pgpush.outbox;
SELECT pgpush.detach('app.later');
SELECT pgpush.attach('app.later', 'w', '{"insert":"i","update":"u"}', '{nr,x}', "when" => 'new.nr > coalesce(old.nr, ''m'')');
INSERT INTO app.later VALUES ('a'), ('n'), (NULL);
ALTER TABLE app.later RENAME TO renamed;
INSERT INTO app.renamed VALUES ('b'), ('o'), ('p');
UPDATE app.renamed SET nr = nr || '2' WHERE nr IN ('o', 'p');
ALTER TABLE app.renamed RENAME x TO y;
UPDATE app.renamed SET nr = chr(ascii(nr) + 1) WHERE nr IN ('a', 'n');
ALTER TABLE app.renamed RENAME TO later;
SELECT is(pg_temp.sent(), ARRAY['w i {"x": 7, "nr": "n"}', 'w i {"x": 7, "nr": "o"}', 'w i {"x": 7, "nr": "p"}',
  'w u [{"x": 7, "nr": "o2"}, {"x": 7, "nr": "p2"}]', 'w u [{"nr": "b"}, {"nr": "b"}, {"nr": "o"}]'], 'a condition goes on when table and columns are renamed');
SELECT is((SELECT count(DISTINCT tgfoid) FROM pg_trigger WHERE tgrelid = 'app.later'::regclass), 2::bigint, 'each trigger has a function');
SELECT pgpush.detach('app.later');
DROP TABLE app.later, app.zoned, app.types, app.wide, app."o'd %s \d";
SET ROLE t_owner;
SELECT pgpush.detach('app.untouched');
RESET ROLE;
SELECT is_empty($$ SELECT proname FROM pg_proc WHERE proname ~ '^capture_[0-9a-f]' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid) $$,
  'and it goes with the next detach');
DROP DOMAIN app.nr;
DROP TYPE app.mood;

-- detach
SELECT pg_temp.again('true');
SET ROLE t_app;
SELECT throws_ok($$ SELECT pgpush.detach('app.msg') $$, '42501', NULL, 'the application detaches nothing');
SET ROLE t_owner;
SELECT pgpush.detach('app.msg');
SELECT pgpush.detach('app.parted');
SELECT lives_ok($$ SELECT pgpush.detach('app.untouched') $$, 'detach where nothing is attached');
RESET ROLE;
DROP FUNCTION pg_temp.again(text);
SELECT is((SELECT array_agg(oid ORDER BY oid) FROM pg_trigger), (SELECT triggers FROM before), 'no trigger stays');
SELECT is((SELECT array_agg(oid ORDER BY oid) FROM pg_proc), (SELECT procs FROM before), 'no function stays');
INSERT INTO app.msg (id, n) VALUES (12, 1);
SELECT is(pg_temp.sent(), '{}', 'nothing is sent');

-- A condition needs pgpush to see the table's schema.
ALTER SCHEMA pgpush OWNER TO t_pgpush;
SET ROLE t_owner;
SELECT throws_ok($$ SELECT pgpush.attach('app.msg', 'm', columns => '{id}', "when" => 'true') $$, '42501',
  'pgpush: t_pgpush may not use the schema app, where the condition will be', 'a schema pgpush may not use');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
