-- SPDX-License-Identifier: ISC
--
-- triggers/orders.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set none '''b0000000-0000-4000-8000-0000000000ff'''
\set t '''2026-01-02 03:04:05.6789+00'''
\set iso '''2026-01-02T03:04:05.678Z'''

SELECT plan(52);

-- order_status_update
INSERT INTO public.order_status_history (order_id, status, changed_at, changed_by)
VALUES (:o, 'in_progress', :t, :c);
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'order_status_update',
  jsonb_build_object('orderId', :o, 'status', 'in_progress', 'updatedBy', :c, 'updatedAt', :iso))),
  'a line of the history sends order_status_update');
INSERT INTO public.order_status_history (order_id, status)
VALUES (:o, 'done'), (:o2, 'open'), (:o, 'paid');
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.status'), '["done", "open", "paid"]',
  'several lines: one event each, in order');
UPDATE public.order_status_history SET status = 'x';
DELETE FROM public.order_status_history;
UPDATE public.orders SET status = 'done', price = 7, title = 'New', updated_at = now();
SELECT is(pg_temp.sent(), '[]', 'nothing else of an order is an event');

-- who may be there
SELECT is(pgpush.authorize(u, r, '{}'), yes, what)
  FROM (VALUES (:c, :room, true, 'client: let in'),
               (:p, :room, true, 'performer: let in'),
               (:a, :room, true, 'admin: let in'),
               (:m, :room, false, 'somebody else: refused'),
               (:s, :room, false, 'stranger: refused'),
               (:none, :room, false, 'no such user: refused'),
               ('', :room, false, 'an empty user: refused'),
               ('7', :room, false, 'a user that is no uuid: refused'),
               (:a, 'order:' || :none, false, 'no such order: refused, even an admin'),
               (:a, 'order:7', false, 'an id that is no uuid: refused'),
               (:a, upper(:room), false, 'upper case: refused'),
               (:a, 'order:' || upper(:o), false, 'an id in upper case: refused'),
               (:a, 'order:{' || :o || '}', false, 'an id in braces: refused'),
               (:a, 'order:' || :o || ' ', false, 'a blank after it: refused'),
               (:a, 'order:' || :o || ':x', false, 'a longer name: refused'),
               (:a, 'orders', false, 'no rule, no entry')) v (u, r, yes, what);

-- join_order_chat
SELECT is(pg_temp.send(u, 'join_order_chat', :room, jsonb_build_object('orderId', :o)),
          jsonb_build_object('join', rooms,
            'emit', jsonb_build_array(jsonb_build_array('joined_order_chat',
                                                        jsonb_build_object('orderId', :o))),
            'reply', jsonb_build_object('orderId', :o)),
          'join_order_chat: ' || what)
  FROM (VALUES (:c, ARRAY[:room, 'peer:' || :p], 'client'),
               (:p, ARRAY[:room, 'peer:' || :c], 'performer'),
               (:a, ARRAY[:room, 'peer:' || :p, 'peer:' || :c], 'admin')) v (u, rooms, what);
SELECT is(pg_temp.send(u, 'join_order_chat', 'order:' || (d ->> 'orderId'), d),
          jsonb_build_object('error', jsonb_build_object('code', code, 'message', message),
            'emit', jsonb_build_array(jsonb_build_array('error',
                                                        jsonb_build_object('message', message)))),
          format('join_order_chat: %s (%s)', message, d))
  FROM (VALUES
    (:s, jsonb_build_object('orderId', :o), 'forbidden', 'Access denied to this order chat'),
    (:m, jsonb_build_object('orderId', :o), 'forbidden', 'Access denied to this order chat'),
    (:none, jsonb_build_object('orderId', :o), 'forbidden', 'Access denied to this order chat'),
    ('7', jsonb_build_object('orderId', :o), 'forbidden', 'Access denied to this order chat'),
    (:a, jsonb_build_object('orderId', :none), 'not_found', 'Order not found'),
    (:a, '{}', 'bad_request', 'Failed to join order chat'),
    (:a, '{"orderId": null}', 'bad_request', 'Failed to join order chat'),
    (:a, '{"orderId": ""}', 'bad_request', 'Failed to join order chat'),
    (:a, '{"orderId": 7}', 'bad_request', 'Failed to join order chat'),
    (:a, '{"orderId": {"x": 1}}', 'bad_request', 'Failed to join order chat'),
    (:a, '{"orderId": "'' OR true --"}', 'bad_request', 'Failed to join order chat'),
    (:a, jsonb_build_object('orderId', upper(:o)), 'bad_request', 'Failed to join order chat'),
    (:a, '[]', 'bad_request', 'Failed to join order chat'),
    (:a, 'null', 'bad_request', 'Failed to join order chat')) v (u, d, code, message);
SELECT is(pg_temp.send(:a, 'join_order_chat', NULL, NULL) #>> '{error,code}', 'bad_request',
  'join_order_chat without data');
SELECT is((SELECT jsonb_object_agg(event, jsonb_build_array(room, member, "grant"))
             FROM pgpush.handlers() WHERE event IN ('join_order_chat', 'leave_order_chat',
                                                    'order_typing', 'mark_messages_read')),
  '{"join_order_chat": ["order:{orderId}", false, true],
    "leave_order_chat": ["order:{orderId}", false, false],
    "order_typing": ["order:{orderId}", true, false],
    "mark_messages_read": ["order:{orderId}", true, false]}',
  'typing and reading are for members, joining is a grant');
UPDATE public.orders SET performer_id = NULL WHERE id = :o2;
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.send(:c, 'join_order_chat', 'order:' || :o2,
                       jsonb_build_object('orderId', :o2)) -> 'join',
  jsonb_build_array('order:' || :o2), 'an order without a performer: nobody to follow');
SELECT is(pgpush.authorize(:p, 'order:' || :o2, '{}'), false, 'nor anybody let in in his place');
UPDATE public.orders SET performer_id = :p WHERE id = :o2;
SELECT pg_temp.sent() \g /dev/null

-- leave_order_chat
SELECT is(pg_temp.send(:c, 'leave_order_chat', :room, jsonb_build_object('orderId', :o)),
  jsonb_build_object('leave', jsonb_build_array(:room)), 'leave_order_chat leaves, no more');
SELECT is(pg_temp.send(:c, 'leave_order_chat', NULL, d), '{}', 'leave_order_chat with ' || d::text)
  FROM unnest(ARRAY['{}', '{"orderId": "7"}', '[]']::jsonb[]) d;
SELECT is(pg_temp.sent(), '[]', 'none of it is an event');

-- a performer is replaced
UPDATE public.orders SET performer_id = :s WHERE id = :o;
SELECT is(pg_temp.sent(), jsonb_build_array(jsonb_build_object(
    'kind', 'revoke', 'event', '', 'room', :room, 'user', :p, 'data', '{"reason": "revoked"}'::jsonb)),
  'he is put out of the room; the other order they share keeps their presence');
SELECT ok(NOT pgpush.authorize(:p, :room, '{}') AND pgpush.authorize(:s, :room, '{}'),
  'the new one may come in, he may not');
UPDATE public.orders SET performer_id = NULL WHERE id = :o2;
SELECT is(pg_temp.heads(),
  format('revoke order:%1$s %2$s, revoke peer:%3$s %2$s, revoke peer:%2$s %3$s', :o2, :p, :c),
  'without any order in common their presence is revoked as well');
UPDATE public.orders SET performer_id = :p WHERE id = :o2;
UPDATE public.orders SET performer_id = :p, status = 'x' WHERE id IN (:o, :o2);
SELECT is(pg_temp.heads(), format('revoke %s %s, revoke peer:%s %2$s, revoke peer:%2$s %3$s', :room, :s, :c),
  'only whom it concerns');
UPDATE public.orders SET performer_id = :a WHERE id = :o;
SELECT pg_temp.sent() \g /dev/null
UPDATE public.orders SET performer_id = :p WHERE id = :o;
SELECT is(pg_temp.heads(), format('revoke peer:%s %s', :a, :c),
  'a performer who is admin stays, but is not followed any more');
UPDATE public.orders SET client_id = :s WHERE id = :o;
SELECT is(pg_temp.heads(), format('revoke %s %s', :room, :c), 'an order handed to another client');
DELETE FROM public.orders WHERE id = :o;
SELECT is(pg_temp.sent(), '[]', 'an order deleted with its history sends nothing');

SELECT * FROM finish();
ROLLBACK;
