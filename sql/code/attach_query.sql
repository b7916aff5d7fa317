-- SPDX-License-Identifier: ISC
-- The statements that attach's trigger functions run: from a call, as attach.sql
-- has it, to the rows that tell something.

CREATE OR REPLACE FUNCTION pgpush.attach_says(call jsonb, name text)
RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT concat_ws(' ', call ->> 'data', call ->> 'when', call ->> 'join',
      call ->> 'rooms', call ->> 'hold', call ->> 'about', call ->> 'release',
      call ->> 'dup')
    ~ ('\m' || regexp_replace(name, '(\W)', '\\\1', 'g') || '\M')
$$;
COMMENT ON FUNCTION pgpush.attach_says(jsonb, text) IS
  'For attach: whether an expression or template of the call has this word.';

-- Names by number, because a rename keeps it; but only if the numbers are still
-- this table's: a restored dump closes the gaps of dropped columns.  A
-- transaction's snapshot may be older than an ALTER TABLE, so the names of now
-- are asked of a function, which does not look through it.
CREATE OR REPLACE FUNCTION pgpush.attach_live(rel oid, cols jsonb)
RETURNS TABLE (name text, now text, type oid, i int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH has AS (
    SELECT attnum, atttypid, (SELECT k FROM jsonb_each_text(cols) AS x (k, v)
          WHERE v = attnum::text) AS was,
        (pg_identify_object_as_address('pg_class'::regclass, rel, attnum))
          .object_names[3] AS now
      FROM pg_attribute
     WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped),
  live AS (
    SELECT * FROM has WHERE has.now NOT LIKE '%.pg.dropped.%'),
  numbered AS (
    SELECT bool_and(CASE WHEN cols ? live.now
        THEN cols ->> live.now = attnum::text OR was IS NOT NULL
        ELSE was IS NOT NULL OR attnum > (
          SELECT max(v::int) FROM jsonb_each_text(cols) AS x (k, v)) END) AS ok
      FROM live)
  SELECT CASE WHEN ok THEN coalesce(was, live.now) ELSE live.now END,
      live.now, atttypid, attnum::int
    FROM live, numbered
$$;
COMMENT ON FUNCTION pgpush.attach_live(oid, jsonb) IS
  'For attach: a table''s columns: the name when it was attached, the name of now, type and number.';

-- {column}, {new.column}, {old.column}, or {alias.column} of a joined table.
CREATE OR REPLACE FUNCTION pgpush.attach_template(template text, rel oid,
  cols jsonb, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(CASE
      WHEN u.i % 2 = 1 THEN quote_literal(part)
      WHEN type = ANY ('{bool,int2,int4,int8,numeric,text,varchar,uuid}'
        ::regtype[]) THEN format('%s.%I::text', alias, part)
      WHEN type IS NULL AND part ~ '^\w+\.'
        THEN format('(to_jsonb(%I.%I) #>> ''{}'')', split_part(part, '.', 1),
          substr(part, strpos(part, '.') + 1))
      ELSE format('(to_jsonb(%s.%I) #>> ''{}'')', alias, part) END,
    ' || ' ORDER BY u.i)
  FROM unnest(string_to_array(translate(template, '}', '{'), '{'))
    WITH ORDINALITY AS u (part, i)
  LEFT JOIN pgpush.attach_live(rel, cols) AS live ON live.name = part
  WHERE u.i % 2 = 0 OR part <> '' OR u.i = 1
$$;
COMMENT ON FUNCTION pgpush.attach_template(text, oid, jsonb, text) IS
  'For attach: a template such as order:{order_id} as an expression over the row so called.';

-- Only the columns that the call speaks of, unless it takes a row as a whole.
CREATE OR REPLACE FUNCTION pgpush.attach_names(rel oid, call jsonb, cols jsonb,
  alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(CASE WHEN now = name THEN format('%s.%I', alias, now)
      ELSE format('%s.%I AS %I', alias, now, name) END, ', ' ORDER BY i)
    FROM pgpush.attach_live(rel, cols)
   WHERE pgpush.attach_says(call, name) OR call -> 'columns' ? name
      OR call -> 'revoke' ? name OR call -> 'pk' ? name
      OR concat_ws(' ', call ->> 'data', call ->> 'when', call ->> 'join')
           ~ '\m(new|old)\M(?!\s*\.\s*[^*[:space:]])'
$$;
COMMENT ON FUNCTION pgpush.attach_names(oid, jsonb, jsonb, text) IS
  'For attach: the columns that a call speaks of, under the names that they had when it was attached.';

-- how: table, the transition tables as they are; now, the same with rows
-- numbered and columns under their old names; row, NEW and OLD of a row
-- trigger; given, the same as $1 and $2.
-- was: an UPDATE's row as it was before takes the place of new.
--
-- The n-th new row belongs to the n-th old one: the executor fills both
-- transition tables together.
CREATE OR REPLACE FUNCTION pgpush.attach_from(rel oid, op text, call jsonb,
  cols jsonb, how text, was boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  says_old boolean := pgpush.attach_says(call, 'old') OR call ? 'revoke';
  pair     boolean := says_old AND op = 'update' AND NOT was;
  new_rows text := CASE WHEN op = 'delete' OR was THEN 'old' ELSE 'new' END;
  numbers  CONSTANT text := E'(\n    SELECT *, row_number() OVER () AS pgpush_i FROM pgpush_%s) AS %s';
  named    CONSTANT text := E'\n  CROSS JOIN LATERAL (SELECT %s) AS %s';
  source   text;
BEGIN
  IF how = 'row' THEN
    source := format('(SELECT %s.*) AS new', upper(new_rows));
  ELSIF how = 'given' THEN
    source := format('(SELECT ($%s).*) AS pgpush_n',
        CASE new_rows WHEN 'new' THEN 1 ELSE 2 END)
      || format(named, pgpush.attach_names(rel, call, cols, 'pgpush_n'), 'new');
  ELSIF how = 'now' OR pair OR call ->> 'kind' = 'leave' THEN
    source := format(numbers, new_rows, 'pgpush_n');
    IF pair THEN
      source := source || E'\n  JOIN ' || format(numbers, 'old', 'pgpush_o')
        || ' USING (pgpush_i)';
    END IF;
    source := source || format(named,
      pgpush.attach_names(rel, call, cols, 'pgpush_n'), 'new');
  ELSE
    source := format('pgpush_%s AS new', new_rows);
  END IF;
  IF NOT says_old THEN
    NULL;
  ELSIF op = 'insert' THEN               -- there was none
    source := source || ' LEFT JOIN LATERAL (SELECT new.*) AS old ON false';
  ELSIF op = 'delete' OR was THEN
    source := source || format(named, 'new.*', 'old');
  ELSIF how = 'row' THEN
    source := source || format(named, 'OLD.*', 'old');
  ELSIF how = 'given' THEN
    source := source || ' CROSS JOIN (SELECT ($2).*) AS pgpush_o'
      || format(named, pgpush.attach_names(rel, call, cols, 'pgpush_o'), 'old');
  ELSE
    source := source || format(named,
      pgpush.attach_names(rel, call, cols, 'pgpush_o'), 'old');
  END IF;
  RETURN source || coalesce(E'\n  ' || (call ->> 'join'), '');
END $$;
COMMENT ON FUNCTION pgpush.attach_from(oid, text, jsonb, jsonb, text, boolean) IS
  'For attach: the rows of a statement, called new and, if the call speaks of it, old.';

-- A function has at most 100 arguments: long lists are glued together.
CREATE OR REPLACE FUNCTION pgpush.attach_data(rel oid, call jsonb, cols jsonb)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH sent AS (
    SELECT (u.i - 1) / 50 AS part, u.i, format(CASE
        WHEN call ->> 'numbers' = 'text' AND type IN (20, 1700)
          THEN '%L, new.%I::text' ELSE '%L, new.%I' END, c, c) AS pair
      FROM jsonb_array_elements_text(call -> 'columns')
        WITH ORDINALITY AS u (c, i)
      JOIN pgpush.attach_live(rel, cols) AS live ON live.name = c),
  parts AS (
    SELECT part, string_agg(pair, ', ' ORDER BY i) AS list
      FROM sent GROUP BY part)
  SELECT CASE
      WHEN call ? 'data' THEN format('(%s)::json', call ->> 'data')
      WHEN count(*) < 2
        THEN format('json_build_object(%s)', max(list))
      ELSE format('(%s)::json', string_agg(
        format('jsonb_build_object(%s)', list), ' || ' ORDER BY part)) END
    FROM parts
$$;
COMMENT ON FUNCTION pgpush.attach_data(oid, jsonb, jsonb) IS
  'For attach: the expression for the data of a row called new.';

-- The columns of the outbox that an attachment computes, with their types.
CREATE OR REPLACE FUNCTION pgpush.attach_outs(call jsonb)
RETURNS TABLE (name text, type text, i bigint)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT n, CASE n WHEN 'data' THEN 'json' WHEN 'arg' THEN 'jsonb'
      ELSE 'text' END, o
    FROM unnest(CASE call ->> 'kind'
      WHEN 'hold' THEN '{room,key,about,arg}'
      WHEN 'release' THEN '{key}'
      WHEN 'recheck' THEN '{room,recheck}'
      WHEN 'deleted' THEN '{room}'
      ELSE '{room,data}' END::text[]
      || CASE WHEN call ? 'dup' THEN '{dup}' ELSE '{}' END::text[])
      WITH ORDINALITY AS u (n, o)
$$;
COMMENT ON FUNCTION pgpush.attach_outs(jsonb) IS
  'For attach: the columns of the outbox that an attachment computes.';

-- The rows that tell something.
CREATE OR REPLACE FUNCTION pgpush.attach_rows(rel oid, op text, call jsonb,
  cols jsonb, how text, was boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  kind   text := call ->> 'kind';
  gone   boolean := kind IN ('recheck', 'deleted');
  source text := pgpush.attach_from(rel, op, call, cols, how, was);
  cond   text := CASE WHEN call ? 'when' THEN '(' || (call ->> 'when') || ')' END;
  rooms  text[] := ARRAY(
    SELECT pgpush.attach_template(r, rel, cols, CASE WHEN gone THEN 'old' ELSE 'new' END)
      FROM jsonb_array_elements_text(call -> 'rooms') AS r);
  room   text := rooms[1];
  outs   text;
BEGIN
  IF cardinality(rooms) > 1 THEN
    source := format(E'%s\n  CROSS JOIN LATERAL (VALUES (%s)) AS pgpush_to (room)',
      source, array_to_string(rooms, '), ('));
    room := 'pgpush_to.room';
  END IF;
  IF kind = 'recheck' THEN
    source := format(E'%s\n  CROSS JOIN LATERAL (VALUES %s) AS pgpush_user (was, now)',
      source, (SELECT string_agg(format('(%s, %s)',
        pgpush.attach_template('{' || c || '}', rel, cols, 'old'),
        CASE op WHEN 'delete' THEN 'NULL'
          ELSE pgpush.attach_template('{' || c || '}', rel, cols, 'new') END), ', ')
        FROM jsonb_array_elements_text(call -> 'revoke') AS c));
    cond := 'pgpush_user.was IS NOT NULL AND ' || coalesce(cond,
      'pgpush_user.was IS DISTINCT FROM pgpush_user.now');
  END IF;
  outs := (SELECT string_agg(CASE o.name
      WHEN 'room' THEN room
      WHEN 'data' THEN pgpush.attach_data(rel, call, cols)
      WHEN 'recheck' THEN 'pgpush_user.was'
      WHEN 'key' THEN pgpush.attach_template(call ->> kind, rel, cols, 'new')
      WHEN 'about' THEN pgpush.attach_template(call ->> 'about', rel, cols, 'new')
      WHEN 'dup' THEN pgpush.attach_template(call ->> 'dup', rel, cols, 'new')
      WHEN 'arg' THEN (SELECT format('jsonb_build_object(%s)',
          string_agg(format('%L, new.%I', c, c), ', '))
        FROM jsonb_array_elements_text(call -> 'pk') AS c)
      END || ' AS ' || o.name, E',\n  ' ORDER BY o.i)
    FROM pgpush.attach_outs(call) AS o);
  IF how = 'now' OR kind = 'leave' AND how = 'table' THEN
    outs := outs || CASE WHEN call ? 'aggregate' THEN ', min(pgpush_i)' ELSE ', pgpush_i' END || ' AS pgpush_i';
  END IF;
  RETURN format(E'SELECT %s\n  FROM %s', outs, source)
    || coalesce(E'\n  WHERE ' || cond, '');
END $$;
COMMENT ON FUNCTION pgpush.attach_rows(oid, text, jsonb, jsonb, text, boolean) IS
  'For attach: the statement for the rows of an operation that tell something: room, data and so on of each.';

-- A row leaves a room if, as it was, it told there, and as it is it does not.
CREATE OR REPLACE FUNCTION pgpush.attach_told(rel oid, op text, call jsonb,
  cols jsonb, how text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  good CONSTANT text := CASE WHEN call ->> 'kind' = 'release'
    THEN 'key IS NOT NULL' ELSE 'octet_length(room) <= 200' END;
  rows text;
BEGIN
  IF call ->> 'kind' = 'leave' AND op = 'update' THEN
    rows := format(E'SELECT * FROM (\n  %s) AS was\n  WHERE NOT EXISTS (\n'
        '    SELECT FROM (\n  %s) AS now\n'
        '    WHERE %snow.room = was.room)',
      pgpush.attach_rows(rel, op, call, cols, how, true),
      pgpush.attach_rows(rel, op, call, cols, how),
      CASE WHEN how IN ('table', 'now') THEN 'now.pgpush_i = was.pgpush_i AND ' END);
  ELSE
    rows := pgpush.attach_rows(rel, op, call, cols, how);
  END IF;
  IF call ? 'aggregate' THEN
    rows := rows || E'\n  GROUP BY 1';
  END IF;
  IF call ->> 'kind' = 'release' THEN    -- once, however many rows
    rows := format('SELECT key%s FROM (%s) AS r GROUP BY key',
      CASE how WHEN 'now' THEN ', min(pgpush_i) AS pgpush_i' END, rows);
  END IF;
  RETURN format(E'SELECT * FROM (\n  %s) AS told\n  WHERE %s', rows, good);
END $$;
COMMENT ON FUNCTION pgpush.attach_told(oid, text, jsonb, jsonb, text) IS
  'For attach: the same as attach_rows without rows that have no room, and with those that leave.';

-- For rows $1 to $2, but not those of the rooms $3.
CREATE OR REPLACE FUNCTION pgpush.attach_query(rel oid, op text, call jsonb,
  cols jsonb, counts boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  part text;
  told text := pgpush.attach_told(rel, lower(op), call, cols, 'now');
BEGIN
  IF counts THEN                         -- no data: it may be what fails
    told := pgpush.attach_told(rel, lower(op), call - 'columns' - 'aggregate'
      || '{"data": "NULL"}', cols, 'now');
    RETURN format('SELECT array_agg(room), array_agg(n) FROM (
      SELECT room, least(count(*), 2000000000)::int AS n FROM (%s) AS t
      WHERE pgpush_i BETWEEN $1 AND $2 GROUP BY room) AS c', told);
  END IF;
  part := format('SELECT * FROM (%s) AS t WHERE pgpush_i BETWEEN $1 AND $2%s',
    told, CASE WHEN call ->> 'kind' <> 'release'
      THEN ' AND room <> ALL ($3)' ELSE ' AND $3 IS NOT NULL' END);
  IF call ->> 'each' = 'room' THEN
    part := format('SELECT room, json_agg(data ORDER BY pgpush_i) AS data,
      %s min(pgpush_i) AS pgpush_i FROM (%s) AS t GROUP BY room',
      CASE WHEN call ? 'dup' THEN 'min(dup) AS dup,' END, part);
  END IF;
  RETURN format('SELECT %s FROM (%s) AS t',
    (SELECT string_agg(format('array_agg(%s ORDER BY pgpush_i)', name), ', '
      ORDER BY i) FROM pgpush.attach_outs(call)), part);
END $$;
COMMENT ON FUNCTION pgpush.attach_query(oid, text, jsonb, jsonb, boolean) IS
  'For the triggers of attach: the statement made anew, by the columns'' names of now, for a range of rows; counts: only how many rows each room has.';

REVOKE ALL ON FUNCTION
  pgpush.attach_live,
  pgpush.attach_says, pgpush.attach_template, pgpush.attach_names,
  pgpush.attach_from, pgpush.attach_data, pgpush.attach_outs,
  pgpush.attach_rows, pgpush.attach_told, pgpush.attach_query
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  pgpush.attach_live,
  pgpush.attach_says, pgpush.attach_template, pgpush.attach_names,
  pgpush.attach_from, pgpush.attach_data, pgpush.attach_outs,
  pgpush.attach_rows, pgpush.attach_told, pgpush.attach_query
  TO pgpush_admin;
