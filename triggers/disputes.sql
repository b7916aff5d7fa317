-- SPDX-License-Identifier: ISC
--
-- Disputes: a new one is dispute_opened in order:<order> and at the admins;
-- dispute_messages become dispute_message and a new status
-- dispute_status_update, both in room dispute:<dispute>.  Who may be in that
-- room: its client, its performer, its moderator, any admin.
-- join_dispute_chat, leave_dispute_chat and dispute_typing come from the
-- browsers; a moderator who is replaced is put out.
--
-- Load after messages.sql (see there) and orders.sql, before
-- notifications.sql.
--
-- The API writes a dispute's message and its attachments in one transaction,
-- so the event waits for the end of it: a deferred trigger for each row, the
-- only one here that is not for a statement.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{disputes.order_id,disputes.client_id,disputes.performer_id,
      disputes.moderator_id,disputes.status,dispute_messages.dispute_id,
      dispute_message_attachments.message_id}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'disputes.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION public.push_dispute_access(of_dispute uuid, of_user uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT coalesce(u.id IN (d.client_id, d.performer_id, d.moderator_id)
                  OR u.role = 'admin', false)
    FROM public.disputes d LEFT JOIN public.users u ON u.id = of_user
   WHERE d.id = of_dispute);
END $$;
COMMENT ON FUNCTION public.push_dispute_access(uuid, uuid) IS
  'Whether a user may be in a dispute''s chat; NULL if there is no such dispute.';

CREATE OR REPLACE FUNCTION public.push_allow_dispute(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce(public.push_dispute_access(public.push_uuid(params ->> 'id'),
                                             public.push_uuid(user_id)), false);
END $$;
COMMENT ON FUNCTION public.push_allow_dispute(text, jsonb, jsonb) IS
  'Rule of the rooms dispute:{id}.';

CREATE OR REPLACE FUNCTION public.push_join_dispute_chat(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_dispute CONSTANT uuid := public.push_uuid(data ->> 'disputeId');
BEGIN
  RETURN public.push_join_chat('dispute', of_dispute,
    public.push_dispute_access(of_dispute, public.push_uuid(user_id)),
    (SELECT ARRAY[d.client_id, d.performer_id, d.moderator_id] FROM public.disputes d WHERE d.id = of_dispute),
    user_id);
END $$;
COMMENT ON FUNCTION public.push_join_dispute_chat(text, text, jsonb, jsonb) IS
  'Handler of join_dispute_chat {disputeId}: the dispute''s room, and the presence of its other parties.';

CREATE OR REPLACE FUNCTION public.push_leave_dispute_chat(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_leave_chat('dispute', public.push_uuid(data ->> 'disputeId'), ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_leave_dispute_chat(text, text, jsonb, jsonb) IS
  'Handler of leave_dispute_chat {disputeId}.';

CREATE OR REPLACE FUNCTION public.push_dispute_typing(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_type_in_chat('dispute', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_dispute_typing(text, text, jsonb, jsonb) IS
  'Handler of dispute_typing {disputeId, isTyping}.';

-- Those of one transaction have one created_at: ctid keeps them as written.
CREATE OR REPLACE FUNCTION public.push_dispute_attachments(message uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object(
           'id', a.id, 'fileName', a.file_name, 'fileUrl', a.file_url,
           'fileSize', a.file_size, 'mimeType', a.mime_type)
           ORDER BY a.created_at, a.ctid), '[]')
    FROM public.dispute_message_attachments a WHERE a.message_id = message;
$$;
COMMENT ON FUNCTION public.push_dispute_attachments(uuid) IS
  'The attachments of a dispute''s message as its event shows them.';

CREATE OR REPLACE FUNCTION public.push_dispute_messages_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pgpush.emit('dispute:' || m.dispute_id, 'dispute_message',
            jsonb_build_object(
              'disputeId', m.dispute_id,
              'orderId', (SELECT d.order_id FROM public.disputes d WHERE d.id = m.dispute_id),
              'messageId', m.id, 'senderId', m.sender_id, 'content', m.content,
              'attachments', public.push_dispute_attachments(m.id),
              'createdAt', pgpush.iso(m.created_at)))
     FROM public.dispute_messages m WHERE m.id = NEW.id;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_dispute_messages_insert() IS
  'At commit: sends dispute_message with what the transaction has attached to it.';

-- Once to a session that is in both rooms.
SELECT pgpush.attach('public.disputes', rooms => '{"order:{order_id}",admin:notifications}',
  event => '{"insert":"dispute_opened"}', data => $$jsonb_build_object(
    'disputeId', new.id, 'orderId', new.order_id, 'clientId', new.client_id,
    'performerId', new.performer_id, 'reason', new.reason,
    'createdAt', pgpush.iso(new.created_at))$$);
SELECT pgpush.attach('public.disputes', 'dispute:{id}', '{"update":"dispute_status_update"}',
  "when" => 'new.status IS DISTINCT FROM old.status', data => $$jsonb_build_object(
    'disputeId', new.id, 'orderId', new.order_id, 'status', new.status,
    'updatedBy', new.moderator_id, 'updatedAt', pgpush.iso(new.updated_at))$$);

CREATE OR REPLACE FUNCTION public.push_disputes_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off SET jit = off AS $$
DECLARE
  r record;
  other uuid;
BEGIN
  FOR r IN
    SELECT o.id, u.was AS gone, ARRAY[o.client_id, o.performer_id, o.moderator_id] AS parties
      FROM pgpush_old o JOIN pgpush_new n USING (id),
           LATERAL (VALUES (o.client_id, n.client_id),
                           (o.performer_id, n.performer_id),
                           (o.moderator_id, n.moderator_id)) AS u (was, is_now)
     WHERE u.was IS DISTINCT FROM u.is_now AND u.was IS NOT NULL
  LOOP
    IF NOT coalesce(public.push_dispute_access(r.id, r.gone), false) THEN
      PERFORM pgpush.revoke('dispute:' || r.id, r.gone::text);
    END IF;
    FOREACH other IN ARRAY r.parties LOOP
      PERFORM public.push_part(r.gone, other);
    END LOOP;
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_disputes_update() IS
  'Puts out of the dispute''s room who is no longer a party of it.';

DROP TRIGGER IF EXISTS push_insert ON public.dispute_messages;
CREATE CONSTRAINT TRIGGER push_insert AFTER INSERT ON public.dispute_messages
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION public.push_dispute_messages_insert();

-- By its name before the trigger of attach: first out of the room, then the
-- event.
DROP TRIGGER IF EXISTS out_of_the_room ON public.disputes;
CREATE TRIGGER out_of_the_room AFTER UPDATE ON public.disputes
  REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_disputes_update();

REVOKE ALL ON FUNCTION
  public.push_dispute_access(uuid, uuid),
  public.push_allow_dispute(text, jsonb, jsonb),
  public.push_join_dispute_chat(text, text, jsonb, jsonb),
  public.push_leave_dispute_chat(text, text, jsonb, jsonb),
  public.push_dispute_typing(text, text, jsonb, jsonb),
  public.push_dispute_attachments(uuid),
  public.push_dispute_messages_insert(),
  public.push_disputes_update()
FROM PUBLIC;

DO $$
BEGIN
  PERFORM pgpush.allow('dispute:{id}', 'public.push_allow_dispute(text,jsonb,jsonb)');
  PERFORM pgpush.on('join_dispute_chat',
    'public.push_join_dispute_chat(text,text,jsonb,jsonb)', 'dispute:{disputeId}',
    member => false, "grant" => true);
  PERFORM pgpush.on('leave_dispute_chat',
    'public.push_leave_dispute_chat(text,text,jsonb,jsonb)', 'dispute:{disputeId}',
    member => false);
  PERFORM pgpush.on('dispute_typing',
    'public.push_dispute_typing(text,text,jsonb,jsonb)', 'dispute:{disputeId}',
    batch => true);
END $$;

COMMIT;
