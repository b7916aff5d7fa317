-- SPDX-License-Identifier: ISC
-- Tables that push by themselves.  attach writes a trigger function for each
-- operation and event, and a trigger that calls it.  \sf shows the function.
--
-- The functions lie in schema pgpush_triggers and belong to the table's owner,
-- so that no cast, operator or expression of the application ever runs with
-- pgpush's rights.  attach_body says what they do.
--
-- All that attach was told stands in the trigger's first argument, as jsonb
-- ("the call" below); the second holds the numbers of the table's columns.  So
-- a dump, a rename of the table and DROP TABLE take it along, and a session
-- that is older than an ALTER TABLE can make its statements anew.

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

CREATE OR REPLACE FUNCTION pgpush.is_attached(f oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_proc p WHERE p.oid = f
    AND p.pronamespace = to_regnamespace('pgpush_triggers'))
$$;
COMMENT ON FUNCTION pgpush.is_attached(oid) IS
  'Whether a trigger with this function was made by attach.';

CREATE OR REPLACE FUNCTION pgpush.is_reserved(event text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT event IN ('connect', 'connect_error', 'disconnect', 'disconnecting',
    'newListener', 'removeListener', 'error', 'open')
$$;
COMMENT ON FUNCTION pgpush.is_reserved(text) IS
  'Whether an event of this name would be taken for one of Socket.IO''s or EventSource''s own.';

-- What the DBA calls

CREATE OR REPLACE FUNCTION pgpush.attach_check(tbl regclass, OUT owner regrole,
  OUT kind "char", OUT columns text[], OUT pk text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schema text;
BEGIN
  SELECT n.nspname, c.relkind, c.relowner,
         ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum),
         ARRAY(SELECT a.attname::text FROM pg_index AS i
                 JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY a.attnum)
    INTO schema, kind, owner, columns, pk
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = tbl;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pgpush: there is no table %', coalesce(tbl::text, 'NULL')
      USING ERRCODE = 'undefined_table';
  ELSIF NOT pg_has_role(current_user, owner, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % does not own the table %', current_user, tbl
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('Do it as %s, or as a member of that role.', owner);
  ELSIF kind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION 'pgpush: % is not a table', tbl
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Attach the tables that a view shows; a foreign table has no transition tables.';
  ELSIF schema = 'pgpush' THEN
    RAISE EXCEPTION 'pgpush: % is one of pgpush''s own tables', tbl
      USING ERRCODE = 'wrong_object_type';
  ELSIF NOT has_column_privilege(owner, 'pgpush.outbox', 'room', 'INSERT')
      OR NOT has_schema_privilege(owner, 'pgpush_triggers', 'CREATE') THEN
    RAISE EXCEPTION 'pgpush: %, which owns %, may not push', owner, tbl
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('GRANT pgpush_admin TO %s;', owner);
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

CREATE OR REPLACE FUNCTION pgpush.attach_events(tbl regclass, event jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := (SELECT relname FROM pg_class WHERE oid = tbl);
  bad  text;
BEGIN
  event := coalesce(nullif(event, 'null'), jsonb_build_object('insert',
    name || '.insert', 'update', name || '.update', 'delete', name || '.delete'));
  IF jsonb_typeof(event) <> 'object' OR EXISTS (
      SELECT FROM jsonb_each(CASE jsonb_typeof(event) WHEN 'object' THEN event END) AS e
       WHERE e.key NOT IN ('insert', 'update', 'delete') OR jsonb_typeof(e.value) <> 'string'
          OR octet_length(e.value #>> '{}') > 200) THEN
    RAISE EXCEPTION 'pgpush: cannot read the events %', event
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example event => ''{"insert":"message","delete":"message_gone"}''; operations left out are not pushed.';
  END IF;
  SELECT e.value INTO bad FROM jsonb_each_text(event) AS e WHERE pgpush.is_reserved(e.value);
  IF FOUND THEN
    RAISE EXCEPTION 'pgpush: an event cannot be called %', quote_literal(bad)
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Browsers'' libraries use this name for an event of their own.';
  END IF;
  RETURN event;
END $$;
COMMENT ON FUNCTION pgpush.attach_events(regclass, jsonb) IS
  'For attach: the events by operation, checked.';

-- Every placeholder must be a column, or speak of a joined table.
CREATE OR REPLACE FUNCTION pgpush.attach_placeholders(tbl regclass,
  templates text[], columns text[], joined boolean) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  template text;
  bad      text;
BEGIN
  FOREACH template IN ARRAY templates LOOP
    SELECT m[1] INTO bad FROM regexp_matches(template, '\{([^}]*)\}', 'g') AS m
     WHERE m[1] <> ALL (columns)
       AND regexp_replace(m[1], '^(new|old)\.', '') <> ALL (columns)
       AND NOT (joined AND m[1] ~ '^\w+\.');
    IF FOUND THEN
      RAISE EXCEPTION 'pgpush: % has no column % for %', tbl, quote_literal(bad), quote_literal(template)
        USING ERRCODE = 'undefined_column',
              HINT = format('There are: %s.', array_to_string(columns, ', '));
    ELSIF template = '' OR regexp_replace(template, '\{[^}]*\}', '', 'g') ~ '[{}]' THEN
      RAISE EXCEPTION 'pgpush: cannot read %', quote_literal(template)
        USING ERRCODE = 'invalid_parameter_value', HINT = 'For example order:{order_id}.';
    END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.attach_placeholders(regclass, text[], text[], boolean) IS
  'For attach: raises unless every placeholder of the templates can be filled.';

-- Planning alone can run an immutable function of the application, so it is
-- done with the rights of the table's owner.
CREATE OR REPLACE FUNCTION pgpush.attach_as_owner(owner regrole, query text)
RETURNS SETOF pgpush.sample
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := 'try_' || left(md5(gen_random_uuid()::text), 12);
BEGIN
  EXECUTE format($f$CREATE FUNCTION pgpush_triggers.%I() RETURNS SETOF pgpush.sample
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS %L$f$,
    name, format(E'#variable_conflict use_column\nBEGIN\nRETURN QUERY %s;\nEND', query));
  EXECUTE format('REVOKE ALL ON FUNCTION pgpush_triggers.%I() FROM PUBLIC', name);
  EXECUTE format('ALTER FUNCTION pgpush_triggers.%I() OWNER TO %s', name, owner);
  RETURN QUERY EXECUTE format('SELECT * FROM pgpush_triggers.%I()', name);
  EXECUTE format('DROP FUNCTION pgpush_triggers.%I()', name);
END $$;
COMMENT ON FUNCTION pgpush.attach_as_owner(regrole, text) IS
  'For attach: runs a query with the rights of the table''s owner.';

-- What the last rows would tell, as far as rows alone can say: of an UPDATE's
-- row nobody knows what it was.
CREATE OR REPLACE FUNCTION pgpush.attach_sample(tbl regclass, op text,
  call jsonb, cols jsonb, rows int) RETURNS SETOF pgpush.sample
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t      record;
  source text;
  told   text;
BEGIN
  SELECT * INTO t FROM pgpush.attach_check(tbl);
  source := format('(SELECT * FROM %s %s LIMIT %s) AS new', tbl,
    CASE WHEN t.kind = 'r' THEN format('WHERE ctid >= %L ORDER BY ctid DESC',
      format('(%s,0)', greatest(pg_relation_size(tbl)
        / current_setting('block_size')::int - 16, 0))) END, rows);
  -- as for an INSERT, whose only source this is
  told := replace(pgpush.attach_told(tbl, CASE op WHEN 'update' THEN 'insert' ELSE op END,
      call || jsonb_build_object('kind', CASE call ->> 'kind' WHEN 'leave' THEN 'event' ELSE call ->> 'kind' END),
      cols, 'table'),
    CASE op WHEN 'delete' THEN 'pgpush_old' ELSE 'pgpush_new' END || ' AS new', source);
  IF call ->> 'kind' NOT IN ('event', 'leave') THEN
    told := format('SELECT %s, NULL::json AS data FROM (%s) AS t',
      CASE WHEN call ->> 'kind' = 'release' THEN 'NULL::text AS room' ELSE 'room' END, told);
  ELSIF call ->> 'each' = 'room' THEN
    told := format('SELECT room, json_agg(data) AS data FROM (%s) AS t GROUP BY room', told);
  END IF;
  RETURN QUERY SELECT * FROM pgpush.attach_as_owner(t.owner, format(
    'SELECT room::text, %L::text, data::jsonb FROM (%s) AS t', call ->> 'event', told));
END $$;
COMMENT ON FUNCTION pgpush.attach_sample(regclass, text, jsonb, jsonb, int) IS
  'For attach: what the last rows of a table would have sent.';

-- The table itself, its partitions and what inherits from it: each is told of
-- when it is written to by its own name.
CREATE OR REPLACE FUNCTION pgpush.attach_targets(tbl regclass, by_row boolean)
RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE t (oid) AS (
    SELECT tbl::oid
    UNION
    SELECT inhrelid FROM t JOIN pg_inherits ON inhparent = t.oid)
  SELECT t.oid::regclass FROM t JOIN pg_class AS c ON c.oid = t.oid
   WHERE c.relkind IN ('r', 'p')
     -- PostgreSQL itself copies a row trigger to partitions
     AND (t.oid = tbl OR NOT (by_row AND c.relispartition))
$$;
COMMENT ON FUNCTION pgpush.attach_targets(regclass, boolean) IS
  'For attach: the tables that need the trigger.';

-- What a call comes to: one row for each operation and kind.
CREATE OR REPLACE FUNCTION pgpush.attach_pieces(call jsonb, events jsonb, leave text)
RETURNS TABLE (op text, piece jsonb)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text;
  base jsonb := call - 'revoke';
  own  boolean;
BEGIN
  FOR op, name IN SELECT * FROM jsonb_each_text(events) LOOP
    piece := base || jsonb_build_object('kind', CASE WHEN call ? 'hold' THEN 'hold'
      WHEN call ? 'release' THEN 'release' ELSE 'event' END, 'event', name);
    IF NOT call ? 'each' THEN
      piece := piece || jsonb_build_object('each', CASE WHEN op = 'insert' OR NOT call ? 'columns'
        THEN 'row' ELSE 'room' END);
    END IF;
    RETURN NEXT;
  END LOOP;
  IF leave IS NOT NULL THEN
    FOREACH op IN ARRAY '{update,delete}'::text[] LOOP
      CONTINUE WHEN op = 'delete' AND events ? 'delete';
      piece := base || jsonb_build_object('kind', 'leave', 'event', leave,
        'each', coalesce(call ->> 'each', 'row'));
      RETURN NEXT;
    END LOOP;
  END IF;
  IF call ? 'revoke' THEN
    -- A room that is named by the row's own key ends with the row.
    own := call ? 'pk' AND (
      SELECT bool_and(m[1] IN (SELECT jsonb_array_elements_text(call -> 'pk')))
        FROM jsonb_array_elements_text(call -> 'rooms') AS r,
          regexp_matches(r, '\{([^}]*)\}', 'g') AS m);
    FOREACH op IN ARRAY '{update,delete}'::text[] LOOP
      piece := call - 'columns' - 'data' - 'dup' - 'others'
        || jsonb_build_object('event', '', 'kind', CASE WHEN op = 'delete' AND own THEN 'deleted' ELSE 'recheck' END,
          'each', CASE call ->> 'each' WHEN 'change' THEN 'change' ELSE 'row' END);
      IF events <> '{}' OR op = 'delete' THEN
        piece := piece - 'when';
      END IF;
      RETURN NEXT;
    END LOOP;
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.attach_pieces(jsonb, jsonb, text) IS
  'For attach: what is to be made for a call.';

-- Raises if an expression cannot be used; says whether the data is one value
-- for all rows of a room.
CREATE OR REPLACE FUNCTION pgpush.attach_try(tbl regclass, op text, call jsonb,
  cols jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner regrole := (pgpush.attach_check(tbl)).owner;
  aggregate boolean := false;
BEGIN
  IF call ? 'data' AND call ->> 'kind' IN ('event', 'leave') THEN
    BEGIN
      PERFORM FROM pgpush.attach_as_owner(owner, format(
        'SELECT NULL::text, NULL::text, NULL::jsonb FROM %s AS new CROSS JOIN %1$s AS old %s WHERE false GROUP BY (%s)::text',
        tbl, call ->> 'join', call ->> 'data'));
    EXCEPTION WHEN grouping_error THEN
      aggregate := true;
    END;
  END IF;
  PERFORM FROM pgpush.attach_sample(tbl, op, CASE WHEN aggregate
    THEN call || '{"aggregate": true}' ELSE call END, cols, 0);
  RETURN aggregate;
EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
  RAISE EXCEPTION 'pgpush: cannot use what attach was given: %', SQLERRM
    USING ERRCODE = SQLSTATE,
          HINT = 'data, when and join are SQL over new and old; they name functions and tables with their schema.';
END $$;
COMMENT ON FUNCTION pgpush.attach_try(regclass, text, jsonb, jsonb) IS
  'For attach: raises if an expression cannot be used; whether the data is an aggregate.';

-- lock_timeout: while CREATE TRIGGER waits for a long transaction, every
-- write to the table waits behind it.
CREATE OR REPLACE FUNCTION pgpush.attach(tbl regclass, room text DEFAULT NULL,
  event jsonb DEFAULT NULL, columns text[] DEFAULT NULL,
  data text DEFAULT NULL, "when" text DEFAULT NULL,
  rooms text[] DEFAULT NULL, each text DEFAULT NULL,
  leave text DEFAULT NULL, "join" text DEFAULT NULL,
  others boolean DEFAULT false, dup text DEFAULT NULL,
  hold text DEFAULT NULL, about text DEFAULT NULL,
  due interval DEFAULT '200 ms', release text DEFAULT NULL,
  revoke text[] DEFAULT NULL, replicated boolean DEFAULT false,
  numbers text DEFAULT NULL, dry_run boolean DEFAULT false
) RETURNS SETOF pgpush.sample
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  t      record;
  call   jsonb;
  events jsonb;
  piece  record;
  cols   jsonb;
BEGIN
  SELECT * INTO t FROM pgpush.attach_check(tbl);
  events := pgpush.attach_events(tbl, CASE WHEN revoke IS NOT NULL OR leave IS NOT NULL AND release IS NOT NULL
    THEN coalesce(event, '{}') ELSE event END);
  call := pgpush.attach_call(tbl, coalesce(rooms, ARRAY[room]), events, columns, data, "when", each,
    leave, "join", others, dup, hold, about, due, release, revoke, replicated, numbers);
  SELECT jsonb_object_agg(attname, attnum) INTO cols FROM pg_attribute
   WHERE attrelid = tbl AND attnum > 0 AND NOT attisdropped;
  FOR piece IN SELECT * FROM pgpush.attach_pieces(call, events, leave) LOOP
    IF pgpush.attach_try(tbl, piece.op, piece.piece, cols) THEN
      piece.piece := piece.piece || '{"aggregate": true}';
    END IF;
    IF dry_run THEN
      RETURN QUERY SELECT * FROM pgpush.attach_sample(tbl, piece.op, piece.piece, cols, 5);
    ELSE
      PERFORM pgpush.attach_make(tbl, piece.op, piece.piece);
    END IF;
  END LOOP;
  IF NOT dry_run THEN
    PERFORM pgpush.sweep();
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.attach IS
  'Makes a table push: its rows become events of rooms. event names the event of each operation; columns or data (SQL over new and old) say what is sent, when which rows. each: row, an event for each; room, one for each room with an array of rows; change, by a row trigger. Calling again replaces what has the same table, operation, rooms and event. dry_run shows what the last rows would have sent. See pgpush(7).';

CREATE OR REPLACE FUNCTION pgpush.attach_call(tbl regclass, rooms text[],
  events jsonb, columns text[], data text, "when" text, each text, leave text,
  "join" text, others boolean, dup text, hold text, about text, due interval,
  release text, revoke text[], replicated boolean, numbers text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t     record;
  quiet boolean := release IS NOT NULL OR revoke IS NOT NULL AND events = '{}' AND leave IS NULL;
  bad   text;
BEGIN
  SELECT * INTO t FROM pgpush.attach_check(tbl);
  bad := CASE
    WHEN rooms[1] IS NULL AND release IS NULL THEN 'needs a room: room => ''order:{order_id}'''
    WHEN each NOT IN ('row', 'room', 'change') THEN 'knows each => row, room or change'
    WHEN numbers <> 'text' THEN 'knows numbers => text only'
    WHEN NOT quiet AND (columns IS NULL) = (data IS NULL) THEN 'needs either columns or data'
    WHEN hold IS NOT NULL AND release IS NOT NULL THEN 'can hold or release, not both: call it twice'
    WHEN hold IS NOT NULL AND t.pk = '{}' THEN 'can hold only rows of a table with a primary key'
    WHEN hold IS NOT NULL AND data IS NULL THEN 'needs data for what is held'
    WHEN replicated AND each IN ('row', 'room') THEN 'sees replicated rows one by one: each => change'
    WHEN NOT quiet AND EXISTS (SELECT FROM jsonb_each_text(events) AS e WHERE e.value = '')
      THEN 'needs a name for each event' END;
  IF bad IS NOT NULL THEN
    RAISE EXCEPTION 'pgpush: attach %', bad USING ERRCODE = 'invalid_parameter_value';
  ELSIF pgpush.is_reserved(leave) OR leave = '' THEN
    RAISE EXCEPTION 'pgpush: an event cannot be called %', quote_literal(leave)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pgpush.attach_placeholders(tbl, array_remove(rooms || hold || about || release || dup
    || ARRAY(SELECT '{' || c || '}' FROM unnest(revoke) AS c), NULL), t.columns, "join" IS NOT NULL);
  IF columns IS NOT NULL THEN
    columns := pgpush.attach_columns(tbl, columns, t.columns);
  END IF;
  IF dup IS NULL AND cardinality(rooms) > 1 AND NOT quiet THEN
    dup := COALESCE(leave, (SELECT min(e.value) FROM jsonb_each_text(events) AS e))
      || (SELECT string_agg(format(':{%s}', c), '') FROM unnest(t.pk) AS c);
  END IF;
  RETURN jsonb_strip_nulls(jsonb_build_object(
    'rooms', CASE WHEN release IS NULL THEN array_remove(rooms, NULL) END,
    'columns', columns, 'data', data, 'when', "when", 'join', "join", 'numbers', numbers,
    'each', CASE WHEN replicated THEN 'change' ELSE each END, 'dup', dup,
    'others', nullif(others, false), 'replicated', nullif(replicated, false),
    'hold', hold, 'about', CASE WHEN hold IS NOT NULL THEN coalesce(about,
      (SELECT string_agg(format('{%s}', c), ':') FROM unnest(t.pk) AS c)) END,
    'due', CASE WHEN hold IS NOT NULL THEN due END, 'release', release, 'revoke', revoke,
    'pk', CASE WHEN t.pk <> '{}' THEN t.pk END));
END $$;
COMMENT ON FUNCTION pgpush.attach_call IS
  'For attach: its arguments, checked, as they are kept in the trigger.';

-- Dropped with its table, a trigger leaves its function.  The owner of the
-- schema may drop it; one that another transaction holds is left to it.
CREATE OR REPLACE FUNCTION pgpush.sweep() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10ms' SET client_min_messages = 'error' AS $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure FROM pg_proc AS p
     WHERE pgpush.is_attached(p.oid) AND NOT EXISTS (
       SELECT FROM pg_trigger AS t JOIN pg_proc AS o ON o.oid = t.tgfoid
        WHERE pgpush.is_attached(o.oid) AND o.proname = p.proname)
  LOOP
    BEGIN
      EXECUTE format('DROP FUNCTION IF EXISTS %s', f);
    EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist OR object_in_use THEN
      CONTINUE;
    END;
  END LOOP;
END $$;
COMMENT ON FUNCTION pgpush.sweep() IS
  'For attach, detach and the leader: drops the functions of triggers that are gone, with their table for example.';

CREATE OR REPLACE FUNCTION pgpush.detach(tbl regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  t record;
BEGIN
  IF tbl IS NULL OR NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = tbl), 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % does not own the table %', current_user, tbl
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  FOR t IN
    SELECT tgname, target FROM pgpush.attach_targets(tbl, false) AS target
      JOIN pg_trigger ON tgrelid = target AND tgparentid = 0
     WHERE pgpush.is_attached(tgfoid)
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.target);
  END LOOP;
  PERFORM pgpush.sweep();
END $$;
COMMENT ON FUNCTION pgpush.detach(regclass) IS
  'Undoes attach: drops its triggers, on partitions too, and their functions.';

-- By the words alone: nothing of the application is planned or run for one who
-- looks.
CREATE OR REPLACE FUNCTION pgpush.attach_missing(rel oid, f oid, call jsonb,
  by_row boolean) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT m ORDER BY m), '{}') FROM (
    SELECT c FROM (
      SELECT jsonb_array_elements_text(call -> 'columns')
      UNION SELECT jsonb_array_elements_text(call -> 'revoke')
      UNION SELECT m[1] FROM regexp_matches(concat_ws(' ', call ->> 'rooms', call ->> 'hold',
          call ->> 'release', call ->> 'about', call ->> 'dup'), '\{(?:new\.|old\.)?([^}{"]*)\}', 'g') AS m
        WHERE m[1] !~ '^\w+\.' OR NOT call ? 'join'
      UNION SELECT coalesce(m[1], m[2]) FROM regexp_matches(concat_ws(' ', call ->> 'data', call ->> 'when', call ->> 'join'),
          '\m(?:new|old)\.(?:"([^"]+)"|([[:alpha:]_][[:alnum:]_]*))', 'g') AS m) AS u (c)
     WHERE NOT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = rel AND attname = c AND attnum > 0 AND NOT attisdropped)
    UNION ALL
    SELECT 'trigger on ' || target FROM pgpush.attach_targets(rel, by_row) AS target
     WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = target AND tgfoid = f)
    UNION ALL
    SELECT 'pgpush_admin for ' || relowner::regrole FROM pg_class
     WHERE pg_class.oid = rel AND NOT has_column_privilege(relowner, 'pgpush.outbox', 'room', 'INSERT')
    UNION ALL
    SELECT 'the owner ' || relowner::regrole || ' of its function' FROM pg_class JOIN pg_proc ON pg_proc.oid = f
     WHERE pg_class.oid = rel AND relowner <> proowner) AS x (m)
$$;
COMMENT ON FUNCTION pgpush.attach_missing(oid, oid, jsonb, boolean) IS
  'For pgpush.attached: the columns, triggers on partitions and rights that an attachment needs and has not.';

CREATE OR REPLACE VIEW pgpush.attached AS
SELECT t.tgrelid::regclass AS "table",
       CASE WHEN t.tgtype & 4 > 0 THEN 'insert'
            WHEN t.tgtype & 8 > 0 THEN 'delete' ELSE 'update' END AS operation,
       c.call ->> 'kind' AS kind,
       ARRAY(SELECT jsonb_array_elements_text(c.call -> 'rooms')) AS rooms,
       c.call ->> 'event' AS event,
       CASE WHEN c.call ? 'columns' THEN ARRAY(SELECT jsonb_array_elements_text(c.call -> 'columns')) END AS columns,
       c.call ->> 'data' AS data, c.call ->> 'when' AS "when",
       c.call - '{kind,rooms,event,columns,data,when,pk}'::text[] AS more,
       t.tgenabled <> 'D' AS enabled,
       pgpush.attach_missing(t.tgrelid, t.tgfoid, c.call, t.tgtype & 1 > 0) AS missing,
       t.tgname AS trigger, t.tgfoid::regprocedure AS function
  FROM pg_trigger AS t,
       LATERAL (SELECT (pgpush.arguments(t.tgargs))[1]::jsonb) AS c (call)
 WHERE pgpush.is_attached(t.tgfoid);
COMMENT ON VIEW pgpush.attached IS
  'Which tables push what to which rooms; missing: columns, triggers on partitions and rights that are needed and not there.';

REVOKE ALL ON SCHEMA pgpush_triggers FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA pgpush_triggers TO pgpush_admin;
COMMENT ON SCHEMA pgpush_triggers IS
  'The functions that pgpush.attach has written; each belongs to its table''s owner';
REVOKE ALL ON pgpush.attached FROM PUBLIC;
GRANT SELECT ON pgpush.attached TO pgpush_admin;

REVOKE ALL ON FUNCTION
  pgpush.arguments, pgpush.is_attached, pgpush.is_reserved,
  pgpush.attach_check, pgpush.attach_columns, pgpush.attach_events,
  pgpush.attach_placeholders, pgpush.attach_as_owner, pgpush.attach_sample,
  pgpush.attach_targets, pgpush.attach_pieces, pgpush.attach_try,
  pgpush.attach, pgpush.attach_call, pgpush.sweep, pgpush.detach,
  pgpush.attach_missing
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.arguments, pgpush.is_attached, pgpush.is_reserved,
  pgpush.attach_check, pgpush.attach_columns, pgpush.attach_events,
  pgpush.attach_placeholders, pgpush.attach_as_owner, pgpush.attach_sample,
  pgpush.attach_targets, pgpush.attach_pieces, pgpush.attach_try,
  pgpush.attach, pgpush.attach_call, pgpush.sweep, pgpush.detach,
  pgpush.attach_missing
  TO pgpush_admin;
GRANT EXECUTE ON FUNCTION pgpush.sweep TO pgpush_daemon;
