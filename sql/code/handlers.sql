-- SPDX-License-Identifier: ISC
-- What a client's event does.  handle runs as pgpush's owner, so it calls only
-- functions that are SECURITY DEFINER, as authorize does.

CREATE OR REPLACE FUNCTION pgpush.on(
  event text, function regprocedure, room text DEFAULT NULL,
  member boolean DEFAULT true, "grant" boolean DEFAULT false,
  batch boolean DEFAULT false
) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO pgpush.rules (kind, pattern, function, room, member, "grant",
    batch)
  VALUES ('on', $1, $2::text, $3, $4, $5, $6)
  ON CONFLICT (pattern) WHERE kind = 'on' DO UPDATE
    SET function = excluded.function, room = excluded.room,
        member = excluded.member, "grant" = excluded."grant",
        batch = excluded.batch
$$;
COMMENT ON FUNCTION pgpush.on(text, regprocedure, text, boolean, boolean, boolean) IS
  'What a client''s event does: f(user_id text, room text, data jsonb, ctx jsonb) RETURNS jsonb, NULL or an object with any of reply, join, leave, emit, error. One function per event; calling again replaces it. batch: calls share a transaction; for functions that touch no row that anybody else locks';

CREATE OR REPLACE FUNCTION pgpush.handlers()
RETURNS TABLE (event text, room text, member boolean, "grant" boolean,
  batch boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pattern, r.room, r.member, r."grant", r.batch
    FROM pgpush.rules AS r WHERE kind = 'on' ORDER BY pattern
$$;
COMMENT ON FUNCTION pgpush.handlers() IS
  'For the daemon: the events that clients may send, and what must hold before they are handled.';

-- The daemon gives one call, which so has a transaction of its own; or several
-- of handlers with batch => true, each of which has a subtransaction.  The
-- key's row is inserted before the handler runs, so that a second call with
-- this key waits for the first one's transaction, and then finds its answer.
--
-- A handler that raises leaves nothing behind.  One that returns an error has
-- returned: what it wrote stays, only the key is given back, so that the
-- client may try again.  Write after the last check, or raise.
--
-- A constraint that is checked at commit fails the whole batch: the caller
-- then runs the calls one by one.
CREATE OR REPLACE FUNCTION pgpush.handle(calls jsonb) RETURNS TABLE (n integer, answer jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c      jsonb;
  f      record;
  who    text;
  k      text;
  fresh  boolean;
  failed text;
  hint   text;
BEGIN
  IF jsonb_array_length(calls) > 256 THEN
    RAISE EXCEPTION 'pgpush: % calls at once, at most 256 are allowed', jsonb_array_length(calls)
      USING ERRCODE = 'program_limit_exceeded';
  END IF;
  FOR i IN 0 .. jsonb_array_length(calls) - 1 LOOP
    c := calls -> i;
    who := c ->> 'user';
    k := c ->> 'key';
    n := i;
    answer := NULL;
    SELECT ns.nspname, p.proname, r.function, p.prosecdef INTO f
      FROM pgpush.rules AS r
      LEFT JOIN pg_proc AS p ON p.oid = to_regprocedure(r.function)
      LEFT JOIN pg_namespace AS ns ON ns.oid = p.pronamespace
     WHERE r.kind = 'on' AND r.pattern = c ->> 'event';
    IF NOT FOUND THEN
      answer := jsonb_build_object('error', jsonb_build_object(
        'code', 'not_found', 'message', 'no such event'));
      RETURN NEXT;
      CONTINUE;
    END IF;
    BEGIN
      IF f.prosecdef IS NOT TRUE THEN
        RAISE EXCEPTION 'the function is gone or no longer SECURITY DEFINER';
      END IF;
      fresh := k IS NULL;
      WHILE NOT fresh LOOP
        INSERT INTO pgpush.answers AS a (user_id, key, answer) VALUES (who, k, '{}')
        ON CONFLICT DO NOTHING;
        fresh := FOUND;
        EXIT WHEN fresh;
        SELECT pgpush.repeated(a.answer, who, jsonb_build_object('session', c -> 'session', 'claims', c -> 'claims')) INTO answer FROM pgpush.answers AS a
         WHERE a.user_id = who AND a.key = k;
        EXIT WHEN FOUND;
      END LOOP;
      IF fresh THEN
        PERFORM set_config('pgpush.user', coalesce(who, ''), true),
                set_config('pgpush.session', coalesce(c ->> 'session', ''), true);
        EXECUTE format('SELECT %I.%I($1, $2, $3, $4)', f.nspname, f.proname)
          INTO answer
         USING who, c ->> 'room', nullif(c -> 'data', 'null'),
               jsonb_build_object('session', c -> 'session', 'claims', c -> 'claims');
        answer := coalesce(answer, '{}');
        IF jsonb_typeof(answer) <> 'object' THEN
          RAISE EXCEPTION 'it returned %, not an object', left(answer::text, 100);
        END IF;
        IF answer ? 'error' THEN
          DELETE FROM pgpush.answers AS a WHERE a.user_id = who AND a.key = k;
        ELSE
          UPDATE pgpush.answers AS a SET answer = handle.answer
           WHERE a.user_id = who AND a.key = k;
        END IF;
      END IF;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
      GET STACKED DIAGNOSTICS failed = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_CONTEXT;
      RAISE WARNING 'pgpush: the handler % of event % failed for user %: %',
        f.function, c ->> 'event', who, SQLERRM
        USING ERRCODE = SQLSTATE, DETAIL = concat_ws(E'\n', nullif(failed, ''), hint);
      answer := jsonb_build_object('error', CASE
        WHEN SQLSTATE IN ('55P03', '40P01', '40001')   -- a lock, a conflict
        THEN '{"code": "unavailable", "message": "no answer in time"}'::jsonb
        ELSE '{"code": "internal", "message": "internal error"}' END);
    END;
    PERFORM set_config('pgpush.user', '', true),
            set_config('pgpush.session', '', true);
    RETURN NEXT;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.handle(jsonb) IS
  'For the daemon: runs clients'' events, given as an array of {user, session, claims, event, room, data, key}, in order, each in its own subtransaction; one answer each. Only calls of handlers with batch => true come together.';

-- Rights may have ended since; a client could keep a key for that moment.
CREATE OR REPLACE FUNCTION pgpush.repeated(answer jsonb, user_id text, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE
    WHEN coalesce(jsonb_typeof(answer -> 'join'), '') NOT IN ('array', 'string')
    THEN answer
    ELSE jsonb_set(answer, '{join}', (
      SELECT coalesce(jsonb_agg(room), '[]')
      FROM jsonb_array_elements_text(
        CASE jsonb_typeof(answer -> 'join') WHEN 'array' THEN answer -> 'join'
          ELSE jsonb_build_array(answer -> 'join') END) AS j (room)
      WHERE pgpush.authorize(user_id, room, ctx))) END
$$;
COMMENT ON FUNCTION pgpush.repeated(jsonb, text, jsonb) IS
  'For handle: the stored answer to a send that is repeated with its key. It joins only rooms that the allow rules let the user into';

REVOKE ALL ON pgpush.answers FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.on(text, regprocedure, text, boolean, boolean, boolean),
  pgpush.handlers(),
  pgpush.handle(jsonb), pgpush.repeated(jsonb, text, jsonb) FROM PUBLIC;
GRANT SELECT ON pgpush.answers TO pgpush_admin;
GRANT EXECUTE ON FUNCTION
  pgpush.on(text, regprocedure, text, boolean, boolean, boolean),
  pgpush.handlers()
  TO pgpush_admin;
GRANT EXECUTE ON FUNCTION pgpush.handlers(), pgpush.handle(jsonb)
  TO pgpush_daemon;
