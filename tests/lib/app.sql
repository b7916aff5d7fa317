-- SPDX-License-Identifier: ISC
-- A small application for the tests: every kind of rule and of handler once.
-- Users are any text that does not begin with "nobody".

CREATE SCHEMA app;

CREATE TABLE app.members (room text, user_id text, PRIMARY KEY (room, user_id));
CREATE TABLE app.calls (id bigserial PRIMARY KEY, event text, user_id text,
  room text, data jsonb, ctx jsonb, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE app.notes (id bigserial PRIMARY KEY, room text, author text,
  body text);

CREATE FUNCTION app.greet(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN user_id LIKE 'nobody%' THEN NULL
              ELSE ARRAY['user:' || user_id] END
$$;

CREATE FUNCTION app.yes(user_id text, params jsonb, ctx jsonb) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT true';

CREATE FUNCTION app.member(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM app.members m
                 WHERE m.room = 'closed:' || (params->>'id')
                   AND m.user_id = $1)
$$;

CREATE FUNCTION app.role(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT ctx->'claims'->>'role' = params->>'role' $$;

CREATE FUNCTION app.broken(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RAISE EXCEPTION 'a rule that fails, with a secret in its text'; END $$;

CREATE FUNCTION app.unknown(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT NULL::boolean';

-- Handlers. All write what they were called with.

CREATE FUNCTION app.echo(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE call bigint;
BEGIN
  INSERT INTO app.calls (event, user_id, room, data, ctx)
    VALUES ('echo', user_id, room, data, ctx) RETURNING id INTO call;
  RETURN jsonb_build_object('reply', jsonb_build_object('user', user_id,
    'room', room, 'data', data, 'ctx', ctx, 'call', call,
    'guc_user', current_setting('pgpush.user', true),
    'guc_session', current_setting('pgpush.session', true)));
END $$;

CREATE FUNCTION app.silent(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id, room, data, ctx)
    VALUES ('silent', user_id, room, data, ctx);
  RETURN NULL;
END $$;

CREATE FUNCTION app.fail(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id, room, data, ctx)
    VALUES ('fail', user_id, room, data, ctx);
  RAISE EXCEPTION 'the secret text of a failure';
END $$;

CREATE FUNCTION app.refuse(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT '{"error": {"code": "forbidden", "message": "not today"}}'::jsonb $$;

CREATE FUNCTION app.enter(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT jsonb_build_object('join', data->'rooms', 'reply', '"in"'::jsonb) $$;

CREATE FUNCTION app.quit(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT jsonb_build_object('leave', data->'rooms', 'reply', '"out"'::jsonb) $$;

CREATE FUNCTION app.whisper(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object('emit', jsonb_build_array(
    jsonb_build_array('whispered', data), jsonb_build_array('again', '{}'::jsonb)))
$$;

-- To the room, minus the sender: by signal, and by a durable event.

CREATE FUNCTION app.typing(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pgpush.signal(room, 'typing', jsonb_build_object('user', user_id,
    'on', data->'on'), others => true);
  RETURN NULL;
END $$;

CREATE FUNCTION app.say(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pgpush.emit(room, 'said', jsonb_build_object('user', user_id,
    'text', data->'text'), others => coalesce((data->>'others')::boolean, false));
  RETURN '{"reply": "said"}';
END $$;

CREATE FUNCTION app.slow(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id, data) VALUES ('slow', user_id, data);
  PERFORM pg_sleep((data->>'seconds')::float);
  RETURN '{"reply": "done"}';
END $$;

CREATE FUNCTION app.gone(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id, room, data, ctx)
    VALUES ('disconnect', user_id, room, data, ctx);
  RETURN NULL;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
GRANT USAGE ON SCHEMA app TO pgpush_owner;

SELECT pgpush.greet('app.greet(text,jsonb)');
SELECT pgpush.allow('open:{id}', 'app.yes(text,jsonb,jsonb)');
SELECT pgpush.allow('bulk:{table}:{id}', 'app.yes(text,jsonb,jsonb)');
SELECT pgpush.allow('closed:{id}', 'app.member(text,jsonb,jsonb)');
SELECT pgpush.allow('role:{role}', 'app.role(text,jsonb,jsonb)');
SELECT pgpush.allow('broken:{id}', 'app.broken(text,jsonb,jsonb)');
SELECT pgpush.allow('unknown:{id}', 'app.unknown(text,jsonb,jsonb)');
SELECT pgpush.on('echo', 'app.echo(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('silent', 'app.silent(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('fail', 'app.fail(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('refuse', 'app.refuse(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('enter', 'app.enter(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('quit', 'app.quit(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('whisper', 'app.whisper(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('slow', 'app.slow(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('typing', 'app.typing(text,text,jsonb,jsonb)', batch => true);
SELECT pgpush.on('say', 'app.say(text,text,jsonb,jsonb)', room => 'open:{id}');
SELECT pgpush.on('disconnect', 'app.gone(text,text,jsonb,jsonb)', member => false);
