-- SPDX-License-Identifier: ISC
--
-- Moderation: a row of room_mutes keeps a user from writing in the chat of an
-- order or of a dispute.  It becomes user_muted and, when it is lifted or its
-- time is over, user_unmuted in that room; a message or reaction of the muted
-- is refused, and so is what they edit.  They still read.  mute_user,
-- unmute_user and remove_message come from the browsers: of admins, and of a
-- dispute's moderator for its parties, in its room and in that of its order.
-- A message of a dispute that was removed is dispute_message_delete; one of an
-- order is message_delete, by messages.sql.
--
-- Load after messages.sql (see there); reactions.sql and calls.sql need it.
--
-- Nobody writes when the time of a mute is over.  So user_unmuted is held from
-- the beginning, until then, and is not sent if the mute has changed.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{room_mutes.room,room_mutes.user_id,room_mutes.until,room_mutes.by,
      messages.deleted,dispute_messages.deleted}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'moderation.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION public.push_muted(in_room text, who uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'You are muted in this chat' || coalesce(to_char(m.until AT TIME ZONE 'UTC',
           '" until "YYYY-MM-DD HH24:MI" UTC"'), '')
    FROM public.room_mutes m
   WHERE m.room = in_room AND m.user_id = who AND coalesce(m.until > now(), true);
$$;
COMMENT ON FUNCTION public.push_muted(text, uuid) IS
  'What to tell a user who is muted in a room; NULL: not muted.';

-- Events

CREATE OR REPLACE FUNCTION public.push_mute_data(m public.room_mutes, who uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('room', m.room, 'userId', m.user_id,
           'until', pgpush.iso(m.until), 'by', who, 'reason', m.reason);
$$;
COMMENT ON FUNCTION public.push_mute_data(public.room_mutes, uuid) IS
  'A mute as its events and answers show it.';

CREATE OR REPLACE FUNCTION public.push_mute_over(arg jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT public.push_mute_data(m, NULL)
    FROM public.room_mutes m
   WHERE m.room = arg ->> 'room' AND m.user_id = (arg ->> 'userId')::uuid
     AND m.until = (arg ->> 'until')::timestamptz AND m.until <= clock_timestamp();
$$;
COMMENT ON FUNCTION public.push_mute_over(jsonb) IS
  'Renders user_unmuted when the time of a mute is over; NULL if it was lifted or changed.';

CREATE OR REPLACE FUNCTION public.push_mute_begins(m public.room_mutes) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  PERFORM pgpush.release(concat_ws(':', 'mute', m.room, m.user_id));
  PERFORM pgpush.emit(m.room, 'user_muted', public.push_mute_data(m, m."by"));
  IF m.until IS NOT NULL THEN
    PERFORM pgpush.hold(concat_ws(':', 'mute', m.room, m.user_id),
      m.room, 'user_unmuted', 'public.push_mute_over(jsonb)'::regprocedure,
      jsonb_build_object('room', m.room, 'userId', m.user_id, 'until', m.until),
      m.until - clock_timestamp());
  END IF;
  FOR t IN
    DELETE FROM public.push_typing
     WHERE room = m.room AND user_id = m.user_id::text
    RETURNING room, event, data
  LOOP
    PERFORM pgpush.signal(t.room, t.event, t.data || '{"isTyping": false}');
  END LOOP;
  IF to_regprocedure('public.push_end_calls(text,text,text,text)') IS NOT NULL THEN
    PERFORM public.push_end_calls('muted', of_room => m.room, of_user => m.user_id::text);
  END IF;
END $$;
COMMENT ON FUNCTION public.push_mute_begins(public.room_mutes) IS
  'Sends user_muted, and user_unmuted for when its time is over; the muted type no more and their call ends.';

CREATE OR REPLACE FUNCTION public.push_mute_ends(m public.room_mutes, who uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pgpush.release(concat_ws(':', 'mute', m.room, m.user_id));
  PERFORM pgpush.emit(m.room, 'user_unmuted', public.push_mute_data(m, who));
END $$;
COMMENT ON FUNCTION public.push_mute_ends(public.room_mutes, uuid) IS
  'Sends user_unmuted for a mute that was lifted.';

-- Triggers.  As everywhere an error of ours becomes a warning, with one
-- exception: the refusal of what the muted write, SQLSTATE MUTED.

CREATE OR REPLACE FUNCTION public.push_room_mutes_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m public.room_mutes;
BEGIN
  FOR m IN SELECT * FROM pgpush_new n WHERE coalesce(n.until > now(), true) LOOP
    PERFORM public.push_mute_begins(m);
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_room_mutes_insert() IS
  'Sends user_muted.';

-- A foreign key that sets "by" to NULL mutes nobody anew.
CREATE OR REPLACE FUNCTION public.push_room_mutes_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m public.room_mutes;
BEGIN
  FOR m IN
    SELECT n.* FROM pgpush_new n JOIN pgpush_old o USING (room, user_id)
     WHERE coalesce(n.until > now(), true)
       AND (NOT coalesce(o.until > now(), true)
            OR (n.until, n.reason) IS DISTINCT FROM (o.until, o.reason)
            OR n."by" <> o."by")
  LOOP
    PERFORM public.push_mute_begins(m);
  END LOOP;
  FOR m IN
    SELECT n.* FROM pgpush_new n JOIN pgpush_old o USING (room, user_id)
     WHERE NOT coalesce(n.until > now(), true) AND coalesce(o.until > now(), true)
  LOOP
    PERFORM public.push_mute_ends(m, m."by");
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_room_mutes_update() IS
  'Sends user_muted for a mute that is new, longer or shorter, user_unmuted for one that was lifted.';

-- What goes with its order, dispute or user goes silently.
CREATE OR REPLACE FUNCTION public.push_room_mutes_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m public.room_mutes;
BEGIN
  FOR m IN
    SELECT * FROM pgpush_old o
     WHERE coalesce(o.until > now(), true)
       AND EXISTS (SELECT FROM public.users u WHERE u.id = o.user_id)
       AND (EXISTS (SELECT FROM public.orders x WHERE x.id = o.order_id)
            OR EXISTS (SELECT FROM public.disputes x WHERE x.id = o.dispute_id))
  LOOP
    m.until := now();
    PERFORM public.push_mute_ends(m, public.push_uuid(current_setting('pgpush.user', true)));
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_room_mutes_delete() IS
  'Sends user_unmuted for a mute that was taken away.';

CREATE OR REPLACE FUNCTION public.push_refuse_muted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m public.room_mutes;
BEGIN
  IF TG_TABLE_NAME = 'messages' THEN
    SELECT x.* INTO m FROM pgpush_new n JOIN public.room_mutes x
        ON x.order_id = n.order_id AND x.user_id = n.sender_id
     WHERE coalesce(x.until > now(), true) LIMIT 1;
  ELSIF TG_TABLE_NAME = 'dispute_messages' THEN
    SELECT x.* INTO m FROM pgpush_new n JOIN public.room_mutes x
        ON x.dispute_id = n.dispute_id AND x.user_id = n.sender_id
     WHERE coalesce(x.until > now(), true) LIMIT 1;
  ELSIF TG_TABLE_NAME = 'message_reactions' THEN
    SELECT x.* INTO m FROM pgpush_new n JOIN public.messages s ON s.id = n.message_id
      JOIN public.room_mutes x ON x.order_id = s.order_id AND x.user_id = n.user_id
     WHERE coalesce(x.until > now(), true) LIMIT 1;
  ELSE
    SELECT x.* INTO m FROM pgpush_new n JOIN public.dispute_messages s ON s.id = n.message_id
      JOIN public.room_mutes x ON x.dispute_id = s.dispute_id AND x.user_id = n.user_id
     WHERE coalesce(x.until > now(), true) LIMIT 1;
  END IF;
  IF FOUND THEN
    RAISE EXCEPTION '%', public.push_muted(m.room, m.user_id)
      USING ERRCODE = 'MUTED', DETAIL = m.reason;
  END IF;
  RETURN NULL;
EXCEPTION
  WHEN SQLSTATE 'MUTED' THEN
    RAISE;
  WHEN OTHERS THEN
    RAISE WARNING 'pgpush: % not checked: %', TG_NAME, SQLERRM;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_refuse_muted() IS
  'Refuses messages and reactions of the muted.';

CREATE OR REPLACE FUNCTION public.push_refuse_muted_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off SET jit = off AS $$
DECLARE
  m public.room_mutes;
BEGIN
  IF TG_TABLE_NAME = 'messages' THEN
    SELECT x.* INTO m FROM pgpush_new n JOIN pgpush_old o USING (id)
      JOIN public.room_mutes x ON x.order_id = n.order_id AND x.user_id = n.sender_id
     WHERE n.content IS DISTINCT FROM o.content AND NOT n.deleted
       AND coalesce(x.until > now(), true) LIMIT 1;
  ELSE
    SELECT x.* INTO m FROM pgpush_new n JOIN pgpush_old o USING (id)
      JOIN public.room_mutes x ON x.dispute_id = n.dispute_id AND x.user_id = n.sender_id
     WHERE n.content IS DISTINCT FROM o.content AND NOT n.deleted
       AND coalesce(x.until > now(), true) LIMIT 1;
  END IF;
  IF FOUND THEN
    RAISE EXCEPTION '%', public.push_muted(m.room, m.user_id)
      USING ERRCODE = 'MUTED', DETAIL = m.reason,
            HINT = 'To take a message of a muted user away set deleted.';
  END IF;
  RETURN NULL;
EXCEPTION
  WHEN SQLSTATE 'MUTED' THEN
    RAISE;
  WHEN OTHERS THEN
    RAISE WARNING 'pgpush: % not checked: %', TG_NAME, SQLERRM;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_refuse_muted_edit() IS
  'Refuses another content in what the muted have written: they would go on talking there.';

SELECT pgpush.attach('public.dispute_messages', 'dispute:{dispute_id}',
  '{"update":"dispute_message_delete"}', "when" => 'new.deleted > old.deleted',
  data => $$jsonb_build_object(
    'disputeId', new.dispute_id, 'orderId', (SELECT d.order_id FROM public.disputes d WHERE d.id = new.dispute_id),
    'messageId', new.id, 'senderId', new.sender_id)$$);

DROP TRIGGER IF EXISTS push_insert ON public.room_mutes;
CREATE TRIGGER push_insert AFTER INSERT ON public.room_mutes
  REFERENCING NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_room_mutes_insert();

DROP TRIGGER IF EXISTS push_update ON public.room_mutes;
CREATE TRIGGER push_update AFTER UPDATE ON public.room_mutes
  REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_room_mutes_update();

DROP TRIGGER IF EXISTS push_delete ON public.room_mutes;
CREATE TRIGGER push_delete AFTER DELETE ON public.room_mutes
  REFERENCING OLD TABLE AS pgpush_old
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_room_mutes_delete();

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{messages,dispute_messages,message_reactions,dispute_message_reactions}'::text[] LOOP
    CONTINUE WHEN to_regclass('public.' || name) IS NULL;
    EXECUTE format(
      'DROP TRIGGER IF EXISTS push_muted ON public.%1$I;
       CREATE TRIGGER push_muted AFTER INSERT ON public.%1$I
         REFERENCING NEW TABLE AS pgpush_new
         FOR EACH STATEMENT EXECUTE FUNCTION public.push_refuse_muted()', name);
  END LOOP;
  FOREACH name IN ARRAY '{messages,dispute_messages}'::text[] LOOP
    EXECUTE format(
      'DROP TRIGGER IF EXISTS push_muted_edit ON public.%1$I;
       CREATE TRIGGER push_muted_edit AFTER UPDATE ON public.%1$I
         REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
         FOR EACH STATEMENT EXECUTE FUNCTION public.push_refuse_muted_edit()', name);
  END LOOP;
END $$;

-- From the browser.  Who moderates need not be in the room: an order's is
-- closed to the moderator of its dispute.

CREATE OR REPLACE FUNCTION public.push_may_moderate(
  in_room text, who uuid, over uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_order CONSTANT uuid := public.push_room_id('order', in_room);
  of_dispute CONSTANT uuid := public.push_room_id('dispute', in_room);
BEGIN
  IF NOT EXISTS (SELECT FROM public.orders o WHERE o.id = of_order)
     AND NOT EXISTS (SELECT FROM public.disputes d WHERE d.id = of_dispute) THEN
    RETURN NULL;
  END IF;
  RETURN EXISTS (SELECT FROM public.users u WHERE u.id = who AND u.role = 'admin')
      OR EXISTS (SELECT FROM public.disputes d
                  WHERE (d.order_id = of_order OR d.id = of_dispute)
                    AND d.moderator_id = who AND who NOT IN (d.client_id, d.performer_id)
                    AND NOT EXISTS (SELECT FROM public.orders o WHERE o.id = d.order_id
                      AND who IN (o.client_id, o.performer_id))
                    AND (over IS NULL OR over IN (d.client_id, d.performer_id)));
END $$;
COMMENT ON FUNCTION public.push_may_moderate(text, uuid, uuid) IS
  'Whether a user moderates a room, and this other user there; a party of the order never does, whoever made it the moderator. NULL if there is no such order or dispute.';

CREATE OR REPLACE FUNCTION public.push_moderated_room(room text, data jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(data ->> 'room', 'order:' || (data ->> 'orderId'),
                  'dispute:' || (data ->> 'disputeId'), room);
$$;
COMMENT ON FUNCTION public.push_moderated_room(text, jsonb) IS
  'The room a moderator means: by its name, by orderId, by disputeId, or that of the frame.';

CREATE OR REPLACE FUNCTION public.push_mute_refusal(in_room text, who uuid, over uuid)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  may CONSTANT boolean := public.push_may_moderate(in_room, who, over);
BEGIN
  IF public.push_room_id('order', in_room) IS NULL
     AND public.push_room_id('dispute', in_room) IS NULL THEN
    RETURN public.push_refusal('bad_request',
      'room, orderId or disputeId must name an order or a dispute');
  ELSIF over IS NULL THEN
    RETURN public.push_refusal('bad_request', 'userId must be the id of a user');
  ELSIF may IS NULL THEN
    RETURN public.push_refusal('not_found',
      initcap(split_part(in_room, ':', 1)) || ' not found');
  ELSIF NOT may THEN
    RETURN public.push_refusal('forbidden',
      'Only an admin, or the moderator of a dispute for its parties, may do this');
  ELSIF who = over THEN
    RETURN public.push_refusal('forbidden', 'You cannot mute or unmute yourself');
  ELSIF NOT EXISTS (SELECT FROM public.users u WHERE u.id = over) THEN
    RETURN public.push_refusal('not_found', 'User not found');
  ELSIF EXISTS (SELECT FROM public.room_mutes m LEFT JOIN public.users u ON u.id = m."by"
                 WHERE m.room = in_room AND m.user_id = over
                   AND coalesce(m.until > now(), true)
                   AND coalesce(u.role = 'admin', true))
        AND NOT EXISTS (SELECT FROM public.users u WHERE u.id = who AND u.role = 'admin') THEN
    RETURN public.push_refusal('forbidden', 'This user was muted by an admin');
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_mute_refusal(text, uuid, uuid) IS
  'Why this user may not mute or unmute that one in a room; NULL: may.  What an admin has muted only an admin changes.';

CREATE OR REPLACE FUNCTION public.push_mute_user(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  who CONSTANT uuid := public.push_uuid(push_mute_user.user_id);
  over CONSTANT uuid := public.push_uuid(data ->> 'userId');
  in_room CONSTANT text := public.push_moderated_room(push_mute_user.room, data);
  refusal jsonb := public.push_mute_refusal(in_room, who, over);
  minutes numeric;
  why text;
  m public.room_mutes;
BEGIN
  IF refusal IS NOT NULL THEN
    RETURN refusal;
  ELSIF EXISTS (SELECT FROM public.users u WHERE u.id = over AND u.role = 'admin') THEN
    RETURN public.push_refusal('forbidden', 'An admin cannot be muted');
  ELSIF coalesce(jsonb_typeof(data -> 'minutes'), '') NOT IN ('number', 'null')
        OR (data ->> 'minutes')::numeric NOT BETWEEN 0.001 AND 525600 THEN
    RETURN public.push_refusal('bad_request',
      'minutes must be a number up to 525600, or null for good');
  ELSIF coalesce(jsonb_typeof(data -> 'reason'), 'null') NOT IN ('string', 'null')
        OR length(data ->> 'reason') > 500 THEN
    RETURN public.push_refusal('bad_request', 'reason must be a text of at most 500 characters');
  END IF;
  minutes := (data ->> 'minutes')::numeric;
  why := coalesce(btrim(data ->> 'reason'), '');
  INSERT INTO public.room_mutes AS x (order_id, dispute_id, user_id, until, "by", reason)
  VALUES (public.push_room_id('order', in_room), public.push_room_id('dispute', in_room),
          over, now() + make_interval(secs => (minutes * 60)::float8), who, why)
  ON CONFLICT (room, user_id) DO UPDATE
     SET until = excluded.until, "by" = excluded."by", reason = excluded.reason
  RETURNING * INTO m;
  RETURN jsonb_build_object('reply', public.push_mute_data(m, who));
END $$;
COMMENT ON FUNCTION public.push_mute_user(text, text, jsonb, jsonb) IS
  'Handler of mute_user {room or orderId or disputeId, userId, minutes, reason}: for so long, from now; again: instead.';

CREATE OR REPLACE FUNCTION public.push_unmute_user(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  who CONSTANT uuid := public.push_uuid(push_unmute_user.user_id);
  over CONSTANT uuid := public.push_uuid(data ->> 'userId');
  in_room CONSTANT text := public.push_moderated_room(push_unmute_user.room, data);
  refusal jsonb := public.push_mute_refusal(in_room, who, over);
  m public.room_mutes;
BEGIN
  IF refusal IS NOT NULL THEN
    RETURN refusal;
  END IF;
  UPDATE public.room_mutes x SET until = now(), "by" = who
   WHERE x.room = in_room AND x.user_id = over AND coalesce(x.until > now(), true)
  RETURNING * INTO m;
  IF NOT FOUND THEN
    RETURN public.push_refusal('not_found', 'This user is not muted here');
  END IF;
  RETURN jsonb_build_object('reply', public.push_mute_data(m, who));
END $$;
COMMENT ON FUNCTION public.push_unmute_user(text, text, jsonb, jsonb) IS
  'Handler of unmute_user {room or orderId or disputeId, userId}.';

CREATE OR REPLACE FUNCTION public.push_remove_message(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who CONSTANT uuid := public.push_uuid(user_id);
  message CONSTANT uuid := public.push_uuid(data ->> 'messageId');
  of_order uuid;
  of_dispute uuid;
BEGIN
  IF message IS NULL THEN
    RETURN public.push_refusal('bad_request', 'messageId must be the id of a message');
  END IF;
  SELECT m.order_id INTO of_order FROM public.messages m
   WHERE m.id = message AND NOT m.deleted;
  IF of_order IS NULL THEN
    SELECT m.dispute_id INTO of_dispute FROM public.dispute_messages m
     WHERE m.id = message AND NOT m.deleted;
  END IF;
  IF of_order IS NULL AND of_dispute IS NULL THEN
    RETURN public.push_refusal('not_found', 'Message not found');
  ELSIF NOT public.push_may_moderate(
        coalesce('order:' || of_order, 'dispute:' || of_dispute), who) THEN
    RETURN public.push_refusal('forbidden',
      'Only an admin or the moderator may remove a message');
  END IF;
  UPDATE public.messages m SET deleted = true WHERE m.id = message AND of_order IS NOT NULL;
  UPDATE public.dispute_messages m SET deleted = true
   WHERE m.id = message AND of_dispute IS NOT NULL;
  RETURN jsonb_build_object('reply', jsonb_build_object('messageId', message)
    || CASE WHEN of_order IS NOT NULL THEN jsonb_build_object('orderId', of_order)
            ELSE jsonb_build_object('disputeId', of_dispute) END);
END $$;
COMMENT ON FUNCTION public.push_remove_message(text, text, jsonb, jsonb) IS
  'Handler of remove_message {messageId}, of an order or of a dispute: it becomes deleted.';

REVOKE ALL ON FUNCTION
  public.push_muted(text, uuid),
  public.push_mute_data(public.room_mutes, uuid),
  public.push_mute_over(jsonb),
  public.push_mute_begins(public.room_mutes),
  public.push_mute_ends(public.room_mutes, uuid),
  public.push_room_mutes_insert(),
  public.push_room_mutes_update(),
  public.push_room_mutes_delete(),
  public.push_refuse_muted(),
  public.push_refuse_muted_edit(),
  public.push_may_moderate(text, uuid, uuid),
  public.push_moderated_room(text, jsonb),
  public.push_mute_refusal(text, uuid, uuid),
  public.push_mute_user(text, text, jsonb, jsonb),
  public.push_unmute_user(text, text, jsonb, jsonb),
  public.push_remove_message(text, text, jsonb, jsonb)
FROM PUBLIC;

-- What is held is rendered as the owner of pgpush.
DO $$
BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION public.push_mute_over(jsonb) TO %s',
                 (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'pgpush'));
END $$;

DO $$
BEGIN
  PERFORM pgpush.on('mute_user',
    'public.push_mute_user(text,text,jsonb,jsonb)', member => false);
  PERFORM pgpush.on('unmute_user',
    'public.push_unmute_user(text,text,jsonb,jsonb)', member => false);
  PERFORM pgpush.on('remove_message',
    'public.push_remove_message(text,text,jsonb,jsonb)', member => false);
END $$;

COMMIT;
