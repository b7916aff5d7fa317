-- SPDX-License-Identifier: ISC
--
-- Orders: order_status_history becomes order_status_update in room
-- order:<order>.  Who may be in that room: its client, its performer, any
-- admin.  join_order_chat and leave_order_chat come from the browsers; a
-- performer who is replaced is put out.
--
-- Load after messages.sql (see there); before disputes.sql, notifications.sql.

BEGIN;

SET LOCAL client_min_messages = warning;

-- What the schema lacks is said when this is loaded, not at the first message.
DO $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(c, ', ') INTO missing
    FROM unnest('{orders.client_id,orders.performer_id,users.role,
      order_status_history.order_id,order_status_history.changed_by}'::text[]) AS c
   WHERE NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || split_part(c, '.', 1))
        AND attname = split_part(c, '.', 2) AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'orders.sql needs columns that this database does not have: %', missing
      USING HINT = 'demo/db/schema.sql has them; if yours have other names, change them in this file.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION public.push_order_access(of_order uuid, of_user uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT coalesce(u.id IN (o.client_id, o.performer_id) OR u.role = 'admin', false)
    FROM public.orders o LEFT JOIN public.users u ON u.id = of_user
   WHERE o.id = of_order);
END $$;
COMMENT ON FUNCTION public.push_order_access(uuid, uuid) IS
  'Whether a user may be in an order''s chat; NULL if there is no such order.';

CREATE OR REPLACE FUNCTION public.push_allow_order(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce(public.push_order_access(public.push_uuid(params ->> 'id'),
                                           public.push_uuid(user_id)), false);
END $$;
COMMENT ON FUNCTION public.push_allow_order(text, jsonb, jsonb) IS
  'Rule of the rooms order:{id}.';

CREATE OR REPLACE FUNCTION public.push_join_order_chat(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_order CONSTANT uuid := public.push_uuid(data ->> 'orderId');
BEGIN
  RETURN public.push_join_chat('order', of_order,
    public.push_order_access(of_order, public.push_uuid(user_id)),
    (SELECT ARRAY[o.client_id, o.performer_id] FROM public.orders o WHERE o.id = of_order),
    user_id);
END $$;
COMMENT ON FUNCTION public.push_join_order_chat(text, text, jsonb, jsonb) IS
  'Handler of join_order_chat {orderId}: the order''s room, and the presence of its other parties.';

CREATE OR REPLACE FUNCTION public.push_leave_order_chat(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_leave_chat('order', public.push_uuid(data ->> 'orderId'), ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_leave_order_chat(text, text, jsonb, jsonb) IS
  'Handler of leave_order_chat {orderId}.';

SELECT pgpush.attach('public.order_status_history', 'order:{order_id}',
  '{"insert":"order_status_update"}', data => $$jsonb_build_object(
    'orderId', new.order_id, 'status', new.status,
    'updatedBy', new.changed_by, 'updatedAt', pgpush.iso(new.changed_at))$$);

CREATE OR REPLACE FUNCTION public.push_orders_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off SET jit = off AS $$
DECLARE
  r record;
BEGIN
  FOR r IN
    SELECT o.id, u.was AS gone, u.other
      FROM pgpush_old o JOIN pgpush_new n USING (id),
           LATERAL (VALUES (o.client_id, n.client_id, o.performer_id),
                           (o.performer_id, n.performer_id, o.client_id))
             AS u (was, is_now, other)
     WHERE u.was IS DISTINCT FROM u.is_now AND u.was IS NOT NULL
  LOOP
    IF NOT coalesce(public.push_order_access(r.id, r.gone), false) THEN
      PERFORM pgpush.revoke('order:' || r.id, r.gone::text);
    END IF;
    PERFORM public.push_part(r.gone, r.other);
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'pgpush: % not pushed: %', TG_NAME, SQLERRM;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_orders_update() IS
  'Puts out of the order''s room who is no longer a party of it.';

DROP TRIGGER IF EXISTS push_update ON public.orders;
CREATE TRIGGER push_update AFTER UPDATE ON public.orders
  REFERENCING OLD TABLE AS pgpush_old NEW TABLE AS pgpush_new
  FOR EACH STATEMENT EXECUTE FUNCTION public.push_orders_update();

REVOKE ALL ON FUNCTION
  public.push_order_access(uuid, uuid),
  public.push_allow_order(text, jsonb, jsonb),
  public.push_join_order_chat(text, text, jsonb, jsonb),
  public.push_leave_order_chat(text, text, jsonb, jsonb),
  public.push_orders_update()
FROM PUBLIC;

DO $$
BEGIN
  PERFORM pgpush.allow('order:{id}', 'public.push_allow_order(text,jsonb,jsonb)');
  PERFORM pgpush.on('join_order_chat',
    'public.push_join_order_chat(text,text,jsonb,jsonb)', 'order:{orderId}',
    member => false, "grant" => true);
  PERFORM pgpush.on('leave_order_chat',
    'public.push_leave_order_chat(text,text,jsonb,jsonb)', 'order:{orderId}',
    member => false);
END $$;

COMMIT;
