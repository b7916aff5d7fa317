-- SPDX-License-Identifier: ISC
-- The wiring of a new table in man/pgpush.7, as it stands there.
\set QUIET 1
SET client_min_messages = error;
\if :{?srcdir}
\else
\set srcdir .
\endif
BEGIN;
SET LOCAL pgpush.bell = off;
SELECT plan(6);
\set wiring `sed -n '/^The whole wiring/,/^.Ed/p' :'srcdir'/man/pgpush.7 | sed '1,/^.Bd/d; /^.Ed/d'`
SELECT cmp_ok(array_length(string_to_array(:'wiring', E'\n'), 1), '<=', 15, 'it has at most fifteen lines');
CREATE ROLE t_shop;
GRANT pgpush_admin TO t_shop;
GRANT ALL ON SCHEMA public TO t_shop;
SET ROLE t_shop;
:wiring
RESET ROLE;
SELECT is(pgpush.greet_user('7', '{}'), '{user:7}', 'a user is greeted');
SELECT is(pgpush.authorize('7', 'board:1', '{}'), true, 'let into a room');
SELECT is(pgpush.authorize('7', 'board:0', '{}'), false, 'and kept out of another');
SELECT is((SELECT answer FROM pgpush.handle('[{"user":"7","event":"note","room":"board:1","data":{"body":"x"}}]')),
  '{"reply":{"id":1}}'::jsonb, 'what a browser sends is done');
SELECT results_eq('SELECT room, event, data::jsonb FROM pgpush.outbox WHERE kind = ''event''',
  $$VALUES ('board:1', 'note', '{"id": 1, "body": "x", "author": "7"}'::jsonb)$$, 'and pushed');
SELECT * FROM finish();
ROLLBACK;
