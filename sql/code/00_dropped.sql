-- SPDX-License-Identifier: ISC
-- What an earlier version had and this one has not, and functions whose
-- arguments or result have changed: DROP ... IF EXISTS, one a line.
--
-- The files of this folder are applied whole and in order of their names, in
-- one transaction, at each "pgpushd migrate".  Each function and view stands in
-- them once.

-- One at a time, and never for long in front of the application's writers.
SET LOCAL lock_timeout = '10s';
LOCK TABLE pgpush.migrations IN SHARE ROW EXCLUSIVE MODE;
-- A function may call one of a later file.
SET LOCAL check_function_bodies = off;

DROP FUNCTION IF EXISTS pgpush.on(text, regprocedure, text, boolean, boolean);
DROP FUNCTION IF EXISTS pgpush.handlers();
DROP FUNCTION IF EXISTS pgpush.code();   -- migrate makes it last
DROP FUNCTION IF EXISTS pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean);
DROP FUNCTION IF EXISTS pgpush.release(text);
DROP FUNCTION IF EXISTS pgpush.is_held(text, jsonb);
DROP FUNCTION IF EXISTS pgpush.held_send(bigint[]);
DROP FUNCTION IF EXISTS pgpush.release_due(int);
DROP FUNCTION IF EXISTS pgpush.outbox_refuse() CASCADE;
DROP FUNCTION IF EXISTS pgpush.move_on(json, int);
