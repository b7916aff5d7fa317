-- SPDX-License-Identifier: ISC
-- The DBA's console: each question is one query.
--
-- A name of a room or a user that nobody has heard of is no error: the answer
-- says that there is nothing.

-- What was sent

CREATE OR REPLACE VIEW pgpush.tail AS
SELECT l.id, l.at, l.kind, l.room, l.event, l.user_id,
       left(l.data::text, 200) AS data, l.bytes
  FROM pgpush.log AS l ORDER BY l.id DESC LIMIT 50;
COMMENT ON VIEW pgpush.tail IS
  'The last 50 rows of the log, the newest first; for \watch. data is cut at 200 characters';

CREATE OR REPLACE FUNCTION pgpush.replay(room text, since bigint DEFAULT 0,
  "limit" int DEFAULT 1000)
RETURNS TABLE (id bigint, at timestamptz, kind text, event text, data jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.id, l.at, l.kind, l.event, l.data::jsonb FROM pgpush.log l
   WHERE l.room = $1 AND l.id > $2 ORDER BY l.id LIMIT $3
$$;
COMMENT ON FUNCTION pgpush.replay(text, bigint, int) IS
  'The events of a room after a position, oldest first, at most "limit": what a client that resumes from there is sent. Nothing below pgpush.floor is kept';

-- Rooms

-- The log is in the order of time, so that the last minute begins where the
-- first older row stands, seen from its end.
CREATE OR REPLACE FUNCTION pgpush.minute_begin() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((SELECT l.id FROM pgpush.log l
    WHERE l.at < now() - interval '1 minute'
    ORDER BY l.id DESC LIMIT 1), 0)
$$;
COMMENT ON FUNCTION pgpush.minute_begin() IS
  'For pgpush.rooms: the id of the last event that is older than a minute; 0 if there is none';

CREATE OR REPLACE VIEW pgpush.rooms AS
WITH m AS (
  SELECT r.room, count(*) AS connections, count(DISTINCT c.user_id) AS users
    FROM pgpush.connections AS c, unnest(c.rooms) AS r (room)
   GROUP BY r.room)
SELECT m.room, m.connections, m.users,
       (SELECT max(l.id) FROM pgpush.log AS l WHERE l.room = m.room) AS newest,
       e.events AS events_last_minute, e.bytes AS bytes_last_minute
  FROM m, LATERAL (
    SELECT count(*) AS events, coalesce(sum(l.bytes), 0) AS bytes
      FROM pgpush.log AS l
     WHERE l.room = m.room AND l.id > (SELECT pgpush.minute_begin())) AS e;
COMMENT ON VIEW pgpush.rooms IS
  'The rooms that somebody is in now: how many connections and users, the id of the newest event, and the traffic of the last minute';

-- Rules

-- One row for each rule that matches the room.  A rule runs in a subtransaction
-- that is rolled back: what it writes is undone.
CREATE OR REPLACE FUNCTION pgpush.may(user_id text, room text,
  claims jsonb DEFAULT '{}')
RETURNS TABLE (rule text, pattern text, answer boolean, error text,
  ms numeric)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f     record;
  start timestamptz;
BEGIN
  FOR f IN
    SELECT r.function, r.pattern, r.regex, r.names, n.nspname, p.proname,
           p.prosecdef
      FROM pgpush.rules AS r
      LEFT JOIN pg_proc AS p ON p.oid = to_regprocedure(r.function)
      LEFT JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE r.kind = 'allow' AND starts_with(may.room, r.prefix)
       AND may.room ~ r.regex
     ORDER BY r.id
  LOOP
    rule := f.function;
    pattern := f.pattern;
    answer := NULL;
    error := NULL;
    start := clock_timestamp();
    BEGIN
      IF f.prosecdef IS NOT TRUE THEN
        RAISE EXCEPTION 'the function is gone or no longer SECURITY DEFINER';
      END IF;
      EXECUTE format('SELECT %I.%I($1, $2, $3)', f.nspname, f.proname)
        INTO answer
        USING may.user_id,
              CASE WHEN f.names = '{}' THEN '{}'::jsonb
                   ELSE jsonb_object(f.names,
                     regexp_match(may.room, f.regex)) END,
              jsonb_build_object('session', NULL, 'claims', claims);
      RAISE SQLSTATE 'PGPUS';            -- undo what it wrote
    EXCEPTION
      WHEN SQLSTATE 'PGPUS' THEN
        answer := coalesce(answer, false);
      WHEN OTHERS OR assert_failure THEN
        error := SQLERRM;
        answer := false;
    END;
    ms := round(extract(epoch FROM clock_timestamp() - start) * 1000, 3);
    RETURN NEXT;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.may(text, text, jsonb) IS
  'May this user join this room? One row for each allow rule whose pattern matches: its answer, its error if it raised, its time in milliseconds. No row: no rule matches, so nobody may. claims: the token''s, which rules get in ctx';

-- Handlers

CREATE OR REPLACE FUNCTION pgpush.try_handler(handler text, as_user text,
  in_room text DEFAULT NULL, payload jsonb DEFAULT NULL,
  claims jsonb DEFAULT '{}')
RETURNS TABLE (what text, room text, event text, data jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f      record;
  answer jsonb;
  sent   jsonb := '[]';
  before bigint := (SELECT coalesce(max(o.id), 0) FROM pgpush.outbox AS o
    WHERE o.xid = pg_current_xact_id());
  failed text;
BEGIN
  SELECT n.nspname, p.proname, p.prosecdef, r.function INTO f
    FROM pgpush.rules AS r
    LEFT JOIN pg_proc AS p ON p.oid = to_regprocedure(r.function)
    LEFT JOIN pg_namespace AS n ON n.oid = p.pronamespace
   WHERE r.kind = 'on' AND r.pattern = handler;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pgpush: no function is registered for the event %',
      quote_nullable(handler) USING HINT = 'Register one with pgpush.on.',
      ERRCODE = 'undefined_object';
  END IF;
  BEGIN
    IF f.prosecdef IS NOT TRUE THEN
      RAISE EXCEPTION 'the function % is gone or no longer SECURITY DEFINER',
        f.function;
    END IF;
    PERFORM set_config('pgpush.user', coalesce(as_user, ''), true),
            set_config('pgpush.session', '', true);
    EXECUTE format('SELECT %I.%I($1, $2, $3, $4)', f.nspname, f.proname)
      INTO answer
      USING as_user, in_room, nullif(payload, 'null'),
            jsonb_build_object('session', NULL, 'claims', claims);
    SELECT coalesce(jsonb_agg(jsonb_build_object('what', o.kind,
        'room', o.room, 'event', o.event, 'data', o.data) ORDER BY o.id), '[]')
      INTO sent
      FROM pgpush.outbox AS o
     WHERE o.xid = pg_current_xact_id() AND o.id > before;
    RAISE SQLSTATE 'PGPUS';              -- undo all of it
  EXCEPTION
    WHEN SQLSTATE 'PGPUS' THEN
      NULL;
    WHEN OTHERS OR assert_failure THEN
      failed := SQLERRM;
  END;
  IF failed IS NOT NULL THEN
    RETURN QUERY SELECT 'error', in_room, handler, to_jsonb(failed);
    RETURN;
  END IF;
  RETURN QUERY
    SELECT 'answer', in_room, handler, answer
    UNION ALL
    SELECT j ->> 'what', j ->> 'room', j ->> 'event', j -> 'data'
      FROM jsonb_array_elements(sent) WITH ORDINALITY AS e (j, i);
END $$;
COMMENT ON FUNCTION pgpush.try_handler(text, text, text, jsonb, jsonb) IS
  'Runs the function that is registered for a client''s event as it would run for this user, and rolls it back. The first row is its answer, or its error; then the rows that it would have written to the outbox. Signals are not shown. Membership of the room is not checked';

-- Why

CREATE OR REPLACE FUNCTION pgpush.explain(room text)
RETURNS TABLE (what text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'rule', format('%s is asked: its pattern is %s', r.function, r.pattern)
    FROM pgpush.rules AS r
   WHERE r.kind = 'allow' AND starts_with(explain.room, r.prefix)
     AND explain.room ~ r.regex
  UNION ALL
  SELECT 'rule', 'no rule matches: nobody may join'
   WHERE NOT EXISTS (
     SELECT FROM pgpush.rules AS r
      WHERE r.kind = 'allow' AND starts_with(explain.room, r.prefix)
        AND explain.room ~ r.regex)
  UNION ALL
  SELECT 'member', format('user %s, session %s, by %s from %s at node %s',
           c.user_id, c.session, c.dialect, c.address, c.node)
    FROM pgpush.connections AS c WHERE explain.room = ANY (c.rooms)
  UNION ALL
  SELECT 'newest', format('%s %s at %s', l.id, l.event, l.at)
    FROM (SELECT * FROM pgpush.log AS x WHERE x.room = explain.room
           ORDER BY x.id DESC LIMIT 1) AS l
$$;
COMMENT ON FUNCTION pgpush.explain(text) IS
  'A room: the rules that decide who may join it, the connections that are in it, its newest event';

-- The sentences of why stand in the order in which the reasons exclude one
-- another; the last one that applies explains most.
CREATE OR REPLACE FUNCTION pgpush.why(user_id text, room text,
  id bigint DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n   int;
  row record;
BEGIN
  SELECT count(*) INTO n FROM pgpush.connections c
    WHERE c.user_id = why.user_id;
  IF n = 0 THEN
    RETURN NEXT format('User %s is not connected.', user_id);
  ELSE
    SELECT count(*) INTO n FROM pgpush.connections c
      WHERE c.user_id = why.user_id AND why.room = ANY (c.rooms);
    RETURN NEXT CASE WHEN n = 0
      THEN format('User %s is connected, but not in room %s.', user_id, room)
      ELSE format('User %s is in room %s with %s connection(s).', user_id,
        room, n) END;
  END IF;

  IF NOT EXISTS (SELECT FROM pgpush.may(why.user_id, why.room)) THEN
    RETURN NEXT format('No rule matches room %s: nobody may join it.', room);
  END IF;
  FOR row IN SELECT * FROM pgpush.may(why.user_id, why.room) LOOP
    RETURN NEXT CASE
      WHEN row.error IS NOT NULL THEN format(
        'The rule %s failed, which is a no: %s', row.rule, row.error)
      WHEN row.answer THEN format('The rule %s admits the user now.', row.rule)
      ELSE format('The rule %s refuses the user now.', row.rule) END;
  END LOOP;

  FOR row IN
    SELECT l.* FROM pgpush.log AS l
     WHERE l.kind = 'revoke' AND l.room = why.room
       AND (l.user_id IS NULL OR l.user_id = why.user_id)
     ORDER BY l.id DESC LIMIT 1
  LOOP
    RETURN NEXT format('Event %s of %s took the user out of the room.', row.id,
      row.at);
  END LOOP;

  IF id IS NOT NULL THEN
    RETURN NEXT pgpush.why_event(user_id, room, id);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.why(text, text, bigint) IS
  'Why does a user get, or not get, what is sent to a room? One sentence a row. With an id also about that event. Rules are asked as things stand now, with empty claims';

CREATE OR REPLACE FUNCTION pgpush.why_event(user_id text, room text, id bigint)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e record;
BEGIN
  SELECT l.* INTO e FROM pgpush.log AS l WHERE l.id = why_event.id;
  IF NOT FOUND THEN
    RETURN CASE
      WHEN id <= (SELECT f.id FROM pgpush.floor f) THEN format(
        'Event %s has been purged.', id)
      ELSE format('There is no event %s.', id) END;
  ELSIF e.room <> room THEN
    RETURN format('Event %s was sent to room %s.', id, e.room);
  ELSIF e.kind = 'signal' THEN
    RETURN format('Event %s is ephemeral: only clients that were there at %s got it.',
      id, e.at);
  ELSIF EXISTS (SELECT FROM pgpush.connections c
      WHERE c.user_id = why_event.user_id AND c.session = e.origin) THEN
    RETURN format('Event %s is not sent to the session that caused it, %s.', id,
      e.origin);
  ELSIF EXISTS (SELECT FROM pgpush.connections c
      WHERE c.user_id = why_event.user_id AND c.since > e.at) THEN
    RETURN format('Event %s was sent at %s; the user connected later, and gets it only by resuming from before it.',
      id, e.at);
  END IF;
  RETURN format('Event %s was sent to room %s at %s.', id, room, e.at);
END $$;
COMMENT ON FUNCTION pgpush.why_event(text, text, bigint) IS
  'For why: one sentence about an event of the log';

-- Health

CREATE OR REPLACE FUNCTION pgpush.doctor()
RETURNS TABLE (severity text, finding text, remedy text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'error', 'No daemon is running.', 'systemctl start pgpushd'
   WHERE NOT EXISTS (SELECT FROM pgpush.nodes AS n
                      WHERE n.seen > now() - interval '10 s')
  UNION ALL
  SELECT 'error', format('Daemon %s was last seen %s ago.', n.node,
           date_trunc('second', now() - n.seen)),
         'Look at its log: it hangs, or its machine does.'
    FROM pgpush.nodes AS n WHERE n.seen < now() - interval '10 s'
  UNION ALL
  SELECT 'error', 'No daemon is the leader: nothing is moved to the log.',
         format('SELECT pid, state, backend_start FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = ''advisory'' AND classid = %s;',
           'pgpush.outbox'::regclass::oid)
   WHERE EXISTS (SELECT FROM pgpush.nodes AS n
                  WHERE n.seen > now() - interval '10 s')
     AND NOT EXISTS (SELECT FROM pgpush.nodes AS n
                      WHERE n.leader AND n.seen > now() - interval '10 s')
  UNION ALL
  SELECT 'error', format('%s event(s) wait in the outbox, the oldest since %s.',
           count(*), min(o.at)),
         'A committed event is moved within a second: look for a daemon that leads.'
    FROM pgpush.outbox AS o
   WHERE o.at < now() - interval '10 s' HAVING count(*) > 0
  UNION ALL
  SELECT 'warning', format('A transaction of %s (pid %s) is open since %s: vacuum cannot clean the outbox, and the leader keeps looking.',
           a.usename, a.pid, a.xact_start),
         format('SELECT pg_terminate_backend(%s);', a.pid)
    FROM pg_stat_activity AS a
   WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
     AND a.xact_start < now() - interval '5 minutes'
  UNION ALL
  SELECT 'warning', format('The transaction %s is prepared since %s.',
           quote_literal(x.gid), x.prepared),
         format('ROLLBACK PREPARED %L;', x.gid)
    FROM pg_prepared_xacts AS x
   WHERE x.database = current_database()
     AND x.prepared < now() - interval '5 minutes'
  UNION ALL
  SELECT CASE WHEN q.used > 0.5 THEN 'error' ELSE 'warning' END,
         format('The notification queue is filled to %s %%: a session that listens does not read. Full, it fails every COMMIT that notifies.',
           round((q.used * 100)::numeric)),
         'SELECT pid, usename, query_start FROM pg_stat_activity WHERE query ILIKE ''listen%'' ORDER BY query_start;'
    FROM (SELECT pg_notification_queue_usage()) AS q (used)
   WHERE q.used > 0.1
  UNION ALL
  SELECT 'error', format('The function %s of a rule of kind %s is gone, or is not SECURITY DEFINER.',
           r.function, r.kind),
         format('DELETE FROM pgpush.rules WHERE id = %s;', r.id)
    FROM pgpush.rules AS r
    LEFT JOIN pg_proc AS p ON p.oid = to_regprocedure(r.function)
   WHERE p.prosecdef IS NOT TRUE
  UNION ALL
  SELECT 'warning', 'No greet function is registered: every valid token is a user, in no room.',
         'SELECT pgpush.greet(''f(text,jsonb)'');'
   WHERE NOT EXISTS (SELECT FROM pgpush.rules AS r WHERE r.kind = 'greet')
  UNION ALL
  SELECT 'warning', format('%s, the owner of schema pgpush, may create roles.',
           o.rolname),
         format('ALTER ROLE %I NOCREATEROLE;', o.rolname)
    FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner
   WHERE n.nspname = 'pgpush' AND o.rolcreaterole AND NOT o.rolsuper
  UNION ALL
  SELECT 'warning', format('The database is %s: text may hold bytes that are no characters, and such rows are sent as resync.',
           pg_encoding_to_char(d.encoding)),
         'Dump it and restore it into a database with ENCODING ''UTF8''.'
    FROM pg_database AS d
   WHERE d.datname = current_database()
     AND pg_encoding_to_char(d.encoding) = 'SQL_ASCII'
  UNION ALL
  SELECT 'warning', 'This server is a standby.', 'Ask the primary.'
   WHERE pg_is_in_recovery()
  UNION ALL
  SELECT 'warning', 'track_activities is off: a daemon that hangs is not noticed.',
         format('ALTER DATABASE %I SET track_activities = on;',
           current_database())
   WHERE NOT current_setting('track_activities')::boolean
$$;
COMMENT ON FUNCTION pgpush.doctor() IS
  'What is wrong or will be: severity (error, warning), the finding, and a remedy to paste. No row: nothing was found';

REVOKE ALL ON pgpush.tail, pgpush.rooms FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.replay(text, bigint, int), pgpush.minute_begin(),
  pgpush.may(text, text, jsonb),
  pgpush.try_handler(text, text, text, jsonb, jsonb), pgpush.explain(text),
  pgpush.why(text, text, bigint), pgpush.why_event(text, text, bigint),
  pgpush.doctor() FROM PUBLIC;
GRANT SELECT ON pgpush.tail, pgpush.rooms TO pgpush_admin;
GRANT EXECUTE ON FUNCTION
  pgpush.replay(text, bigint, int), pgpush.minute_begin(),
  pgpush.may(text, text, jsonb),
  pgpush.try_handler(text, text, text, jsonb, jsonb), pgpush.explain(text),
  pgpush.why(text, text, bigint), pgpush.doctor() TO pgpush_admin;
