-- SPDX-License-Identifier: ISC
-- Tables that push by themselves: attach makes statement triggers that copy
-- chosen columns of the rows written into the outbox, each by a function of its
-- own.  Its statements name the columns, so that they are planned once and
-- build nothing that is not sent.
--
-- All there is about an attachment stands in the trigger's own arguments, so
-- a dump, a rename of the table or DROP TABLE takes it along, and the function
-- can be written again from them.

CREATE OR REPLACE FUNCTION pgpush.fill(parts text[], j jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  room text := parts[1];
BEGIN
  FOR i IN 2 .. cardinality(parts) BY 2 LOOP
    room := room || (j ->> parts[i]) || parts[i + 1];
  END LOOP;
  RETURN room;
END $$;
COMMENT ON FUNCTION pgpush.fill(text[], jsonb) IS
  'A room from a template''s parts (text, column, text, column, text ...) and a row; NULL if a column is.';

-- Arguments: room template, event, columns, 'others' or '', then if there is
-- a condition its text and its function in the table's schema.  The
-- transition table of the rows to be sent is pgpush_rows whatever the
-- operation, so that one statement, planned once per trigger, serves all.
-- No alias anywhere: a table may well have a column of that name.
--
-- One guard around all of it, so that nothing the application wrote can fail
-- for a reason of ours; no counter of failures, whose row would be a lock
-- that writers wait for.  What it cannot guard: to_jsonb runs a cast to json
-- that a column's type may have, with pgpush's rights, so pgpush should
-- belong to a role that owns nothing else.
--
-- Measured on PostgreSQL 15, one session: a one-row INSERT costs 43 us more
-- than without trigger, 6 of them the guard (a subtransaction) and 13 the
-- choice of columns; with a condition 105, as its query is planned each time.
-- pgbench, 32 clients on 2 cores with a flush that costs almost nothing:
-- 22-26,000 tps without trigger, 8-11,000 with, the same within the noise
-- without the guard; the two INSERTs alone, in one statement, 17,000.
CREATE OR REPLACE FUNCTION pgpush.capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  parts   text[];
  event   text := TG_ARGV[1];
  columns text[];
  others  CONSTANT boolean := TG_ARGV[3] = 'others';
  pass    boolean[];
  most    CONSTANT integer := 4194304;   -- as the daemon's default max_event
BEGIN
  parts := string_to_array(translate(TG_ARGV[0], '}', '{'), '{');
  columns := TG_ARGV[2];
  IF TG_NARGS > 4 THEN
    EXECUTE pgpush.passing(TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[5]) INTO pass;
  END IF;
  IF TG_OP = 'INSERT' AND pass IS NULL THEN   -- the everyday one: no window
    INSERT INTO pgpush.outbox (room, event, data, others)
    SELECT w.room, event, coalesce(w.data, '{}')::json, others
      FROM (
        SELECT CASE cardinality(parts)
                 WHEN 3 THEN parts[1] || (j ->> parts[2]) || parts[3]
                 ELSE pgpush.fill(parts, j) END AS room,
               (SELECT jsonb_object_agg(c, j -> c) FROM unnest(columns) AS c WHERE j ? c) AS data
          FROM (SELECT to_jsonb(pgpush_rows) AS j FROM pgpush_rows OFFSET 0) AS v
        OFFSET 0) AS w
     WHERE w.room IS NOT NULL;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO pgpush.outbox (room, event, data, others)
    SELECT w.room, event, coalesce(w.data, '{}')::json, others
      FROM (
        SELECT pgpush.fill(parts, j) AS room,
               (SELECT jsonb_object_agg(c, j -> c) FROM unnest(columns) AS c WHERE j ? c) AS data
          FROM (SELECT to_jsonb(pgpush_rows) AS j, row_number() OVER () AS i
                  FROM pgpush_rows) AS v
         WHERE pass[i]
        OFFSET 0) AS w
     WHERE w.room IS NOT NULL;
  ELSE
    INSERT INTO pgpush.outbox (kind, room, event, data, others)
    SELECT CASE WHEN x.size <= most THEN 'event' ELSE 'resync' END,
           x.room, event, x.data, others
      FROM (
        SELECT w.room, min(w.i) AS first, min(w.size) AS size,
               CASE WHEN min(w.size) <= most
                 THEN jsonb_agg(coalesce(w.data, '{}') ORDER BY w.i) FILTER (WHERE w.size <= most)
                 ELSE jsonb_build_object('event', event, 'count', count(*)) END AS data
          FROM (
            SELECT v.*, sum(coalesce(octet_length(v.data::text), 2) + 2) OVER (PARTITION BY v.room) AS size
              FROM (
                SELECT CASE cardinality(parts)
                         WHEN 3 THEN parts[1] || (j ->> parts[2]) || parts[3]
                         ELSE pgpush.fill(parts, j) END AS room,
                       (SELECT jsonb_object_agg(c, j -> c)
                          FROM unnest(columns) AS c WHERE j ? c) AS data, i
                  FROM (SELECT to_jsonb(pgpush_rows) AS j, row_number() OVER () AS i
                          FROM pgpush_rows) AS u
                 WHERE pass IS NULL OR pass[i]
                OFFSET 0) AS v
             WHERE v.room IS NOT NULL) AS w
         GROUP BY w.room) AS x
     ORDER BY x.first;
  END IF;
  -- ring does this itself; an expression is cheaper than a call, though.
  IF FOUND AND current_setting('pgpush.bell', true) IS DISTINCT FROM 'off' AND NOT pg_try_advisory_xact_lock_shared('pgpush.outbox'::regclass::oid::integer, 1) THEN
    PERFORM pgpush.ring(TG_TABLE_NAME);
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS OR assert_failure THEN
  RAISE WARNING 'pgpush: % on %.% was not pushed: %', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLERRM
    USING ERRCODE = SQLSTATE;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION pgpush.capture() IS
  'Trigger made by attach: writes the rows of a statement to the outbox. It never fails: what cannot be pushed becomes a WARNING.';

-- The condition is a function of the table's owner and SECURITY DEFINER, so
-- it has his rights and never ours; one altered since is not called.  It
-- takes anyelement, as the table's own type would make DROP TABLE refuse.
-- The n-th new row belongs to the n-th old one: the executor fills both
-- transition tables together.
CREATE OR REPLACE FUNCTION pgpush.passing(op text, schema text, tbl text, condition text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF condition NOT LIKE 'pgpush\_when\_%' OR (
      SELECT count(*) = 1 AND bool_and(prosecdef) FROM pg_proc
        WHERE proname = condition
        AND pronamespace = to_regnamespace(quote_ident(schema))) IS NOT TRUE THEN
    RAISE EXCEPTION 'its condition %.% is gone, not the only one of its name, or no longer SECURITY DEFINER', schema, condition
      USING ERRCODE = 'undefined_function';
  END IF;
  RETURN format(CASE op
    WHEN 'INSERT' THEN
      'SELECT array_agg(coalesce(%1$I.%3$I(pgpush_rows::%1$I.%2$I, NULL::%1$I.%2$I), false))
         FROM pgpush_rows'
    WHEN 'DELETE' THEN
      'SELECT array_agg(coalesce(%1$I.%3$I(NULL::%1$I.%2$I, pgpush_rows::%1$I.%2$I), false))
         FROM pgpush_rows'
    ELSE
      'SELECT array_agg(coalesce(%1$I.%3$I(n.row, o.row), false) ORDER BY n.i)
         FROM (SELECT pgpush_rows::%1$I.%2$I AS row, row_number() OVER () AS i
                 FROM pgpush_rows) AS n
         LEFT JOIN (SELECT pgpush_old::%1$I.%2$I AS row, row_number() OVER () AS i
                      FROM pgpush_old) AS o USING (i)'
    END, schema, tbl, condition);
END $$;
COMMENT ON FUNCTION pgpush.passing(text, text, text, text) IS
  'For capture: the query that asks an attachment''s condition about each row of a statement, in their order.';

CREATE OR REPLACE FUNCTION pgpush.arguments(tgargs bytea) RETURNS text[]
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT array_agg(convert_from(decode(a, 'hex'), getdatabaseencoding()) ORDER BY i)
    FROM unnest(string_to_array(
           regexp_replace(encode(tgargs, 'hex'), '(..)', '\1 ', 'g'), '00 '))
         WITH ORDINALITY AS u (a, i)
   WHERE i < array_length(string_to_array(
           regexp_replace(encode(tgargs, 'hex'), '(..)', '\1 ', 'g'), '00 '), 1)
$$;
COMMENT ON FUNCTION pgpush.arguments(bytea) IS
  'The arguments of a trigger, from pg_trigger.tgargs.';

CREATE OR REPLACE FUNCTION pgpush.is_capture(f oid) RETURNS boolean
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
COMMENT ON VIEW pgpush.attached IS
  'Which tables push what to which rooms; missing: columns that are needed and no longer there.';

-- Raises unless the caller owns the table and it can be attached.
CREATE OR REPLACE FUNCTION pgpush.attach_check(
  tbl regclass, OUT schema name, OUT name name, OUT kind "char", OUT owner oid, OUT columns text[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part boolean;
BEGIN
  SELECT n.nspname, c.relname, c.relkind, c.relowner, c.relispartition,
         ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum)
    INTO schema, name, kind, owner, part, columns
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = tbl;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pgpush: there is no table %', coalesce(tbl::text, 'NULL')
      USING ERRCODE = 'undefined_table';
  ELSIF NOT pg_has_role(current_user, owner, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % does not own the table %', current_user, tbl
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('Do it as %s, or as a member of that role.', owner::regrole);
  ELSIF kind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION 'pgpush: % is not a table', tbl
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Attach the tables that a view shows; a foreign table has no transition tables.';
  ELSIF part THEN
    RAISE EXCEPTION 'pgpush: % is a partition', tbl
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Writes through the parent would not be seen: attach the parent.';
  ELSIF schema = 'pgpush' THEN
    RAISE EXCEPTION 'pgpush: % is one of pgpush''s own tables', tbl
      USING ERRCODE = 'wrong_object_type';
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.attach_check(regclass) IS
  'For attach and detach: raises unless the caller owns the table and it can be attached; what is known of it.';

-- The columns to send: none but those that exist; '*' stands for all but
-- those whose names sound like secrets.
CREATE OR REPLACE FUNCTION pgpush.attach_columns(tbl regclass, wanted text[], existing text[])
RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  secret CONSTANT text :=
    'passw|pwd|secret|token|hash|salt|api_?key|private_?key|credential';
  sent   text[];
  held   text[];
  bad    text;
BEGIN
  IF coalesce(cardinality(wanted), 0) = 0 THEN
    RAISE EXCEPTION 'pgpush: attach needs to know which columns of % to send', tbl
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('columns => ARRAY[''id'', …]. There are: %s. ARRAY[''*''] stands for all that do not sound like secrets.',
                          array_to_string(existing, ', '));
  END IF;
  SELECT w INTO bad FROM unnest(wanted) AS w
   WHERE w IS NULL OR w <> '*' AND w <> ALL (existing);
  IF FOUND THEN
    RAISE EXCEPTION 'pgpush: % has no column %', tbl, quote_nullable(bad)
      USING ERRCODE = 'undefined_column',
            HINT = format('There are: %s.', array_to_string(existing, ', '));
  END IF;
  sent := ARRAY(
    SELECT c FROM unnest(existing) WITH ORDINALITY AS e (c, i)
     WHERE c = ANY (wanted) OR '*' = ANY (wanted) AND c !~* secret ORDER BY i);
  IF '*' = ANY (wanted) THEN
    held := ARRAY(SELECT unnest(existing) EXCEPT SELECT unnest(sent));
    RAISE NOTICE 'pgpush sends of %: %', tbl, array_to_string(sent, ', ')
      USING DETAIL = CASE WHEN held <> '{}'
              THEN format('Left out: %s.', array_to_string(held, ', '))
              ELSE 'Nothing was left out.' END,
            HINT = 'A column added later is not sent until attach is called again.';
  END IF;
  RETURN sent;
END $$;
COMMENT ON FUNCTION pgpush.attach_columns(regclass, text[], text[]) IS
  'For attach: the columns to send, from those asked for.';

-- A condition is written as in CREATE TRIGGER … WHEN: new.x and old.x, and a
-- bare x is that of the row to be sent.  "row" says which one that is.
CREATE OR REPLACE FUNCTION pgpush.attach_condition(
  tbl regclass, condition text, op text, function text, schema name, owner oid
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pgpush regrole := (SELECT nspowner FROM pg_namespace WHERE nspname = 'pgpush');
BEGIN
  IF NOT has_schema_privilege(pgpush, schema, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % may not use the schema %, where the condition will be', pgpush, schema
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('GRANT USAGE ON SCHEMA %I TO %s;', schema, pgpush);
  END IF;
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION %I.%I(new anyelement, old anyelement) RETURNS boolean
     LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
    schema, function, format(E'#variable_conflict use_column\nBEGIN\n'
      '  RETURN (SELECT (%s\n  ) FROM (SELECT (%I).*) AS "row");\nEND',
      condition, CASE op WHEN 'delete' THEN 'old' ELSE 'new' END));
  EXECUTE format('REVOKE ALL ON FUNCTION %I.%I(anyelement, anyelement) FROM PUBLIC',
                 schema, function);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%I(anyelement, anyelement) TO %s',
                 schema, function, pgpush);
  EXECUTE format('COMMENT ON FUNCTION %I.%I(anyelement, anyelement) IS %L',
                 schema, function, format('Condition of pgpush.attach(%L)', tbl));
  EXECUTE format('ALTER FUNCTION %I.%I(anyelement, anyelement) OWNER TO %s',
                 schema, function, owner::regrole);
END $$;
COMMENT ON FUNCTION pgpush.attach_condition(regclass, text, text, text, name, oid) IS
  'For attach: makes the function that answers a condition, in the table''s schema and its owner''s.';

CREATE OR REPLACE FUNCTION pgpush.attach_sample(
  tbl regclass, kind "char", room text, op text, event text, columns text[], condition text
) RETURNS SETOF pgpush.sample LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  parts text[] := string_to_array(translate(room, '}', '{'), '{');
BEGIN
  -- The end of the table, not all of it.
  RETURN QUERY EXECUTE format(
    'WITH sent AS (
       SELECT pgpush.fill($1, j) AS room, i,
              (SELECT coalesce(jsonb_object_agg(c, j -> c), ''{}'')
                 FROM unnest($2) AS c WHERE j ? c) AS data
         FROM (SELECT to_jsonb(%1$I.*) AS j, row_number() OVER () AS i
                 FROM %2$s AS %1$I, LATERAL (SELECT (NULL::%2$s).*) AS %3$I
                WHERE %4$s AND (SELECT (%5$s
                      ) FROM (SELECT %1$I.*) AS "row")
                %6$s LIMIT 5) AS r)
     SELECT room, $3, %7$s FROM sent WHERE room IS NOT NULL %8$s',
    CASE op WHEN 'delete' THEN 'old' ELSE 'new' END, tbl,
    CASE op WHEN 'delete' THEN 'new' ELSE 'old' END,
    CASE WHEN kind = 'r' THEN format('%I.ctid >= %L::tid',
        CASE op WHEN 'delete' THEN 'old' ELSE 'new' END,
        format('(%s,0)', greatest(pg_relation_size(tbl)
                                  / current_setting('block_size')::integer - 16, 0)))
      ELSE 'true' END,
    coalesce(condition, 'true'),
    CASE WHEN kind = 'r' THEN format('ORDER BY %I.ctid DESC',
        CASE op WHEN 'delete' THEN 'old' ELSE 'new' END) END,
    CASE op WHEN 'insert' THEN 'data' ELSE 'jsonb_agg(data ORDER BY i)' END,
    CASE op WHEN 'insert' THEN 'ORDER BY i' ELSE 'GROUP BY room ORDER BY min(i)' END)
  USING parts, columns, event;
END $$;
COMMENT ON FUNCTION pgpush.attach_sample(regclass, "char", text, text, text, text[], text) IS
  'For attach: what the last rows of a table would have sent, as far as rows alone can tell.';

-- lock_timeout: while CREATE TRIGGER waits for a long transaction, every
-- write to the table waits behind it.
CREATE OR REPLACE FUNCTION pgpush.attach(
  tbl regclass, room text, event jsonb DEFAULT NULL, columns text[] DEFAULT NULL,
  "when" text DEFAULT NULL, others boolean DEFAULT false, dry_run boolean DEFAULT false
) RETURNS SETOF pgpush.sample LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  t         record;
  sent      text[];
  bad       text;
  op        text;
  name      text;
  trigger   text;
  condition text;
  made      text[];
BEGIN
  SELECT * INTO t FROM pgpush.attach_check(tbl);
  IF room IS NULL THEN
    RAISE EXCEPTION 'pgpush: attach needs to know to which room % pushes', tbl
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example room => ''order:{order_id}''.';
  END IF;
  SELECT n INTO bad FROM unnest((SELECT names FROM pgpush.compile(room))) AS n
   WHERE n <> ALL (t.columns);
  IF FOUND THEN
    RAISE EXCEPTION 'pgpush: % has no column % for the room %', tbl, quote_literal(bad), room
      USING ERRCODE = 'undefined_column',
            HINT = format('There are: %s.', array_to_string(t.columns, ', '));
  END IF;
  event := coalesce(nullif(event, 'null'), jsonb_build_object('insert', t.name || '.insert',
             'update', t.name || '.update', 'delete', t.name || '.delete'));
  IF jsonb_typeof(event) <> 'object' OR event = '{}' OR EXISTS (
      SELECT FROM jsonb_each(CASE jsonb_typeof(event) WHEN 'object' THEN event END) AS e
       WHERE e.key NOT IN ('insert', 'update', 'delete') OR jsonb_typeof(e.value) <> 'string'
          OR e.value = '""' OR octet_length(e.value #>> '{}') > 200) THEN
    RAISE EXCEPTION 'pgpush: cannot read the events %', event
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example event => ''{"insert":"message","delete":"message_gone"}''; operations left out are not pushed.';
  END IF;
  sent := pgpush.attach_columns(tbl, columns, t.columns);
  IF "when" IS NOT NULL THEN
    BEGIN
      EXECUTE format(
        'SELECT FROM (SELECT (NULL::%1$s).*) AS new, LATERAL (SELECT (NULL::%1$s).*) AS old
          WHERE (SELECT (%2$s
                ) FROM (SELECT new.*) AS "row") LIMIT 0', tbl, "when");
    EXCEPTION WHEN OTHERS THEN
      RAISE EXCEPTION 'pgpush: cannot use the condition %: %', "when", SQLERRM
        USING ERRCODE = SQLSTATE,
              HINT = 'It is an SQL expression of the row''s columns, new.x and old.x, and names functions with their schema.';
    END;
  END IF;

  FOR op, name IN SELECT * FROM jsonb_each_text(event) LOOP
    IF dry_run THEN
      RETURN QUERY SELECT * FROM pgpush.attach_sample(tbl, t.kind, room, op, name, sent, "when");
      CONTINUE;
    END IF;
    trigger := format('pgpush_%s_%s', op, left(md5(room || E'\n' || name), 6));
    SELECT a.args INTO made FROM pg_trigger, pgpush.arguments(tgargs) AS a (args)
     WHERE tgrelid = tbl AND tgname = trigger;
    condition := NULL;
    IF "when" IS NOT NULL THEN
      condition := coalesce(made[6], 'pgpush_when_' || left(md5(t.name || trigger), 12));
      PERFORM pgpush.attach_condition(tbl, "when", op, condition, t.schema, t.owner);
    END IF;
    EXECUTE format(
      'CREATE OR REPLACE TRIGGER %I AFTER %s ON %s REFERENCING %s
       FOR EACH STATEMENT EXECUTE FUNCTION pgpush.%I(%s)',
      trigger, op, tbl,
      CASE WHEN op = 'delete' THEN 'OLD TABLE AS pgpush_rows'
           WHEN op = 'update' AND "when" IS NOT NULL
             THEN 'NEW TABLE AS pgpush_rows OLD TABLE AS pgpush_old'
           ELSE 'NEW TABLE AS pgpush_rows' END,
      pgpush.capture_make(tbl, op, room, name, sent, others,
        condition),
      concat_ws(', ', quote_literal(room), quote_literal(name), quote_literal(sent::text),
                CASE WHEN others THEN '''others''' ELSE '''''' END,
                quote_literal("when"), quote_literal(condition)));
    IF "when" IS NULL AND made[6] IS NOT NULL THEN
      EXECUTE format('DROP FUNCTION IF EXISTS %I.%I(anyelement, anyelement)', t.schema, made[6]);
    END IF;
  END LOOP;
  IF NOT dry_run THEN
    PERFORM pgpush.capture_sweep();
  END IF;
  IF NOT dry_run AND t.kind = 'p' THEN
    RAISE NOTICE 'pgpush: rows written to a partition of % by its own name are not seen', tbl;
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean) IS
  'Makes a table push: an INSERT sends an event per row, an UPDATE or DELETE one per room with an array of rows (over 4 MB: resync with their count). Rows whose room is NULL are not sent; TRUNCATE sends nothing. Calling again replaces what has the same table, operation, room and event. dry_run shows what the last rows would have sent.';

CREATE OR REPLACE FUNCTION pgpush.detach(tbl regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  schema name;
  t      record;
BEGIN
  schema := a.schema FROM pgpush.attach_check(tbl) AS a;
  FOR t IN
    SELECT tgname, args FROM pg_trigger, pgpush.arguments(tgargs) AS a (args)
     WHERE tgrelid = tbl AND pgpush.is_capture(tgfoid)
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, tbl);
    IF t.args[6] IS NOT NULL THEN
      EXECUTE format('DROP FUNCTION IF EXISTS %I.%I(anyelement, anyelement)', schema, t.args[6]);
    END IF;
  END LOOP;
  PERFORM pgpush.capture_sweep();
END $$;
COMMENT ON FUNCTION pgpush.detach(regclass) IS
  'Undoes attach: drops its triggers and the functions of its conditions.';

-- Without a table the statement takes the columns that it finds in the rows, and
-- names none: for when one has been dropped or renamed since attach.  A writer's
-- snapshot may be older than that, so the catalog does not help.
--
-- A column is written as json writes it, in a room's name too; for the types
-- named that is what a cast to text gives, which costs less.
--
-- pass is an expression for the array of what the condition said of each row,
-- NULL without a condition.
CREATE OR REPLACE FUNCTION pgpush.capture_query(tbl regclass, op text, room text,
  event text, columns text[], others boolean, pass text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  most  CONSTANT int := 4194304;        -- as the daemon's default max_event
  rooms text;
  data  text;
  minus text := others::text;
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
    RETURN format($q$INSERT INTO pgpush.outbox (room, event, data, others)
  SELECT room, %L, data, %s
    FROM (SELECT %s AS room, %s AS data%s FROM pgpush_rows OFFSET 0) AS sent
    WHERE %s$q$, event, minus, rooms, data,
      CASE WHEN pass IS NOT NULL THEN ', row_number() OVER () AS i' END, fit);
  END IF;
  RETURN format($q$INSERT INTO pgpush.outbox (kind, room, event, data, others)
  SELECT CASE WHEN size <= %1$s THEN 'event' ELSE 'resync' END, room, %2$L,
      data, %3$s
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
CREATE OR REPLACE FUNCTION pgpush.capture_make(tbl regclass, op text, room text,
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

-- One that is committed without a trigger stays without: attach makes both in
-- one transaction, and another function each time.  Who finds it in another's
-- hands leaves it to him.
CREATE OR REPLACE FUNCTION pgpush.capture_sweep() RETURNS void
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

REVOKE ALL ON pgpush.attached FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.fill(text[], jsonb), pgpush.capture(),
  pgpush.passing(text, text, text, text),
  pgpush.arguments(bytea), pgpush.attach_check(regclass),
  pgpush.attach_columns(regclass, text[], text[]),
  pgpush.attach_condition(regclass, text, text, text, name, oid),
  pgpush.attach_sample(regclass, "char", text, text, text, text[], text),
  pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean),
  pgpush.detach(regclass),
  pgpush.capture_query(regclass, text, text, text, text[], boolean, text),
  pgpush.capture_make(regclass, text, text, text, text[], boolean, text),
  pgpush.is_capture(oid), pgpush.capture_sweep() FROM PUBLIC;
GRANT SELECT ON pgpush.attached TO pgpush_admin;
GRANT EXECUTE ON FUNCTION
  pgpush.fill(text[], jsonb), pgpush.capture(), pgpush.arguments(bytea),
  pgpush.attach_check(regclass), pgpush.attach_columns(regclass, text[], text[]),
  pgpush.attach_condition(regclass, text, text, text, name, oid),
  pgpush.attach_sample(regclass, "char", text, text, text, text[], text),
  pgpush.attach(regclass, text, jsonb, text[], text, boolean, boolean),
  pgpush.detach(regclass),
  pgpush.capture_make(regclass, text, text, text, text[], boolean, text),
  pgpush.is_capture(oid), pgpush.capture_sweep() TO pgpush_admin;
