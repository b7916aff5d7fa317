-- SPDX-License-Identifier: ISC
-- Events that wait for others.  A writer only says what it wants; the leader
-- holds, releases and renders, see move.sql.
--
-- Not SECURITY DEFINER: a render needs the rights of the caller.

CREATE OR REPLACE FUNCTION pgpush.hold(key text, room text, event text,
  render regprocedure, arg jsonb, due interval DEFAULT '200 ms',
  others boolean DEFAULT false, about text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF room IS NULL THEN
    RETURN;
  ELSIF coalesce(event, '') = '' THEN
    RAISE EXCEPTION 'pgpush: a held event needs a name';
  END IF;
  PERFORM pgpush.ring();
  INSERT INTO pgpush.outbox (room, event, key, about, render, arg, due, others)
  VALUES (hold.room, hold.event, coalesce(hold.key, ''), hold.about,
    hold.render::text, hold.arg, hold.due, coalesce(hold.others, false));
END $$;
COMMENT ON FUNCTION pgpush.hold(text, text, text, regprocedure, jsonb,
  interval, boolean, text) IS
  'Holds an event back until pgpush.release(key) or until due has passed, then sends what render(arg) returns (NULL: nothing). render: f(arg jsonb) RETURNS json or jsonb, SECURITY DEFINER, executable by the caller. about: it is dropped if an event about this is held under the key already';

CREATE OR REPLACE FUNCTION pgpush.release(key text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF key IS NOT NULL THEN
    PERFORM pgpush.ring();
    INSERT INTO pgpush.outbox (key) VALUES (release.key);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.release(text) IS
  'Sends the events held under a key, in front of what this transaction writes after, as things stand when it has committed';

REVOKE ALL ON FUNCTION
  pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean, text),
  pgpush.release(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.hold(text, text, text, regprocedure, jsonb, interval, boolean, text),
  pgpush.release(text) TO pgpush_admin;
