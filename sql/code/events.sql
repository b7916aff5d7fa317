-- SPDX-License-Identifier: ISC
-- Writing events, and telling the leader.  The application's transactions run
-- these: they wait for no lock and do not fail for a reason of ours.

-- Guarded, as even a try needs room in the lock table; nothing is written in
-- the guard, so it takes no transaction id.
CREATE OR REPLACE FUNCTION pgpush.ring(who text DEFAULT '') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('pgpush.bell', true) = 'off' THEN
    RETURN;
  END IF;
  -- Shared, and kept to the end of the transaction: the leader is awake and
  -- cannot fall asleep without seeing what we commit.
  IF NOT pg_try_advisory_xact_lock_shared(
      'pgpush.outbox'::regclass::oid::int, 1) THEN
    PERFORM pg_notify('pgpush',
      format('{"bell":%s}', to_json(coalesce(left(who, 63), ''))));
  END IF;
EXCEPTION WHEN OTHERS THEN
  RETURN;                -- the leader looks within a second
END $$;
COMMENT ON FUNCTION pgpush.ring(text) IS
  'Wakes the leader for rows in the outbox, if it sleeps. It never fails. SET pgpush.bell = off makes it silent, as PREPARE TRANSACTION needs it; the leader then looks within a second';

-- Not SECURITY DEFINER: the rights to the columns of the outbox are enough.
CREATE OR REPLACE FUNCTION pgpush.emit(room text, event text, data jsonb,
  others boolean DEFAULT false, dup text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF room IS NULL THEN
    RETURN;
  END IF;
  PERFORM pgpush.ring();
  INSERT INTO pgpush.outbox (room, event, data, others, dup)
  VALUES (emit.room, coalesce(emit.event, ''), emit.data,
    coalesce(emit.others, false), emit.dup);
END $$;
COMMENT ON FUNCTION pgpush.emit(text, text, jsonb, boolean, text) IS
  'Sends an event to a room when the transaction commits; kept in the log. others: not to the session whose handler runs. dup: same for several rooms, and a session in more than one gets it once. A NULL room: nothing';

CREATE OR REPLACE FUNCTION pgpush.signal(rooms text[], event text, data jsonb,
  others boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n       bigint := nextval('pgpush.signal_n_seq');
  origin  text   := CASE WHEN others
    THEN nullif(current_setting('pgpush.session', true), '') END;
  payload text;
BEGIN
  rooms := array_remove(rooms, NULL);
  event := coalesce(event, '');
  IF coalesce(cardinality(rooms), 0) = 0 THEN
    RETURN;
  END IF;
  IF current_setting('pgpush.bell', true) IS DISTINCT FROM 'off' THEN
    payload := format('{"rooms":%s,"event":%s,"data":%s,"n":%s%s}',
      to_json(rooms), to_json(event), coalesce(data::text, 'null'), n,
      ',"origin":' || to_json(origin));
    IF octet_length(payload) <= 7900 THEN   -- NOTIFY refuses 8000
      PERFORM pg_notify('pgpush', payload);
      RETURN;
    END IF;
  END IF;
  INSERT INTO pgpush.outbox (kind, room, event, data, others, dup)
  SELECT 'signal', r, signal.event, signal.data, coalesce(signal.others, false),
    CASE WHEN cardinality(rooms) > 1 THEN 'signal:' || n END
  FROM unnest(rooms) WITH ORDINALITY AS u (r, i) ORDER BY i;
  PERFORM pgpush.ring();
END $$;
COMMENT ON FUNCTION pgpush.signal(text[], text, jsonb, boolean) IS
  'Sends an ephemeral event to several rooms, once to a session that is in more than one: live, at most once, not kept. others: not to the session whose handler runs';

CREATE OR REPLACE FUNCTION pgpush.signal(room text, event text, data jsonb,
  others boolean DEFAULT false) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pgpush.signal(ARRAY[room], event, data, others)
$$;
COMMENT ON FUNCTION pgpush.signal(text, text, jsonb, boolean) IS
  'Sends an ephemeral event to a room: live, at most once, not kept. others: not to the session whose handler runs';

CREATE OR REPLACE FUNCTION pgpush.revoke(room text, user_id text DEFAULT NULL,
  reason text DEFAULT 'revoked') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF room IS NULL OR user_id = '' THEN   -- '' would be everybody
    RETURN;
  END IF;
  IF reason IS DISTINCT FROM 'deleted' AND reason IS DISTINCT FROM 'revoked'
  THEN
    RAISE WARNING 'pgpush.revoke: the reason is revoked, not %',
      quote_nullable(reason) USING HINT = 'It can be revoked or deleted.';
    reason := 'revoked';
  END IF;
  PERFORM pgpush.ring();
  INSERT INTO pgpush.outbox (kind, room, user_id, data)
  VALUES ('revoke', revoke.room, revoke.user_id,
    json_build_object('reason', reason));
END $$;
COMMENT ON FUNCTION pgpush.revoke(text, text, text) IS
  'Puts a user (NULL: everybody) out of a room: nothing that is committed later reaches him there. He may join again if the rules let him. reason: revoked or deleted';

CREATE OR REPLACE FUNCTION pgpush.kick(user_id text, reason text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF coalesce(user_id, '') = '' THEN     -- never everybody
    RETURN;
  END IF;
  PERFORM pgpush.ring();
  INSERT INTO pgpush.outbox (kind, user_id, data)
  VALUES ('kick', kick.user_id, json_build_object('reason', reason));
END $$;
COMMENT ON FUNCTION pgpush.kick(text, text) IS
  'Closes all connections of a user: nothing that is committed later reaches him';

CREATE OR REPLACE FUNCTION pgpush.iso(t timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
COMMENT ON FUNCTION pgpush.iso(timestamptz) IS
  'A time as JavaScript writes it: 2026-01-02T03:04:05.678Z';

REVOKE ALL ON pgpush.outbox, pgpush.log FROM PUBLIC;
REVOKE ALL ON SEQUENCE pgpush.outbox_id_seq, pgpush.log_id_seq,
  pgpush.signal_n_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.ring(text),
  pgpush.emit(text, text, jsonb, boolean, text),
  pgpush.signal(text[], text, jsonb, boolean),
  pgpush.signal(text, text, jsonb, boolean),
  pgpush.revoke(text, text, text),
  pgpush.kick(text, text),
  pgpush.iso(timestamptz) FROM PUBLIC;
GRANT SELECT ON pgpush.outbox, pgpush.log TO pgpush_admin, pgpush_daemon;
GRANT INSERT (room, event, data, others, dup, lost, key, about, render, arg,
  due, recheck, source) ON pgpush.outbox TO pgpush_admin;
GRANT DELETE ON pgpush.outbox TO pgpush_daemon;
GRANT INSERT ON pgpush.log TO pgpush_daemon;
GRANT USAGE ON SEQUENCE pgpush.log_id_seq TO pgpush_daemon;
GRANT EXECUTE ON FUNCTION
  pgpush.ring(text),
  pgpush.emit(text, text, jsonb, boolean, text),
  pgpush.signal(text[], text, jsonb, boolean),
  pgpush.signal(text, text, jsonb, boolean),
  pgpush.revoke(text, text, text),
  pgpush.kick(text, text),
  pgpush.iso(timestamptz) TO pgpush_admin;
