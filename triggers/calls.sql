-- SPDX-License-Identifier: ISC
--
-- Calls: call_offer, call_answer, call_candidate and call_end of one party of
-- an order go to its room, but for the socket that sent them, as they are,
-- with `from` beside.  Sound and picture do not come by here.
--
-- Load after messages.sql (see there); with moderation.sql the muted cannot call.
--
-- They are signals, and all of a call go through the outbox, whatever their
-- size: so they come in the order in which they were sent, which a large offer
-- and the small candidates after it would not do by themselves.

BEGIN;

SET LOCAL client_min_messages = warning;

-- A daemon that dies says no goodbye: its rows go with age.

CREATE UNLOGGED TABLE IF NOT EXISTS public.push_calls (
  room           text        NOT NULL,
  call           text        NOT NULL,
  caller         text        NOT NULL,
  callee         text        NOT NULL,
  caller_session text        NOT NULL,
  callee_session text,
  at             timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (room, call)
);
CREATE INDEX IF NOT EXISTS push_calls_caller_session ON public.push_calls (caller_session);
CREATE INDEX IF NOT EXISTS push_calls_callee_session ON public.push_calls (callee_session);
COMMENT ON TABLE public.push_calls IS
  'Calls in progress and the sockets they are held at; written by the call handlers only.';
REVOKE ALL ON public.push_calls FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.push_call_signal(room text, event text, data jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bell CONSTANT text := coalesce(current_setting('pgpush.bell', true), '');
BEGIN
  PERFORM set_config('pgpush.bell', 'off', true);
  PERFORM pgpush.signal(room, event, data, true);
  PERFORM set_config('pgpush.bell', bell, true);
  PERFORM pgpush.ring('calls');
END $$;
COMMENT ON FUNCTION public.push_call_signal(text, text, jsonb) IS
  'Signals to the others in a room, by way of the outbox.';

CREATE OR REPLACE FUNCTION public.push_end_calls(
  reason text, of_session text DEFAULT NULL, of_room text DEFAULT NULL, of_user text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    DELETE FROM public.push_calls
     WHERE caller_session = of_session OR callee_session = of_session
        OR (room = of_room AND of_user IN (caller, callee))
    RETURNING room, call, CASE WHEN caller_session = of_session OR caller = of_user
                               THEN caller ELSE callee END AS who
  LOOP
    PERFORM public.push_call_signal(c.room, 'call_end', jsonb_build_object(
      'orderId', public.push_room_id('order', c.room), 'callId', c.call,
      'from', c.who, 'reason', reason));
  END LOOP;
  DELETE FROM public.push_calls
   WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM public.push_calls
            WHERE at < now() - interval '1 day' FOR UPDATE SKIP LOCKED));
END $$;
COMMENT ON FUNCTION public.push_end_calls(text, text, text, text) IS
  'Signals call_end of the calls that are held at this session, or by this user in this room.';

CREATE OR REPLACE FUNCTION public.push_call_refusal(
  event text, user_id text, room text, data jsonb, parties uuid[])
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who CONSTANT uuid := public.push_uuid(user_id);
  said text;
BEGIN
  IF public.push_room_id('order', room) IS NULL THEN
    RETURN public.push_refusal('bad_request', 'orderId must be the id of an order');
  ELSIF jsonb_typeof(data -> 'callId') IS DISTINCT FROM 'string'
        OR length(data ->> 'callId') NOT BETWEEN 1 AND 100 THEN
    RETURN public.push_refusal('bad_request', 'callId must be a text of 1 to 100 characters');
  ELSIF event IN ('call_offer', 'call_answer')
        AND coalesce(jsonb_typeof(data -> 'sdp'), '') NOT IN ('string', 'object') THEN
    RETURN public.push_refusal('bad_request', 'sdp is missing');
  ELSIF event = 'call_candidate' AND NOT data ? 'candidate' THEN
    RETURN public.push_refusal('bad_request', 'candidate is missing');
  ELSIF event = 'call_end' AND (jsonb_typeof(data -> 'reason') <> 'string'
                                OR length(data ->> 'reason') > 100) THEN
    RETURN public.push_refusal('bad_request', 'reason must be a text of at most 100 characters');
  ELSIF parties IS NULL THEN
    RETURN public.push_refusal('not_found', 'Order not found');
  ELSIF who IS NULL OR array_position(parties, who) IS NULL THEN
    RETURN public.push_refusal('forbidden', 'Only the client and the performer can call each other');
  ELSIF array_position(parties, NULL) IS NOT NULL THEN
    RETURN public.push_refusal('not_found', 'There is nobody to call yet');
  END IF;
  IF event <> 'call_end' AND to_regprocedure('public.push_muted(text,uuid)') IS NOT NULL THEN
    said := public.push_muted(room, who);
    IF said IS NOT NULL THEN
      RETURN public.push_refusal('muted', said);
    END IF;
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_call_refusal(text, text, text, jsonb, uuid[]) IS
  'Why this is not passed on; NULL: it is.  Who is muted may still hang up.';

-- A call is held at one socket of each party: of a user's windows that ring,
-- the first that answers has it, unless its socket is no more.
CREATE OR REPLACE FUNCTION public.push_take_call(
  of_room text, of_call text, user_id text, of_session text)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
  held text;
BEGIN
  SELECT * INTO c FROM public.push_calls p
   WHERE p.room = of_room AND p.call = of_call FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  held := CASE WHEN c.caller = user_id THEN c.caller_session ELSE c.callee_session END;
  IF held <> of_session
     AND EXISTS (SELECT FROM pgpush.connections s WHERE s.session = held) THEN
    RETURN false;
  END IF;
  IF c.caller = user_id THEN
    UPDATE public.push_calls p SET caller_session = of_session
     WHERE p.room = of_room AND p.call = of_call;
  ELSE
    UPDATE public.push_calls p SET callee_session = of_session
     WHERE p.room = of_room AND p.call = of_call;
  END IF;
  RETURN true;
END $$;
COMMENT ON FUNCTION public.push_take_call(text, text, text, text) IS
  'Holds a call at this session of a party; false: another session has it, NULL: there is no such call.';

CREATE OR REPLACE FUNCTION public.push_call(
  event text, user_id text, room text, data jsonb, session text)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  of_room CONSTANT text := push_call.room;
  of_order CONSTANT uuid := public.push_room_id('order', push_call.room);
  of_call CONSTANT text := data ->> 'callId';
  parties CONSTANT uuid[] :=
    (SELECT ARRAY[o.client_id, o.performer_id] FROM public.orders o WHERE o.id = of_order);
  refusal jsonb := public.push_call_refusal(event, push_call.user_id, push_call.room, data, parties);
  taken boolean := true;
BEGIN
  IF refusal IS NOT NULL THEN
    RETURN refusal;
  END IF;
  IF event = 'call_offer' THEN
    IF (SELECT count(*) FROM public.push_calls p WHERE p.caller_session = session) >= 10 THEN
      RETURN public.push_refusal('too_many', 'Too many calls at once');
    END IF;
    INSERT INTO public.push_calls (room, call, caller, callee, caller_session)
    VALUES (of_room, of_call, push_call.user_id,
            (array_remove(parties, push_call.user_id::uuid))[1], session)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      taken := public.push_take_call(of_room, of_call, push_call.user_id, session);
    END IF;
  ELSIF event = 'call_answer' THEN
    taken := public.push_take_call(of_room, of_call, push_call.user_id, session);
  ELSIF event = 'call_candidate' THEN
    PERFORM FROM public.push_calls p WHERE p.room = of_room AND p.call = of_call;
    taken := CASE WHEN FOUND THEN true END;
  ELSE
    DELETE FROM public.push_calls p WHERE p.room = of_room AND p.call = of_call;
    data := '{"reason": "hangup"}' || data;
  END IF;
  IF taken IS NULL THEN
    RETURN public.push_refusal('not_found', 'The call is over');
  ELSIF NOT taken THEN
    RETURN public.push_refusal('conflict', 'The call is held in another window');
  END IF;
  PERFORM public.push_call_signal(of_room, event, data || jsonb_build_object(
    'orderId', of_order, 'callId', of_call, 'from', push_call.user_id));
  RETURN NULL;
END $$;
COMMENT ON FUNCTION public.push_call(text, text, text, jsonb, text) IS
  'What the four handlers do, for a member of the room: pass it on, and remember who is in the call.';

CREATE OR REPLACE FUNCTION public.push_call_offer(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_call('call_offer', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_call_offer(text, text, jsonb, jsonb) IS
  'Handler of call_offer {orderId, callId, sdp}: a new call, or other terms for one in progress.';

CREATE OR REPLACE FUNCTION public.push_call_answer(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_call('call_answer', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_call_answer(text, text, jsonb, jsonb) IS
  'Handler of call_answer {orderId, callId, sdp}.';

CREATE OR REPLACE FUNCTION public.push_call_candidate(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_call('call_candidate', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_call_candidate(text, text, jsonb, jsonb) IS
  'Handler of call_candidate {orderId, callId, candidate}.';

CREATE OR REPLACE FUNCTION public.push_call_end(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN public.push_call('call_end', user_id, room, data, ctx ->> 'session');
END $$;
COMMENT ON FUNCTION public.push_call_end(text, text, jsonb, jsonb) IS
  'Handler of call_end {orderId, callId, reason}: hangup if it says nothing else.';

REVOKE ALL ON FUNCTION
  public.push_call_signal(text, text, jsonb),
  public.push_end_calls(text, text, text, text),
  public.push_call_refusal(text, text, text, jsonb, uuid[]),
  public.push_take_call(text, text, text, text),
  public.push_call(text, text, text, jsonb, text),
  public.push_call_offer(text, text, jsonb, jsonb),
  public.push_call_answer(text, text, jsonb, jsonb),
  public.push_call_candidate(text, text, jsonb, jsonb),
  public.push_call_end(text, text, jsonb, jsonb)
FROM PUBLIC;

DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY '{call_offer,call_answer,call_candidate,call_end}'::text[] LOOP
    PERFORM pgpush.on(event,
      format('public.push_%s(text,text,jsonb,jsonb)', event)::regprocedure, 'order:{orderId}');
  END LOOP;
END $$;

COMMIT;
