-- SPDX-License-Identifier: ISC
-- Events: emit, signal, the bell, the move, revoke, kick, purge, lead.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;
SET lock_timeout = '10 s';  -- nothing here may wait
\ir lib/other.psql
SELECT dblink_exec('other', 'LISTEN pgpush') \g /dev/null

-- The move as the daemon's src/db/move.c makes it, without the columns that it
-- returns: the xmax and the xids of a snapshot, at most so many rows, at most so
-- many bytes.
PREPARE move (text, text, bigint, bigint) AS
  WITH b AS MATERIALIZED (
    SELECT place, n, odd, sum(size) OVER (ORDER BY n) - size AS before
    FROM (SELECT ctid AS place, id AS n,
        (key IS NOT NULL OR recheck IS NOT NULL OR lost IS NOT NULL
          OR room IS NULL OR octet_length(room) > 200) AS odd,
        coalesce(octet_length(data::text), 0) AS size
      FROM pgpush.outbox
      WHERE xid >= $1::xid8 OR xid = ANY ($2::xid8[])
      ORDER BY id LIMIT $3::bigint) o),
  d AS (DELETE FROM pgpush.outbox WHERE ctid = ANY (ARRAY(
      SELECT place FROM b WHERE before < $4::bigint AND n < coalesce(
        (SELECT min(n) FROM b WHERE odd), 9223372036854775807) ORDER BY n))
    RETURNING *),
  i AS (INSERT INTO pgpush.log (id, kind, room, event, data,
      user_id, origin, dup, bytes, xid, source, src, at)
    SELECT nextval('pgpush.log_id_seq'), kind, room, coalesce(event, ''), data,
      user_id, CASE WHEN others THEN origin END, dup,
      coalesce(octet_length(data::text), 0), xid, source, id, at
    FROM (SELECT * FROM d ORDER BY id) q RETURNING *)
  SELECT pg_current_snapshot(), EXISTS (SELECT FROM b WHERE odd), i.id FROM i;

CREATE FUNCTION t.moved(xmax text, xids text, n bigint, most bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  last bigint := coalesce((SELECT max(id) FROM pgpush.log), 0);
BEGIN
  EXECUTE format('EXECUTE move (%L, %L, %s, %s)', xmax, xids, n, most);
  RETURN ARRAY(SELECT event FROM pgpush.log WHERE id > last ORDER BY id);
END $$;

SELECT plan(64);

-- emit
BEGIN;
SELECT pgpush.emit('order:1', 'e', '{"a": "ä"}') \g /dev/null
SELECT results_eq(
  $$SELECT kind, room, event, data::text, user_id, origin, others, dup,
      xid = pg_current_xact_id(), at <= clock_timestamp() FROM pgpush.outbox$$,
  $$VALUES ('event', 'order:1', 'e', '{"a": "ä"}', NULL::text,
      NULL::text, false, NULL::text, true, true)$$,
  'emit writes one row');
SET LOCAL pgpush.session = 's1';
SELECT pgpush.emit('r', 'mine', NULL, true, 'd1') \g /dev/null
SELECT pgpush.emit('r', 'all', '1') \g /dev/null
SELECT results_eq(
  $$SELECT event, data IS NULL, origin, others, dup FROM pgpush.outbox
    WHERE id > (SELECT min(id) FROM pgpush.outbox) ORDER BY id$$,
  $$VALUES ('mine', true, 's1', true, 'd1'),
      ('all', false, 's1', false, NULL)$$,
  'others keeps the session away, dup is kept');
SET LOCAL pgpush.session = '';
SELECT pgpush.emit('r', 'nobody', '1', true) \g /dev/null
SELECT is((SELECT origin FROM pgpush.outbox WHERE event = 'nobody'), NULL,
  'others outside a handler excludes nobody');
SELECT lives_ok($$SELECT pgpush.emit(NULL, 'e', '1')$$, 'a NULL room is no error');
SELECT lives_ok($$SELECT pgpush.emit('r', NULL, '1')$$, 'nor is a NULL event');
SELECT lives_ok($$SELECT pgpush.emit(repeat('ä', 101), 'long', '1')$$,
  'nor is a room name that is too long');
SELECT lives_ok($$INSERT INTO pgpush.outbox (room, event)
  VALUES (repeat('x', 201), 'long'), (repeat('x', 200), 'fits')$$,
  'nor is one that comes past emit');
SELECT bag_eq($$SELECT event FROM pgpush.outbox$$,
  ARRAY['e', 'mine', 'all', 'nobody', '', 'long', 'long', 'fits'],
  'a NULL room is not written');
SELECT is(t.moved('0', '{}', 100, 1000), '{e,mine,all,nobody,""}',
  'the move stops at a name too long');
SELECT moved FROM pgpush.move_on('[]', 100) \g /dev/null
SELECT results_eq($$SELECT event FROM pgpush.log WHERE room LIKE 'x%'$$,
  ARRAY['fits'], 'and the step after it gets past it');
SELECT results_eq($$SELECT event, rows, why FROM pgpush.lost$$,
  $$VALUES ('long', 2::bigint, 'a room name over 200 bytes')$$,
  'and counts it');
SELECT results_eq($$SELECT event, origin, bytes FROM pgpush.log
    WHERE event IN ('e', 'mine', 'all') ORDER BY id$$,
  $$VALUES ('e', NULL::text, 11), ('mine', 's1', 0), ('all', NULL, 1)$$,
  'the log has the length, and the session only if it is spared');
ROLLBACK;
SELECT is_empty('TABLE pgpush.outbox', 'a ROLLBACK leaves nothing');
SELECT is(t.told(), '{}', 'and tells nobody');

-- The bell
BEGIN;
SELECT pgpush.ring('messages') \g /dev/null
COMMIT;
SELECT is(t.told(), '{}', 'nobody holds K: the leader polls, no bell');
SELECT t.other($$SELECT pg_try_advisory_lock(
  'pgpush.outbox'::regclass::oid::int, 1)$$) \g /dev/null
BEGIN;
SELECT pgpush.ring('messages'), pgpush.ring('messages'), pgpush.ring() \g /dev/null
COMMIT;
SELECT is(t.told(), ARRAY['{"bell":"messages"}', '{"bell":""}'],
  'K is held: a bell, once per transaction and name');
SELECT pgpush.ring(repeat('"', 9000)) \g /dev/null
SELECT matches((t.told())[1], '^\{"bell":"', 'whatever name it is given');
SELECT pgpush.emit('r', 'e', '1') \g /dev/null
SELECT is(t.told(), ARRAY['{"bell":""}'], 'emit rings');
BEGIN;
SELECT pgpush.emit('r', 'e', '1') \g /dev/null
ROLLBACK;
SELECT is(t.told(), '{}', 'not after a ROLLBACK');
SET pgpush.bell = off;
BEGIN;
SELECT pgpush.ring('x'), pgpush.emit('r', 'e', '1'), pgpush.signal('r', 's', '1'),
  pgpush.revoke('r'), pgpush.kick('u') \g /dev/null
COMMIT;
SELECT is(t.told(), '{}', 'bell off: nothing is notified');
SELECT is((SELECT array_agg(kind ORDER BY id) FROM pgpush.outbox),
  ARRAY['event', 'event', 'signal', 'revoke', 'kick'],
  'a signal goes through the outbox then');
RESET pgpush.bell;
SELECT t.other($$SELECT pg_advisory_unlock(
  'pgpush.outbox'::regclass::oid::int, 1)$$) \g /dev/null
BEGIN;
SET LOCAL pgpush.bell = off;
SELECT pgpush.ring() \g /dev/null
SELECT is_empty($$SELECT FROM pg_locks WHERE locktype = 'advisory'
  AND pid = pg_backend_pid()$$, 'and K, now free, is not asked for');
COMMIT;
BEGIN;
SELECT pgpush.ring() \g /dev/null
SELECT is(t.other($$SELECT pg_try_advisory_lock(
  'pgpush.outbox'::regclass::oid::int, 1)$$), 'f',
  'a leader cannot fall asleep before a transaction that did not ring ends');
COMMIT;
DELETE FROM pgpush.outbox;

-- signal
SET pgpush.session = 's1';
BEGIN;
SELECT pgpush.signal('r', 'typing', '{"on": true}') \g /dev/null
SELECT pgpush.signal('r', 'typing', '{"on": true}') \g /dev/null
SELECT pgpush.signal(ARRAY['q', NULL, 'r'], 'e"', NULL, true) \g /dev/null
SELECT pgpush.signal(NULL::text, 'e', '1') \g /dev/null
SELECT pgpush.signal(NULL::text[], 'e', '1') \g /dev/null
COMMIT;
CREATE TABLE t.told AS SELECT n::int, x::jsonb
  FROM unnest(t.told()) WITH ORDINALITY AS u (x, n);
SELECT results_eq($$SELECT x - 'n' FROM t.told ORDER BY n$$,
  $$VALUES ('{"rooms": ["r"], "event": "typing", "data": {"on": true}}'::jsonb),
    ('{"rooms": ["r"], "event": "typing", "data": {"on": true}}'),
    ('{"rooms": ["q", "r"], "event": "e\"", "data": null, "origin": "s1"}')$$,
  'signals are notified, equal ones each; without a room there is none');
SELECT is((SELECT count(DISTINCT x -> 'n') FROM t.told), 3::bigint,
  'each with another counter');
SELECT is_empty('TABLE pgpush.outbox', 'and none is written');
SELECT pgpush.signal('r', 'e', to_jsonb(repeat('x', 7840))) \g /dev/null
SELECT is(cardinality(t.told()), 1, 'a signal of less than 7900 bytes is notified');
SELECT pgpush.signal('r', 'e', to_jsonb(repeat('ä', 4000)), true) \g /dev/null
SELECT pgpush.signal(ARRAY['q', 'r'], 'e', to_jsonb(repeat('x', 7870))) \g /dev/null
SELECT is(t.told(), '{}', 'a larger one is not');
SELECT results_eq(
  $$SELECT kind, room, event, others, octet_length(data::text), dup IS NULL
    FROM pgpush.outbox ORDER BY id$$,
  $$VALUES ('signal', 'r', 'e', true, 8002, true),
      ('signal', 'q', 'e', false, 7872, false),
      ('signal', 'r', 'e', false, 7872, false)$$,
  'but written, a row for each room');
SELECT is((SELECT count(DISTINCT dup) FROM pgpush.outbox), 1::bigint,
  'with one dup for several rooms');
RESET pgpush.session;
DELETE FROM pgpush.outbox;

-- The move
BEGIN;
SELECT pgpush.emit('r', 'e' || i, '"12345678"') FROM generate_series(1, 9) i \g /dev/null
COMMIT;
SELECT is(t.moved('0', '{}', 3, 1000), '{e1,e2,e3}', 'a move takes at most LIMIT rows');
SELECT is(t.moved('0', '{}', 100, 11), '{e4,e5}',
  'and stops with the row that passes the bound of bytes');
SELECT is(t.moved('0', '{}', 100, 1), '{e6}', 'but always takes one');
SELECT xid::text AS xid, (xid::text::bigint + 1)::text AS later
  FROM pgpush.outbox LIMIT 1 \gset
SELECT is(t.moved(:'later', '{}', 100, 1000), '{}', 'the hint skips older rows');
SELECT is(t.moved(:'later', '{' || :'xid' || '}', 1, 1000), '{e7}',
  'but for those of transactions that were running');
SELECT is(t.moved(:'xid', '{}', 1, 1000), '{e8}', 'and takes all from xmax on');
PREPARE plain AS SELECT event, data::jsonb, bytes, kind FROM pgpush.log
  WHERE event = 'e1';
SELECT results_eq('plain', $$VALUES ('e1', '"12345678"'::jsonb, 10, 'event')$$,
  'rows come into the log as they were');
SELECT is(t.moved('0', '{}', 100, 1000), '{e9}', 'the rest');
SELECT is_empty('TABLE pgpush.outbox', 'and the outbox is empty');

-- Two transactions, committed in the other order than begun.
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT t.other($$SELECT pgpush.emit('r', 'slow', '1')$$) \g /dev/null
SELECT pgpush.emit('r', 'quick', '1') \g /dev/null
SELECT is(t.moved('0', '{}', 100, 1000), '{quick}',
  'what is not committed is not moved');
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT is(t.moved('0', '{}', 100, 1000), '{slow}',
  'and comes with a higher id when it is');
SELECT is((SELECT count(DISTINCT id) = max(id) - min(id) + 1 FROM pgpush.log), true,
  'the log has no holes');

-- revoke and kick
BEGIN;
SELECT pgpush.revoke('r'), pgpush.revoke('r', 'u', 'deleted'), pgpush.kick('u'),
  pgpush.kick('v', 'spam'), pgpush.revoke('r', 'w', 'nonsense') \g /dev/null
SELECT pgpush.revoke(NULL), pgpush.revoke('r', ''), pgpush.kick(NULL),
  pgpush.kick('') \g /dev/null
SELECT results_eq(
  $$SELECT kind, room, user_id, data ->> 'reason'
    FROM pgpush.outbox ORDER BY id$$,
  $$VALUES ('revoke', 'r', NULL, 'revoked'),
      ('revoke', 'r', 'u', 'deleted'),
      ('kick', '', 'u', NULL), ('kick', '', 'v', 'spam'),
      ('revoke', 'r', 'w', 'revoked')$$,
  'revoke and kick; an empty user never means everybody');
ROLLBACK;

-- iso
SELECT is(pgpush.iso('2026-01-02 03:04:05.6789+01'), '2026-01-02T02:04:05.678Z',
  'a time as JavaScript writes it');
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SELECT is(pgpush.iso('2026-01-02 03:04:05Z'), '2026-01-02T03:04:05.000Z',
  'whatever the session''s settings');
SELECT is(pgpush.iso(NULL), NULL, 'no time is none');
SELECT is((SELECT provolatile FROM pg_proc
  WHERE oid = 'pgpush.iso(timestamptz)'::regprocedure), 'i', 'it is immutable');
RESET TimeZone;
RESET DateStyle;

-- purge
BEGIN;
DELETE FROM pgpush.log;
INSERT INTO pgpush.log (id, kind, room, event, bytes, at)
SELECT i, 'event', 'r', '', 0, now() - CASE WHEN i = 8 THEN interval '0'
    WHEN i = 2 THEN interval '-2 years' ELSE interval '2 days' END
  FROM generate_series(1, 10) i;
INSERT INTO pgpush.answers VALUES ('u', 'old', '1', now() - interval '11 minutes'),
  ('u', 'new', '1', now() - interval '9 minutes');
SELECT is(pgpush.purge('1 day', 3), 3, 'purge deletes one batch');
SELECT is((SELECT id FROM pgpush.floor), 3::bigint, 'and moves the floor');
SELECT is(pgpush.purge('1 day', 100), 4, 'then the rest');
SELECT is(ARRAY[(SELECT id FROM pgpush.floor), (SELECT min(id) FROM pgpush.log)],
  ARRAY[7, 8]::bigint[], 'up to the first row that is younger than retain');
SELECT is(pgpush.purge('1 day', 100), 0, 'and not beyond');
SELECT is((SELECT array_agg(key) FROM pgpush.answers), ARRAY['new'],
  'answers older than 10 minutes go too');
DELETE FROM pgpush.terms;
INSERT INTO pgpush.terms (tag, first) VALUES ('a', 1), ('b', 5), ('c', 8);
SELECT pgpush.purge('1 day', 100) \g /dev/null
SELECT is((SELECT array_agg(tag ORDER BY n) FROM pgpush.terms), '{b,c}',
  'terms of which nothing is left go too');
INSERT INTO pgpush.answers
  SELECT 'u', i, '1', now() - interval '11 minutes' FROM generate_series(1, 9) i;
SELECT is(pgpush.purge('1 day', 6), 6, 'answers that are left ask for another batch');
ROLLBACK;

-- lead
BEGIN;
SELECT epoch AS old, (SELECT max(id) FROM pgpush.log) AS last
  FROM pgpush.epoch \gset
SELECT tag, first FROM pgpush.lead() \gset
SELECT is((SELECT epoch FROM pgpush.epoch), :'old',
  'the same cluster: the same epoch');
SELECT results_eq('SELECT tag, first FROM pgpush.terms ORDER BY n DESC LIMIT 1',
  format('VALUES (%L, %s::bigint)', :'tag', :last + 1), 'but another term');
SELECT cmp_ok(nextval('pgpush.log_id_seq'), '>', :last::bigint,
  'whose ids are higher');
SELECT setval('pgpush.log_id_seq', 1) \g /dev/null
SELECT pgpush.lead() \g /dev/null
SELECT cmp_ok(nextval('pgpush.log_id_seq'), '>', :last::bigint,
  'also if the sequence was put back');
UPDATE pgpush.epoch SET system_identifier = '1';
SELECT is((SELECT first FROM pgpush.lead()), :last + 1::bigint,
  'another cluster: the ids that are skipped are of the new term');
SELECT isnt((SELECT epoch FROM pgpush.epoch), :'old', 'and another epoch');
SELECT results_eq(
  $$SELECT l.kind, l.data ->> 'epoch' = e.epoch FROM pgpush.log l, pgpush.epoch e
    ORDER BY l.id DESC LIMIT 1$$, $$VALUES ('epoch', true)$$,
  'which the log says');
SELECT cmp_ok((SELECT max(id) FROM pgpush.log), '>', :last + 1000000::bigint,
  'at an id that nobody can have seen');
UPDATE pgpush.epoch SET timeline = 'FFFFFFFF';
SELECT pgpush.lead() \g /dev/null
SELECT results_eq(
  $$SELECT l.data ->> 'epoch' = e.epoch FROM pgpush.log l, pgpush.epoch e
    WHERE l.kind = 'epoch' ORDER BY l.id$$, ARRAY[false, true],
  'and so does another timeline');
ROLLBACK;

SELECT dblink_disconnect('other') \g /dev/null
