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

CREATE SEQUENCE pgpush.outbox_id_seq CACHE 1;
CREATE TABLE pgpush.outbox (
  xid     xid8        NOT NULL DEFAULT pg_current_xact_id(),
  id      bigint      NOT NULL DEFAULT nextval('pgpush.outbox_id_seq'),
  kind    text        NOT NULL DEFAULT 'event',
  room    text        NOT NULL DEFAULT '',
  event   text        NOT NULL DEFAULT '',
  data    jsonb,
  user_id text,
  origin  text,
  dup     text,
  bytes   int         NOT NULL DEFAULT 0,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (xid, id)
) WITH (
  -- Small and hot; a truncation would lock writers out.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  vacuum_truncate = off, toast.autovacuum_vacuum_scale_factor = 0,
  toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off
);
ALTER SEQUENCE pgpush.outbox_id_seq OWNED BY pgpush.outbox.id;
COMMENT ON SEQUENCE pgpush.outbox_id_seq IS
  'Order within a transaction; CACHE must stay 1';
COMMENT ON TABLE pgpush.outbox IS
  'Events of committed transactions that the leader has not moved yet; mostly empty. Never drop it: its oid is the key of the advisory locks';
COMMENT ON COLUMN pgpush.outbox.kind IS
  'event; signal (live only); revoke, kick, config, epoch (for the daemons); resync (an event too large to send)';
COMMENT ON COLUMN pgpush.outbox.user_id IS
  'Whom a revoke or kick concerns; NULL: everybody';
COMMENT ON COLUMN pgpush.outbox.origin IS
  'The session that must not get the event; NULL: none';
COMMENT ON COLUMN pgpush.outbox.dup IS
  'Same for the rows of one happening in several rooms: a session gets the first only';
COMMENT ON COLUMN pgpush.outbox.bytes IS
  'Length of data as text';
COMMENT ON COLUMN pgpush.outbox.at IS
  'When it was written, which is before it was committed';

CREATE SEQUENCE pgpush.log_id_seq CACHE 1;
CREATE TABLE pgpush.log (
  id      bigint      PRIMARY KEY,
  kind    text        NOT NULL,
  room    text        NOT NULL,
  event   text        NOT NULL,
  data    jsonb,
  user_id text,
  origin  text,
  dup     text,
  bytes   int         NOT NULL,
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

-- The function is kept by name: pg_upgrade refuses columns of regprocedure.
CREATE TABLE pgpush.held (
  id     bigint      GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  key    text        NOT NULL,
  room   text        NOT NULL,
  event  text        NOT NULL,
  render text        NOT NULL,
  arg    jsonb,
  due    timestamptz NOT NULL,
  origin text,
  dup    text
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off
);
CREATE INDEX held_key ON pgpush.held USING hash (key);  -- of any length
CREATE INDEX held_due ON pgpush.held (due);
COMMENT ON TABLE pgpush.held IS
  'Events that wait for pgpush.release(key) or for their time, to be rendered as things stand then';
COMMENT ON COLUMN pgpush.held.render IS
  'The function that makes the data: f(arg jsonb) RETURNS jsonb; NULL: send nothing';

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
