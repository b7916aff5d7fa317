-- SPDX-License-Identifier: ISC
-- pgpush's tables 1: events.  An event is written to pgpush.outbox by the
-- transaction that causes it; the leading daemon moves it to pgpush.log, in the
-- order in which transactions become visible.
--
-- These files are numbered and never change once released.  Each is one
-- transaction that first inserts its number, and it leaves its number at the
-- end of the comment of pgpush.migrations, where a copy of the schema without
-- rows keeps it.  The functions and all rights are in sql/code.

BEGIN;

DO $$
BEGIN
  IF pg_catalog.getdatabaseencoding() = 'SQL_ASCII' THEN
    RAISE EXCEPTION 'pgpush needs to know the encoding of the database'
      USING HINT = 'It is SQL_ASCII. Browsers need UTF-8: restore the data into'
        ' a database made with ENCODING ''UTF8''.';
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS pgpush;
CREATE TABLE IF NOT EXISTS pgpush.migrations (
  number int         PRIMARY KEY,
  at     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO pgpush.migrations (number) VALUES (1);
COMMENT ON TABLE pgpush.migrations IS
  'The numbers of the files of sql/tables that have been applied, up to 1';

-- Writers only insert, and only some of the columns (sql/code/events.sql grants
-- them); the leader interprets.  It skips a row without room.
CREATE TABLE pgpush.outbox (
  xid     xid8        NOT NULL DEFAULT pg_current_xact_id(),
  id      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
  kind    text        NOT NULL DEFAULT 'event',
  room    text        DEFAULT '',
  event   text        DEFAULT '',
  data    json,
  user_id text,
  origin  text        DEFAULT nullif(current_setting('pgpush.session', true), ''),
  others  boolean     NOT NULL DEFAULT false,
  dup     text,
  lost    int,
  key     text,
  about   text,
  render  text,
  arg     jsonb,
  due     interval,
  recheck text,
  source  text,
  who     text        NOT NULL DEFAULT current_user,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (xid, id)
) WITH (
  -- Small and hot; a truncation would lock writers out.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  vacuum_truncate = off, toast.autovacuum_vacuum_scale_factor = 0,
  toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off
);
-- For the leader's steps, which go by the id through whatever waits.  Not of the
-- id itself: its moves must go by the transaction, see the hint in move.c.
CREATE INDEX outbox_step ON pgpush.outbox ((id + 0));
COMMENT ON SEQUENCE pgpush.outbox_id_seq IS
  'Order within a transaction; CACHE must stay 1';
COMMENT ON TABLE pgpush.outbox IS
  'Events of committed transactions that the leader has not moved yet; mostly empty. Never drop it: its oid is the key of the advisory locks';
COMMENT ON COLUMN pgpush.outbox.kind IS
  'event; signal (live only); revoke, kick, config, epoch (for the daemons); resync (an event too large to send)';
COMMENT ON COLUMN pgpush.outbox.data IS
  'JSON as it will be sent';
COMMENT ON COLUMN pgpush.outbox.user_id IS
  'Whom a revoke or kick concerns; NULL: everybody';
COMMENT ON COLUMN pgpush.outbox.origin IS
  'The session whose handler runs; NULL: none';
COMMENT ON COLUMN pgpush.outbox.others IS
  'Whether that session must not get the event';
COMMENT ON COLUMN pgpush.outbox.dup IS
  'Same for the rows of one happening in several rooms: a session gets the first only';
COMMENT ON COLUMN pgpush.outbox.lost IS
  'Not an event but a resync for so many rows that could not be told; without a room they are only counted, in pgpush.lost';
COMMENT ON COLUMN pgpush.outbox.key IS
  'With an event: it is held under this key. Without one: what is held under this key is released';
COMMENT ON COLUMN pgpush.outbox.about IS
  'Of a held event: it is dropped if one with this key and about is held already';
COMMENT ON COLUMN pgpush.outbox.render IS
  'Of a held event: the function that makes the data, f(arg jsonb) RETURNS json or jsonb; NULL: send nothing';
COMMENT ON COLUMN pgpush.outbox.due IS
  'Of a held event: how long it waits at most';
COMMENT ON COLUMN pgpush.outbox.recheck IS
  'A user whose right to the room is to be asked again; without a room, to all of theirs';
COMMENT ON COLUMN pgpush.outbox.source IS
  'Which trigger wrote it';
COMMENT ON COLUMN pgpush.outbox.who IS
  'Whose rights a render needs';
COMMENT ON COLUMN pgpush.outbox.at IS
  'When it was written, which is before it was committed';

CREATE SEQUENCE pgpush.log_id_seq CACHE 1;
CREATE TABLE pgpush.log (
  id      bigint      PRIMARY KEY,
  kind    text        NOT NULL,
  room    text        NOT NULL,
  event   text        NOT NULL,
  data    json,
  user_id text,
  origin  text,
  dup     text,
  bytes   int         NOT NULL DEFAULT 0,
  xid     xid8,
  source  text,
  src     bigint,
  at      timestamptz NOT NULL
) WITH (
  -- Insert-only below, delete-only above: without these an old log grows until
  -- a fifth of it is dead.
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_insert_scale_factor = 0.1, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0.02,
  toast.autovacuum_vacuum_threshold = 10000, toast.vacuum_truncate = off
);
CREATE INDEX log_room ON pgpush.log (room, id);
-- Where the last ANALYZE saw few rooms, the planner thought a walk through all
-- rooms' events by id cheaper than log_room: a resume after a day cost 19 ms
-- instead of 0.2.  log_room is never the worse one.
ALTER TABLE pgpush.log ALTER COLUMN room SET (n_distinct = -0.1);
ALTER SEQUENCE pgpush.log_id_seq OWNED BY pgpush.log.id;
COMMENT ON SEQUENCE pgpush.log_id_seq IS
  'Taken by the leader alone, so that ids are in the order of commits; CACHE must stay 1';
COMMENT ON TABLE pgpush.log IS
  'All events in the order in which they became visible; columns as in pgpush.outbox. Kept for the daemon''s setting retain';
COMMENT ON COLUMN pgpush.log.origin IS
  'The session that must not get the event; NULL: none';
COMMENT ON COLUMN pgpush.log.bytes IS
  'Length of data as text';
COMMENT ON COLUMN pgpush.log.xid IS
  'The transaction that wrote the event, or held it';
COMMENT ON COLUMN pgpush.log.src IS
  'Its id in the outbox';

-- Few rows: one for an event's name and a reason.
CREATE TABLE pgpush.lost (
  event text        NOT NULL,
  why   text        NOT NULL,
  rows  bigint      NOT NULL,
  room  text        NOT NULL,
  at    timestamptz NOT NULL,
  PRIMARY KEY (event, why)
);
COMMENT ON TABLE pgpush.lost IS
  'How many rows could not be told as events, and why: their rooms, if known, got a resync instead';
COMMENT ON COLUMN pgpush.lost.room IS
  'The last one';

CREATE TABLE pgpush.floor (
  one bool   PRIMARY KEY DEFAULT true CHECK (one),
  id  bigint NOT NULL
);
COMMENT ON TABLE pgpush.floor IS
  'The highest id that was purged from the log: who resumes below it has missed something';

CREATE TABLE pgpush.epoch (
  one               bool PRIMARY KEY DEFAULT true CHECK (one),
  epoch             text NOT NULL,
  system_identifier text NOT NULL,
  timeline          text NOT NULL
);
COMMENT ON TABLE pgpush.epoch IS
  'Which history of the log ids belong to: another one after a restore or a failover, see pgpush.lead';

CREATE TABLE pgpush.terms (
  n     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tag   text        NOT NULL UNIQUE,
  first bigint      NOT NULL,
  at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pgpush.terms IS
  'A row for each time that a daemon became the leader: a position of a client is a tag and an id, and is of this history only if the tag is here and the next term begins behind the id';
COMMENT ON COLUMN pgpush.terms.first IS
  'No id of an earlier term is as high';

-- Of the leader alone.  The function is kept by name: pg_upgrade refuses
-- columns of regprocedure.
CREATE TABLE pgpush.held (
  id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key    text        NOT NULL,
  about  text,
  room   text        NOT NULL,
  event  text        NOT NULL,
  render text,
  arg    jsonb,
  due    timestamptz NOT NULL,
  origin text,
  dup    text,
  who    text        NOT NULL,
  xid    xid8,
  source text,
  src    bigint,
  at     timestamptz NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off
);
-- By hash, as they may be of any length.
CREATE INDEX held_key ON pgpush.held USING hash (key);
CREATE INDEX held_about ON pgpush.held
  USING hash ((key || E'\x1f' || about)) WHERE about IS NOT NULL;
CREATE INDEX held_due ON pgpush.held (due);
COMMENT ON TABLE pgpush.held IS
  'Events that the leader holds until pgpush.release(key) or until their time, to be rendered as things stand then';

CREATE TABLE pgpush.answers (
  user_id text        NOT NULL,
  key     text        NOT NULL,
  answer  jsonb       NOT NULL,
  at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX answers_at ON pgpush.answers (at);
COMMENT ON TABLE pgpush.answers IS
  'What clients'' sends that carried a key were answered, for 10 minutes: a repeat runs nothing';

CREATE SEQUENCE pgpush.signal_n_seq;
COMMENT ON SEQUENCE pgpush.signal_n_seq IS
  'Makes every payload different: NOTIFY drops one that equals an earlier one of its transaction';

COMMIT;
