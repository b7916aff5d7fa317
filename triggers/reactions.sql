-- SPDX-License-Identifier: ISC
--
-- Reactions: message_reactions become message_reaction in room order:<order>,
-- dispute_message_reactions become dispute_message_reaction in room
-- dispute:<dispute>, with all reactions to that message; toggle_reaction comes
-- from the browsers.
--
-- Load after messages.sql (see there) and moderation.sql.
--
-- Two who react at the same moment do not see each other's rows.  So the event
-- is held, due at once: it is put together after the commit, and the last one
-- has them all.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{message_reactions.message_id,dispute_message_reactions.message_id,
      reaction_emojis.emoji,dispute_messages.deleted}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'reactions.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

-- What an event says

CREATE OR REPLACE FUNCTION public.push_message_reaction(arg jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('orderId', m.order_id, 'messageId', m.id, 'reactions',
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'emoji', g.emoji, 'count', cardinality(g.ids), 'userIds', g.ids)
                     ORDER BY g.first, g.emoji), '[]')
              FROM (SELECT r.emoji, min(r.created_at) AS first,
                           array_agg(r.user_id ORDER BY r.created_at, r.user_id) AS ids
                      FROM public.message_reactions r
                     WHERE r.message_id = m.id GROUP BY r.emoji) g))
    FROM public.messages m
   WHERE m.id = (arg ->> 'messageId')::uuid AND NOT m.deleted;
$$;
COMMENT ON FUNCTION public.push_message_reaction(jsonb) IS
  'Renders message_reaction as the reactions stand; NULL if the message is gone or deleted.';

CREATE OR REPLACE FUNCTION public.push_dispute_message_reaction(arg jsonb) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('disputeId', m.dispute_id, 'orderId', d.order_id,
           'messageId', m.id, 'reactions',
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'emoji', g.emoji, 'count', cardinality(g.ids), 'userIds', g.ids)
                     ORDER BY g.first, g.emoji), '[]')
              FROM (SELECT r.emoji, min(r.created_at) AS first,
                           array_agg(r.user_id ORDER BY r.created_at, r.user_id) AS ids
                      FROM public.dispute_message_reactions r
                     WHERE r.message_id = m.id GROUP BY r.emoji) g))
    FROM public.dispute_messages m JOIN public.disputes d ON d.id = m.dispute_id
   WHERE m.id = (arg ->> 'messageId')::uuid AND NOT m.deleted;
$$;
COMMENT ON FUNCTION public.push_dispute_message_reaction(jsonb) IS
  'Renders dispute_message_reaction as the reactions stand; NULL if the message is gone or deleted.';

-- Triggers, the same for rows that come, change and go.  An error of ours must
-- not undo the application's write: it becomes a warning in the server's log.

CREATE OR REPLACE FUNCTION public.push_reactions_hold(
  message uuid, room text, event text, render regprocedure)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT pgpush.hold('reaction:' || message, room, event, render,
    jsonb_build_object('messageId', message), interval '0', about => message::text);
$$;
COMMENT ON FUNCTION public.push_reactions_hold(uuid, text, text, regprocedure) IS
  'Holds one event for a message, unless one is held already that will show this as well.';

CREATE OR REPLACE FUNCTION public.push_message_reactions_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m record;
BEGIN
  FOR m IN
    SELECT id, order_id, receiver_id FROM public.messages
     WHERE id IN (SELECT message_id FROM pgpush_rows) AND NOT deleted
     ORDER BY created_at, id
  LOOP
    -- The message itself comes first.
    PERFORM pgpush.release(concat_ws(':', 'order', m.order_id, m.receiver_id));
    PERFORM public.push_reactions_hold(m.id, 'order:' || m.order_id, 'message_reaction',
      'public.push_message_reaction(jsonb)');
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_message_reactions_change() IS
  'Sends message_reaction, one for each message, with what there is now.';

CREATE OR REPLACE FUNCTION public.push_dispute_message_reactions_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m record;
BEGIN
  FOR m IN
    SELECT id, dispute_id FROM public.dispute_messages
     WHERE id IN (SELECT message_id FROM pgpush_rows) AND NOT deleted
     ORDER BY created_at, id
  LOOP
    PERFORM public.push_reactions_hold(m.id, 'dispute:' || m.dispute_id,
      'dispute_message_reaction', 'public.push_dispute_message_reaction(jsonb)');
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_dispute_message_reactions_change() IS
  'Sends dispute_message_reaction, one for each message, with what there is now.';

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{message_reactions,dispute_message_reactions}'::text[] LOOP
    EXECUTE format(
      'DROP TRIGGER IF EXISTS push_insert ON public.%1$I;
       CREATE TRIGGER push_insert AFTER INSERT ON public.%1$I
         REFERENCING NEW TABLE AS pgpush_rows
         FOR EACH STATEMENT EXECUTE FUNCTION public.push_%1$s_change();
       DROP TRIGGER IF EXISTS push_update ON public.%1$I;
       CREATE TRIGGER push_update AFTER UPDATE ON public.%1$I
         REFERENCING NEW TABLE AS pgpush_rows
         FOR EACH STATEMENT EXECUTE FUNCTION public.push_%1$s_change();
       DROP TRIGGER IF EXISTS push_delete ON public.%1$I;
       CREATE TRIGGER push_delete AFTER DELETE ON public.%1$I
         REFERENCING OLD TABLE AS pgpush_rows
         FOR EACH STATEMENT EXECUTE FUNCTION public.push_%1$s_change()', name);
  END LOOP;
END $$;

-- From the browser.  The message says whose room it is, so who may react is
-- asked here, by the rules of the rooms.

CREATE OR REPLACE FUNCTION public.push_toggle_reaction(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  who CONSTANT uuid := public.push_uuid(push_toggle_reaction.user_id);
  message CONSTANT uuid := public.push_uuid(data ->> 'messageId');
  chosen CONSTANT text := data ->> 'emoji';
  of_order uuid;
  of_dispute uuid;
  gone boolean;
  said text;
  reacted boolean;
BEGIN
  IF message IS NULL THEN
    RETURN public.push_refusal('bad_request', 'messageId must be the id of a message');
  ELSIF NOT EXISTS (SELECT FROM public.reaction_emojis e WHERE e.emoji = chosen) THEN
    RETURN public.push_refusal('bad_request', 'emoji must be one of '
      || (SELECT string_agg(e.emoji, ' ' ORDER BY e.position) FROM public.reaction_emojis e));
  END IF;

  SELECT m.order_id, m.deleted INTO of_order, gone
    FROM public.messages m WHERE m.id = message;
  IF NOT FOUND THEN
    SELECT m.dispute_id, m.deleted INTO of_dispute, gone
      FROM public.dispute_messages m WHERE m.id = message;
  END IF;
  IF of_order IS NULL AND of_dispute IS NULL THEN
    RETURN public.push_refusal('not_found', 'Message not found');
  ELSIF public.push_order_access(of_order, who) IS NOT TRUE
        AND public.push_dispute_access(of_dispute, who) IS NOT TRUE THEN
    RETURN public.push_refusal('forbidden', format('Access denied to this %s chat',
      CASE WHEN of_order IS NULL THEN 'dispute' ELSE 'order' END));
  ELSIF gone THEN
    RETURN public.push_refusal('not_found', 'Message not found');
  END IF;
  said := public.push_muted(coalesce('order:' || of_order, 'dispute:' || of_dispute), who);
  IF said IS NOT NULL THEN
    RETURN public.push_refusal('muted', said);
  END IF;

  IF of_order IS NOT NULL THEN
    DELETE FROM public.message_reactions r
     WHERE r.message_id = message AND r.user_id = who AND r.emoji = chosen;
    reacted := NOT FOUND;
    IF reacted THEN
      INSERT INTO public.message_reactions (message_id, user_id, emoji)
      VALUES (message, who, chosen) ON CONFLICT DO NOTHING;
    END IF;
  ELSE
    DELETE FROM public.dispute_message_reactions r
     WHERE r.message_id = message AND r.user_id = who AND r.emoji = chosen;
    reacted := NOT FOUND;
    IF reacted THEN
      INSERT INTO public.dispute_message_reactions (message_id, user_id, emoji)
      VALUES (message, who, chosen) ON CONFLICT DO NOTHING;
    END IF;
  END IF;
  RETURN jsonb_build_object('reply', jsonb_build_object(
    'messageId', message, 'emoji', chosen, 'reacted', reacted));
END $$;
COMMENT ON FUNCTION public.push_toggle_reaction(text, text, jsonb, jsonb) IS
  'Handler of toggle_reaction {messageId, emoji}: puts one''s reaction to a message, or takes it back.';

REVOKE ALL ON FUNCTION
  public.push_message_reaction(jsonb),
  public.push_dispute_message_reaction(jsonb),
  public.push_reactions_hold(uuid, text, text, regprocedure),
  public.push_message_reactions_change(),
  public.push_dispute_message_reactions_change(),
  public.push_toggle_reaction(text, text, jsonb, jsonb)
FROM PUBLIC;

-- What is held is rendered as the owner of pgpush.
DO $$
BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION public.push_message_reaction(jsonb), '
                 'public.push_dispute_message_reaction(jsonb) TO %s',
                 (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'pgpush'));
END $$;

DO $$
BEGIN
  PERFORM pgpush.on('toggle_reaction',
    'public.push_toggle_reaction(text,text,jsonb,jsonb)', member => false);
END $$;

COMMIT;
