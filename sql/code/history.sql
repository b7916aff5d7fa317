-- SPDX-License-Identifier: ISC
-- Which history the log's ids belong to, and how far back the log reaches.

CREATE OR REPLACE FUNCTION pgpush.here(OUT system_identifier text, OUT timeline text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  system_identifier := '';
  timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  SELECT s.system_identifier::text INTO here.system_identifier
    FROM pg_control_system() s;
EXCEPTION WHEN insufficient_privilege THEN
  NULL;                  -- some hosters hide it: the timeline must do
END $$;
COMMENT ON FUNCTION pgpush.here() IS
  'Which cluster this is and how often it was failed over or restored';

-- The term begins in front of the ids that are skipped: what a client has heard
-- in a history that is lost is not of this one.
DROP FUNCTION IF EXISTS pgpush.lead();
CREATE FUNCTION pgpush.lead(OUT tag text, OUT first bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  old  record;
  here record;
  new  text := left(md5(gen_random_uuid()::text), 16);
  last bigint;
  data json;
BEGIN
  SELECT * INTO STRICT old FROM pgpush.epoch FOR UPDATE;
  SELECT * INTO STRICT here FROM pgpush.here();
  -- The sequence is no witness: a restore may put it back, and a crash moves
  -- it on.
  last := greatest((SELECT max(l.id) FROM pgpush.log l),
    (SELECT f.id FROM pgpush.floor f));
  tag := left(md5(gen_random_uuid()::text), 12);
  first := last + 1;
  INSERT INTO pgpush.terms (tag, first) VALUES (tag, first);
  last := greatest(last, (SELECT l.last_value - 1 + l.is_called::int
    FROM pgpush.log_id_seq l));
  PERFORM setval('pgpush.log_id_seq', last + 1, false);
  IF old.system_identifier = here.system_identifier
      AND old.timeline = here.timeline THEN
    RETURN;
  END IF;
  -- Clients may have seen ids that this history lost: never give them again.
  data := json_build_object('epoch', new);
  UPDATE pgpush.epoch e SET epoch = new,
    system_identifier = here.system_identifier, timeline = here.timeline;
  PERFORM setval('pgpush.log_id_seq', 1000000 + last);
  INSERT INTO pgpush.log (id, kind, room, event, data, bytes, at)
  VALUES (nextval('pgpush.log_id_seq'), 'epoch', '', '', data,
    octet_length(data::text), clock_timestamp());
END $$;
COMMENT ON FUNCTION pgpush.lead() IS
  'For a daemon that has become the leader: begins a term; and a new epoch if this is another cluster or timeline than last time';

CREATE OR REPLACE FUNCTION pgpush.history(OUT newest bigint, OUT terms text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT greatest((SELECT max(l.id) FROM pgpush.log l), f.id),
    (SELECT string_agg(t.tag || ' ' || t.first, ' ' ORDER BY t.n)
      FROM pgpush.terms t)
  FROM pgpush.floor f
$$;
COMMENT ON FUNCTION pgpush.history() IS
  'For a daemon: the newest id of the log, and the terms, each with its first id';

CREATE OR REPLACE FUNCTION pgpush.purge(retain interval,
  batch int DEFAULT 5000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bottom bigint := (SELECT f.id FROM pgpush.floor f);
  last   bigint;
  n      int := 0;
  old    int;
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
  -- Terms of which nothing is left, but the last.
  DELETE FROM pgpush.terms t WHERE EXISTS (SELECT FROM pgpush.terms later
    WHERE later.n > t.n
    AND later.first <= (SELECT f.id FROM pgpush.floor f));
  DELETE FROM pgpush.answers a WHERE a.ctid = ANY (ARRAY(
    SELECT o.ctid FROM pgpush.answers o
    WHERE o.at < now() - interval '10 minutes'
    ORDER BY o.at LIMIT batch FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS old = ROW_COUNT;
  RETURN greatest(n, old);
END $$;
COMMENT ON FUNCTION pgpush.purge(interval, int) IS
  'For the leader: deletes a batch of the log''s oldest rows, if older than retain, and old answers; how many rows of either, so that a full batch asks for another';

INSERT INTO pgpush.floor (id) VALUES (0) ON CONFLICT DO NOTHING;
INSERT INTO pgpush.terms (tag, first)
SELECT left(md5(gen_random_uuid()::text), 12), 1
  WHERE NOT EXISTS (SELECT FROM pgpush.terms);
INSERT INTO pgpush.epoch (epoch, system_identifier, timeline)
SELECT left(md5(gen_random_uuid()::text), 16), system_identifier, timeline
  FROM pgpush.here() ON CONFLICT DO NOTHING;

REVOKE ALL ON pgpush.floor, pgpush.epoch, pgpush.terms FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpush.here(), pgpush.lead(), pgpush.history(),
  pgpush.purge(interval, int) FROM PUBLIC;
GRANT SELECT ON pgpush.floor, pgpush.epoch, pgpush.terms
  TO pgpush_admin, pgpush_daemon;
GRANT EXECUTE ON FUNCTION pgpush.lead(), pgpush.history(),
  pgpush.purge(interval, int) TO pgpush_daemon;
