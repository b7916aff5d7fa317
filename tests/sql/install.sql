-- SPDX-License-Identifier: ISC
-- Installing: twice, as an ordinary role, without the roles; and what holds
-- for every object of the schema.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS dblink;

\if :{?srcdir}
\else
\set srcdir .
\endif

CREATE SCHEMA t;
-- All there is: definitions, rights, comments.
CREATE FUNCTION t.objects() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(x, E'\n' ORDER BY x) FROM (
    SELECT format('%s %s %s', pg_get_functiondef(oid), proacl,
        obj_description(oid, 'pg_proc'))
      FROM pg_proc WHERE pronamespace = 'pgpush'::regnamespace
    UNION ALL SELECT format('%s %s %s %s', oid, c, relacl, reloptions)
      FROM pg_class c WHERE relnamespace = 'pgpush'::regnamespace
        AND relkind NOT IN ('i', 'S')
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index
      WHERE indrelid::regclass::text LIKE 'pgpush.%'
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger
      WHERE tgrelid::regclass::text LIKE 'pgpush.%'
    UNION ALL SELECT m::text FROM pgpush.migrations m
    UNION ALL SELECT e::text FROM pgpush.epoch e) u (x)
$$;
CREATE TABLE t.before AS SELECT t.objects();

SELECT plan(24);

-- Again, as psql does it
\set out `cd :'srcdir' && for f in sql/*.sql; do psql -X -h :'HOST' -p :'PORT' -U :'USER' -d :'DBNAME' -f $f 2>&1 >/dev/null | grep -c migrations_pkey; done`
\set files `ls :'srcdir'/sql/*.sql | wc -l`
SELECT is(replace(:'out', E'\n', ''), repeat('1', :files),
  'all files again with psql: the number of each is there already');
SELECT is(t.objects(), (SELECT objects FROM t.before), 'nothing has changed');

-- Again, as pgpushd migrate does it: a file in one query
\set one `cat :'srcdir'/sql/001_events.sql`
\set four `cat :'srcdir'/sql/004_live.sql`
SELECT dblink_connect('other', format('host=%s port=%s dbname=%s user=%s',
  split_part(current_setting('unix_socket_directories'), ',', 1),
  current_setting('port'), current_database(), current_user)) \g /dev/null
SELECT throws_ok(format('SELECT dblink_exec(''other'', %L)', :'one'), '23505', NULL,
  'in one query: the number is there already');
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT throws_ok(format('SELECT dblink_exec(''other'', %L)', :'four'), '23505', NULL,
  'and so is that of a later file');
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT is(t.objects(), (SELECT objects FROM t.before), 'nothing has changed');

-- Roles belong to the cluster and this file ends no transaction that makes
-- one: :bare is the first file without its BEGIN and COMMIT.
\set bare `sed '/^BEGIN;$/d; /^COMMIT;$/d' :'srcdir'/sql/001_events.sql`
BEGIN;
DROP SCHEMA pgpush CASCADE;
CREATE ROLE pgpush_t_owner;
CREATE ROLE pgpush_t_maker CREATEROLE;
SELECT format('GRANT CREATE ON DATABASE %I TO pgpush_t_owner, pgpush_t_maker',
  current_database()) \gexec
SELECT format('GRANT USAGE ON SCHEMA %I TO PUBLIC', s) FROM unnest('{public,t}'::text[]) s \gexec
ALTER ROLE pgpush_admin RENAME TO pgpush_t_admin;
SET ROLE pgpush_t_owner;
SELECT throws_ok(:'bare', '42501', 'pgpush needs the role pgpush_admin, which is missing',
  'a role is missing and may not be made: says so');
SET ROLE pgpush_t_maker;
SELECT lives_ok(:'bare', 'with CREATEROLE it is made');
RESET ROLE;
SELECT has_role('pgpush_admin', 'and is there');
ROLLBACK;

BEGIN;
DROP SCHEMA pgpush CASCADE;
CREATE ROLE pgpush_t_owner;
SELECT format('GRANT CREATE ON DATABASE %I TO pgpush_t_owner',
  current_database()) \gexec
SELECT format('GRANT USAGE ON SCHEMA %I TO PUBLIC', s) FROM unnest('{public,t}'::text[]) s \gexec
\set rest `ls :'srcdir'/sql/*.sql | grep -v 001_events | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
SET ROLE pgpush_t_owner;
SELECT lives_ok(:'bare', 'a role that may do nothing but CREATE installs the first file');
SELECT lives_ok(:'rest', 'and all the other files');
SELECT is((SELECT array_agg(DISTINCT pg_get_userbyid(relowner)) FROM pg_class
  WHERE relnamespace = 'pgpush'::regnamespace), '{pgpush_t_owner}', 'all is his');
SELECT lives_ok($$SELECT pgpush.emit('r', 'e', '1'), pgpush.lead(),
  pgpush.release_due(), pgpush.purge('1 day'), pgpush.node_stamp('n', true, 0, '{}', ''),
  pgpush.presence_sync('1 s')$$, 'and works');
SELECT is((SELECT epoch FROM pgpush.epoch), pgpush.lead(),
  'the leader finds the epoch of the install');
RESET ROLE;
ROLLBACK;

-- From each number at which tables could be attached, with some attached
\set old3 `ls :'srcdir'/sql/*.sql | sed -n '1,3p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set rest3 `ls :'srcdir'/sql/*.sql | sed -n '4,$p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set old4 `ls :'srcdir'/sql/*.sql | sed -n '1,4p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set rest4 `ls :'srcdir'/sql/*.sql | sed -n '5,$p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set old5 `ls :'srcdir'/sql/*.sql | sed -n '1,5p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set rest5 `ls :'srcdir'/sql/*.sql | sed -n '6,$p' | xargs sed '/^BEGIN;$/d; /^COMMIT;$/d'`
\set all `cat :'srcdir'/sql/*.sql | sed '/^BEGIN;$/d; /^COMMIT;$/d'`
BEGIN;
-- But for oids, and for what is different each time.
CREATE FUNCTION t.same() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(y, E'\n' ORDER BY y COLLATE "C") FROM (
    SELECT format('%s %s %s', pg_get_functiondef(oid), proacl,
        obj_description(oid, 'pg_proc'))
      FROM pg_proc WHERE pronamespace = 'pgpush'::regnamespace
    UNION ALL SELECT format('%s %s %s %s', relname, relacl, reloptions,
        CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
      FROM pg_class WHERE relnamespace = 'pgpush'::regnamespace
        AND relkind NOT IN ('t')
    UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
      WHERE NOT tgisinternal
    UNION ALL SELECT number::text FROM pgpush.migrations) u (x),
    regexp_replace(x, 'capture_[0-9a-f]{12}', 'capture_', 'g') y
$$;
CREATE ROLE pgpush_t_owner;
GRANT USAGE ON SCHEMA t TO pgpush_t_owner;
CREATE TABLE t.mine (id int, at timestamptz);
SELECT format('GRANT CREATE ON DATABASE %I TO pgpush_t_owner',
  current_database()) \gexec
CREATE FUNCTION t.attach() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pgpush.attach('t.mine', 'm:{id}', columns => '{id,at}', others => true);
  PERFORM pgpush.attach('t.mine', 'CREATE TRIGGER EXECUTE FUNCTION pgpush.capture(',
    '{"insert":"i"}', '{id}');
  PERFORM pgpush.attach('t.mine', 'm', '{"insert":"when"}', '{id}', 'id > 1');
  ALTER TABLE t.mine DISABLE TRIGGER pgpush_update_81a7dd;
END $$;
DROP SCHEMA pgpush CASCADE;
:all
SELECT t.attach() \g /dev/null
CREATE TEMP TABLE fresh AS SELECT t.same();
DROP SCHEMA pgpush CASCADE;
:old3
SELECT t.attach() \g /dev/null
:rest3
SELECT is(t.same(), (TABLE fresh), 'an upgrade from 3 with attached tables equals a fresh install');
DROP SCHEMA pgpush CASCADE;
:old4
SELECT t.attach() \g /dev/null
:rest4
SELECT is(t.same(), (TABLE fresh), 'an upgrade from 4 with attached tables equals a fresh install');
DROP SCHEMA pgpush CASCADE;
:old5
SELECT t.attach() \g /dev/null
:rest5
SELECT is(t.same(), (TABLE fresh), 'an upgrade from 5 with attached tables equals a fresh install');
DROP SCHEMA pgpush CASCADE;
SET ROLE pgpush_t_owner;
:old4
RESET ROLE;
SELECT t.attach() \g /dev/null
SET ROLE pgpush_t_owner;
:rest4
RESET ROLE;
INSERT INTO t.mine VALUES (1);
SELECT results_eq('SELECT room FROM pgpush.outbox ORDER BY room COLLATE "C"', $$VALUES
    ('CREATE TRIGGER EXECUTE FUNCTION pgpush.capture('), ('m:1')$$,
  'what pgpush''s owner must not touch pushes as before');
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

SELECT dblink_disconnect('other') \g /dev/null
