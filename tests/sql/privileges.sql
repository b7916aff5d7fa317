-- SPDX-License-Identifier: ISC
-- Who may do what: PUBLIC nothing, the daemon its own, the application's roles
-- nothing and need nothing.
\set QUIET 1
\set VERBOSITY terse
SET client_min_messages = error;

BEGIN;
CREATE SCHEMA t;
CREATE ROLE pgpush_t_app;
CREATE ROLE pgpush_t_dba IN ROLE pgpush_admin;
CREATE ROLE pgpush_t_node IN ROLE pgpush_daemon;
GRANT USAGE ON SCHEMA t TO pgpush_t_app, pgpush_t_dba;
GRANT CREATE ON SCHEMA t TO pgpush_t_dba;

-- What becomes of a statement if a role runs it: ok, or the error's code.
CREATE FUNCTION t.try(who text, sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    EXECUTE sql;
  EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;     -- which has also taken the role back
  END;
  RESET ROLE;
  RETURN 'ok';
END $$;

SELECT plan(56);

-- PUBLIC
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p,
    aclexplode(coalesce(proacl, acldefault('f', proowner))) a
    WHERE pronamespace = 'pgpush'::regnamespace AND a.grantee = 0$$,
  'PUBLIC may execute no function');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c,
    aclexplode(coalesce(relacl, acldefault(
      (CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))) a
    WHERE relnamespace = 'pgpush'::regnamespace AND a.grantee = 0$$,
  'PUBLIC may touch no table, view or sequence');
SELECT is_empty($$SELECT a.privilege_type FROM pg_namespace,
    aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
    WHERE nspname = 'pgpush' AND a.grantee = 0$$,
  'PUBLIC may not even look into the schema');
SELECT is_empty($$SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p,
    aclexplode(proacl) a
    WHERE pronamespace = 'pgpush'::regnamespace AND a.grantee NOT IN
      (proowner, 'pgpush_admin'::regrole, 'pgpush_daemon'::regrole)$$,
  'nor may anybody else');

-- The daemon
CREATE TABLE t.orders (id int, title text);
SELECT set_eq($$SELECT p.proname::text FROM pg_proc p, aclexplode(proacl) a
    WHERE pronamespace = 'pgpush'::regnamespace
    AND a.grantee = 'pgpush_daemon'::regrole$$,
  ARRAY['lead', 'history', 'purge', 'move_on', 'rendered', 'rendered_due', 'node_stamp', 'node_gone',
    'sessions_write', 'presence_sync', 'handlers', 'greet_user', 'authorize',
    'backends_end', 'sweep',
    'sockets_write', 'socket_take', 'sockets_tidy',
    'handle'], 'the daemon may call just what it does call');
SELECT set_eq($$SELECT c.relname || ' ' || a.privilege_type
    FROM pg_class c, aclexplode(relacl) a
    WHERE relnamespace = 'pgpush'::regnamespace
    AND a.grantee = 'pgpush_daemon'::regrole$$,
  ARRAY['outbox SELECT', 'outbox DELETE', 'log SELECT', 'log INSERT',
    'log_id_seq USAGE', 'floor SELECT', 'epoch SELECT', 'held SELECT',
    'lost SELECT', 'terms SELECT',
    'nodes SELECT', 'connections SELECT', 'presence SELECT',
    'migrations SELECT'], 'and touch just the tables that it reads and moves');
SELECT is(t.try('pgpush_t_node', sql), 'ok', 'the daemon: ' || sql)
  FROM unnest(ARRAY[
    'DELETE FROM pgpush.outbox RETURNING *',
    'INSERT INTO pgpush.log (id, kind, room, event, at) VALUES ('
      'nextval(''pgpush.log_id_seq''), ''event'', ''r'', ''e'', now()) RETURNING *',
    'SELECT pgpush.lead()',
    'SELECT pgpush.move_on(''[]'', 10)',
    'SELECT pgpush.rendered(''1'', 1, 10)',
    'SELECT pgpush.rendered_due(10)',
    'SELECT pgpush.purge(''1 day'')',
    'SELECT pgpush.node_stamp(''n'', true, 0, ''{1}'', ''v'')',
    'SELECT pgpush.sessions_write(''n'', ''[]'', ''{}'', true)',
    'SELECT pgpush.presence_sync(''1 s'')',
    'SELECT pgpush.node_gone(''n'')']) AS sql;
SELECT is(t.try('pgpush_t_node', sql), '42501', 'not the daemon: ' || sql)
  FROM unnest(ARRAY[
    'SELECT FROM t.orders',
    'CREATE TABLE pgpush.x ()',
    'INSERT INTO pgpush.outbox DEFAULT VALUES',
    'UPDATE pgpush.log SET room = ''''',
    'DELETE FROM pgpush.log',
    'DELETE FROM pgpush.held',
    'SELECT FROM pgpush.answers',
    'SELECT pgpush.emit(''r'', ''e'', ''1'')',
    'SELECT pgpush.place(''[]'')',
    'SELECT setval(''pgpush.log_id_seq'', 1)']) AS sql;

-- The DBA
SELECT is(t.try('pgpush_t_dba', sql), 'ok', 'a DBA: ' || sql)
  FROM unnest(ARRAY[
    'SELECT pgpush.emit(''r'', ''e'', ''1''), pgpush.signal(''r'', ''e'', ''1'')',
    'SELECT pgpush.revoke(''r'', ''u''), pgpush.kick(''u'')',
    'INSERT INTO pgpush.outbox (room, event, data, others, dup, lost, key, about,'
      ' render, arg, due, recheck, source) VALUES (''r'', ''e'', ''1'', true, ''d'','
      ' 1, ''k'', ''a'', ''f(jsonb)'', ''1'', ''1 s'', ''u'', ''t'')',
    'SELECT FROM pgpush.log, pgpush.outbox, pgpush.held, pgpush.lost, pgpush.nodes',
    'SELECT FROM pgpush.connections, pgpush.presence, pgpush.epoch']) AS sql;
SELECT is(t.try('pgpush_t_dba', sql), '42501', 'not a DBA: ' || sql)
  FROM unnest(ARRAY[
    'SELECT FROM t.orders',
    'SELECT pgpush.lead()',
    'SELECT pgpush.place(''[]'')',
    'SELECT pgpush.rendered_due(10)',
    'INSERT INTO pgpush.outbox (room, kind) VALUES (''r'', ''kick'')',
    'INSERT INTO pgpush.outbox (user_id) VALUES (''u'')',
    'INSERT INTO pgpush.outbox (origin) VALUES (''s'')',
    'INSERT INTO pgpush.outbox (who) VALUES (''postgres'')',
    'INSERT INTO pgpush.outbox (xid) VALUES (''1'')',
    'INSERT INTO pgpush.outbox (at) VALUES (''-infinity'')',
    'DELETE FROM pgpush.log']) AS sql;

-- An application: its role has no right of ours, its triggers are a DBA's
CREATE FUNCTION t.pushed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pgpush.emit('order:' || NEW.id, 'order', to_jsonb(NEW)),
    pgpush.signal('order:' || NEW.id, 'order', to_jsonb(NEW)),
    pgpush.signal(ARRAY['a', 'b'], 'order', to_jsonb(NEW)),
    pgpush.hold('k', 'order:' || NEW.id, 'held', 't.render(jsonb)', to_jsonb(NEW)),
    pgpush.revoke('order:' || NEW.id, 'u'), pgpush.kick('u'), pgpush.ring('x'),
    pgpush.iso(now());
  PERFORM pgpush.release('k');
  RETURN NULL;
END $$;
CREATE FUNCTION t.render(arg jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT arg || to_jsonb(current_user::text)
$$;
ALTER FUNCTION t.pushed() OWNER TO pgpush_t_dba;
ALTER FUNCTION t.render(jsonb) OWNER TO pgpush_t_dba;
CREATE TRIGGER pushed AFTER INSERT ON t.orders
  FOR EACH ROW EXECUTE FUNCTION t.pushed();
GRANT INSERT ON t.orders TO pgpush_t_app;
SELECT is(t.try('pgpush_t_app', sql), '42501', 'not an application: ' || sql)
  FROM unnest(ARRAY[
    'SELECT pgpush.emit(''r'', ''e'', ''1'')',
    'SELECT pgpush.ring()',
    'SELECT FROM pgpush.outbox',
    'SELECT FROM pgpush.connections']) AS sql;
SELECT is(t.try('pgpush_t_app', 'INSERT INTO t.orders VALUES (1, ''x'')'), 'ok',
  'but it writes to a table whose trigger pushes');
CREATE FUNCTION t.lead() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s    record;
  done json := '[]';
BEGIN
  LOOP
    SELECT * INTO s FROM pgpush.move_on(done, 1000);
    EXIT WHEN s.cut IS NULL;
    done := pgpush.rendered(s.cut_xid, s.cut, 1000);
  END LOOP;
END $$;
SELECT t.lead() \g /dev/null
SELECT results_eq($$SELECT kind, room, event FROM pgpush.log
    WHERE xid = pg_current_xact_id() AND room = 'order:1' ORDER BY id$$,
  $$VALUES ('event', 'order:1', 'order'), ('revoke', 'order:1', ''),
    ('event', 'order:1', 'held')$$, 'and all of it is sent');
SELECT is((SELECT data::jsonb -> 1 FROM pgpush.log WHERE event = 'held'),
  '"pgpush_t_dba"', 'a held event is rendered with the rights of its function''s owner');

-- A function with the caller's rights would run with those of pgpush's owner
CREATE FUNCTION t.sneak(arg jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT to_jsonb(count(*)) FROM t.orders
$$;
ALTER FUNCTION t.sneak(jsonb) OWNER TO pgpush_t_dba;
SELECT is(t.try('pgpush_t_dba', $$SELECT pgpush.hold('s', 'r', 'sneak',
  't.sneak(jsonb)', '1'), pgpush.release('s')$$), 'ok', 'such a one is held');
SELECT t.lead() \g /dev/null
SELECT results_eq($$SELECT kind FROM pgpush.log WHERE event = 'sneak'$$,
  ARRAY['resync'], 'and not run');
-- nor one that its holder may not execute
CREATE FUNCTION t.secret(jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER AS $$ SELECT '"secret"'::jsonb $$;
CREATE ROLE pgpush_t_owner;
ALTER FUNCTION t.secret(jsonb) OWNER TO pgpush_t_owner;
REVOKE EXECUTE ON FUNCTION t.secret(jsonb) FROM PUBLIC;
SELECT is(t.try('pgpush_t_dba', $$SELECT pgpush.hold('s', 'r', 'secret',
  't.secret(jsonb)', '1'), pgpush.release('s')$$), 'ok', 'one may be named');
SELECT t.lead() \g /dev/null
SELECT results_eq($$SELECT kind FROM pgpush.log WHERE event = 'secret'$$,
  ARRAY['resync'], 'that its holder may not execute: it does not run');
GRANT EXECUTE ON FUNCTION t.secret(jsonb) TO pgpush_t_dba;
SELECT is(t.try('pgpush_t_dba', $$SELECT pgpush.hold('s', 'r', 'told',
  't.secret(jsonb)', '1'), pgpush.release('s')$$), 'ok', 'once they may');
SELECT t.lead() \g /dev/null
SELECT results_eq($$SELECT kind FROM pgpush.log WHERE event = 'told'$$,
  ARRAY['event'], 'it does');

SELECT * FROM finish();
ROLLBACK;
