-- SPDX-License-Identifier: ISC
-- pgpush 5: daemons that hang, a log that is purged all the time, and repeats
-- after the end of a right.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (5);

-- Daemons that hang

-- A backend that waits for a client that has stopped reading sees no timeout
-- of its own.  The caller's own stamp must be fresh: after a pause of the
-- whole server everybody looks dead.
CREATE FUNCTION pgpush.backends_end(node text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pgpush.nodes n
      WHERE n.seen < now() - interval '10 s')
    OR NOT EXISTS (SELECT FROM pgpush.nodes n
      WHERE n.node = backends_end.node AND n.seen > now() - interval '5 s')
  THEN
    RETURN 0;
  END IF;
  -- One that began after the stamp has only got the same number.
  RETURN count(*) FILTER (WHERE pg_terminate_backend(a.pid))
    FROM pgpush.nodes n JOIN pg_stat_activity a ON a.pid = ANY (n.backends)
    WHERE n.seen < now() - interval '10 s' AND a.backend_start < n.seen
    AND a.datname = current_database() AND a.usename = current_user;
END $$;
COMMENT ON FUNCTION pgpush.backends_end(text) IS
  'For a daemon, each second: terminates the connections of daemons that have not been seen for 10 seconds, so that they hold no lock and no notification; how many. With the caller''s rights: they must be of the same role';

COMMENT ON TABLE pgpush.nodes IS
  'The daemons that run, stamped by each every second; the backends of one not seen for 10 seconds are terminated, and then it is forgotten';

-- The purge

CREATE OR REPLACE FUNCTION pgpush.purge(retain interval,
  batch int DEFAULT 5000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bottom bigint := (SELECT f.id FROM pgpush.floor f);
  last   bigint;
  n      int := 0;
BEGIN
  -- Only from the bottom up to the first row that is to be kept, so that all
  -- above the floor is there; a time far ahead is a clock that was wrong.
  -- From the floor on: dead rows below it may be many, if an old transaction
  -- keeps vacuum away.  As a rule a look at one row is enough.
  SELECT b.id INTO last FROM (
      SELECT l.id, l.at FROM pgpush.log l WHERE l.id > bottom
      ORDER BY l.id LIMIT 1) b
    WHERE b.at < now() - retain OR b.at > now() + retain;
  IF FOUND THEN
    SELECT max(w.id) INTO last FROM (
      SELECT b.id, bool_and(b.at < now() - retain OR b.at > now() + retain)
          OVER (ORDER BY b.id) AS old
      FROM (SELECT l.id, l.at FROM pgpush.log l WHERE l.id > bottom
        ORDER BY l.id LIMIT batch) b) w
      WHERE w.old;
    DELETE FROM pgpush.log l WHERE l.id > bottom AND l.id <= last;
    GET DIAGNOSTICS n = ROW_COUNT;
    UPDATE pgpush.floor f SET id = last WHERE f.id < last;
  END IF;
  DELETE FROM pgpush.answers a WHERE a.ctid = ANY (ARRAY(
    SELECT o.ctid FROM pgpush.answers o
    WHERE o.at < now() - interval '10 minutes'
    ORDER BY o.at LIMIT batch FOR UPDATE SKIP LOCKED));
  RETURN n;
END $$;

-- Insert-only below, delete-only above: without these an old log grows until a
-- fifth of it is dead.
ALTER TABLE pgpush.log SET (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_insert_scale_factor = 0.1, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0.02,
  toast.autovacuum_vacuum_threshold = 10000, toast.vacuum_truncate = off);

-- A repeat of a send

-- Rights may have ended since; a client could keep a key for that moment.
CREATE FUNCTION pgpush.repeated(answer jsonb, user_id text, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN jsonb_typeof(answer -> 'join') IS DISTINCT FROM 'array'
    THEN answer
    ELSE jsonb_set(answer, '{join}', (
      SELECT coalesce(jsonb_agg(room), '[]')
      FROM jsonb_array_elements_text(answer -> 'join') AS j (room)
      WHERE pgpush.authorize(user_id, room, ctx))) END
$$;
COMMENT ON FUNCTION pgpush.repeated(jsonb, text, jsonb) IS
  'For handle: the stored answer to a send that is repeated with its key. It joins only rooms that the allow rules let the user into';

-- Functions of the files before, with a line of theirs changed.
DO $do$
DECLARE
  f   text;
  old text;
  new text;
  def text;
BEGIN
  FOR f, old, new IN VALUES
    -- Later than backends_end, which must have seen them.
    ('pgpush.nodes_forget()', $$n.seen < clock_timestamp() - interval '10 s'$$,
      $$n.seen < now() - interval '12 s'$$),
    -- Without a bell no lock either: a prepared transaction would keep it,
    -- and the leader awake, for as long as it is prepared.
    ('pgpush.capture()', 'IF FOUND AND NOT pg_try_advisory_xact_lock_shared',
      $$IF FOUND AND current_setting('pgpush.bell', true) IS DISTINCT FROM$$
      || $$ 'off' AND NOT pg_try_advisory_xact_lock_shared$$),
    ('pgpush.handle(jsonb)', 'SELECT a.answer INTO answer FROM',
      $$SELECT pgpush.repeated(a.answer, who, jsonb_build_object('session',$$
      || $$ c -> 'session', 'claims', c -> 'claims')) INTO answer FROM$$)
  LOOP
    def := pg_get_functiondef(f::regprocedure);
    IF position(old IN def) = 0 THEN
      RAISE EXCEPTION '% is not as pgpush''s own file made it', f;
    END IF;
    EXECUTE replace(def, old, new);
  END LOOP;
END $do$;

REVOKE ALL ON FUNCTION pgpush.backends_end(text),
  pgpush.repeated(jsonb, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgpush.backends_end(text) TO pgpush_daemon;

COMMIT;
