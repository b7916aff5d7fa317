-- SPDX-License-Identifier: ISC
-- Who is there.  Each daemon stamps its node each second and writes its
-- sessions; the leader alone compares them with presence and tells of a user's
-- first connection and last disconnection.
--
-- A node writes nothing but its own rows, and the leader deletes only what
-- nobody has locked: it never waits for a node.

CREATE OR REPLACE FUNCTION pgpush.connections_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO pgpush.presence_todo
      SELECT p.user_id FROM pgpush.presence p WHERE p.online;
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO pgpush.presence_todo
      SELECT DISTINCT user_id FROM pgpush_new WHERE user_id IS NOT NULL;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO pgpush.presence_todo
      SELECT DISTINCT user_id FROM pgpush_old WHERE user_id IS NOT NULL;
  ELSE                                   -- most updates change rooms alone
    INSERT INTO pgpush.presence_todo
      SELECT DISTINCT u.user_id
        FROM pgpush_old o JOIN pgpush_new n USING (session),
          LATERAL (VALUES (o.user_id), (n.user_id)) AS u (user_id)
        WHERE o.user_id IS DISTINCT FROM n.user_id AND u.user_id IS NOT NULL;
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION pgpush.connections_changed() IS
  'Trigger: notes whose connections changed';
CREATE OR REPLACE TRIGGER inserted AFTER INSERT ON pgpush.connections
  REFERENCING NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION pgpush.connections_changed();
CREATE OR REPLACE TRIGGER updated AFTER UPDATE ON pgpush.connections
  REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION pgpush.connections_changed();
CREATE OR REPLACE TRIGGER deleted AFTER DELETE ON pgpush.connections
  REFERENCING OLD TABLE AS pgpush_old
  FOR EACH STATEMENT EXECUTE FUNCTION pgpush.connections_changed();
CREATE OR REPLACE TRIGGER truncated AFTER TRUNCATE ON pgpush.connections
  FOR EACH STATEMENT EXECUTE FUNCTION pgpush.connections_changed();

CREATE OR REPLACE FUNCTION pgpush.presence_ring(node text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_notify('pgpush', format('{"presence":%s}',
    to_json(node || ':' || nextval('pgpush.signal_n_seq'))))
$$;
COMMENT ON FUNCTION pgpush.presence_ring(text) IS
  'Tells the leader that connections of a node have changed';

CREATE OR REPLACE FUNCTION pgpush.node_stamp(node text, leader boolean,
  connections int, backends int[], version text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE pgpush.nodes n SET seen = clock_timestamp(),
    leader = node_stamp.leader, connections = node_stamp.connections,
    backends = coalesce(node_stamp.backends, '{}'),
    version = node_stamp.version
  WHERE n.node = node_stamp.node;
  IF FOUND THEN
    RETURN true;
  END IF;
  INSERT INTO pgpush.nodes (node, leader, connections, backends, version)
  VALUES (node_stamp.node, node_stamp.leader, node_stamp.connections,
    coalesce(node_stamp.backends, '{}'), node_stamp.version)
  ON CONFLICT DO NOTHING;
  RETURN false;
END $$;
COMMENT ON FUNCTION pgpush.node_stamp(text, boolean, int, int[], text) IS
  'For a daemon, each second: it is alive. False if it was not known: new, or taken for dead, and then its connections are gone too and it must write them afresh';

CREATE OR REPLACE FUNCTION pgpush.node_gone(node text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM pgpush.nodes n WHERE n.node = node_gone.node;
  DELETE FROM pgpush.connections c WHERE c.node = node_gone.node;
  IF FOUND THEN
    PERFORM pgpush.presence_ring(node_gone.node);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.node_gone(text) IS
  'For a daemon that ends: forgets it and its connections';

CREATE OR REPLACE FUNCTION pgpush.sessions_write(node text, opened jsonb, closed text[],
  fresh boolean, changed jsonb DEFAULT '[]') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  rings boolean := false;
BEGIN
  IF fresh THEN
    INSERT INTO pgpush.nodes (node) VALUES (sessions_write.node)
      ON CONFLICT DO NOTHING;
    DELETE FROM pgpush.connections c WHERE c.node = sessions_write.node;
    rings := FOUND;
  END IF;
  INSERT INTO pgpush.connections AS c (session, node, user_id, address, dialect,
    rooms, since)
  SELECT DISTINCT ON (o.j ->> 'session') o.j ->> 'session',
    sessions_write.node, o.j ->> 'user', o.j ->> 'address',
    coalesce(o.j ->> 'dialect', ''),
    ARRAY(SELECT jsonb_array_elements_text(o.j -> 'rooms')),
    coalesce((o.j ->> 'since')::timestamptz, clock_timestamp())
  FROM jsonb_array_elements(coalesce(opened, '[]')) WITH ORDINALITY AS o (j, i)
  ORDER BY o.j ->> 'session', o.i DESC
  ON CONFLICT (session) DO UPDATE SET node = excluded.node,
    user_id = excluded.user_id, address = excluded.address,
    dialect = excluded.dialect, rooms = excluded.rooms,
    since = excluded.since;
  rings := rings OR FOUND;
  UPDATE pgpush.connections c
    SET rooms = ARRAY(SELECT jsonb_array_elements_text(o.j -> 'rooms'))
    FROM jsonb_array_elements(coalesce(changed, '[]')) AS o (j)
    WHERE c.session = o.j ->> 'session' AND c.node = sessions_write.node;
  -- After the opened ones: a session may be in both.  One that has gone on at
  -- another node is no longer ours to end.
  DELETE FROM pgpush.connections c
    WHERE c.session = ANY (closed) AND c.node = sessions_write.node;
  rings := rings OR FOUND;
  IF rings THEN
    PERFORM pgpush.presence_ring(sessions_write.node);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.sessions_write(text, jsonb, text[], boolean, jsonb) IS
  'For a daemon: sessions that were opened, [{"session","user","address","dialect","rooms","since"}], closed, and changed, [{"session","rooms"}]. fresh: opened are all that it has';

CREATE OR REPLACE FUNCTION pgpush.nodes_forget() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  dead text[];
BEGIN
  DELETE FROM pgpush.nodes WHERE node = ANY (ARRAY(
    SELECT n.node FROM pgpush.nodes n
    WHERE n.seen < now() - interval '12 s'
    FOR UPDATE SKIP LOCKED));
  -- From node to node in the index: the table may be large.
  WITH RECURSIVE r (node) AS (
    SELECT min(c.node) FROM pgpush.connections c
    UNION ALL
    SELECT (SELECT min(c.node) FROM pgpush.connections c WHERE c.node > r.node)
    FROM r WHERE r.node IS NOT NULL)
  SELECT array_agg(r.node) INTO dead FROM r WHERE r.node IS NOT NULL
    AND NOT EXISTS (SELECT FROM pgpush.nodes n WHERE n.node = r.node);
  IF dead IS NOT NULL THEN
    DELETE FROM pgpush.connections WHERE session = ANY (ARRAY(
      SELECT c.session FROM pgpush.connections c WHERE c.node = ANY (dead)
      FOR UPDATE SKIP LOCKED));
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.nodes_forget() IS
  'For presence_sync: deletes dead nodes, and connections of nodes that are not there';

-- Who is in presence_todo is looked at after it was taken from there, so that
-- the change it stands for is seen.
CREATE OR REPLACE FUNCTION pgpush.presence_sync(grace interval) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  most  CONSTANT int         := 100;    -- of each kind in one transaction
  t     CONSTANT timestamptz := clock_timestamp();
  users text[];
  came  text[];
  went  text[];
  calls text[];
  call  text;
  p     record;
BEGIN
  PERFORM pgpush.nodes_forget();
  WITH w AS (
    DELETE FROM pgpush.presence_todo WHERE ctid = ANY (ARRAY(
      SELECT d.ctid FROM pgpush.presence_todo d LIMIT most))
    RETURNING user_id)
  SELECT array_agg(user_id) INTO users FROM w;

  UPDATE pgpush.presence x SET gone_at = NULL
    WHERE x.user_id = ANY (users) AND x.online AND x.gone_at IS NOT NULL
    AND EXISTS (
      SELECT FROM pgpush.connections c WHERE c.user_id = x.user_id);
  UPDATE pgpush.presence x SET gone_at = t, last_seen = t
    WHERE x.user_id = ANY (users) AND x.online AND x.gone_at IS NULL
    AND NOT EXISTS (
      SELECT FROM pgpush.connections c WHERE c.user_id = x.user_id);

  WITH w AS (
    UPDATE pgpush.presence SET online = false, since = t, gone_at = NULL
    WHERE user_id = ANY (ARRAY(
      SELECT x.user_id FROM pgpush.presence x
      WHERE x.online AND x.gone_at <= t - grace AND NOT EXISTS (
        SELECT FROM pgpush.connections c WHERE c.user_id = x.user_id)
      ORDER BY x.gone_at LIMIT most))
    RETURNING user_id, last_seen)
  SELECT array_agg(user_id ORDER BY last_seen, user_id) INTO went FROM w;
  WITH w AS (
    INSERT INTO pgpush.presence AS x (user_id, online, since, last_seen)
    SELECT DISTINCT u.user_id, true, t, t FROM unnest(users) u (user_id)
    WHERE EXISTS (
      SELECT FROM pgpush.connections c WHERE c.user_id = u.user_id)
    AND NOT EXISTS (
      SELECT FROM pgpush.presence x WHERE x.user_id = u.user_id AND x.online)
    ON CONFLICT (user_id) DO UPDATE SET online = true, since = t,
      last_seen = t, gone_at = NULL
    RETURNING user_id)
  SELECT array_agg(user_id ORDER BY user_id) INTO came FROM w;

  IF came IS NOT NULL OR went IS NOT NULL THEN
    -- Any other function would run with the rights of pgpush's owner.
    calls := ARRAY(
      SELECT format('SELECT %I.%I($1, $2, $3)', s.nspname, f.proname)
      FROM pgpush.rules r
        JOIN pg_proc f ON f.oid = to_regprocedure(r.function) AND f.prosecdef
        JOIN pg_namespace s ON s.oid = f.pronamespace
      WHERE r.kind = 'present' ORDER BY r.id);
    -- Who went and came back between two statements above is told of twice.
    FOR p IN SELECT x.user_id, u.i > coalesce(cardinality(went), 0) AS online,
          x.last_seen
        FROM unnest(went || came) WITH ORDINALITY u (user_id, i)
        JOIN pgpush.presence x USING (user_id) ORDER BY u.i
    LOOP
      FOREACH call IN ARRAY calls LOOP
        BEGIN
          EXECUTE call USING p.user_id, p.online, p.last_seen;
        EXCEPTION WHEN OTHERS THEN
          RAISE WARNING 'pgpush: % failed for user %: %', call,
            quote_literal(p.user_id), SQLERRM;
        END;
      END LOOP;
    END LOOP;
  END IF;
  IF cardinality(users) = most OR cardinality(went) = most THEN
    RETURN t;            -- there may be more
  END IF;
  RETURN (SELECT min(x.gone_at) + grace FROM pgpush.presence x
    WHERE x.online AND x.gone_at IS NOT NULL);
END $$;
COMMENT ON FUNCTION pgpush.presence_sync(interval) IS
  'For the leader, each second and when a node rings: forgets dead nodes, and calls the functions that pgpush.present registered for who came and who has been gone for the grace; when to call it again, NULL if nobody is about to be gone';

-- A backend that waits for a client that has stopped reading sees no timeout
-- of its own.  The caller's own stamp must be fresh: after a pause of the
-- whole server everybody looks dead.
CREATE OR REPLACE FUNCTION pgpush.backends_end(node text) RETURNS int
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

REVOKE ALL ON pgpush.nodes, pgpush.connections, pgpush.presence,
  pgpush.presence_todo FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.connections_changed(), pgpush.presence_ring(text),
  pgpush.node_stamp(text, boolean, int, int[], text), pgpush.node_gone(text),
  pgpush.sessions_write(text, jsonb, text[], boolean, jsonb), pgpush.nodes_forget(),
  pgpush.presence_sync(interval), pgpush.backends_end(text) FROM PUBLIC;
GRANT SELECT ON pgpush.nodes, pgpush.connections, pgpush.presence
  TO pgpush_admin, pgpush_daemon;
GRANT EXECUTE ON FUNCTION
  pgpush.node_stamp(text, boolean, int, int[], text), pgpush.node_gone(text),
  pgpush.sessions_write(text, jsonb, text[], boolean, jsonb),
  pgpush.presence_sync(interval), pgpush.backends_end(text) TO pgpush_daemon;
