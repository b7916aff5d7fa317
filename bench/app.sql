-- SPDX-License-Identifier: ISC
-- The application of the benchmark. A row of bench.events is told by pgpushd
-- to the room it names, one of bench.notified by NOTIFY to the peers, and
-- bench.silent is what writing costs by itself. All three are the same table.

CREATE SCHEMA bench;

CREATE TABLE bench.events (id bigserial PRIMARY KEY, room text NOT NULL,
  t bigint NOT NULL, n bigint NOT NULL, pad text NOT NULL);
CREATE TABLE bench.notified (LIKE bench.events INCLUDING ALL);
CREATE TABLE bench.silent (LIKE bench.events INCLUDING ALL);

CREATE FUNCTION bench.greet(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT ARRAY['user:' || user_id] $$;

-- As a rule looks in practice: one row, found by its key.
CREATE TABLE bench.rooms (id int PRIMARY KEY, open boolean NOT NULL);
INSERT INTO bench.rooms SELECT i, true FROM generate_series(0, 19999) AS i;
ANALYZE bench.rooms;

CREATE FUNCTION bench.may_join(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT open FROM bench.rooms WHERE id = (params->>'id')::int $$;

CREATE FUNCTION bench.tell() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('bench', row_to_json(NEW)::text);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON bench.notified
  FOR EACH ROW EXECUTE FUNCTION bench.tell();

-- For clients of Socket.IO, which join by an event.
CREATE FUNCTION bench.enter(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT jsonb_build_object('join', jsonb_build_array(data),
  'reply', jsonb_build_object('joined', data))
  FROM bench.rooms WHERE 'room:' || id = data #>> '{}' AND open $$;

REVOKE EXECUTE ON FUNCTION bench.greet, bench.may_join, bench.enter FROM PUBLIC;
GRANT USAGE ON SCHEMA bench TO pgpush_owner;

SELECT pgpush.greet('bench.greet(text,jsonb)');
SELECT pgpush.allow('room:{id}', 'bench.may_join(text,jsonb,jsonb)');
SELECT pgpush.on('join', 'bench.enter(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.attach('bench.events', room => '{room}',
  event => '{"insert":"e"}', columns => ARRAY['n', 't', 'pad']);
