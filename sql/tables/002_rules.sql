-- SPDX-License-Identifier: ISC
-- pgpush's tables 2: the rules.  A rule is a row that names a function.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (2);
COMMENT ON TABLE pgpush.migrations IS
  'The numbers of the files of sql/tables that have been applied, up to 2';

-- The function is kept by name: pg_upgrade refuses columns of regprocedure.
CREATE TABLE pgpush.rules (
  id       bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind     text    NOT NULL CHECK (kind IN ('allow', 'greet', 'on', 'present')),
  pattern  text    NOT NULL DEFAULT '',
  room     text,
  member   boolean,
  "grant"  boolean,
  batch    boolean,
  function text    NOT NULL,
  prefix   text,
  regex    text,
  names    text[],
  UNIQUE (kind, pattern, function)
);
CREATE UNIQUE INDEX rules_on ON pgpush.rules (pattern) WHERE kind = 'on';
COMMENT ON TABLE pgpush.rules IS
  'Rules, one function each. Written by allow, greet, on, present and forget; an INSERT by hand passes the same checks.';
COMMENT ON COLUMN pgpush.rules.pattern IS 'allow: the room pattern; on: the event; else empty';
COMMENT ON COLUMN pgpush.rules.function IS 'schema.name(argument types), as regprocedure writes it';
COMMENT ON COLUMN pgpush.rules.room IS 'on: template that makes the room from the data; NULL: the frame''s own room';
COMMENT ON COLUMN pgpush.rules.member IS 'on: only for members of the room';
COMMENT ON COLUMN pgpush.rules."grant" IS 'on: a join, whose granted answer is kept per session and room until revoked';
COMMENT ON COLUMN pgpush.rules.batch IS 'on: shares a transaction with other calls; it touches no row that anybody else locks, and changes no rooms';
COMMENT ON COLUMN pgpush.rules.prefix IS 'allow: what a matching room begins with; set by the trigger, as are regex and names';

CREATE TYPE pgpush.sample AS (room text, event text, data jsonb);
COMMENT ON TYPE pgpush.sample IS 'What attach with dry_run shows.';

COMMIT;
