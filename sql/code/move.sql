-- SPDX-License-Identifier: ISC
-- What the leader does with rows of the outbox that are more than an event: it
-- holds, releases and rechecks, and gets past rows that cannot be logged.
--
-- The daemon's own statement moves plain events, up to the first row that is
-- none.  move_on takes over there, row by row, and stops at the first release
-- or recheck.  What that needs of the application, rendered computes on another
-- connection, which moves nothing and has a timeout; move_on then puts it into
-- the order.  So no function of the application ever runs in a transaction that
-- moves, and only the leader reads and writes pgpush.held.

-- Why a row cannot be logged as it is; NULL: it can.  In a database of another
-- encoding than UTF8 a text may have no translation.  Nothing is written here,
-- so the guard takes no transaction id.
CREATE OR REPLACE FUNCTION pgpush.unfit(o pgpush.outbox) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(o.room) > 200 THEN
    RETURN 'a room name over 200 bytes';
  END IF;
  PERFORM octet_length(o.data::text);
  IF getdatabaseencoding() <> 'UTF8' THEN
    PERFORM convert_to(o.data::text, 'UTF8'), convert_to(
      concat(o.room, o.event, o.user_id, o.origin, o.dup, o.source), 'UTF8');
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;
COMMENT ON FUNCTION pgpush.unfit(pgpush.outbox) IS
  'For move_on: why a row of the outbox cannot be logged as it is; NULL: it can';

CREATE OR REPLACE FUNCTION pgpush.is_utf8(t text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN getdatabaseencoding() = 'UTF8' OR convert_to(t, 'UTF8') IS NOT NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN false;
END $$;
COMMENT ON FUNCTION pgpush.is_utf8(text) IS
  'For move_on: whether a text can be translated to UTF-8';

-- The room gets a resync, if it has a name; either way it is counted.
CREATE OR REPLACE FUNCTION pgpush.lose(o pgpush.outbox, why text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  event text := CASE WHEN pgpush.is_utf8(o.event) THEN o.event ELSE '' END;
  room  text := CASE WHEN octet_length(o.room) <= 200
    AND pgpush.is_utf8(o.room) THEN o.room ELSE '' END;
  data  json;
BEGIN
  IF o.lost IS NULL THEN
    RAISE WARNING 'pgpush: row % of the outbox became a resync: %', o.id, why
      USING DETAIL = format('source %s, event %s, room %s', quote_nullable(
        o.source), quote_literal(left(event, 200)), quote_literal(room));
  END IF;
  INSERT INTO pgpush.lost AS l (event, why, rows, room, at)
  VALUES (left(event, 200), left(why, 200), coalesce(o.lost, 1), room, o.at)
  ON CONFLICT ON CONSTRAINT lost_pkey DO UPDATE SET
    rows = l.rows + excluded.rows, room = excluded.room, at = excluded.at;
  IF room <> '' THEN
    data := json_build_object('event', event, 'count', coalesce(o.lost, 1));
    INSERT INTO pgpush.log (id, kind, room, event, data, bytes, xid, source,
      src, at)
    VALUES (nextval('pgpush.log_id_seq'), 'resync', room, event, data,
      octet_length(data::text), o.xid,
      CASE WHEN pgpush.is_utf8(o.source) THEN o.source END, o.id, o.at);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.lose(pgpush.outbox, text) IS
  'For move_on: tells a room by a resync of rows that could not be told';

CREATE OR REPLACE FUNCTION pgpush.move_row(o pgpush.outbox) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  why text := pgpush.unfit(o);
BEGIN
  IF o.room IS NULL THEN
    NULL;
  ELSIF why IS NOT NULL OR o.lost IS NOT NULL THEN
    PERFORM pgpush.lose(o, coalesce(why, 'too many, or an error'));
  ELSIF o.key IS NULL THEN
    INSERT INTO pgpush.log (id, kind, room, event, data, user_id, origin, dup,
      bytes, xid, source, src, at)
    VALUES (nextval('pgpush.log_id_seq'), o.kind, o.room, coalesce(o.event, ''),
      o.data, o.user_id, CASE WHEN o.others THEN o.origin END, o.dup,
      coalesce(octet_length(o.data::text), 0), o.xid, o.source, o.id, o.at);
  ELSIF o.about IS NULL OR NOT EXISTS (
    SELECT FROM pgpush.held h WHERE h.about IS NOT NULL AND
      h.key || E'\x1f' || h.about = o.key || E'\x1f' || o.about)
  THEN
    INSERT INTO pgpush.held (key, about, room, event, render, arg, due, origin,
      dup, who, xid, source, src, at)
    VALUES (o.key, o.about, o.room, o.event, o.render, o.arg, o.at + least(
        greatest(coalesce(o.due, '200 ms'), '0'), '1000 years'),
      CASE WHEN o.others THEN o.origin END, o.dup, o.who, o.xid, o.source,
      o.id, o.at);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.move_row(pgpush.outbox) IS
  'For move_on: logs or holds what a row of the outbox says';

-- done is what rendered answered.
CREATE OR REPLACE FUNCTION pgpush.place(done json) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  d json;
  h pgpush.held;
  o pgpush.outbox;
BEGIN
  FOR d IN SELECT * FROM json_array_elements(done) LOOP
    IF d ->> 'held' IS NOT NULL THEN
      DELETE FROM pgpush.held x WHERE x.id = (d ->> 'held')::bigint
        RETURNING * INTO h;
      CONTINUE WHEN NOT FOUND OR d ->> 'kind' = 'nothing';
      o := (h.xid, h.src, d ->> 'kind', h.room, h.event, NULL, NULL, h.origin,
        true, h.dup, NULL, NULL, NULL, NULL, NULL, NULL, NULL, h.source, h.who,
        clock_timestamp());
      IF o.kind = 'event' THEN
        o.data := d -> 'data';
        PERFORM pgpush.move_row(o);
      ELSE
        PERFORM pgpush.lose(o, 'a render failed');
      END IF;
      CONTINUE;
    END IF;
    DELETE FROM pgpush.outbox x
      WHERE x.xid = (d ->> 'xid')::xid8 AND x.id = (d ->> 'id')::bigint
      RETURNING * INTO o;
    IF FOUND AND d ->> 'kind' = 'revoke' THEN
      o.kind := 'revoke';
      o.user_id := o.recheck;
      o.data := '{"reason":"revoked"}';
      PERFORM pgpush.move_row(o);
    END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.place(json) IS
  'For move_on: puts what was rendered into the order of the log';

-- A cut is where the application has to be asked.
CREATE OR REPLACE FUNCTION pgpush.move_on(done json, most int,
  bytes bigint DEFAULT 8388608, OUT moved bigint, OUT cut_xid xid8, OUT cut bigint, OUT due timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o     record;
  rows  tid[] := '{}';
  began bigint := (SELECT last_value FROM pgpush.log_id_seq);
BEGIN
  PERFORM pgpush.place(done);
  FOR o IN SELECT x.ctid AS place, x AS r FROM pgpush.outbox x
    ORDER BY x.id + 0 LIMIT most
  LOOP
    IF (o.r).recheck IS NOT NULL
      OR (o.r).key IS NOT NULL AND coalesce((o.r).event, '') = ''
    THEN
      cut_xid := (o.r).xid;
      cut := (o.r).id;
      EXIT;
    END IF;
    rows := rows || o.place;
    PERFORM pgpush.move_row(o.r);
    bytes := bytes - coalesce(octet_length((o.r).data::text), 0);
    EXIT WHEN bytes <= 0;
  END LOOP;
  DELETE FROM pgpush.outbox x WHERE x.ctid = ANY (rows);
  moved := cardinality(rows);
  due := (SELECT min(h.due) FROM pgpush.held h);
END $$;
COMMENT ON FUNCTION pgpush.move_on(json, int, bigint) IS
  'For the leader: puts what was rendered into the log, then moves rows up to the first release or recheck, at most so many and with so many bytes; how many, where that is, and when the next held event is due';

-- Nothing here runs with pgpush's rights but the look-up.  A time limit ends
-- the statement once only, so whatever it strikes, the caller stops there.
CREATE OR REPLACE FUNCTION pgpush.render(h pgpush.held, OUT kind text,
  OUT data json, OUT late boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  call text;
BEGIN
  late := false;
  SELECT format('SELECT %I.%I($1)::json', s.nspname, p.proname) INTO call
    FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
    WHERE p.oid = to_regprocedure(h.render) AND p.prosecdef AND p.pronargs = 1
    AND p.proargtypes[0] = 'jsonb'::regtype
    AND p.prorettype IN ('json'::regtype, 'jsonb'::regtype)
    AND NOT p.proretset AND has_function_privilege(h.who, p.oid, 'EXECUTE');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no such SECURITY DEFINER function that % may execute', h.who;
  END IF;
  EXECUTE call INTO data USING h.arg;
  kind := CASE WHEN data IS NULL THEN 'nothing' ELSE 'event' END;
  IF NOT pgpush.is_utf8(data::text) THEN
    RAISE EXCEPTION 'its result cannot be translated to UTF-8';
  END IF;
EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN
  RAISE WARNING 'pgpush: a held event % for room % became a resync: % failed: %',
    quote_literal(left(h.event, 200)), quote_literal(h.room),
    quote_nullable(h.render), SQLERRM;
  kind := 'resync';
  data := NULL;
  late := SQLSTATE IN ('57014', '55P03');
END $$;
COMMENT ON FUNCTION pgpush.render(pgpush.held) IS
  'For rendered: what a held event says as things stand now';

-- authorize answers no where a rule runs into a time limit, so time tells.
CREATE OR REPLACE FUNCTION pgpush.recheck(user_id text, room text,
  OUT kind text, OUT late boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  began timestamptz := clock_timestamp();
BEGIN
  kind := CASE WHEN coalesce(room, '') <> '' AND pgpush.authorize(user_id, room,
    '{"session": null, "claims": {}}') THEN 'nothing' ELSE 'revoke' END;
  late := clock_timestamp() - began >= '100 ms';
EXCEPTION WHEN OTHERS OR query_canceled THEN
  kind := 'revoke';
  late := SQLSTATE IN ('57014', '55P03');
END $$;
COMMENT ON FUNCTION pgpush.recheck(text, text) IS
  'For rendered: whether a user must leave a room, as the rules are now';

-- Each call has a little time of its own and ends early then, so that the time
-- limit of the statement is that of one function of the application.
CREATE OR REPLACE FUNCTION pgpush.rendered(cut_xid xid8, cut bigint, most int,
  give_up boolean DEFAULT false) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  all_done json[] := '{}';
  o        record;
  h        pgpush.held;
  r        record;
  stop     timestamptz := clock_timestamp() + '50 ms';
  late     boolean := false;
BEGIN
  <<rows>>
  FOR o IN SELECT * FROM pgpush.outbox x
    WHERE x.xid = cut_xid AND x.id >= cut ORDER BY x.id LIMIT most
  LOOP
    IF o.recheck IS NOT NULL THEN
      IF give_up THEN
        all_done := all_done || json_build_object('xid', o.xid::text,
          'id', o.id, 'kind', 'revoke');
        CONTINUE;
      END IF;
      SELECT * INTO r FROM pgpush.recheck(o.recheck, o.room);
      late := r.late;
      all_done := all_done || json_build_object('xid', o.xid::text, 'id', o.id,
        'kind', r.kind);
      EXIT WHEN late;
      CONTINUE;
    END IF;
    EXIT WHEN o.key IS NULL OR coalesce(o.event, '') <> '';
    FOR h IN SELECT * FROM pgpush.held x WHERE x.key = o.key ORDER BY x.id LOOP
      EXIT rows WHEN late OR cardinality(all_done) >= most
        OR cardinality(all_done) > 0 AND clock_timestamp() > stop;
      IF give_up THEN
        all_done := all_done || json_build_object('held', h.id, 'kind', 'resync');
        CONTINUE;
      END IF;
      SELECT * INTO r FROM pgpush.render(h);
      late := r.late;
      all_done := all_done || json_build_object('held', h.id, 'kind', r.kind,
        'data', r.data);
    END LOOP;
    all_done := all_done || json_build_object('xid', o.xid::text, 'id', o.id);
    EXIT WHEN late;
  END LOOP;
  IF late THEN
    all_done := all_done || json_build_object('late', true);
  END IF;
  RETURN (SELECT json_agg(e ORDER BY i) FROM unnest(all_done)
    WITH ORDINALITY AS u (e, i));
END $$;
COMMENT ON FUNCTION pgpush.rendered(xid8, bigint, int, boolean) IS
  'For the leader: what the releases and rechecks from this row of the outbox on release and revoke, for move_on. give_up: nothing is asked, but becomes a resync or a revoke. The last element says late if a time limit struck';

CREATE OR REPLACE FUNCTION pgpush.rendered_due(most int,
  give_up boolean DEFAULT false) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  all_done json[] := '{}';
  h        pgpush.held;
  r        record;
  stop     timestamptz := clock_timestamp() + '50 ms';
  late     boolean := false;
BEGIN
  FOR h IN SELECT * FROM pgpush.held x WHERE x.due <= clock_timestamp()
    ORDER BY x.due, x.id LIMIT most
  LOOP
    IF give_up THEN
      all_done := all_done || json_build_object('held', h.id, 'kind', 'resync');
      CONTINUE;
    END IF;
    SELECT * INTO r FROM pgpush.render(h);
    all_done := all_done || json_build_object('held', h.id, 'kind', r.kind,
      'data', r.data);
    late := r.late;
    EXIT WHEN late OR clock_timestamp() > stop;
  END LOOP;
  IF late THEN
    all_done := all_done || json_build_object('late', true);
  END IF;
  RETURN (SELECT json_agg(e ORDER BY i) FROM unnest(all_done)
    WITH ORDINALITY AS u (e, i));
END $$;
COMMENT ON FUNCTION pgpush.rendered_due(int, boolean) IS
  'For the leader: what is held and due, as things stand now, for move_on';

REVOKE ALL ON pgpush.lost, pgpush.held FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.unfit(pgpush.outbox),
  pgpush.is_utf8(text),
  pgpush.lose(pgpush.outbox, text),
  pgpush.move_row(pgpush.outbox),
  pgpush.place(json),
  pgpush.move_on(json, int, bigint),
  pgpush.render(pgpush.held),
  pgpush.recheck(text, text),
  pgpush.rendered(xid8, bigint, int, boolean),
  pgpush.rendered_due(int, boolean) FROM PUBLIC;
GRANT SELECT ON pgpush.lost, pgpush.held TO pgpush_admin, pgpush_daemon;
GRANT EXECUTE ON FUNCTION
  pgpush.move_on(json, int, bigint),
  pgpush.rendered(xid8, bigint, int, boolean),
  pgpush.rendered_due(int, boolean) TO pgpush_daemon;
