-- SPDX-License-Identifier: ISC
--
-- People: notifications become notification (and new_notification, its older
-- name) in room user:<user>.  Who a user is when the socket opens, which rooms
-- that gives, who may follow whose presence, user_presence itself.  A deleted
-- user is thrown out, and so is an admin who is one no more.
--
-- Load after messages.sql (see there), orders.sql and disputes.sql.
--
-- A notification of type message is the last thing the API writes for an
-- order's message, so it releases the event that messages.sql holds.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{notifications.user_id,notifications.type,notifications.related_id}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'notifications.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION public.push_greet(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who record;
BEGIN
  SELECT u.id, u.role INTO who
    FROM public.users u WHERE u.id = public.push_uuid(user_id);
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN CASE WHEN who.role = 'admin' THEN ARRAY['user:' || who.id, 'admin:notifications']
              ELSE ARRAY['user:' || who.id] END;
END $$;
COMMENT ON FUNCTION public.push_greet(text, jsonb) IS
  'The rooms of a user from the first moment; NULL if there is no such user.';

CREATE OR REPLACE FUNCTION public.push_may_see(viewer uuid, other uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT EXISTS (SELECT FROM public.users WHERE id = viewer AND (id = other OR role = 'admin'))
      OR EXISTS (SELECT FROM public.orders
                  WHERE (client_id = viewer AND performer_id = other)
                     OR (client_id = other AND performer_id = viewer))
      OR EXISTS (SELECT FROM public.disputes
                  WHERE client_id = viewer AND other IN (performer_id, moderator_id))
      OR EXISTS (SELECT FROM public.disputes
                  WHERE performer_id = viewer AND other IN (client_id, moderator_id))
      OR EXISTS (SELECT FROM public.disputes
                  WHERE moderator_id = viewer AND other IN (client_id, performer_id)));
END $$;
COMMENT ON FUNCTION public.push_may_see(uuid, uuid) IS
  'Whether the first may follow the second''s presence: oneself, who shares an order or dispute, and for admins everybody.';

CREATE OR REPLACE FUNCTION public.push_part(one uuid, other uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF one IS NULL OR other IS NULL OR one = other THEN
    RETURN;
  END IF;
  IF NOT public.push_may_see(one, other) THEN
    PERFORM pgpush.revoke('peer:' || other, one::text);
  END IF;
  IF NOT public.push_may_see(other, one) THEN
    PERFORM pgpush.revoke('peer:' || one, other::text);
  END IF;
END $$;
COMMENT ON FUNCTION public.push_part(uuid, uuid) IS
  'Two users no longer meet in some order or dispute: unless they do in another, neither follows the other''s presence.';

CREATE OR REPLACE FUNCTION public.push_allow_user(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM public.users u
                  WHERE u.id = public.push_uuid(user_id) AND u.id::text = params ->> 'id');
END $$;
COMMENT ON FUNCTION public.push_allow_user(text, jsonb, jsonb) IS
  'Rule of the rooms user:{id}: one''s own.';

CREATE OR REPLACE FUNCTION public.push_allow_peer(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce(public.push_may_see(public.push_uuid(user_id),
                                      public.push_uuid(params ->> 'id')), false)
     AND EXISTS (SELECT FROM public.users u WHERE u.id = public.push_uuid(params ->> 'id'));
END $$;
COMMENT ON FUNCTION public.push_allow_peer(text, jsonb, jsonb) IS
  'Rule of the rooms peer:{id}, where the presence of a user is told.';

CREATE OR REPLACE FUNCTION public.push_allow_admin(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM public.users u
                  WHERE u.id = public.push_uuid(user_id) AND u.role = 'admin');
END $$;
COMMENT ON FUNCTION public.push_allow_admin(text, jsonb, jsonb) IS
  'Rule of the room admin:notifications.';

CREATE OR REPLACE FUNCTION public.push_presence(user_id text, online boolean, last_seen timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT online THEN
    PERFORM public.push_stop_typing(of_user => user_id);
  END IF;
  PERFORM pgpush.signal(
    ARRAY['peer:' || user_id, 'user:' || user_id, 'admin:notifications'],
    'user_presence',
    jsonb_build_object('userId', user_id, 'isOnline', online)
      || CASE WHEN online THEN '{}'
              ELSE jsonb_build_object('lastSeen', pgpush.iso(last_seen)) END);
END $$;
COMMENT ON FUNCTION public.push_presence(text, boolean, timestamptz) IS
  'Signals user_presence on a user''s first connection and after the last one.';

-- user_presence tells of changes only; who has just come must ask once.
CREATE OR REPLACE FUNCTION public.push_get_presence(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  known jsonb;
BEGIN
  IF jsonb_typeof(data -> 'userIds') IS DISTINCT FROM 'array'
     OR jsonb_array_length(data -> 'userIds') > 100 THEN
    RETURN public.push_refusal('bad_request', 'userIds is not a list of at most 100');
  END IF;
  SELECT coalesce(jsonb_agg(jsonb_build_object('userId', u.id, 'isOnline', coalesce(p.online, false))
           || CASE WHEN p.online IS FALSE
                   THEN jsonb_build_object('lastSeen', pgpush.iso(p.last_seen)) ELSE '{}' END
           ORDER BY u.i), '[]')
    INTO known
    FROM jsonb_array_elements_text(data -> 'userIds') WITH ORDINALITY AS u (id, i)
    LEFT JOIN pgpush.presence p ON p.user_id = u.id
   WHERE public.push_may_see(public.push_uuid(push_get_presence.user_id), public.push_uuid(u.id));
  RETURN jsonb_build_object('reply', jsonb_build_object('users', known));
END $$;
COMMENT ON FUNCTION public.push_get_presence(text, text, jsonb, jsonb) IS
  'Handler of get_presence {userIds}: who of these is online now, as user_presence would say it; whom one may not follow is left out.';

CREATE OR REPLACE FUNCTION public.push_notifications_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n record;
  data jsonb;
BEGIN
  FOR n IN
    SELECT DISTINCT related_id, user_id FROM pgpush_new
     WHERE type = 'message' AND related_id IS NOT NULL
  LOOP
    PERFORM pgpush.release(concat_ws(':', 'order', n.related_id, n.user_id));
  END LOOP;
  FOR n IN SELECT * FROM pgpush_new LOOP
    data := jsonb_build_object(
      'id', n.id, 'userId', n.user_id, 'type', n.type, 'content', n.content,
      'relatedId', n.related_id, 'createdAt', pgpush.iso(n.created_at));
    PERFORM pgpush.emit('user:' || n.user_id, 'notification', data);
    PERFORM pgpush.emit('user:' || n.user_id, 'new_notification', data);
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_notifications_insert() IS
  'Releases the order_message it tells of, then sends notification and new_notification.';

CREATE OR REPLACE FUNCTION public.push_users_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pgpush.kick(o.id::text, 'deleted') FROM pgpush_old o;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_users_delete() IS
  'A deleted user''s sockets are closed.';

CREATE OR REPLACE FUNCTION public.push_users_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off SET jit = off AS $$
BEGIN
  PERFORM pgpush.kick(o.id::text, 'role changed')
     FROM pgpush_old o JOIN pgpush_new n USING (id)
    WHERE o.role = 'admin' AND n.role <> 'admin';
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_users_update() IS
  'Who was an admin may be in any room: out of all of them, and in again as what they are now.';

DROP TRIGGER IF EXISTS push_insert ON public.notifications;
CREATE TRIGGER push_insert AFTER INSERT ON public.notifications
  REFERENCING NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_notifications_insert();

DROP TRIGGER IF EXISTS push_delete ON public.users;
CREATE TRIGGER push_delete AFTER DELETE ON public.users
  REFERENCING OLD TABLE AS pgpush_old
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_users_delete();

DROP TRIGGER IF EXISTS push_update ON public.users;
CREATE TRIGGER push_update AFTER UPDATE ON public.users
  REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_users_update();

REVOKE ALL ON FUNCTION
  public.push_greet(text, jsonb),
  public.push_may_see(uuid, uuid),
  public.push_part(uuid, uuid),
  public.push_allow_user(text, jsonb, jsonb),
  public.push_allow_peer(text, jsonb, jsonb),
  public.push_allow_admin(text, jsonb, jsonb),
  public.push_presence(text, boolean, timestamptz),
  public.push_get_presence(text, text, jsonb, jsonb),
  public.push_notifications_insert(),
  public.push_users_delete(),
  public.push_users_update()
FROM PUBLIC;

DO $$
BEGIN
  PERFORM pgpush.greet('public.push_greet(text,jsonb)');
  PERFORM pgpush.present('public.push_presence(text,boolean,timestamptz)');
  PERFORM pgpush.on('get_presence', 'public.push_get_presence(text,text,jsonb,jsonb)',
    member => false);
  PERFORM pgpush.allow('user:{id}', 'public.push_allow_user(text,jsonb,jsonb)');
  PERFORM pgpush.allow('peer:{id}', 'public.push_allow_peer(text,jsonb,jsonb)');
  PERFORM pgpush.allow('admin:notifications', 'public.push_allow_admin(text,jsonb,jsonb)');
END $$;

COMMIT;
