-- SPDX-License-Identifier: ISC
-- Events that wait for others: hold, release, and what the leader does.

CREATE OR REPLACE FUNCTION pgpush.hold(key text, room text, event text,
  render regprocedure, arg jsonb, due interval DEFAULT '200 ms',
  others boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF room IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO pgpush.held (key, room, event, render, arg, due, origin)
  VALUES (coalesce(hold.key, ''), hold.room, coalesce(hold.event, ''),
    coalesce(hold.render::text, ''), hold.arg,
    clock_timestamp() + coalesce(hold.due, '200 ms'),
    CASE WHEN others
      THEN nullif(current_setting('pgpush.session', true), '') END);
  PERFORM pgpush.ring();
END $$;
COMMENT ON FUNCTION
  pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean) IS
  'Holds an event back until pgpush.release(key) or until due has passed, then sends what render(arg) returns (NULL: nothing). render: f(arg jsonb) RETURNS jsonb, SECURITY DEFINER, executable by the owner of schema pgpush';

CREATE OR REPLACE FUNCTION pgpush.is_held(key text, arg jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM pgpush.held h WHERE h.key = is_held.key AND h.arg @> is_held.arg
    FOR SHARE SKIP LOCKED;
  RETURN FOUND;
EXCEPTION WHEN serialization_failure THEN
  RETURN false;          -- released after this transaction's snapshot
END $$;
COMMENT ON FUNCTION pgpush.is_held(text, jsonb) IS
  'Whether an event is held under the key whose arg contains this one. If so nobody else can release it before this transaction ends, so that it will show the rows that this transaction writes';

-- Takes rows that the caller has locked; the deletion decides who sends.
CREATE OR REPLACE FUNCTION pgpush.held_send(ids bigint[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  h    record;
  call text;
  data jsonb;
  sent int := 0;
BEGIN
  FOR h IN
    WITH d AS (DELETE FROM pgpush.held WHERE id = ANY (ids) RETURNING *)
    SELECT * FROM d ORDER BY d.id
  LOOP
    data := NULL;
    BEGIN
      -- Any other function would run with the rights of pgpush's owner.
      SELECT format('SELECT %I.%I($1)', s.nspname, p.proname) INTO call
        FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
        WHERE p.oid = to_regprocedure(h.render) AND p.prosecdef
          AND p.proargtypes[0] = 'jsonb'::regtype AND p.pronargs = 1;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such SECURITY DEFINER function';
      END IF;
      EXECUTE call INTO data USING h.arg;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'pgpush dropped a held event % for room %: % failed: %',
        quote_literal(h.event), quote_literal(h.room), h.render, SQLERRM;
      data := NULL;
    END;
    CONTINUE WHEN data IS NULL;
    INSERT INTO pgpush.outbox (room, event, data, origin, dup, bytes)
    VALUES (h.room, h.event, data, h.origin, h.dup, octet_length(data::text));
    sent := sent + 1;
  END LOOP;
  IF sent > 0 THEN
    PERFORM pgpush.ring();
  END IF;
  RETURN sent;
END $$;
COMMENT ON FUNCTION pgpush.held_send(bigint[]) IS
  'For release and release_due: renders held events in the order of their id, sends them, and says how many';

CREATE OR REPLACE FUNCTION pgpush.release(key text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ids bigint[];
BEGIN
  BEGIN
    -- The application waits for this: what is more goes when it is due.
    ids := ARRAY(SELECT h.id FROM pgpush.held h WHERE h.key = release.key
      ORDER BY h.id LIMIT 100 FOR UPDATE SKIP LOCKED);
  EXCEPTION WHEN serialization_failure THEN
    RETURN 0;            -- released after this transaction's snapshot
  END;
  IF cardinality(ids) = 0 THEN
    RETURN 0;
  END IF;
  RETURN pgpush.held_send(ids);
END $$;
COMMENT ON FUNCTION pgpush.release(text) IS
  'Sends the events held under a key, the first 100, as things stand now, but for those that another transaction has locked; how many were sent';

CREATE OR REPLACE FUNCTION pgpush.release_due(max int DEFAULT 1000) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t    timestamptz := clock_timestamp();
  ids  bigint[];
  soon timestamptz;
BEGIN
  ids := ARRAY(SELECT h.id FROM pgpush.held h WHERE h.due <= t
    ORDER BY h.due LIMIT max FOR UPDATE SKIP LOCKED);
  PERFORM pgpush.held_send(ids);
  SELECT min(due) INTO soon FROM pgpush.held;
  -- What is due and was left is locked: no use in asking at once.
  IF soon IS NOT NULL AND cardinality(ids) < max THEN
    soon := greatest(soon, clock_timestamp() + interval '20 ms');
  END IF;
  RETURN soon;
END $$;
COMMENT ON FUNCTION pgpush.release_due(int) IS
  'For the leader: sends the held events whose time has come, at most so many; when to call it again, NULL if nothing is held';

REVOKE ALL ON pgpush.held FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean),
  pgpush.is_held(text, jsonb),
  pgpush.held_send(bigint[]),
  pgpush.release(text),
  pgpush.release_due(int) FROM PUBLIC;
GRANT SELECT ON pgpush.held TO pgpush_admin, pgpush_daemon;
GRANT EXECUTE ON FUNCTION
  pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean),
  pgpush.is_held(text, jsonb),
  pgpush.release(text) TO pgpush_admin;
GRANT EXECUTE ON FUNCTION pgpush.release_due(int) TO pgpush_daemon;
