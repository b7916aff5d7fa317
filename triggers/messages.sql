-- SPDX-License-Identifier: ISC
--
-- The chat of an order: messages and message_attachments become
-- order_message, message_edit, message_delete and messages_read in room
-- order:<order>; order_typing and mark_messages_read come from the browsers.
-- What all these files share is here too: ids, refusals, who is typing.
--
-- Load as the owner of the tables, who must be a member of pgpush_admin, after
-- sql/, in the order messages, orders, disputes, notifications and, for those
-- who want these, moderation, reactions, calls.  (Any order will do: the files
-- meet only when a function runs.)  Each file is one transaction and may be run
-- again.
--
-- A message and its attachments are written in several transactions, so
-- order_message is held under order:<order>:<receiver> until the notification
-- that ends the API's request, or for 200 ms.  An attachment that comes too
-- late for it sends message_edit.  That is held as well, but due at once: it
-- is put together after the commit, so two attachments written side by side
-- both show, and several in a row go out as one.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{messages.order_id,messages.sender_id,messages.receiver_id,
      messages.content,messages.deleted,messages.edited,messages.read_at,
      message_attachments.message_id,message_attachments.file_url}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'messages.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

-- Shared

CREATE OR REPLACE FUNCTION public.push_uuid(given text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN                    -- not in SQL, which would be planned at each call
  RETURN CASE WHEN given ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
              THEN given::uuid END;
END $$;
COMMENT ON FUNCTION public.push_uuid(text) IS
  'An id as the API writes it, else NULL.  Other spellings of a uuid are refused: a room has one name.';

CREATE OR REPLACE FUNCTION public.push_room_id(kind text, room text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF starts_with(room, kind || ':') THEN
    RETURN public.push_uuid(substr(room, length(kind) + 2));
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_room_id(text, text) IS
  'The id in a room''s name: push_room_id(''order'', ''order:<id>''); NULL if it is no such room.';

CREATE OR REPLACE FUNCTION public.push_refusal(code text, message text, tell boolean DEFAULT false)
RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('error', jsonb_build_object('code', code, 'message', message))
         || CASE WHEN tell
                 THEN jsonb_build_object('emit', jsonb_build_array(
                        jsonb_build_array('error', jsonb_build_object('message', message))))
                 ELSE '{}' END;
$$;
COMMENT ON FUNCTION public.push_refusal(text, text, boolean) IS
  'What a handler returns to say no; tell: also as the event "error" that older pages listen to.';

CREATE OR REPLACE FUNCTION public.push_nothing(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NULL::jsonb;
$$;
COMMENT ON FUNCTION public.push_nothing(text, text, jsonb, jsonb) IS
  'Handler of what older pages send without need: messages are written through the API.';

-- Who is typing, so that it can be taken back when the socket goes.  A daemon
-- that dies says no goodbye: its rows go when the user does, or with age.

CREATE UNLOGGED TABLE IF NOT EXISTS public.push_typing (
  session text        NOT NULL,
  room    text        NOT NULL,
  user_id text        NOT NULL,
  event   text        NOT NULL,
  data    jsonb       NOT NULL,
  at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (session, room)
);
CREATE INDEX IF NOT EXISTS push_typing_user_id ON public.push_typing (user_id);
COMMENT ON TABLE public.push_typing IS
  'Sessions that said isTyping: true last; written by the typing handlers only.';
REVOKE ALL ON public.push_typing FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.push_set_typing(
  session text, user_id text, room text, event text, data jsonb, typing boolean)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF push_set_typing.session IS NOT NULL THEN
    IF typing THEN
      INSERT INTO public.push_typing AS t (session, room, user_id, event, data)
      VALUES (push_set_typing.session, push_set_typing.room,
              push_set_typing.user_id, push_set_typing.event, push_set_typing.data)
      ON CONFLICT (session, room) DO UPDATE SET at = now();
    ELSE
      DELETE FROM public.push_typing t
       WHERE t.session = push_set_typing.session AND t.room = push_set_typing.room;
    END IF;
  END IF;
  PERFORM pgpush.signal(push_set_typing.room, push_set_typing.event,
    push_set_typing.data || jsonb_build_object('isTyping', typing), true);
END $$;
COMMENT ON FUNCTION public.push_set_typing(text, text, text, text, jsonb, boolean) IS
  'Signals that a session types or has stopped, and remembers it.';

CREATE OR REPLACE FUNCTION public.push_stop_typing(
  of_session text DEFAULT NULL, of_room text DEFAULT NULL, of_user text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    DELETE FROM public.push_typing
     WHERE (session = of_session AND (of_room IS NULL OR room = of_room))
        OR user_id = of_user
    RETURNING room, event, data
  LOOP
    PERFORM pgpush.signal(t.room, t.event, t.data || '{"isTyping": false}', true);
  END LOOP;
END $$;
COMMENT ON FUNCTION public.push_stop_typing(text, text, text) IS
  'Signals isTyping: false wherever this session (in this room), or this user, was typing.';

CREATE OR REPLACE FUNCTION public.push_disconnect(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regprocedure('public.push_end_calls(text,text,text,text)') IS NOT NULL THEN
    PERFORM public.push_end_calls('gone', of_session => ctx ->> 'session');
  END IF;
  PERFORM public.push_stop_typing(of_session => ctx ->> 'session');
  DELETE FROM public.push_typing
   WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM public.push_typing
            WHERE at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED));
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_disconnect(text, text, jsonb, jsonb) IS
  'A session has ended: it types no more, and its calls (calls.sql, if that is loaded) are over.';

-- The chats of an order and of a dispute are entered, left and typed in alike;
-- kind is order or dispute, and gives rooms, events and members their names.

CREATE OR REPLACE FUNCTION public.push_join_chat(
  kind text, id uuid, access boolean, parties uuid[], user_id text)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  subject CONSTANT jsonb := jsonb_build_object(kind || 'Id', id);
  rooms text[];
BEGIN
  IF id IS NULL THEN
    RETURN public.push_refusal('bad_request', format('Failed to join %s chat', kind), true);
  ELSIF access IS NULL THEN
    RETURN public.push_refusal('not_found', initcap(kind) || ' not found', true);
  ELSIF NOT access THEN
    RETURN public.push_refusal('forbidden', format('Access denied to this %s chat', kind), true);
  END IF;
  SELECT concat(kind, ':', id) || array_agg('peer:' || p ORDER BY p) INTO rooms
    FROM unnest(parties) p WHERE p::text <> user_id;
  RETURN jsonb_build_object(
    'join', rooms,
    'emit', jsonb_build_array(jsonb_build_array(format('joined_%s_chat', kind), subject)),
    'reply', subject);
END $$;
COMMENT ON FUNCTION public.push_join_chat(text, uuid, boolean, uuid[], text) IS
  'What join_<kind>_chat answers: the room and the presence of the other parties; access NULL: there is no such chat.';

CREATE OR REPLACE FUNCTION public.push_leave_chat(kind text, id uuid, session text)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  room CONSTANT text := kind || ':' || id;
BEGIN
  IF room IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM public.push_stop_typing(of_session => session, of_room => room);
  RETURN jsonb_build_object('leave', jsonb_build_array(room));
END $$;
COMMENT ON FUNCTION public.push_leave_chat(text, uuid, text) IS
  'What leave_<kind>_chat answers.  Presence of the others stays: another order or dispute may need it.';

CREATE OR REPLACE FUNCTION public.push_type_in_chat(
  kind text, user_id text, room text, data jsonb, session text)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  id CONSTANT uuid := public.push_room_id(kind, room);
  said text;
BEGIN
  IF id IS NULL THEN
    RETURN public.push_refusal('bad_request', format('%sId must be the id of %s %s',
      kind, CASE kind WHEN 'order' THEN 'an' ELSE 'a' END, kind));
  END IF;
  IF jsonb_typeof(data -> 'isTyping') IS DISTINCT FROM 'boolean' THEN
    RETURN public.push_refusal('bad_request', 'isTyping must be true or false');
  END IF;
  IF to_regprocedure('public.push_muted(text,uuid)') IS NOT NULL THEN
    said := public.push_muted(room, public.push_uuid(user_id));
    IF said IS NOT NULL THEN
      RETURN public.push_refusal('muted', said);
    END IF;
  END IF;
  PERFORM public.push_set_typing(session, user_id, room, kind || '_typing',
    jsonb_build_object(kind || 'Id', id, 'userId', user_id),
    (data ->> 'isTyping')::boolean);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_type_in_chat(text, text, text, jsonb, text) IS
  'What <kind>_typing does, for a member of the room who is not muted (moderation.sql, if that is loaded).';

-- What an event says of a message

-- Those of one transaction have one created_at: ctid keeps them as written.
CREATE OR REPLACE FUNCTION public.push_attachments(message uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object(
           'id', a.id, 'fileUrl', a.file_url, 'fileName', a.file_name)
           ORDER BY a.created_at, a.ctid), '[]')
    FROM public.message_attachments a WHERE a.message_id = message;
$$;
COMMENT ON FUNCTION public.push_attachments(uuid) IS
  'The attachments of an order''s message as its events show them.';

-- What of a message becomes an event.  iso prints times as the API does.

SELECT pgpush.attach('public.messages', 'order:{order_id}', '{"insert":"order_message"}',
  hold => 'order:{order_id}:{receiver_id}', data => $$jsonb_build_object(
    'orderId', new.order_id, 'messageId', new.id,
    'senderId', new.sender_id, 'receiverId', new.receiver_id,
    'content', CASE WHEN new.deleted THEN '' ELSE new.content END,
    'attachments', CASE WHEN new.deleted THEN '[]' ELSE public.push_attachments(new.id) END,
    'createdAt', pgpush.iso(new.created_at))$$);
SELECT pgpush.attach('public.messages', event => '{"update":""}',
  release => 'order:{old.order_id}:{old.receiver_id}', "when" => $$
    new.deleted > old.deleted OR new.read_at IS NOT NULL AND old.read_at IS NULL
    OR new.content IS DISTINCT FROM old.content AND NOT new.deleted$$);
SELECT pgpush.attach('public.messages', 'order:{order_id}', '{"update":"message_edit"}',
  "when" => 'new.content IS DISTINCT FROM old.content AND NOT new.deleted',
  data => $$jsonb_build_object(
    'orderId', new.order_id, 'messageId', new.id,
    'senderId', new.sender_id, 'receiverId', new.receiver_id,
    'content', new.content, 'attachments', public.push_attachments(new.id),
    'updatedAt', pgpush.iso(new.updated_at), 'edited', new.edited)$$);
SELECT pgpush.attach('public.messages', 'order:{order_id}', '{"update":"message_delete"}',
  "when" => 'new.deleted > old.deleted', data => $$jsonb_build_object(
    'orderId', new.order_id, 'messageId', new.id,
    'senderId', new.sender_id, 'receiverId', new.receiver_id)$$);
-- Outside of a handler nobody says who reads; it is the receiver, and NULL
-- where one statement marks the messages of several.
SELECT pgpush.attach('public.messages', 'order:{order_id}', '{"update":"messages_read"}',
  others => true, "when" => 'new.read_at IS NOT NULL AND old.read_at IS NULL',
  data => $$jsonb_build_object(
    'orderId', min(new.order_id::text), 'readAt', pgpush.iso(max(new.read_at)),
    'readBy', coalesce(nullif(current_setting('pgpush.user', true), ''),
      CASE WHEN min(new.receiver_id::text) = max(new.receiver_id::text)
           THEN min(new.receiver_id::text) END))$$);
-- Part of the event that is still held for its message, else message_edit.
SELECT pgpush.attach('public.message_attachments', 'order:{m.order_id}',
  '{"insert":"message_edit"}', hold => 'order:{m.order_id}:{m.receiver_id}',
  about => '{message_id}', due => '0', "when" => 'NOT m.deleted',
  "join" => 'JOIN public.messages m ON m.id = new.message_id',
  data => $$jsonb_build_object(
    'orderId', m.order_id, 'messageId', m.id,
    'senderId', m.sender_id, 'receiverId', m.receiver_id,
    'content', m.content, 'attachments', public.push_attachments(m.id),
    'updatedAt', pgpush.iso(m.updated_at), 'edited', m.edited)$$);

-- From the browser.  The daemon lets only members of the room come this far.

CREATE OR REPLACE FUNCTION public.push_order_typing(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_type_in_chat('order', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_order_typing(text, text, jsonb, jsonb) IS
  'Handler of order_typing {orderId, isTyping}.';

CREATE OR REPLACE FUNCTION public.push_mark_messages_read(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  marked bigint;
  reader uuid := public.push_uuid(user_id);
  of_order uuid := public.push_room_id('order', room);
BEGIN
  IF of_order IS NULL THEN
    RETURN public.push_refusal('bad_request', 'orderId must be the id of an order');
  END IF;
  UPDATE public.messages m SET read = true, read_at = now()
   WHERE m.order_id = of_order AND m.sender_id <> reader AND m.read_at IS NULL;
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN jsonb_build_object('reply', jsonb_build_object(
    'orderId', of_order, 'marked', marked,
    'readAt', CASE WHEN marked > 0 THEN pgpush.iso(now()) END));
END $$;
COMMENT ON FUNCTION public.push_mark_messages_read(text, text, jsonb, jsonb) IS
  'Handler of mark_messages_read {orderId}: what others wrote there is read now.';

REVOKE ALL ON FUNCTION
  public.push_uuid(text),
  public.push_room_id(text, text),
  public.push_refusal(text, text, boolean),
  public.push_nothing(text, text, jsonb, jsonb),
  public.push_set_typing(text, text, text, text, jsonb, boolean),
  public.push_stop_typing(text, text, text),
  public.push_disconnect(text, text, jsonb, jsonb),
  public.push_join_chat(text, uuid, boolean, uuid[], text),
  public.push_leave_chat(text, uuid, text),
  public.push_type_in_chat(text, text, text, jsonb, text),
  public.push_attachments(uuid),
  public.push_order_typing(text, text, jsonb, jsonb),
  public.push_mark_messages_read(text, text, jsonb, jsonb)
FROM PUBLIC;

DO $$
BEGIN
  PERFORM pgpush.on('order_typing',
    'public.push_order_typing(text,text,jsonb,jsonb)', 'order:{orderId}',
    batch => true);
  PERFORM pgpush.on('mark_messages_read',
    'public.push_mark_messages_read(text,text,jsonb,jsonb)', 'order:{orderId}');
  PERFORM pgpush.on('disconnect',
    'public.push_disconnect(text,text,jsonb,jsonb)', member => false,
    batch => true);
  PERFORM pgpush.on('order_message',
    'public.push_nothing(text,text,jsonb,jsonb)', member => false,
    batch => true);
  PERFORM pgpush.on('dispute_message',
    'public.push_nothing(text,text,jsonb,jsonb)', member => false,
    batch => true);
END $$;

COMMIT;
