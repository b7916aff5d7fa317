-- SPDX-License-Identifier: ISC
-- What the writers write.  fault.facts is the truth: a row for each event,
-- written in the same transaction as the event.

CREATE SCHEMA fault;
GRANT USAGE ON SCHEMA fault TO pgpush_owner;

CREATE TABLE fault.facts (
  n    bigserial,
  room text NOT NULL,
  w    int NOT NULL,                   -- the writer
  s    bigint NOT NULL,                -- its own count, growing
  PRIMARY KEY (n, room)
);
CREATE TABLE fault.banned (user_id text, room text,
  PRIMARY KEY (user_id, room));
CREATE TABLE fault.items (id bigserial PRIMARY KEY, room text, n bigint,
  w int, s bigint, pad text);
CREATE INDEX ON fault.items (room, id);

CREATE FUNCTION fault.say(room text, w int, s bigint, pad int,
  dup text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE k bigint;
BEGIN
  INSERT INTO fault.facts (room, w, s) VALUES (room, w, s) RETURNING n INTO k;
  PERFORM pgpush.emit(room, 'fact', jsonb_build_object('n', k, 'w', w, 's', s,
    'pad', repeat('x', pad)), dup => dup);
  RETURN k;
END $$;

-- The same, held until it is released or for a while.
CREATE FUNCTION fault.keep_back(room text, w int, s bigint, key text,
  due interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE k bigint;
BEGIN
  INSERT INTO fault.facts (room, w, s) VALUES (room, w, s) RETURNING n INTO k;
  PERFORM pgpush.hold(key, room, 'fact', 'fault.render(jsonb)',
    jsonb_build_object('n', k, 'w', w, 's', s), due, about => k::text);
  -- Dropped: one about it is held.
  PERFORM pgpush.hold(key, room, 'never', 'fault.render(jsonb)', '{}', due,
    about => k::text);
END $$;
CREATE FUNCTION fault.render(arg jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT arg || '{"pad": "held"}' $$;
GRANT EXECUTE ON FUNCTION fault.render TO pgpush_owner;

-- Rows that are no events, for rooms that nobody is in.
CREATE FUNCTION fault.poison() RETURNS void
LANGUAGE sql AS $$
  INSERT INTO pgpush.outbox (room, event, data, lost, key, about, render, arg,
    due) VALUES
  (repeat('r', 300), 'long', '1', NULL, NULL, NULL, NULL, NULL, NULL),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('fault:none', 'many', NULL, 70000, NULL, NULL, NULL, NULL, NULL),
  ('', 'many', NULL, 5, NULL, NULL, NULL, NULL, NULL),
  ('fault:none', 'json', '"\u0000\ud800"', NULL, NULL, NULL, NULL, NULL, NULL),
  ('fault:none', 'gone', NULL, NULL, 'k', 'a', 'no.such(jsonb)', '1',
    '-178000000 years'),
  ('fault:none', NULL, NULL, NULL, 'k', NULL, NULL, NULL, NULL)
$$;

-- Through the triggers of attach: an event for each row.
CREATE FUNCTION fault.add(rooms text[], w int, s bigint, count int,
  pad int) RETURNS void
LANGUAGE sql AS $$
  WITH f AS (INSERT INTO fault.facts (room, w, s)
    SELECT rooms[1 + i % cardinality(rooms)], w, s + i
    FROM generate_series(0, count - 1) i RETURNING *)
  INSERT INTO fault.items (room, n, w, s, pad)
  SELECT substr(f.room, 7), f.n, f.w, f.s, repeat('y', pad)
  FROM f ORDER BY f.s
$$;

-- An event for each room, all with the same n.
CREATE FUNCTION fault.change(rooms text[], w int, s bigint, count int)
RETURNS void
LANGUAGE sql AS $$
  WITH k AS MATERIALIZED (SELECT nextval('fault.facts_n_seq') AS n),
  u AS (UPDATE fault.items i SET n = k.n, w = change.w, s = change.s,
      pad = 'u'
    FROM k WHERE i.id = ANY (ARRAY(SELECT o.id FROM fault.items o
      WHERE 'fault:' || o.room = ANY (rooms)
      ORDER BY o.id DESC LIMIT count FOR UPDATE SKIP LOCKED))
    RETURNING i.room, i.n)
  INSERT INTO fault.facts (n, room, w, s)
  SELECT DISTINCT u.n, 'fault:' || u.room, change.w, change.s FROM u
$$;

-- The reason tells it from a revoke without a ban.
CREATE FUNCTION fault.ban(user_id text, room text) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO fault.banned VALUES (user_id, room) ON CONFLICT DO NOTHING;
  SELECT pgpush.revoke(room, user_id, 'deleted');
$$;

CREATE FUNCTION fault.allowed(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT NOT EXISTS (SELECT FROM fault.banned b WHERE b.user_id = $1
    AND b.room = 'fault:' || ($2 ->> 'id'))
$$;
REVOKE EXECUTE ON FUNCTION fault.allowed FROM PUBLIC;

SELECT pgpush.allow('fault:{id}', 'fault.allowed(text,jsonb,jsonb)');
SELECT pgpush.attach('fault.items', 'fault:{room}',
  '{"insert":"item","update":"items"}', ARRAY['n', 'w', 's', 'pad']);

-- What is purged is kept: the clients' records are compared with it.
CREATE TABLE fault.kept (id bigint PRIMARY KEY, kind text, room text,
  event text, data json, user_id text, dup text, bytes int);
CREATE FUNCTION fault.keep() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO fault.kept
  SELECT id, kind, room, event, data, user_id, dup, bytes FROM purged;
  RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION fault.keep() TO PUBLIC;
CREATE VIEW fault.log AS
  SELECT id, kind, room, event, data, user_id, dup, bytes FROM pgpush.log
  UNION ALL SELECT * FROM fault.kept;

-- And so are the tags of positions.
CREATE TABLE fault.tags (n bigserial PRIMARY KEY, tag text UNIQUE);
CREATE FUNCTION fault.keep_tag() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO fault.tags (tag) VALUES (NEW.tag);
  RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION fault.keep_tag() TO PUBLIC;
INSERT INTO fault.tags (tag) SELECT tag FROM pgpush.terms ORDER BY n;
