-- SPDX-License-Identifier: ISC
-- pgpush.attach: what is told by whom to which room, and what a call refuses.
\set QUIET 1
SET client_min_messages = error;
BEGIN;
SET LOCAL pgpush.bell = off;
SET LOCAL TimeZone = 'Asia/Kolkata';
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL bytea_output = 'escape';
SET LOCAL extra_float_digits = -5;
SELECT plan(68);

CREATE ROLE t_owner;
GRANT pgpush_admin TO t_owner;
CREATE SCHEMA t AUTHORIZATION t_owner;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- What was written since the last call, in order: event room data.
CREATE FUNCTION t.sent() RETURNS text LANGUAGE sql AS $$
  WITH d AS (DELETE FROM pgpush.outbox WHERE kind = 'event' RETURNING *)
  SELECT coalesce(string_agg(concat_ws(' ', nullif(event, ''), nullif(room, ''),
    CASE WHEN lost IS NOT NULL THEN 'lost ' || lost END,
    CASE WHEN key IS NOT NULL THEN 'key ' || key END,
    CASE WHEN about IS NOT NULL THEN 'about ' || about END,
    CASE WHEN arg IS NOT NULL THEN 'arg ' || arg::text END,
    CASE WHEN due IS NOT NULL THEN 'due ' || (extract(epoch FROM due) * 1000)::int END,
    CASE WHEN recheck IS NOT NULL THEN 'recheck ' || recheck END,
    CASE WHEN dup IS NOT NULL THEN 'dup ' || dup END,
    CASE WHEN others THEN 'others' END,
    data::jsonb), '; ' ORDER BY id), '') FROM d
$$;
GRANT EXECUTE ON FUNCTION t.sent() TO t_owner;

SET ROLE t_owner;
CREATE TABLE t.m (id bigserial PRIMARY KEY, room int, content text, status text DEFAULT 'open',
  made timestamptz DEFAULT '2026-01-02 03:04:05.678+00');

-- Columns
SELECT lives_ok($$SELECT pgpush.attach('t.m', 'r:{room}',
  '{"insert":"new","update":"changed","delete":"gone"}', '{id,content,made}')$$, 'a table is attached');
INSERT INTO t.m (room, content) VALUES (1, 'a');
RESET ROLE;
SELECT is(t.sent(), 'new r:1 {"id": 1, "made": "2026-01-02T03:04:05.678+00:00", "content": "a"}',
  'an INSERT sends the columns');
INSERT INTO t.m (room, content) VALUES (1, 'b'), (NULL, 'nowhere'), (2, 'c');
SELECT is(t.sent(), 'new r:1 {"id": 2, "made": "2026-01-02T03:04:05.678+00:00", "content": "b"}; '
  'new r:2 {"id": 4, "made": "2026-01-02T03:04:05.678+00:00", "content": "c"}',
  'several rows an event each, and none for a NULL room');
UPDATE t.m SET content = upper(content) WHERE room = 1;
SELECT is(t.sent(), 'changed r:1 [{"id": 1, "made": "2026-01-02T03:04:05.678+00:00", "content": "A"}, '
  '{"id": 2, "made": "2026-01-02T03:04:05.678+00:00", "content": "B"}]', 'an UPDATE one for a room, with its rows');
UPDATE t.m SET content = content WHERE false;
SELECT is(t.sent(), '', 'no row, no event');
DELETE FROM t.m WHERE room = 2;
SELECT is(t.sent(), 'gone r:2 [{"id": 4, "made": "2026-01-02T03:04:05.678+00:00", "content": "c"}]', 'a DELETE too');
SELECT is((SELECT array_agg(DISTINCT proowner::regrole::text) FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace),
  '{t_owner}', 'the functions belong to the table''s owner');
SELECT is_empty($$SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
  WHERE pronamespace = 'pgpush_triggers'::regnamespace AND grantee = 0$$, 'PUBLIC may not execute them');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace
  AND NOT (prosecdef AND proconfig @> '{"search_path=pg_catalog, pg_temp"}')$$, 'and they have a fixed search_path');
CREATE TEMP TABLE dump AS SELECT string_agg(pg_get_functiondef(p.oid) || proacl::text, '' ORDER BY p.oid) AS d,
  (SELECT string_agg(pg_get_triggerdef(oid), '' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 't.m'::regclass) AS t
  FROM pg_proc p WHERE pronamespace = 'pgpush_triggers'::regnamespace;
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"new","update":"changed","delete":"gone"}', '{id,content,made}') \g /dev/null
SELECT results_eq('TABLE dump', $$SELECT string_agg(pg_get_functiondef(p.oid) || proacl::text, '' ORDER BY p.oid) AS d,
  (SELECT string_agg(pg_get_triggerdef(oid), '' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 't.m'::regclass) AS t
  FROM pg_proc p WHERE pronamespace = 'pgpush_triggers'::regnamespace$$, 'attaching again changes nothing, whoever does it');
SELECT pgpush.detach('t.m') \g /dev/null
SELECT is_empty($$SELECT FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace
  UNION ALL SELECT FROM pg_trigger WHERE tgrelid = 't.m'::regclass$$, 'detach leaves nothing');
DELETE FROM t.m;

-- Expressions
SET ROLE t_owner;
SELECT lives_ok($$SELECT pgpush.attach('t.m', 'all', '{"insert":"i","update":"u","delete":"d"}', "when" =>
  'new.status IS DISTINCT FROM old.status OR new.content = ''always''',
  data => 'json_build_object(''id'', new.id, ''was'', old.status)')$$, 'data and when over new and old');
INSERT INTO t.m (id, content) VALUES (10, 'x'), (11, 'always');
UPDATE t.m SET status = 'closed' WHERE id = 10;
UPDATE t.m SET content = 'y' WHERE id = 10;
DELETE FROM t.m;
RESET ROLE;
SELECT is(t.sent(), 'i all {"id": 10, "was": null}; i all {"id": 11, "was": null}; u all {"id": 10, "was": "open"}; '
  'd all {"id": 11, "was": "open"}', 'one call serves all operations: old is NULL in an INSERT, new and old the row in a DELETE');
SELECT pgpush.detach('t.m') \g /dev/null
SELECT pgpush.attach('t.m', 'sum:{room}', '{"insert":"sum"}', data => 'json_build_object(''n'', count(*), ''ids'', json_agg(new.id ORDER BY new.id))') \g /dev/null
INSERT INTO t.m (id, room) VALUES (20, 1), (21, 2), (22, 1);
SELECT is(t.sent(), 'sum sum:1 {"n": 2, "ids": [20, 22]}; sum sum:2 {"n": 1, "ids": [21]}', 'an aggregate: one event for a room');
SELECT pgpush.detach('t.m') \g /dev/null
DELETE FROM t.m;
CREATE TABLE t.parent (id int PRIMARY KEY, name text);
ALTER TABLE t.parent OWNER TO t_owner;
INSERT INTO t.parent VALUES (7, 'seven');
SELECT pgpush.attach('t.m', 'p:{p.id}', '{"insert":"joined"}', "join" => 'JOIN t.parent AS p ON p.id = new.room',
  data => 'json_build_object(''name'', p.name)') \g /dev/null
INSERT INTO t.m (room) VALUES (7), (8);
SELECT is(t.sent(), 'joined p:7 {"name": "seven"}', 'join adds tables');
SELECT pgpush.detach('t.m') \g /dev/null

-- Several rooms, others, dup
SELECT pgpush.attach('t.m', rooms => '{"r:{room}",admins}', event => '{"insert":"both"}', columns => '{id}', others => true) \g /dev/null
INSERT INTO t.m (id, room) VALUES (30, 3);
INSERT INTO t.m (id, room) VALUES (31, 3), (32, NULL);
SELECT is(t.sent(), 'both r:3 dup both:30 others {"id": 30}; both admins dup both:30 others {"id": 30}; '
  'both r:3 dup both:31 others {"id": 31}; both admins dup both:31 others {"id": 31}; both admins dup both:32 others {"id": 32}',
  'several rooms: the same dup');
SELECT pgpush.detach('t.m') \g /dev/null

-- each
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"one"}', '{id}', each => 'row') \g /dev/null
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"many"}', '{id}', each => 'room') \g /dev/null
INSERT INTO t.m (id, room) VALUES (40, 4);
INSERT INTO t.m (id, room) VALUES (41, 4), (42, 4);
UPDATE t.m SET content = '' WHERE id IN (41, 42);
SELECT is(t.sent(), 'many r:4 [{"id": 40}]; many r:4 [{"id": 41}, {"id": 42}]; one r:4 {"id": 41}; one r:4 {"id": 42}', 'each => row, room');
SELECT pgpush.detach('t.m') \g /dev/null
CREATE FUNCTION t.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE t.m SET content = content || '!' WHERE id = NEW.id AND content NOT LIKE '%!'; RETURN NULL; END $$;
CREATE TRIGGER a AFTER UPDATE ON t.m FOR EACH ROW EXECUTE FUNCTION t.again();
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"s"}', '{content}', each => 'row') \g /dev/null
UPDATE t.m SET content = 'z' WHERE id = 40;
SELECT is(t.sent(), 's r:4 {"content": "z!"}; s r:4 {"content": "z"}',
  'by statement the older value comes last where a trigger changes the row again');
SELECT pgpush.detach('t.m') \g /dev/null
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"s"}', '{content}', each => 'change') \g /dev/null
UPDATE t.m SET content = 'z' WHERE id = 40;
SELECT is(t.sent(), 's r:4 {"content": "z"}; s r:4 {"content": "z!"}', 'each => change tells them in order');
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"s"}', '{content}', each => 'row') \g /dev/null
SELECT is((SELECT count(*)::int FROM pgpush.attached), 1, 'the same told another way replaces it');
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"s","update":"s","delete":"s"}', data => 'json_build_object(''id'', new.id, ''was'', old.content)',
  "when" => 'old.content IS NULL OR old.content <> new.content OR new.id = 51', replicated => true) \g /dev/null
DROP TRIGGER a ON t.m;
INSERT INTO t.m (id, room, content) VALUES (50, 5, 'a'), (51, 5, 'b');
UPDATE t.m SET content = 'c' WHERE id = 50;
DELETE FROM t.m WHERE id > 49;
SELECT is(t.sent(), 's r:5 {"id": 50, "was": null}; s r:5 {"id": 51, "was": null}; s r:5 {"id": 50, "was": "a"}; s r:5 {"id": 51, "was": "b"}',
  'all operations by row');
SELECT set_eq('SELECT tgenabled::text FROM pg_trigger WHERE tgrelid = ''t.m''::regclass', '{A}'::text[], 'replicated: they fire for replicated rows');
SELECT pgpush.detach('t.m') \g /dev/null
DELETE FROM t.m;

-- leave
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"in","update":"in"}', '{id}', each => 'row', leave => 'out', "when" => 'new.status = ''open''') \g /dev/null
INSERT INTO t.m (id, room) VALUES (60, 6), (61, 6), (62, 6), (63, 6);
SELECT t.sent() \g /dev/null
UPDATE t.m SET room = 7 WHERE id = 60;
SELECT is(t.sent(), 'in r:7 {"id": 60}; out r:6 {"id": 60}', 'a row that moves leaves its room');
UPDATE t.m SET status = 'closed' WHERE id = 61;
SELECT is(t.sent(), 'out r:6 {"id": 61}', 'one that no longer matches leaves');
UPDATE t.m SET content = 'x' WHERE id IN (61, 62);
SELECT is(t.sent(), 'in r:6 {"id": 62}', 'one that stays does not');
DELETE FROM t.m WHERE id >= 61;
SELECT is(t.sent(), 'out r:6 {"id": 63}; out r:6 {"id": 62}', 'one that is deleted leaves if it was there');
SELECT pgpush.detach('t.m') \g /dev/null
DELETE FROM t.m;

-- hold and release
SET ROLE t_owner;
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"msg"}', hold => 'k:{room}', data => 'json_build_object(''content'', new.content)') \g /dev/null
SELECT pgpush.attach('t.m', event => '{"update":""}', release => 'k:{room}', "when" => 'new.content <> old.content') \g /dev/null
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"edit"}', '{content}', each => 'row') \g /dev/null
INSERT INTO t.m (id, room, content) VALUES (70, 7, 'a');
UPDATE t.m SET content = 'b' WHERE id = 70;
RESET ROLE;
CREATE TEMP TABLE held AS SELECT * FROM pgpush.outbox WHERE key IS NOT NULL AND event <> '';
SELECT is(t.sent(), 'msg r:7 key k:7 about 70 arg {"id": 70} due 200; key k:7; edit r:7 {"content": "b"}',
  'hold and release are rows, and the release comes first');
SELECT is((SELECT who FROM held), 't_owner', 'it is held with the owner''s rights');
CREATE FUNCTION t.render() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; BEGIN EXECUTE format('SELECT %s($1)', split_part((SELECT render FROM held), '(', 1)) INTO r USING (SELECT arg FROM held); RETURN r; END $$;
SELECT is(t.render()::jsonb, '{"content": "b"}', 'the data is as things stand then');
ALTER TABLE t.m RENAME TO mm;
SELECT is(t.render()::jsonb, '{"content": "b"}', 'also after the table was renamed');
ALTER TABLE t.mm RENAME TO m;
SELECT pgpush.detach('t.m') \g /dev/null
SELECT is_empty($$SELECT FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace$$, 'detach drops what renders too');
DELETE FROM t.m;

-- revoke
CREATE TABLE t.o (id int PRIMARY KEY, client uuid, performer uuid, note text);
ALTER TABLE t.o OWNER TO t_owner;
SELECT pgpush.attach('t.o', 'o:{id}', revoke => '{client,performer}') \g /dev/null
INSERT INTO t.o VALUES (1, '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b'), (2, NULL, NULL);
UPDATE t.o SET note = 'x';
SELECT is(t.sent(), '', 'nobody goes');
UPDATE t.o SET performer = NULL WHERE id = 1;
SELECT is(t.sent(), 'o:1 recheck 00000000-0000-0000-0000-00000000000b', 'who goes is asked about again');
UPDATE t.o SET client = performer, performer = client;
SELECT is(t.sent(), 'o:1 recheck 00000000-0000-0000-0000-00000000000a', 'also one that changes places');
DELETE FROM t.o;
SELECT results_eq($$SELECT room, user_id, data::jsonb ->> 'reason' FROM pgpush.outbox WHERE kind = 'revoke' ORDER BY room$$,
  $$VALUES ('o:1', NULL, 'deleted'), ('o:2', NULL, 'deleted')$$, 'with the row its room ends for all');
DELETE FROM pgpush.outbox;
SELECT pgpush.detach('t.o') \g /dev/null
SELECT pgpush.attach('t.o', 'g:{note}', revoke => '{client}') \g /dev/null
INSERT INTO t.o VALUES (3, '00000000-0000-0000-0000-00000000000a', NULL, 'g');
DELETE FROM t.o;
SELECT is(t.sent(), 'g:g recheck 00000000-0000-0000-0000-00000000000a', 'a row that is not the room''s own: its user only');
SELECT pgpush.detach('t.o') \g /dev/null

-- Odd names and types
CREATE TYPE t.mood AS ENUM ('sad', 'ok');
CREATE TABLE t."odd Table" (id int, "with space" text, "ünï" int, "old" text, "Quo""te" int, m t.mood, a int[], i interval, b bytea, f float8,
  d date, j json, big bigint, num numeric, n int, room text, data text);
ALTER TABLE t."odd Table" OWNER TO t_owner;
SELECT lives_ok($$SELECT pgpush.attach('t."odd Table"', 'x:{with space}:{ünï}:{m}', '{"insert":"odd"}',
  '{"with space","ünï",old,"Quo\"te",m,a,i,b,f,d,j,big,num,n,room,data}', numbers => 'text')$$, 'odd names and types attach');
INSERT INTO t."odd Table" VALUES (1, 'a b', 3, 'o', 4, 'ok', '{1,2}', '1 day 02:03:04', '\x00ff', 0.1, '2026-12-31', '{"k":"\u0000"}', 9007199254740993, 1.50, 1, 'r', 'd');
SELECT is((SELECT room || ' ' || data FROM pgpush.outbox), 'x:a b:3:ok {"with space" : "a b", "ünï" : 3, "old" : "o", "Quo\"te" : 4, "m" : "ok", "a" : [1,2], "i" : "1 day 02:03:04", "b" : "\\x00ff", "f" : 0.1, "d" : "2026-12-31", "j" : {"k":"\u0000"}, "big" : "9007199254740993", "num" : "1.50", "n" : 1, "room" : "r", "data" : "d"}',
  'and what is sent does not depend on the writer''s settings');
DELETE FROM pgpush.outbox;
DO $$ BEGIN
  EXECUTE 'CREATE TABLE t.wide (' || (SELECT string_agg('c' || i || ' int DEFAULT ' || i, ', ') FROM generate_series(1, 1500) i) || ')';
END $$;
ALTER TABLE t.wide OWNER TO t_owner;
SELECT pgpush.attach('t.wide', 'w:{c1}', '{"insert":"w","update":"w"}', (SELECT array_agg('c' || i) FROM generate_series(1, 1500) i)) \g /dev/null
INSERT INTO t.wide DEFAULT VALUES;
SELECT is((SELECT data ->> 'c1500' FROM pgpush.outbox), '1500', '1,500 columns');
DELETE FROM pgpush.outbox;
DROP TABLE t.wide, t."odd Table";
SELECT pgpush.sweep() \g /dev/null
SELECT is_empty($$SELECT FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace$$, 'DROP TABLE leaves nothing once swept');

-- Partitions, inheritance
CREATE TABLE t.p (id int, room int, x text) PARTITION BY LIST (room);
CREATE TABLE t.p1 PARTITION OF t.p FOR VALUES IN (1);
CREATE TABLE t.p2 (x text, id int, room int);
ALTER TABLE t.p ATTACH PARTITION t.p2 FOR VALUES IN (2);
ALTER TABLE t.p OWNER TO t_owner; ALTER TABLE t.p1 OWNER TO t_owner; ALTER TABLE t.p2 OWNER TO t_owner;
SELECT pgpush.attach('t.p', 'p:{room}', '{"insert":"i","update":"u","delete":"d"}', '{id,x}', each => 'row', leave => 'l') \g /dev/null
INSERT INTO t.p VALUES (1, 1, 'a'), (2, 2, 'b');
SELECT is(t.sent(), 'i p:1 {"x": "a", "id": 1}; i p:2 {"x": "b", "id": 2}', 'rows written by the parent''s name');
INSERT INTO t.p2 (id, room, x) VALUES (3, 2, 'c');
UPDATE t.p1 SET x = 'd';
SELECT is(t.sent(), 'i p:2 {"x": "c", "id": 3}; u p:1 {"x": "d", "id": 1}', 'and by a partition''s');
UPDATE t.p SET room = 2 WHERE id = 1;
SELECT is(t.sent(), 'l p:1 {"x": "d", "id": 1}; u p:2 {"x": "d", "id": 1}', 'a move between partitions leaves one room for another');
CREATE TABLE t.p3 PARTITION OF t.p FOR VALUES IN (3);
ALTER TABLE t.p3 OWNER TO t_owner;
SELECT ok((SELECT bool_and('trigger on t.p3' = ANY (missing)) FROM pgpush.attached WHERE "table" = 't.p'::regclass), 'attached shows a partition made later');
SELECT pgpush.attach('t.p', 'p:{room}', '{"insert":"i","update":"u","delete":"d"}', '{id,x}', each => 'row', leave => 'l') \g /dev/null
INSERT INTO t.p3 VALUES (9, 3, 'z');
SELECT is(t.sent(), 'i p:3 {"x": "z", "id": 9}', 'attaching again takes it');
SELECT pgpush.detach('t.p') \g /dev/null
SELECT is_empty('SELECT FROM pgpush.attached', 'detach leaves partitions, too');
CREATE TABLE t.base (id int); CREATE TABLE t.child (y int) INHERITS (t.base);
ALTER TABLE t.base OWNER TO t_owner; ALTER TABLE t.child OWNER TO t_owner;
SELECT pgpush.attach('t.base', 'b', '{"insert":"i","update":"u"}', '{id}') \g /dev/null
INSERT INTO t.child VALUES (1, 2); UPDATE t.base SET id = 5; UPDATE t.child SET id = 6;
SELECT is(t.sent(), 'i b {"id": 1}; u b [{"id": 5}]; u b [{"id": 6}]', 'what inherits is seen');
SELECT pgpush.detach('t.base') \g /dev/null

-- What is refused, and what is shown
PREPARE refused AS SELECT $1;
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x:{nothing}', columns => '{id}')$$, '%no column%nothing%', 'a placeholder that is no column');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', columns => '{nothing}')$$, '%no column%nothing%', 'a column that is none');
SELECT throws_like($$SELECT pgpush.attach('t.m', columns => '{id}')$$, '%needs a room%', 'no room');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x')$$, '%either columns or data%', 'nothing to send');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', '{"insert":"connect"}', '{id}')$$, '%cannot be called%', 'a reserved event');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', '{"insert":"e"}', data => 'new.nothing')$$, '%cannot use%new.nothing%', 'data that cannot be computed');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', '{"insert":"e"}', data => '1)) x; DROP TABLE t.m; --')$$, '%cannot use%', 'data that is no expression');
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', '{"truncate":"e"}', '{id}')$$, '%cannot read the events%', 'an operation that is none');
SELECT throws_like($$SELECT pgpush.attach('pgpush.outbox', 'x', columns => '{room}')$$, '%own tables%', 'pgpush''s own tables');
CREATE ROLE t_other; CREATE TABLE t.other (id int); ALTER TABLE t.other OWNER TO t_other;
SELECT throws_like($$SELECT pgpush.attach('t.other', 'x', columns => '{id}')$$, '%t_other%may not push%', 'an owner who may not push');
GRANT pgpush_admin TO t_other; SET ROLE t_other;
SELECT throws_like($$SELECT pgpush.attach('t.m', 'x', columns => '{id}')$$, '%does not own%', 'another''s table');
RESET ROLE;
CREATE TABLE t.secrets (id int, password_hash text, api_token text, name text); ALTER TABLE t.secrets OWNER TO t_owner;
SELECT pgpush.attach('t.secrets', 's', '{"insert":"s"}', '{*}') \g /dev/null
SELECT is((SELECT columns FROM pgpush.attached), '{id,name}', '* leaves out what sounds like a secret');
ALTER TABLE t.secrets DROP COLUMN name;
SELECT is((SELECT missing FROM pgpush.attached), '{name}', 'attached shows a column that is gone');
REVOKE pgpush_admin FROM t_owner;
SELECT ok((SELECT 'pgpush_admin for t_owner' = ANY (missing) FROM pgpush.attached), 'and a right');
SELECT lives_ok('INSERT INTO t.secrets VALUES (1)', 'a write without the right is only not pushed');
SELECT is(t.sent(), '', 'nothing is sent');
GRANT pgpush_admin TO t_owner;
DROP TABLE t.secrets;
SELECT pgpush.sweep() \g /dev/null

-- dry_run
INSERT INTO t.m (id, room, content) VALUES (90, 9, 'first'), (91, 9, 'last');
SELECT results_eq($$SELECT room, event, data FROM pgpush.attach('t.m', 'r:{room}', '{"insert":"n","update":"u"}', '{id}', dry_run => true)$$,
  $$VALUES ('r:9', 'n', '{"id": 91}'::jsonb), ('r:9', 'n', '{"id": 90}'), ('r:9', 'u', '[{"id": 91}, {"id": 90}]')$$, 'dry_run shows what the last rows would have sent');
SELECT is_empty($$SELECT FROM pg_proc WHERE pronamespace = 'pgpush_triggers'::regnamespace$$, 'and makes nothing');

-- Many rows
SELECT pgpush.attach('t.m', 'r:{room}', '{"insert":"n"}', '{id}', each => 'room') \g /dev/null
INSERT INTO t.m (id, room) SELECT i, CASE WHEN i % 20 = 0 THEN i ELSE 0 END FROM generate_series(1000, 15999) i;
SELECT is((SELECT array_agg(DISTINCT coalesce(lost, 0) ORDER BY coalesce(lost, 0)) FROM pgpush.outbox), '{0,14250}', 'only a room with more than 10,000 gets a resync');
SELECT is((SELECT count(*)::int FROM pgpush.outbox), 751, 'the others get their rows');
DELETE FROM pgpush.outbox;
-- A bad value costs only itself
SELECT pgpush.attach('t.m', 'r:{room}', '{"update":"bad"}', data => 'to_json(1 / (new.id - 1500))') \g /dev/null
UPDATE t.m SET content = 'x' WHERE id BETWEEN 1401 AND 1599;
SELECT is((SELECT count(*) || ' ' || count(*) FILTER (WHERE lost = 1 AND room = 'r:1500') || ' ' || count(lost) FROM pgpush.outbox), '199 1 1', 'a bad value costs only itself');
DELETE FROM pgpush.outbox;

SELECT * FROM finish();
ROLLBACK;
