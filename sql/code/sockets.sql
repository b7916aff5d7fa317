-- SPDX-License-Identifier: ISC
-- Sockets of Socket.IO that come back.  A daemon writes the rows of its own
-- sockets; one that takes a row over counts up its life, so that the daemon
-- that had it before no longer changes it.

CREATE OR REPLACE FUNCTION pgpush.sockets_write(node text, kept jsonb,
  ended jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO pgpush.sockets AS s (pid, life, session, node, user_id, nsp,
    rooms, epoch, at)
  SELECT DISTINCT ON (k.j ->> 'pid') k.j ->> 'pid', (k.j ->> 'life')::int,
    k.j ->> 'session', sockets_write.node, k.j ->> 'user', k.j ->> 'nsp',
    ARRAY(SELECT jsonb_array_elements_text(k.j -> 'rooms')),
    k.j ->> 'epoch', (k.j ->> 'at')::bigint
  FROM jsonb_array_elements(coalesce(kept, '[]')) WITH ORDINALITY AS k (j, i)
  ORDER BY k.j ->> 'pid', k.i DESC
  ON CONFLICT (pid) DO UPDATE SET rooms = excluded.rooms, left_at = NULL
    WHERE s.life = excluded.life;
  UPDATE pgpush.sockets s SET left_at = clock_timestamp()
    FROM jsonb_array_elements(coalesce(ended, '[]')) AS e (j)
    WHERE s.pid = e.j ->> 'pid' AND s.life = (e.j ->> 'life')::int
      AND NOT (e.j ->> 'for_good')::boolean;
  DELETE FROM pgpush.sockets s
    USING jsonb_array_elements(coalesce(ended, '[]')) AS e (j)
    WHERE s.pid = e.j ->> 'pid' AND s.life = (e.j ->> 'life')::int
      AND (e.j ->> 'for_good')::boolean;
END $$;
COMMENT ON FUNCTION pgpush.sockets_write(text, jsonb, jsonb) IS
  'For a daemon: sockets as they are, [{"pid","life","session","user","nsp","rooms","epoch","at"}], and those that ended, [{"pid","life","for_good"}]';

CREATE OR REPLACE FUNCTION pgpush.socket_take(node text, pid text,
  user_id text, nsp text, recovery_window interval)
RETURNS TABLE (session text, life int, epoch text, at bigint, rooms json)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE pgpush.sockets s
    SET node = socket_take.node, life = s.life + 1, left_at = NULL
    WHERE s.pid = socket_take.pid AND s.user_id = socket_take.user_id
      AND s.nsp = socket_take.nsp
      AND (s.left_at IS NULL
        OR s.left_at > clock_timestamp() - recovery_window)
    RETURNING s.session, s.life, s.epoch, s.at, to_json(s.rooms)
$$;
COMMENT ON FUNCTION pgpush.socket_take(text, text, text, text, interval) IS
  'For a daemon: a socket has come back to it. No row: it must begin afresh';

CREATE OR REPLACE FUNCTION pgpush.sockets_tidy(node text, fresh boolean,
  recovery_window interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Of a daemon that died: from now on, since nobody knows when it did.
  UPDATE pgpush.sockets s SET left_at = clock_timestamp()
    WHERE s.left_at IS NULL
      AND ((fresh AND s.node = sockets_tidy.node)
        OR (NOT EXISTS (SELECT FROM pgpush.nodes n WHERE n.node = s.node)
          AND EXISTS (SELECT FROM pgpush.nodes n
            WHERE n.node = sockets_tidy.node)));
  DELETE FROM pgpush.sockets WHERE sockets.pid = ANY (ARRAY(
    SELECT s.pid FROM pgpush.sockets s
    WHERE s.left_at < clock_timestamp() - recovery_window
    LIMIT 10000 FOR UPDATE SKIP LOCKED));
END $$;
COMMENT ON FUNCTION pgpush.sockets_tidy(text, boolean, interval) IS
  'For a daemon, each minute: forgets sockets that did not come back in time. fresh: it has none of its own yet';

REVOKE ALL ON pgpush.sockets FROM PUBLIC;
GRANT SELECT (life, session, node, user_id, nsp, rooms, epoch, at, left_at)
  ON pgpush.sockets TO pgpush_admin;
REVOKE ALL ON FUNCTION
  pgpush.sockets_write(text, jsonb, jsonb),
  pgpush.socket_take(text, text, text, text, interval),
  pgpush.sockets_tidy(text, boolean, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.sockets_write(text, jsonb, jsonb),
  pgpush.socket_take(text, text, text, text, interval),
  pgpush.sockets_tidy(text, boolean, interval) TO pgpush_daemon;
