-- SPDX-License-Identifier: ISC
--
-- triggers/calls.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set none '''b0000000-0000-4000-8000-0000000000ff'''
\set o3 '''b0000000-0000-4000-8000-000000000003'''
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set room2 '''order:b0000000-0000-4000-8000-000000000002'''
INSERT INTO public.orders (id, client_id, title) VALUES (:o3, :c, 'Nobody has it');

-- call_<what> of a user in the first order, call "one"; its answer.
CREATE FUNCTION pg_temp.call(who text, what text, more jsonb DEFAULT '{}', session text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql AS $$
  SELECT answer FROM pgpush.handle(jsonb_build_array(jsonb_build_object(
    'user', who, 'session', coalesce(session, 'socket of ' || who), 'claims', '{}'::jsonb,
    'event', 'call_' || what, 'room', 'order:b0000000-0000-4000-8000-000000000001',
    'data', '{"orderId": "b0000000-0000-4000-8000-000000000001", "callId": "one"}'
      || CASE WHEN what IN ('offer', 'answer') THEN '{"sdp": "v=0"}'::jsonb
              WHEN what = 'candidate' THEN '{"candidate": "c"}' ELSE '{}' END || more)));
$$;
CREATE FUNCTION pg_temp.told(who text, what text, more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql AS $$
  SELECT pg_temp.event('order:b0000000-0000-4000-8000-000000000001', 'call_' || what,
    '{"orderId": "b0000000-0000-4000-8000-000000000001", "callId": "one"}'
      || jsonb_build_object('from', who) || more,
    jsonb_build_object('kind', 'signal', 'origin', 'socket of ' || who));
$$;

SELECT plan(71);

-- a call
SELECT is(pg_temp.call(:c, 'offer'), '{}', 'call_offer has no answer');
SELECT is(pg_temp.call(:c, 'candidate'), '{}', 'nor has call_candidate');
SELECT is(pg_temp.call(:p, 'candidate', '{"candidate": {"candidate": "d", "sdpMid": "0"}}'), '{}', 'of either side');
SELECT is(pg_temp.call(:p, 'answer', '{"sdp": {"type": "answer", "sdp": "v=1"}}'), '{}', 'nor call_answer');
SELECT is(pg_temp.call(:c, 'candidate', '{"candidate": null}'), '{}', 'the end of the candidates');
SELECT is(pg_temp.call(:p, 'end'), '{}', 'nor call_end');
SELECT is(pg_temp.sent(), jsonb_build_array(
    pg_temp.told(:c, 'offer', '{"sdp": "v=0"}'),
    pg_temp.told(:c, 'candidate', '{"candidate": "c"}'),
    pg_temp.told(:p, 'candidate', '{"candidate": {"candidate": "d", "sdpMid": "0"}}'),
    pg_temp.told(:p, 'answer', '{"sdp": {"type": "answer", "sdp": "v=1"}}'),
    pg_temp.told(:c, 'candidate', '{"candidate": null}'),
    pg_temp.told(:p, 'end', '{"reason": "hangup"}')),
  'each is a signal to the room but for the socket that sent it');
SELECT is((SELECT count(*)::int FROM public.push_calls), 0, 'nothing is left of the call');

-- what is passed on
SELECT FROM pg_temp.call(:c, 'offer', jsonb_build_object('from', :p, 'video', true, 'sdp', repeat('x', 65536)));
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.told(:c, 'offer',
  jsonb_build_object('video', true, 'sdp', repeat('x', 65536)))),
  'all that it says, 64 kB of it, but from is who sent it');
SELECT FROM pg_temp.call(:p, 'end', '{"reason": "busy", "from": "me"}');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.told(:p, 'end', '{"reason": "busy"}')), 'the reason of the end');
SELECT FROM pg_temp.call(:c, 'end');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.told(:c, 'end', '{"reason": "hangup"}')),
  'the end of a call that is over is passed on: it may be known to nobody here');
-- By NOTIFY it would be lost in this transaction.
SET LOCAL pgpush.bell = on;
SELECT FROM pg_temp.call(:c, 'offer');
SELECT is(current_setting('pgpush.bell'), 'on', 'the bell is as it was');
SELECT is(pg_temp.heads(), 'signal call_offer ' || :room, 'also a small one goes through the outbox');
SET LOCAL pgpush.bell = off;
SELECT FROM pg_temp.call(:c, 'end');

-- what is over
SELECT is(pg_temp.call(:p, what) -> 'error', '{"code": "not_found", "message": "The call is over"}',
          what || ' when the call is over')
  FROM unnest('{answer,candidate}'::text[]) what;
SELECT FROM pg_temp.call(:c, 'offer', '{"callId": "two"}');
SELECT is(pg_temp.call(:p, 'answer') #>> '{error,code}', 'not_found', 'or another');
SELECT is(pg_temp.send(:p, 'call_answer', :room2, jsonb_build_object('orderId', :o2, 'callId', 'two', 'sdp', 'x')) #>> '{error,code}',
  'not_found', 'or that of another order');
DELETE FROM public.push_calls;
SELECT pg_temp.sent() \g /dev/null

-- who may
SELECT is(pg_temp.call(who, event) -> 'error',
          '{"code": "forbidden", "message": "Only the client and the performer can call each other"}', what || event)
  FROM (VALUES (:a, 'an admin: '), (:s, 'a stranger: '), (:none, 'nobody: '), ('7', 'a user that is no uuid: ')) v (who, what),
       unnest('{offer,end}'::text[]) event;
SELECT is(pg_temp.send(:c, 'call_offer', room, jsonb_build_object('callId', 'one', 'sdp', 'x')) -> 'error',
          jsonb_build_object('code', code, 'message', message), message || ' in ' || coalesce(room, 'no room'))
  FROM (VALUES ('order:' || :o3, 'not_found', 'There is nobody to call yet'),
               ('order:' || :none, 'not_found', 'Order not found'),
               (NULL, 'bad_request', 'orderId must be the id of an order'),
               ('order:7', 'bad_request', 'orderId must be the id of an order'),
               ('dispute:' || :o, 'bad_request', 'orderId must be the id of an order')) v (room, code, message);
SELECT is((SELECT jsonb_object_agg(event, jsonb_build_array(room, member, "grant"))
             FROM pgpush.handlers() WHERE event LIKE 'call\_%'),
  '{"call_offer": ["order:{orderId}", true, false], "call_answer": ["order:{orderId}", true, false],
    "call_candidate": ["order:{orderId}", true, false], "call_end": ["order:{orderId}", true, false]}',
  'all are for members');
SELECT is(pg_temp.call(:c, event, more) #>> '{error,code}', 'bad_request', event || ' with ' || more::text)
  FROM (VALUES ('offer', '{"callId": null}'::jsonb), ('offer', '{"callId": ""}'), ('offer', '{"callId": 7}'),
               ('end', '{"callId": ["one"]}'), ('offer', jsonb_build_object('callId', repeat('x', 101))),
               ('offer', '{"sdp": null}'), ('offer', '{"sdp": 7}'), ('answer', '{"sdp": null}'),
               ('end', '{"reason": 7}'), ('end', jsonb_build_object('reason', repeat('x', 101)))) v (event, more);
SELECT is(pg_temp.send(:c, 'call_' || event, :room, x) #>> '{error,code}', 'bad_request', event || ' with ' || x::text)
  FROM (VALUES ('candidate', '{"callId": "one"}'::jsonb), ('offer', '{"callId": "one"}'), ('offer', '[]'),
               ('end', '{}'), ('end', '7')) v (event, x);
SELECT is(pg_temp.sent(), '[]', 'what is refused is not passed on');
SELECT is((SELECT count(*)::int FROM public.push_calls), 0, 'and leaves nothing');

-- a user's windows
SELECT FROM pgpush.sessions_write('n', jsonb_build_array(
  jsonb_build_object('session', 'socket of ' || :c, 'user', :c, 'address', 'x'),
  jsonb_build_object('session', 'one', 'user', :p, 'address', 'x')), '{}', true);
SELECT FROM pg_temp.call(:c, 'offer');
SELECT is(pg_temp.call(:p, 'answer', '{}', 'one'), '{}', 'the first window that answers has the call');
SELECT is(pg_temp.call(:p, 'answer', '{}', 'two') -> 'error',
  '{"code": "conflict", "message": "The call is held in another window"}', 'the second has not');
SELECT is(pg_temp.call(:c, 'offer', '{}', 'two') #>> '{error,code}', 'conflict', 'nor another one of the caller');
SELECT is(pg_temp.call(:c, 'answer', '{}', 'two') #>> '{error,code}', 'conflict', 'nor by an answer');
SELECT is(pg_temp.call(:p, 'offer', '{}', 'one'), '{}', 'other terms from the same window');
SELECT is(pg_temp.call(:c, 'answer'), '{}', 'and their answer');
SELECT is(jsonb_array_length(pg_temp.sent()), 4, 'what was refused is not passed on');
SELECT FROM pgpush.sessions_write('n', '[]', '{one}', false);
SELECT is(pg_temp.call(:p, 'answer', '{}', 'two'), '{}', 'a window whose socket is no more holds nothing');
SELECT is((SELECT callee_session FROM public.push_calls), 'two', 'another one takes over');
SELECT pg_temp.sent() \g /dev/null

-- a socket goes
SELECT FROM pg_temp.send(:s, 'disconnect', NULL, '{"rooms": []}');
SELECT is(pg_temp.sent(), '[]', 'a socket without a call goes silently');
SELECT FROM pg_temp.call(:c, 'offer', '{"callId": "two"}', 'three');
SELECT pg_temp.sent() \g /dev/null
SELECT FROM pgpush.handle(jsonb_build_array(jsonb_build_object(
  'user', :p, 'session', 'two', 'claims', '{}'::jsonb, 'event', 'disconnect', 'data', '{"rooms": []}'::jsonb)));
SELECT is(jsonb_agg(e - 'origin'), jsonb_build_array(pg_temp.told(:p, 'end', '{"reason": "gone"}') - 'origin'),
  'that of the one who has answered: call_end') FROM jsonb_array_elements(pg_temp.sent()) e;
SELECT FROM pgpush.handle(jsonb_build_array(jsonb_build_object(
  'user', :c, 'session', 'three', 'claims', '{}'::jsonb, 'event', 'disconnect', 'data', '{"rooms": []}'::jsonb)));
SELECT is(jsonb_agg(e - 'origin'),
  jsonb_build_array(pg_temp.told(:c, 'end', '{"reason": "gone", "callId": "two"}') - 'origin'),
  'that of the one who has called: call_end') FROM jsonb_array_elements(pg_temp.sent()) e;
SELECT FROM pg_temp.send(:c, 'disconnect', NULL, '{"rooms": []}');
SELECT is(pg_temp.sent(), '[]', 'once for both');

-- the muted
INSERT INTO public.room_mutes (order_id, user_id) VALUES (:o2, :c);
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.call(:c, 'offer'), '{}', 'who is muted in another order calls');
INSERT INTO public.room_mutes (order_id, user_id) VALUES (:o, :c);
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*] ? (@.event == "call_end")') #- '{0,origin}',
  jsonb_build_array(pg_temp.told(:c, 'end', '{"reason": "muted"}') - 'origin'), 'who is muted in it: the call ends');
SELECT is(pg_temp.call(:c, event) -> 'error', '{"code": "muted", "message": "You are muted in this chat"}',
          event || ' of the muted') FROM unnest('{offer,answer,candidate}'::text[]) event;
SELECT is(pg_temp.call(:p, 'offer'), '{}', 'the other one may call');
SELECT is(pg_temp.call(:c, 'end'), '{}', 'and he may hang up');
DELETE FROM public.room_mutes;

-- bounds
SELECT FROM generate_series(1, 10) n, pg_temp.call(:c, 'offer', jsonb_build_object('callId', n::text));
SELECT is(pg_temp.call(:c, 'offer') #>> '{error,code}', 'too_many', 'the eleventh call of a socket');
UPDATE public.push_calls SET at = now() - interval '25 hours' WHERE call = '3';
SELECT pg_temp.sent() \g /dev/null
SELECT FROM pg_temp.send(:s, 'disconnect', NULL, '{"rooms": []}');
SELECT is((SELECT count(*)::int FROM public.push_calls), 9, 'what a dead daemon has left goes with age');
SELECT is(pg_temp.sent(), '[]', 'silently');

SELECT * FROM finish();
ROLLBACK;
