-- SPDX-License-Identifier: ISC
-- Without the roles; and what holds for every object of the schema.  Installing
-- twice, by psql, at once: tests/run/install.py.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;

\if :{?srcdir}
\else
\set srcdir .
\endif

SELECT plan(17);

-- Roles belong to the cluster: what makes one is rolled back.
\set tables `sed '/^BEGIN;$/d; /^COMMIT;$/d' :'srcdir'/sql/tables/*.sql`
\set code `cat :'srcdir'/sql/code/*.sql`
\set files `ls :'srcdir'/sql/tables/*.sql | wc -l`
BEGIN;
DROP SCHEMA pgpush, pgpush_triggers CASCADE;
CREATE ROLE pgpush_t_owner;
CREATE ROLE pgpush_t_maker CREATEROLE;
SELECT format('GRANT CREATE ON DATABASE %I TO pgpush_t_owner, pgpush_t_maker',
  current_database()) \gexec
GRANT USAGE ON SCHEMA public TO PUBLIC;
ALTER ROLE pgpush_admin RENAME TO pgpush_t_admin;
SET ROLE pgpush_t_owner;
SAVEPOINT s;
:tables
SELECT throws_ok(:'code', '42501', 'pgpush needs the role pgpush_admin, which is missing',
  'a role is missing and may not be made: says so');
ROLLBACK TO s;
SET ROLE pgpush_t_maker;
:tables
SELECT lives_ok(:'code', 'with CREATEROLE it is made');
RESET ROLE;
SELECT has_role('pgpush_admin', 'and is there');
ROLLBACK;

BEGIN;
DROP SCHEMA pgpush, pgpush_triggers CASCADE;
CREATE ROLE pgpush_t_owner;
SELECT format('GRANT CREATE ON DATABASE %I TO pgpush_t_owner',
  current_database()) \gexec
GRANT USAGE ON SCHEMA public TO PUBLIC;
SET ROLE pgpush_t_owner;
SELECT lives_ok(:'tables', 'a role that may do nothing but CREATE makes the tables');
SELECT lives_ok(:'code', 'and the functions');
SELECT is((SELECT array_agg(DISTINCT pg_get_userbyid(relowner)) FROM pg_class
  WHERE relnamespace = 'pgpush'::regnamespace), '{pgpush_t_owner}', 'all is its own');
SELECT lives_ok($$SELECT pgpush.emit('r', 'e', '1'), pgpush.lead(),
  pgpush.move_on('[]', 10), pgpush.purge('1 day'), pgpush.node_stamp('n', true, 0, '{}', ''),
  pgpush.presence_sync('1 s')$$, 'and works');
SELECT epoch FROM pgpush.epoch \gset
SELECT pgpush.lead() \g /dev/null
SELECT is((SELECT epoch FROM pgpush.epoch), :'epoch',
  'the leader finds the epoch of the install');
RESET ROLE;
ROLLBACK;

-- What holds for every object
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = 'pgpush'::regnamespace
    AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'$$,
  'every function has a fixed search_path');
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = 'pgpush'::regnamespace
    AND obj_description(oid, 'pg_proc') IS NULL$$, 'and a comment');
SELECT is_empty($$SELECT oid::regclass FROM pg_class
    WHERE relnamespace = 'pgpush'::regnamespace AND relkind IN ('r', 'v')
    AND obj_description(oid, 'pg_class') IS NULL$$, 'and so has every table and view');
SELECT is_empty($$SELECT a.attrelid::regclass, attname FROM pg_attribute a
    JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'pgpush'::regnamespace AND relkind = 'r'
    AND atttypid::regtype::text LIKE 'reg%'
    AND atttypid NOT IN ('regclass'::regtype, 'regrole'::regtype, 'regtype'::regtype)$$,
  'no column is of a type that pg_upgrade refuses');
SELECT is_empty($$SELECT seqrelid::regclass FROM pg_sequence
    JOIN pg_class c ON c.oid = seqrelid
    WHERE relnamespace = 'pgpush'::regnamespace AND (seqcache <> 1 OR seqcycle)$$,
  'every sequence gives its numbers in order');
SELECT set_eq($$SELECT relname::text FROM pg_class
    WHERE relnamespace = 'pgpush'::regnamespace AND relkind = 'r'
    AND relpersistence = 'u'$$,
  ARRAY['nodes', 'connections', 'presence', 'presence_todo'],
  'what is live is unlogged, all else is safe');
SELECT results_eq('SELECT number FROM pgpush.migrations ORDER BY 1',
  'SELECT generate_series(1, ' || :files || ')', 'every file has its number');

SELECT is(substring(obj_description('pgpush.migrations'::regclass) FROM '[0-9]+$')::int,
  (SELECT max(number) FROM pgpush.migrations),
  'the comment has the last number, for copies without rows');
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc,
    aclexplode(coalesce(proacl, acldefault('f', proowner))) a
    WHERE pronamespace = 'pgpush'::regnamespace AND grantee = 0$$,
  'and PUBLIC may execute no function');
