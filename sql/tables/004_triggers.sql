-- SPDX-License-Identifier: ISC
-- pgpush's tables 4: a schema for the functions that attach writes.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (4);
COMMENT ON TABLE pgpush.migrations IS
  'The numbers of the files of sql/tables that have been applied, up to 4';

CREATE SCHEMA IF NOT EXISTS pgpush_triggers;

COMMIT;
