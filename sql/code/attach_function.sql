-- SPDX-License-Identifier: ISC
-- The trigger functions that attach writes, and those that render held events.

-- Settings on which the text of a value depends, pinned if a column's type
-- needs it: each costs the writer about 2 us.
CREATE OR REPLACE FUNCTION pgpush.attach_settings(rel oid, op text, call jsonb)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  expressions boolean := call ?| '{data,when,join}';
  sets text[] := '{}';
  t    text;
BEGIN
  FOR t IN
    SELECT DISTINCT CASE
        WHEN atttypid = ANY ('{bool,int2,int4,int8,numeric,text,varchar,bpchar,
          uuid,json,jsonb,name,oid}'::regtype[]) OR typtype = 'e' THEN ''
        WHEN atttypid = ANY ('{timestamptz,timetz}'::regtype[]) THEN 'zone,date'
        WHEN atttypid = ANY ('{date,timestamp,time}'::regtype[]) THEN 'date'
        WHEN atttypid = 'interval'::regtype THEN 'interval'
        WHEN atttypid = 'bytea'::regtype THEN 'bytea'
        WHEN atttypid = ANY ('{float4,float8}'::regtype[]) THEN 'float'
        ELSE 'zone,date,interval,bytea,float,money' END
      FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
     WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped
       AND (call -> 'columns' ? attname OR pgpush.attach_says(call, attname)
         OR call -> 'revoke' ? attname)
  LOOP
    sets := sets || string_to_array(t, ',');
  END LOOP;
  RETURN ' SET search_path = pg_catalog, pg_temp' || concat(
    CASE WHEN 'zone' = ANY (sets) THEN ' SET timezone = ''UTC''' END,
    -- json writes dates in one way only
    CASE WHEN 'date' = ANY (sets) AND expressions
      THEN ' SET datestyle = ''ISO, MDY''' END,
    CASE WHEN 'interval' = ANY (sets) THEN ' SET intervalstyle = ''postgres''' END,
    CASE WHEN 'bytea' = ANY (sets) THEN ' SET bytea_output = ''hex''' END,
    CASE WHEN 'float' = ANY (sets) THEN ' SET extra_float_digits = 1' END,
    CASE WHEN 'money' = ANY (sets) THEN ' SET lc_monetary = ''C''' END,
    -- A plan made for one row and kept would pair many by a nested loop.
    CASE WHEN op = 'update' AND call ->> 'each' <> 'change' AND (
        pgpush.attach_says(call, 'old') OR call ->> 'kind' IN ('leave', 'recheck'))
      THEN ' SET enable_nestloop = off' END);
END $$;
COMMENT ON FUNCTION pgpush.attach_settings(oid, text, jsonb) IS
  'For attach: the SET clauses of a generated function.';

-- What is the same for all rows of an attachment; SQL text.
CREATE OR REPLACE FUNCTION pgpush.attach_constants(call jsonb, render text,
  OUT names text, OUT vals text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  kind text := call ->> 'kind';
BEGIN
  names := 'source';
  vals := 'TG_NAME';
  IF kind IN ('event', 'leave', 'hold') THEN
    names := names || ', event';
    vals := vals || format(', %L', call ->> 'event');
  END IF;
  IF call ? 'others' THEN
    names := names || ', others';
    vals := vals || ', true';
  END IF;
  IF kind = 'hold' THEN
    names := names || ', render, due';
    vals := vals || format(', %L, %L', render, call ->> 'due');
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.attach_constants(jsonb, text) IS
  'For attach: the columns of the outbox that are the same for all rows of an attachment, and their values.';

CREATE OR REPLACE FUNCTION pgpush.attach_fill(which text, gaps text[])
RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  body text := pgpush.attach_text(which);
  gap  text[];
BEGIN
  FOREACH gap SLICE 1 IN ARRAY gaps LOOP
    body := replace(body, gap[1], gap[2]);
  END LOOP;
  RETURN body;
END $$;
COMMENT ON FUNCTION pgpush.attach_fill(text, text[]) IS
  'For attach: a text of attach_text with its gaps filled in order.';

-- The text of a statement's trigger function.  It computes in a block that is
-- guarded and writes nothing, so that it takes no transaction number of its
-- own; then it inserts, unguarded.  What fails is done again by statements made
-- at that moment, by halves, until only the bad rows are left.
CREATE OR REPLACE FUNCTION pgpush.attach_body(rel oid, op text, call jsonb,
  cols jsonb, how text, render text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  told    text := pgpush.attach_told(rel, op, call, cols, how);
  grouped boolean := call ->> 'each' = 'room';
  -- One row, as a rule: it is cheaper not to count.
  single  boolean := NOT call ?| '{when,aggregate}' AND call ->> 'kind' IN ('event', 'hold', 'release')
    AND jsonb_array_length(coalesce(call -> 'rooms', '[]')) < 2;
  dup     text := CASE WHEN call ? 'dup' THEN ', dup' ELSE '' END;
  one     text;                          -- the same, ready to be sent
  many    text;
  con     record;
  o       record;
BEGIN
  SELECT * INTO con FROM pgpush.attach_constants(call, render);
  SELECT string_agg(format('one_%s %s;', name, type), ' ' ORDER BY i) AS declare_one,
         string_agg(format('all_%s %s[];', name, type), ' ' ORDER BY i) AS declare_all,
         string_agg(name, ', ' ORDER BY i) AS names,
         string_agg('one_' || name, ', ' ORDER BY i) AS ones,
         string_agg('all_' || name, ', ' ORDER BY i) AS alls,
         string_agg('x.' || name, ', ' ORDER BY i) AS xs,
         string_agg(format('array_agg(%s)', name), ', ' ORDER BY i) AS aggs
    INTO o FROM pgpush.attach_outs(call);
  one := o.names;
  many := told || ' LIMIT 10001';
  IF grouped THEN
    one := replace(o.names, 'data', 'json_build_array(data) AS data');
    many := format(E'SELECT room, json_agg(data) AS data%s, count(*) AS n\n  FROM (%s) AS t GROUP BY room%s',
      dup, many, dup);
  END IF;
  RETURN pgpush.attach_fill(CASE call ->> 'kind' WHEN 'deleted'
      THEN 'deleted' ELSE 'statement' END, ARRAY[
    ['<declare_one>', o.declare_one], ['<declare_all>', o.declare_all],
    ['<one>', one || CASE WHEN single THEN ', 1' ELSE ', count(*) OVER ()' END],
    ['<most>', CASE WHEN grouped THEN '10000' ELSE '100000' END],
    ['<strict>', CASE WHEN single THEN 'STRICT ' ELSE '' END],
    ['<limit>', CASE WHEN single THEN '' ELSE ' LIMIT 2' END], ['<ones>', o.ones], ['<alls>', o.alls], ['<xs>', o.xs],
    ['<aggs>', o.aggs || CASE WHEN grouped THEN ', sum(n)' ELSE ', count(*)' END],
    ['<outs>', o.names], ['<names>', concat_ws(', ', o.names, con.names)],
    ['<constants>', con.vals], ['<many>', many], ['<told>', told]]);
END $$;
COMMENT ON FUNCTION pgpush.attach_body(oid, text, jsonb, jsonb, text, text) IS
  'For attach: the text of the trigger function of a statement.';

CREATE OR REPLACE FUNCTION pgpush.attach_row_body(rel oid, op text, call jsonb,
  cols jsonb, render text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  con record;
  o   record;
BEGIN
  SELECT * INTO con FROM pgpush.attach_constants(call, render);
  SELECT string_agg(format('one_%s %s;', name, type), ' ' ORDER BY i) AS declare_one,
         string_agg(name, ', ' ORDER BY i) AS names,
         string_agg('one_' || name, ', ' ORDER BY i) AS ones
    INTO o FROM pgpush.attach_outs(call);
  RETURN pgpush.attach_fill('row', ARRAY[
    ['<declare>', o.declare_one], ['<one>', o.names], ['<ones>', o.ones],
    ['<names>', concat_ws(', ', o.names, con.names)],
    ['<constants>', con.vals],
    ['<told>', pgpush.attach_told(rel, op, call, cols, 'row')]]);
END $$;
COMMENT ON FUNCTION pgpush.attach_row_body(oid, text, jsonb, jsonb, text) IS
  'For attach: the text of the trigger function of a row.';

CREATE OR REPLACE FUNCTION pgpush.attach_text(which text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $text$
  SELECT replace(replace(replace(CASE which
WHEN 'row' THEN $body$
-- Made by pgpush.attach; to change it, call pgpush.attach again.
#variable_conflict use_column
DECLARE
  <declare>
  may boolean; n bigint; lost int;
BEGIN
  -- Compute.  Whatever fails here costs the event, never the write.
  BEGIN
    <may>
    IF may THEN
      SELECT <one>, 1 INTO <ones>, n FROM (
  <told>) AS t;
      IF n > 0 AND <asleep> THEN
        PERFORM pgpush.ring(TG_TABLE_NAME);
      END IF;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    BEGIN                                -- by the columns' names of now
      EXECUTE format('SELECT <one>, 1 FROM (%s) AS t', pgpush.attach_told(
        TG_RELID, lower(TG_OP), TG_ARGV[0]::jsonb, TG_ARGV[1]::jsonb, 'given'))
        INTO <ones>, n USING NEW, OLD;
      PERFORM pgpush.ring(TG_TABLE_NAME);
    EXCEPTION WHEN OTHERS THEN
      lost := 1;
      RAISE WARNING 'pgpush: a row of % was not pushed: %', TG_TABLE_NAME, SQLERRM;
    END;
  END;
  <refused>
  -- Write.
  IF n = 1 THEN
    INSERT INTO pgpush.outbox (<names>) VALUES (<ones>, <constants>);
  ELSIF lost = 1 THEN
    INSERT INTO pgpush.outbox (event, lost, source)
      VALUES (coalesce(TG_ARGV[0]::jsonb ->> 'event', ''), 1, TG_NAME);
  END IF;
  RETURN NULL;
END $body$
WHEN 'deleted' THEN $body$
-- Made by pgpush.attach; to change it, call pgpush.attach again.
#variable_conflict use_column
DECLARE
  all_room text[];
BEGIN
  BEGIN
    SELECT array_agg(room) INTO all_room FROM (<told>) AS t;
  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'pgpush: nobody was sent out of the rooms of %: %', TG_TABLE_NAME, SQLERRM;
  END;
  -- The room goes with its row: everybody out.
  IF all_room IS NOT NULL AND has_function_privilege('pgpush.revoke(text,text,text)', 'EXECUTE') THEN
    PERFORM pgpush.revoke(r, NULL, 'deleted') FROM unnest(all_room) AS r;
  END IF;
  RETURN NULL;
END $body$
ELSE $body$
-- Made by pgpush.attach; to change it, call pgpush.attach again.
#variable_conflict use_column
DECLARE
  <declare_one>
  may boolean;      -- whether the table's owner may write here
  n   bigint;       -- how many rows tell something; -1: computing failed
BEGIN
  -- Compute.  Whatever fails here costs the event, never the write.
  BEGIN
    may := has_column_privilege(to_regclass('pgpush.outbox'), 'room', 'INSERT');
    IF may THEN
      SELECT <one> INTO <strict><ones>, n FROM (
  <told><limit>) AS t;
      IF n > 0 AND <asleep> THEN
        PERFORM pgpush.ring(TG_TABLE_NAME);
      END IF;
    END IF;
  EXCEPTION
    WHEN no_data_found OR too_many_rows THEN n := 2;
    WHEN OTHERS THEN n := -1;
  END;
  <refused>
  -- Write.
  IF n = 1 THEN
    INSERT INTO pgpush.outbox (<names>) VALUES (<ones>, <constants>);
    RETURN NULL;
  ELSIF n IS NULL THEN
    RETURN NULL;
  END IF;
  -- The same for several rows.
  DECLARE
    <declare_all>
    call jsonb; cols jsonb; query text; counts text; why text;
    crowded text[] := '{}';         -- rooms with too many rows
    lost_room text[]; lost_n int[]; todo int[]; low int; high int; tries int := 0;
  BEGIN
    IF n > 1 THEN
      BEGIN
        SELECT <aggs> INTO <alls>, n FROM (
  <many>) AS t;
        IF n > 0 AND <asleep> THEN
          PERFORM pgpush.ring(TG_TABLE_NAME);
        END IF;
      EXCEPTION WHEN OTHERS THEN
        n := -1;
      END;
    END IF;
    IF n IS NULL OR n = 0 THEN
      RETURN NULL;
    ELSIF n BETWEEN 1 AND 10000 THEN
      INSERT INTO pgpush.outbox (<names>)
        SELECT <xs>, <constants> FROM unnest(<alls>) AS x (<outs>);
      RETURN NULL;
    END IF;
    -- More than 10,000 rows, or one of them fails: by halves, with statements
    -- made now, until only the bad ones are left.  Their rooms get a resync, as
    -- do rooms with more than <most> rows.
    BEGIN
      call := TG_ARGV[0]; cols := TG_ARGV[1];
      query := pgpush.attach_query(TG_RELID, TG_OP, call, cols, false);
      counts := pgpush.attach_query(TG_RELID, TG_OP, call, cols, true);
      EXECUTE 'SELECT count(*) FROM ' || CASE TG_OP WHEN 'DELETE' THEN 'pgpush_old' ELSE 'pgpush_new' END INTO n;
      todo := ARRAY(SELECT unnest(ARRAY[i, least(i + 99999, n)])
        FROM generate_series(1, n, 100000) AS i);
      PERFORM pgpush.ring(TG_TABLE_NAME);
      IF n > 10000 AND call ->> 'kind' <> 'release' THEN
        EXECUTE counts INTO lost_room, lost_n USING 1, n;
        crowded := ARRAY(SELECT r FROM unnest(lost_room, lost_n) AS x (r, c) WHERE c > <most>);
        lost_n := ARRAY(SELECT c FROM unnest(lost_n) AS c WHERE c > <most>);
      END IF;
    EXCEPTION WHEN OTHERS THEN
      why := SQLERRM;
    END;
    INSERT INTO pgpush.outbox (room, event, lost, source)
      SELECT r, coalesce(call ->> 'event', ''), c, TG_NAME
      FROM unnest(crowded, lost_n) AS x (r, c) WHERE r IS NOT NULL;
    WHILE cardinality(todo) > 0 LOOP
      low := todo[1]; high := todo[2]; todo := todo[3:]; tries := tries + 1;
      lost_n := NULL;
      BEGIN
        EXECUTE query INTO <alls> USING low, high, crowded;
      EXCEPTION WHEN OTHERS THEN
        why := SQLERRM;
        IF low < high AND tries < 200 THEN
          todo := ARRAY[low, (low + high) / 2, (low + high) / 2 + 1, high] || todo;
          CONTINUE;
        END IF;
        BEGIN
          EXECUTE counts INTO lost_room, lost_n USING low, high;
        EXCEPTION WHEN OTHERS THEN         -- not even a room
          lost_room := '{""}'; lost_n := ARRAY[high - low + 1];
        END;
      END;
      IF lost_n IS NULL THEN
        INSERT INTO pgpush.outbox (<names>)
          SELECT <xs>, <constants> FROM unnest(<alls>) AS x (<outs>);
      ELSE
        INSERT INTO pgpush.outbox (room, event, lost, source)
          SELECT r, coalesce(call ->> 'event', ''), c, TG_NAME
          FROM unnest(lost_room, lost_n) AS x (r, c);
      END IF;
    END LOOP;
    IF why IS NOT NULL THEN
      RAISE WARNING 'pgpush: some of % of % was not pushed: %', TG_OP, TG_TABLE_NAME, why;
    END IF;
  END;
  RETURN NULL;
END $body$ END,
'<may>', $$may := has_column_privilege(to_regclass('pgpush.outbox'), 'room', 'INSERT');$$),
'<refused>', $$IF may IS NOT TRUE THEN
    RAISE WARNING 'pgpush: % of % was not pushed', TG_OP, TG_TABLE_NAME
      USING HINT = 'The table''s owner may not insert into pgpush.outbox. GRANT pgpush_admin to it.';
    RETURN NULL;
  END IF;$$),
'<asleep>', $$current_setting('pgpush.bell', true) IS DISTINCT FROM 'off'
          AND NOT pg_try_advisory_xact_lock_shared('pgpush.outbox'::regclass::oid::int, 1)$$)
$text$;
COMMENT ON FUNCTION pgpush.attach_text(text) IS
  'For attach: what a generated function looks like, with <gaps>.';

-- For the leader: what a held event's data is by now.  The table is found by
-- its trigger, whatever it is called now.
CREATE OR REPLACE FUNCTION pgpush.attach_render(tbl regclass, owner regrole,
  call jsonb, cols jsonb, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $m$
DECLARE
  -- A condition on the row as it is holds for it still.
  query text := format(E'SELECT %s FROM %%s AS new %s WHERE %s%s',
    replace(pgpush.attach_data(tbl, call, cols), '%', '%%'),
    replace(coalesce(call ->> 'join', ''), '%', '%%'),
    (SELECT string_agg(format('new.%I = ($1 ->> %L)::%s', c, c,
        format_type(atttypid, atttypmod)), ' AND ')
       FROM jsonb_array_elements_text(call -> 'pk') AS c
       JOIN pg_attribute ON attrelid = tbl AND attname = c),
    CASE WHEN call ? 'when' AND NOT pgpush.attach_says(call, 'old')
      THEN replace(format(' AND (%s)', call ->> 'when'), '%', '%%') END);
BEGIN
  EXECUTE format($f$CREATE OR REPLACE FUNCTION pgpush_triggers.%I(arg jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER%s AS %L$f$, name,
    pgpush.attach_settings(tbl, 'insert', call), format($b$
-- Made by pgpush.attach: the data of a held event, as it is when it is sent.
#variable_conflict use_column
DECLARE
  data json;
BEGIN
  EXECUTE format(%L, (SELECT tgrelid::regclass FROM pg_trigger
      WHERE tgfoid = 'pgpush_triggers.%I()'::regprocedure ORDER BY tgrelid LIMIT 1))
    INTO data USING arg;
  RETURN data;
END $b$, query, name));
  EXECUTE format('REVOKE ALL ON FUNCTION pgpush_triggers.%I(jsonb) FROM PUBLIC', name);
  EXECUTE format('GRANT EXECUTE ON FUNCTION pgpush_triggers.%I(jsonb) TO %s', name,
    (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'pgpush'));
  EXECUTE format('ALTER FUNCTION pgpush_triggers.%I(jsonb) OWNER TO %s', name, owner);
END $m$;
COMMENT ON FUNCTION pgpush.attach_render(regclass, regrole, jsonb, jsonb, text) IS
  'For attach: makes the function that renders a held event.';

-- A name that says what it is; the one that the trigger has, if it is there.
CREATE OR REPLACE FUNCTION pgpush.attach_function(tbl regclass, owner regrole,
  trigger text, op text, what text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  base text := concat_ws('_', left((SELECT relname FROM pg_class WHERE oid = tbl), 24), op,
    left(what, 24))::name;
  name text;
BEGIN
  SELECT p.proname INTO name FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
   WHERE t.tgrelid = tbl AND t.tgname = trigger
     AND pgpush.is_attached(p.oid) AND p.proowner = owner
     AND NOT EXISTS (SELECT FROM pg_trigger AS o
                      WHERE o.tgfoid = p.oid AND o.tgrelid NOT IN (
                        SELECT pgpush.attach_targets(tbl, false)));
  IF FOUND THEN
    RETURN name;
  END IF;
  FOR i IN 1 .. 1000 LOOP
    name := CASE WHEN i = 1 THEN base ELSE left(base, 40) || '_' || i END;
    EXIT WHEN NOT EXISTS (
      SELECT FROM pg_proc WHERE proname = name AND pgpush.is_attached(oid));
  END LOOP;
  RETURN name;
END $$;
COMMENT ON FUNCTION pgpush.attach_function(regclass, regrole, text, text, text) IS
  'For attach: the name of a trigger''s function.';

-- One operation of one call.
CREATE OR REPLACE FUNCTION pgpush.attach_make(tbl regclass, op text, call jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t       record;
  target  regclass;
  old     record;
  cols    jsonb;
  by_row  boolean := call ->> 'each' = 'change';
  what    text := CASE WHEN call ->> 'kind' = 'release' THEN '1_release'
    WHEN call ->> 'kind' IN ('recheck', 'deleted') THEN '3_revoke'
    ELSE '2_' || (call ->> 'event') END;
  hash    text := left(md5(concat_ws(E'\n', call ->> 'rooms', call ->> 'event', call ->> 'release')), 6);
  trigger text := format('%spgpush_%s_%s_%s', CASE WHEN by_row THEN '0_' END, op, left(what, 32), hash)::name;
  name    text;
BEGIN
  SELECT * INTO t FROM pgpush.attach_check(tbl);
  name := pgpush.attach_function(tbl, t.owner, trigger, op, substr(what, 3));
  SELECT jsonb_object_agg(attname, attnum) INTO cols FROM pg_attribute
   WHERE attrelid = tbl AND attnum > 0 AND NOT attisdropped;
  EXECUTE format($f$CREATE OR REPLACE FUNCTION pgpush_triggers.%I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER%s AS %L$f$, name,
    pgpush.attach_settings(tbl, op, call),
    CASE WHEN by_row AND call ->> 'kind' <> 'deleted'
      THEN pgpush.attach_row_body(tbl, op, call, cols, format('pgpush_triggers.%I(jsonb)', name))
      ELSE pgpush.attach_body(tbl, op, call, cols, CASE WHEN by_row THEN 'row' ELSE 'table' END,
        format('pgpush_triggers.%I(jsonb)', name)) END);
  EXECUTE format('REVOKE ALL ON FUNCTION pgpush_triggers.%I() FROM PUBLIC', name);
  EXECUTE format('COMMENT ON FUNCTION pgpush_triggers.%I() IS %L', name,
    format('Made by pgpush.attach: %s of %s', op, tbl));
  EXECUTE format('ALTER FUNCTION pgpush_triggers.%I() OWNER TO %s', name, t.owner);
  IF call ->> 'kind' = 'hold' THEN
    PERFORM pgpush.attach_render(tbl, t.owner, call, cols, name);
  END IF;
  FOR target IN SELECT pgpush.attach_targets(tbl, by_row) LOOP
    SELECT jsonb_object_agg(attname, attnum) INTO cols FROM pg_attribute
     WHERE attrelid = target AND attnum > 0 AND NOT attisdropped;
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s EXECUTE FUNCTION pgpush_triggers.%I(%L, %L)',
      trigger, op, target, CASE WHEN by_row THEN 'FOR EACH ROW' ELSE format('REFERENCING %s FOR EACH STATEMENT',
        CASE op WHEN 'insert' THEN 'NEW TABLE AS pgpush_new' WHEN 'delete' THEN 'OLD TABLE AS pgpush_old'
          ELSE 'NEW TABLE AS pgpush_new OLD TABLE AS pgpush_old' END) END, name, call, cols);
    IF call ? 'replicated' THEN
      EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', target, trigger);
    END IF;
    -- The same told in the other way: by row, or by statement.
    FOR old IN SELECT tgname FROM pg_trigger WHERE tgrelid = target AND pgpush.is_attached(tgfoid)
        AND tgname <> trigger AND tgparentid = 0
        AND regexp_replace(tgname, '^0_', '') = regexp_replace(trigger, '^0_', '') LOOP
      EXECUTE format('DROP TRIGGER %I ON %s', old.tgname, target);
    END LOOP;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.attach_make(regclass, text, jsonb) IS
  'For attach: makes the function and the triggers for one operation and event.';

REVOKE ALL ON FUNCTION
  pgpush.attach_settings, pgpush.attach_constants, pgpush.attach_fill,
  pgpush.attach_body, pgpush.attach_row_body, pgpush.attach_text,
  pgpush.attach_render, pgpush.attach_function, pgpush.attach_make
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.attach_settings, pgpush.attach_constants, pgpush.attach_fill,
  pgpush.attach_body, pgpush.attach_row_body, pgpush.attach_text,
  pgpush.attach_render, pgpush.attach_function, pgpush.attach_make
  TO pgpush_admin;
