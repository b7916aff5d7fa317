-- SPDX-License-Identifier: ISC
-- pgpush 6: attach writes a trigger function for each of its triggers.
--
-- Its statements name the columns, so that they are planned once and build
-- nothing that is not sent.  What an attachment is still stands in the
-- trigger's arguments: the function can be written again from them.
--
-- Measured on PostgreSQL 15, one session: a one-row INSERT costs 18 us of CPU
-- more than without trigger, with a condition 34; by the general capture it
-- was 33 and 91.  A row trigger instead would save a few at most, and take a
-- subtransaction for each row of a large INSERT.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (6);

-- Without a table the statement takes the columns that it finds in the rows, and
-- names none: for when one has been dropped or renamed since attach.  A writer's
-- snapshot may be older than that, so the catalog does not help.
--
-- A column is written as json writes it, in a room's name too; for the types
-- named that is what a cast to text gives, which costs less.
--
-- pass is an expression for the array of what the condition said of each row,
-- NULL without a condition.
CREATE FUNCTION pgpush.capture_query(tbl regclass, op text, room text,
  event text, columns text[], others boolean, pass text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  most  CONSTANT int := 4194304;        -- as the daemon's default max_event
  rooms text;
  data  text;
  minus text := CASE WHEN others
    THEN $q$nullif(current_setting('pgpush.session', true), '')$q$
    ELSE 'NULL' END;
  fit   text := format('room IS NOT NULL%s', ' AND (' || pass || ')[i]');
BEGIN
  SELECT string_agg(CASE
      WHEN i % 2 = 1 THEN quote_literal(part)
      WHEN tbl IS NULL THEN format('(to_jsonb(pgpush_rows) ->> %L)', part)
      WHEN attname IS NULL THEN 'NULL::text'
      WHEN atttypid = ANY ('{bool,int2,int4,int8,numeric,text,varchar,uuid}'
        ::regtype[]) THEN format('pgpush_rows.%I::text', part)
      ELSE format('(to_jsonb(pgpush_rows.%I) #>> ''{}'')', part) END,
    ' || ' ORDER BY i)
    INTO rooms
    FROM unnest(string_to_array(translate(room, '}', '{'), '{'))
      WITH ORDINALITY AS u (part, i)
    LEFT JOIN pg_attribute ON attrelid = tbl AND attname = part
      AND attnum > 0 AND NOT attisdropped
    WHERE i % 2 = 0 OR part <> '' OR i = 1;
  -- A function has at most 100 arguments.
  SELECT coalesce(string_agg(format('jsonb_build_object(%s)', part), ' || '),
      '''{}''::jsonb')
    INTO data
    FROM (SELECT string_agg(format('%L, pgpush_rows.%I', c, c), ', '
          ORDER BY i) AS part
        FROM unnest(columns) WITH ORDINALITY AS u (c, i)
        JOIN pg_attribute ON attrelid = tbl AND attname = c
          AND attnum > 0 AND NOT attisdropped
        GROUP BY (i - 1) / 50) x;
  IF tbl IS NULL THEN
    data := format($q$(SELECT coalesce(jsonb_object_agg(c, j -> c), '{}')
      FROM to_jsonb(pgpush_rows) AS r (j), unnest(%L::text[]) AS u (c)
      WHERE j ? c)$q$, columns);
  END IF;
  IF lower(op) = 'insert' THEN
    RETURN format($q$INSERT INTO pgpush.outbox (room, event, data, origin, bytes)
  SELECT room, %L, data, %s, octet_length(data::text)
    FROM (SELECT %s AS room, %s AS data%s FROM pgpush_rows OFFSET 0) AS sent
    WHERE %s$q$, event, minus, rooms, data,
      CASE WHEN pass IS NOT NULL THEN ', row_number() OVER () AS i' END, fit);
  END IF;
  RETURN format($q$INSERT INTO pgpush.outbox (kind, room, event, data, origin, bytes)
  SELECT CASE WHEN size <= %1$s THEN 'event' ELSE 'resync' END, room, %2$L,
      data, %3$s,
      CASE WHEN size <= %1$s THEN size ELSE octet_length(data::text) END
    FROM (
      SELECT room, min(i) AS first, min(size) AS size,
          CASE WHEN min(size) <= %1$s
            THEN jsonb_agg(data ORDER BY i) FILTER (WHERE size <= %1$s)
            ELSE jsonb_build_object('event', %2$L::text, 'count', count(*))
          END AS data
        FROM (
          SELECT *, sum(octet_length(data::text) + 2)
              OVER (PARTITION BY room) AS size
            FROM (SELECT %4$s AS room, %5$s AS data, row_number() OVER () AS i
                FROM pgpush_rows OFFSET 0) AS rows
            WHERE %6$s) AS sized
        GROUP BY room) AS sent
    ORDER BY first$q$, most, event, minus, rooms, data, fit);
END $$;
COMMENT ON FUNCTION
  pgpush.capture_query(regclass, text, text, text, text[], boolean, text) IS
  'For attach: the statement that writes the rows of an INSERT, UPDATE or DELETE to the outbox, with those of the columns that the table has; without a table, those that the rows have';

-- Always a new one: it may be called by any admin, who must not change what
-- another's table sends.
--
-- A condition that is no longer SECURITY DEFINER would have pgpush's rights.
-- Another function of its name, whose arguments fit better, would be called in
-- its place, and get the rows: so it must be the only one.
-- When something that the function names is there no more, it goes on without
-- names, and says then what is wrong.
--
-- TimeZone is set, for 2 us, if a column might print a time with it, now or once
-- it is given a zone.  RETURN NEW is NULL here, and costs less than the
-- expression NULL.
CREATE FUNCTION pgpush.capture_make(tbl regclass, op text, room text,
  event text, columns text[], others boolean, condition text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := 'capture_' || left(md5(gen_random_uuid()::text), 12);
  zone boolean := EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = tbl AND attnum > 0
      AND (attname = ANY (columns) OR strpos(room, '{' || attname || '}') > 0)
      AND atttypid <> ALL ('{bool,int2,int4,int8,float4,float8,numeric,text,
        varchar,bpchar,uuid,date,json,jsonb}'::regtype[]));
  ask  text;
BEGIN
  IF condition IS NOT NULL THEN
    SELECT format($q$IF (SELECT count(*) = 1 AND bool_and(prosecdef) FROM pg_proc
      WHERE proname = %L AND pronamespace = %L::regnamespace) IS NOT TRUE THEN
    RAISE undefined_function;
  END IF;
  pass := (%s);
  $q$, condition, quote_ident(nspname),
        pgpush.passing(upper(op), nspname, relname, condition))
      INTO ask
      FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE c.oid = tbl;
  END IF;
  EXECUTE format($q$CREATE FUNCTION pgpush.%I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp%s
AS %L$q$, name, CASE WHEN zone THEN ' SET timezone = ''UTC''' END,
  format($q$
DECLARE
  pass boolean[];
BEGIN
  %s%s;
  IF FOUND AND current_setting('pgpush.bell', true) IS DISTINCT FROM 'off'
    AND NOT pg_try_advisory_xact_lock_shared(
      'pgpush.outbox'::regclass::oid::int, 1) THEN
    PERFORM pgpush.ring(TG_TABLE_NAME);
  END IF;
  RETURN NEW;
EXCEPTION
  WHEN syntax_error_or_access_rule_violation OR invalid_schema_name THEN
    BEGIN
      IF TG_NARGS > 4 THEN
        EXECUTE pgpush.passing(TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME,
          TG_ARGV[5]) INTO pass;
      END IF;
      EXECUTE pgpush.capture_query(NULL, TG_OP, TG_ARGV[0], TG_ARGV[1],
        TG_ARGV[2]::text[], TG_ARGV[3] = 'others',
        CASE WHEN TG_NARGS > 4 THEN '$1' END) USING pass;
      PERFORM pgpush.ring(TG_TABLE_NAME);
      RETURN NEW;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
      RAISE WARNING 'pgpush: %% on %%.%% was not pushed: %%', TG_OP,
        TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLERRM USING ERRCODE = SQLSTATE;
      RETURN NEW;
    END;
  WHEN OTHERS OR assert_failure THEN
    RAISE WARNING 'pgpush: %% on %%.%% was not pushed: %%', TG_OP,
      TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLERRM USING ERRCODE = SQLSTATE;
    RETURN NEW;
END $q$, ask, pgpush.capture_query(tbl, op, room, event, columns, others,
    CASE WHEN condition IS NOT NULL THEN 'pass' END)));
  EXECUTE format('REVOKE ALL ON FUNCTION pgpush.%I() FROM PUBLIC', name);
  EXECUTE format('GRANT EXECUTE ON FUNCTION pgpush.%I() TO pgpush_admin', name);
  EXECUTE format('COMMENT ON FUNCTION pgpush.%I() IS %L', name,
    format('Trigger made by attach: sends %s to %s', event, room));
  RETURN name;
END $$;
COMMENT ON FUNCTION
  pgpush.capture_make(regclass, text, text, text, text[], boolean, text) IS
  'For attach: makes a function for one of its triggers; its name';

CREATE FUNCTION pgpush.is_capture(f oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_proc p WHERE p.oid = f
    AND p.pronamespace = 'pgpush'::regnamespace
    AND p.proname ~ '^capture(_[0-9a-f]{12})?$')
$$;
COMMENT ON FUNCTION pgpush.is_capture(oid) IS
  'Whether a trigger with this function was made by attach';

CREATE OR REPLACE VIEW pgpush.attached AS
SELECT t.tgrelid::regclass AS "table",
       CASE WHEN t.tgtype & 4 > 0 THEN 'insert'
            WHEN t.tgtype & 8 > 0 THEN 'delete' ELSE 'update' END AS operation,
       a.args[1] AS room, a.args[2] AS event, a.args[3]::text[] AS columns,
       a.args[5] AS "when", a.args[4] = 'others' AS others,
       t.tgenabled <> 'D' AS enabled,
       ARRAY(SELECT DISTINCT c
               FROM unnest(a.args[3]::text[] || ARRAY(
                      SELECT m[1] FROM regexp_matches(a.args[1], '\{([^}]*)\}', 'g') AS m)) AS c
              WHERE NOT EXISTS (SELECT FROM pg_attribute
                                 WHERE attrelid = t.tgrelid AND attname = c
                                   AND attnum > 0 AND NOT attisdropped)) AS missing,
       t.tgname AS trigger
  FROM pg_trigger AS t, pgpush.arguments(t.tgargs) AS a (args)
 WHERE pgpush.is_capture(t.tgfoid);

-- One that is committed without a trigger stays without: attach makes both in
-- one transaction, and another function each time.  Who finds it in another's
-- hands leaves it to him.
CREATE FUNCTION pgpush.capture_sweep() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10ms' SET client_min_messages = 'warning' AS $$
DECLARE
  name text;
BEGIN
  FOR name IN
    SELECT p.proname FROM pg_proc p
      WHERE p.pronamespace = 'pgpush'::regnamespace
      AND p.proname ~ '^capture_[0-9a-f]{12}$'
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid)
  LOOP
    BEGIN
      EXECUTE format('DROP FUNCTION IF EXISTS pgpush.%I()', name);
    EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist THEN
      CONTINUE;
    END;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.capture_sweep() IS
  'For attach and detach: drops the functions of triggers that are gone, with their table for example';

-- Functions of the files before, with lines of theirs changed.
DO $do$
DECLARE
  f   text;
  old text;
  new text;
  def text;
BEGIN
  FOR f, old, new IN VALUES
    ('pgpush.passing(text, text, text, text)', $$NOT EXISTS (
      SELECT FROM pg_proc
       WHERE oid = to_regprocedure(format('%I.%I(anyelement,anyelement)', schema, condition))
         AND prosecdef)$$, $$(
      SELECT count(*) = 1 AND bool_and(prosecdef) FROM pg_proc
        WHERE proname = condition
        AND pronamespace = to_regnamespace(quote_ident(schema))) IS NOT TRUE$$),
    ('pgpush.passing(text, text, text, text)', 'is gone or no longer SECURITY',
      'is gone, not the only one of its name, or no longer SECURITY'),
    -- One of other arguments would stand for another function of its name.
    ('pgpush.held_send(bigint[])', 'to_regprocedure(h.render) AND p.prosecdef',
      $$to_regprocedure(h.render) AND p.prosecdef
          AND p.proargtypes[0] = 'jsonb'::regtype AND p.pronargs = 1$$),
    ('pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean)',
      'EXECUTE FUNCTION pgpush.capture(%s)',
      'EXECUTE FUNCTION pgpush.%I(%s)'),
    ('pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean)',
      'concat_ws(', $$pgpush.capture_make(tbl, op, room, name, sent, others,
        condition),
      concat_ws($$),
    ('pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean)',
      'IF NOT dry_run AND t.kind', $$IF NOT dry_run THEN
    PERFORM pgpush.capture_sweep();
  END IF;
  IF NOT dry_run AND t.kind$$),
    ('pgpush.detach(regclass)', $$tgfoid = 'pgpush.capture()'::regprocedure$$,
      'pgpush.is_capture(tgfoid)'),
    ('pgpush.detach(regclass)', 'END LOOP;', $$END LOOP;
  PERFORM pgpush.capture_sweep();$$)
  LOOP
    def := pg_get_functiondef(f::regprocedure);
    IF position(old IN def) = 0 THEN
      RAISE EXCEPTION '% is not as pgpush''s own file made it', f;
    END IF;
    EXECUTE replace(def, old, new);
  END LOOP;
END $do$;

-- What is attached already.  pgpush's owner need not be the table's, nor is it
-- worth to stop writers behind a long transaction.
DO $do$
DECLARE
  a    record;
  kept text[] := '{}';
  wait text   := current_setting('lock_timeout');
BEGIN
  PERFORM set_config('lock_timeout', '500ms', true);
  FOR a IN
    SELECT v.*, pg_get_triggerdef(t.oid) AS def, CASE t.tgenabled
        WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
        WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS state,
        (pgpush.arguments(t.tgargs))[6] AS condition
      FROM pgpush.attached v
      JOIN pg_trigger t ON t.tgrelid = v."table" AND t.tgname = v.trigger
  LOOP
    BEGIN
      EXECUTE regexp_replace(
        regexp_replace(a.def, '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
        'EXECUTE FUNCTION (pgpush\.)?capture\(',
        format('EXECUTE FUNCTION pgpush.%I(', pgpush.capture_make(a."table",
          a.operation, a.room, a.event, a.columns, a.others,
          a.condition)));
      EXECUTE format('ALTER TABLE %s %s TRIGGER %I', a."table", a.state,
        a.trigger);
    EXCEPTION WHEN insufficient_privilege OR lock_not_available
      OR undefined_function THEN
      kept := kept || a."table"::text;
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', wait, true);
  IF kept <> '{}' THEN
    RAISE WARNING 'pgpush: these tables push as before, which costs their writers more: %',
      array_to_string(ARRAY(SELECT DISTINCT unnest(kept) ORDER BY 1), ', ')
      USING HINT = 'Their owner should call pgpush.attach again; pgpush.attached shows how they are attached.';
  END IF;
END $do$;

REVOKE ALL ON FUNCTION
  pgpush.capture_query(regclass, text, text, text, text[], boolean, text),
  pgpush.capture_make(regclass, text, text, text, text[], boolean, text),
  pgpush.is_capture(oid), pgpush.capture_sweep() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.capture_make(regclass, text, text, text, text[], boolean, text),
  pgpush.is_capture(oid), pgpush.capture_sweep() TO pgpush_admin;

COMMIT;
