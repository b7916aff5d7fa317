-- SPDX-License-Identifier: ISC
--
-- triggers/disputes.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set d '''e0000000-0000-4000-8000-000000000001'''
\set d2 '''e0000000-0000-4000-8000-000000000002'''
\set none '''e0000000-0000-4000-8000-0000000000ff'''
\set m1 '''c0000000-0000-4000-8000-000000000001'''
\set f1 '''d0000000-0000-4000-8000-000000000001'''
\set f2 '''d0000000-0000-4000-8000-000000000002'''
\set room '''dispute:e0000000-0000-4000-8000-000000000001'''
\set t '''2026-01-02 03:04:05.6789+00'''
\set iso '''2026-01-02T03:04:05.678Z'''

SELECT plan(53);

-- dispute_opened
INSERT INTO public.disputes (id, order_id, client_id, performer_id, reason, created_at)
VALUES (:d, :o, :c, :p, 'Late', :t);
SELECT is(pg_temp.sent(), (SELECT jsonb_agg(pg_temp.event(r, 'dispute_opened',
    jsonb_build_object('disputeId', :d, 'orderId', :o, 'clientId', :c, 'performerId', :p,
                       'reason', 'Late', 'createdAt', :iso),
    jsonb_build_object('dup', 'dispute_opened:' || :d)))
    FROM unnest(ARRAY['order:' || :o, 'admin:notifications']) r),
  'a dispute: dispute_opened to the order and to the admins, once to who is in both');
INSERT INTO public.disputes (id, order_id, client_id, performer_id, reason)
VALUES (:d2, :o2, :c, :p, 'One'), (gen_random_uuid(), :o2, :c, :p, 'Two');
SELECT unnest(ARRAY[
       is(jsonb_array_length(e), 4, 'two disputes: two times two events'),
       is((SELECT count(DISTINCT x ->> 'dup')::int FROM jsonb_array_elements(e) x), 2,
          'told apart by dup')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;

-- dispute_message
INSERT INTO public.dispute_messages (id, dispute_id, sender_id, content, created_at)
VALUES (:m1, :d, :c, 'Here', :t);
SELECT is(pg_temp.sent(), '[]', 'a message waits for the end of its transaction');
INSERT INTO public.dispute_message_attachments
  (id, message_id, file_name, file_url, file_size, mime_type, created_at)
VALUES (:f2, :m1, 'two.png', '/2', NULL, NULL, '2026-01-02 00:00:02Z'),
       (:f1, :m1, 'one.png', '/1', 5000000000, 'image/png', '2026-01-02 00:00:01Z');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'dispute_message',
  jsonb_build_object(
    'disputeId', :d, 'orderId', :o, 'messageId', :m1, 'senderId', :c, 'content', 'Here',
    'createdAt', :iso, 'attachments', jsonb_build_array(
      jsonb_build_object('id', :f1, 'fileName', 'one.png', 'fileUrl', '/1',
                         'fileSize', 5000000000, 'mimeType', 'image/png'),
      jsonb_build_object('id', :f2, 'fileName', 'two.png', 'fileUrl', '/2',
                         'fileSize', NULL, 'mimeType', NULL))))),
  'and carries the attachments of that transaction');
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO public.dispute_messages (dispute_id, sender_id, content)
VALUES (:d, :p, '1'), (:d, :p, '2'), (:d, :p, '3');
UPDATE public.dispute_messages SET content = 'two' WHERE content = '2';
DELETE FROM public.dispute_messages WHERE content = '3';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT unnest(ARRAY[
       is(jsonb_path_query_array(e, '$[*].data.content'), '["1", "two"]',
         'as they stand at the end, those that are left'),
       is(e #> '{0,data,attachments}', '[]', 'no attachments: an empty list')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
UPDATE public.dispute_messages SET content = 'x';
DELETE FROM public.dispute_message_attachments;
SELECT is(pg_temp.sent(), '[]', 'later changes: no event');

-- dispute_status_update
UPDATE public.disputes SET status = 'in_review', moderator_id = :m, updated_at = :t WHERE id = :d;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'dispute_status_update',
  jsonb_build_object('disputeId', :d, 'orderId', :o, 'status', 'in_review',
                     'updatedBy', :m, 'updatedAt', :iso))),
  'a new status sends dispute_status_update, by the moderator');
UPDATE public.disputes SET status = 'in_review', reason = 'Worse', updated_at = now() WHERE id = :d;
SELECT is(pg_temp.sent(), '[]', 'the same status again, another reason: no event');
UPDATE public.disputes SET status = 'resolved' WHERE order_id = :o2;
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].event'),
  '["dispute_status_update", "dispute_status_update"]', 'two disputes: two events');

-- who may be there
SELECT is(pgpush.authorize(u, r, '{}'), yes, what)
  FROM (VALUES (:c, :room, true, 'client: let in'),
               (:p, :room, true, 'performer: let in'),
               (:m, :room, true, 'moderator: let in'),
               (:a, :room, true, 'admin: let in'),
               (:s, :room, false, 'stranger: refused'),
               (:m, 'dispute:' || :d2, false, 'moderator of another dispute: refused'),
               (:m, 'order:' || :o, false, 'moderator in the order''s chat: refused'),
               (:none, :room, false, 'no such user: refused'),
               ('7', :room, false, 'a user that is no uuid: refused'),
               (:a, 'dispute:' || :none, false, 'no such dispute: refused'),
               (:a, 'dispute:' || :o, false, 'the id of an order: refused'),
               (:a, 'dispute:7', false, 'an id that is no uuid: refused'),
               (:a, 'dispute:' || upper(:d), false, 'an id in upper case: refused'))
         v (u, r, yes, what);

-- join_dispute_chat
SELECT is(pg_temp.send(u, 'join_dispute_chat', :room, jsonb_build_object('disputeId', :d)),
          jsonb_build_object('join', rooms,
            'emit', jsonb_build_array(jsonb_build_array('joined_dispute_chat',
                                                        jsonb_build_object('disputeId', :d))),
            'reply', jsonb_build_object('disputeId', :d)),
          'join_dispute_chat: ' || what)
  FROM (VALUES (:c, ARRAY[:room, 'peer:' || :p, 'peer:' || :m], 'client'),
               (:p, ARRAY[:room, 'peer:' || :c, 'peer:' || :m], 'performer'),
               (:m, ARRAY[:room, 'peer:' || :p, 'peer:' || :c], 'moderator'),
               (:a, ARRAY[:room, 'peer:' || :p, 'peer:' || :c, 'peer:' || :m], 'admin'))
         v (u, rooms, what);
SELECT is(pg_temp.send(u, 'join_dispute_chat', 'dispute:' || (d ->> 'disputeId'), d),
          jsonb_build_object('error', jsonb_build_object('code', code, 'message', message),
            'emit', jsonb_build_array(jsonb_build_array('error',
                                                        jsonb_build_object('message', message)))),
          format('join_dispute_chat: %s (%s)', message, d))
  FROM (VALUES
    (:s, jsonb_build_object('disputeId', :d), 'forbidden', 'Access denied to this dispute chat'),
    (:m, jsonb_build_object('disputeId', :d2), 'forbidden', 'Access denied to this dispute chat'),
    (:none, jsonb_build_object('disputeId', :d), 'forbidden', 'Access denied to this dispute chat'),
    (:a, jsonb_build_object('disputeId', :none), 'not_found', 'Dispute not found'),
    (:a, '{}', 'bad_request', 'Failed to join dispute chat'),
    (:a, '{"disputeId": null}', 'bad_request', 'Failed to join dispute chat'),
    (:a, '{"disputeId": 7}', 'bad_request', 'Failed to join dispute chat'),
    (:a, '{"disputeId": "x"}', 'bad_request', 'Failed to join dispute chat'),
    (:a, jsonb_build_object('disputeId', upper(:d)), 'bad_request', 'Failed to join dispute chat'),
    (:a, '[]', 'bad_request', 'Failed to join dispute chat')) v (u, d, code, message);
SELECT is((SELECT jsonb_object_agg(event, jsonb_build_array(room, member, "grant"))
             FROM pgpush.handlers() WHERE event LIKE '%dispute%'),
  '{"join_dispute_chat": ["dispute:{disputeId}", false, true],
    "leave_dispute_chat": ["dispute:{disputeId}", false, false],
    "dispute_typing": ["dispute:{disputeId}", true, false],
    "dispute_message": [null, false, false]}',
  'typing is for members, joining is a grant');

-- leave_dispute_chat, dispute_typing
SELECT is(pg_temp.send(:c, 'dispute_typing', :room, jsonb_build_object('disputeId', :d, 'isTyping', true)),
  '{}', 'dispute_typing has no answer');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'dispute_typing',
  jsonb_build_object('disputeId', :d, 'userId', :c, 'isTyping', true),
  jsonb_build_object('kind', 'signal', 'origin', 'socket of ' || :c))),
  'dispute_typing is ephemeral and spares the sender''s socket');
SELECT is(pg_temp.send(:c, 'dispute_typing', r, x) #>> '{error,code}', 'bad_request',
          format('dispute_typing with %s in %s', x, r))
  FROM (VALUES (:room, '{}'::jsonb), (:room, '{"isTyping": 1}'),
               ('order:' || :o, '{"isTyping": true}'), (NULL, '{"isTyping": true}')) v (r, x);
SELECT is(pg_temp.send(:c, 'leave_dispute_chat', :room, jsonb_build_object('disputeId', :d)),
  jsonb_build_object('leave', jsonb_build_array(:room)), 'leave_dispute_chat leaves, no more');
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.isTyping'), '[false]',
  'who leaves types no more');
SELECT is(pg_temp.send(:c, 'leave_dispute_chat', NULL, '{"disputeId": "7"}'), '{}',
  'leave_dispute_chat with a bad id');
SELECT FROM pg_temp.send(:p, 'dispute_typing', :room, jsonb_build_object('disputeId', :d, 'isTyping', true));
SELECT FROM pg_temp.send(:p, 'order_typing', 'order:' || :o, jsonb_build_object('orderId', :o, 'isTyping', true));
SELECT pg_temp.sent() \g /dev/null
SELECT FROM pg_temp.send(:p, 'disconnect', NULL, '{"rooms": []}');
SELECT set_eq($$SELECT e ->> 'event' AS a, e ->> 'room' AS b, e -> 'data' -> 'isTyping' AS c
                  FROM jsonb_array_elements(pg_temp.sent()) e$$,
  format($$VALUES ('dispute_typing', %L, 'false'::jsonb), ('order_typing', %L, 'false')$$,
         :room, 'order:' || :o),
  'a socket that goes is taken back in both chats');

-- a moderator is replaced
UPDATE public.disputes SET moderator_id = :s, status = 'resolved' WHERE id = :d;
SELECT is(pg_temp.heads(), format(
    'revoke %1$s %2$s, revoke peer:%3$s %2$s, revoke peer:%2$s %3$s, '
    'revoke peer:%4$s %2$s, revoke peer:%2$s %4$s, dispute_status_update %1$s', :room, :m, :c, :p),
  'he is put out before the event, and from the parties'' presence');
UPDATE public.disputes SET moderator_id = :a WHERE id = :d;
SELECT pg_temp.sent() \g /dev/null
UPDATE public.disputes SET moderator_id = NULL WHERE id = :d;
SELECT unalike(pg_temp.heads(), '%' || :room || '%', 'a moderator who is admin stays');
UPDATE public.disputes SET moderator_id = :c WHERE id = :d;
UPDATE public.disputes SET moderator_id = :m WHERE id = :d;
SELECT is(pg_temp.sent(), '[]', 'so does one who is a party');

DELETE FROM public.orders WHERE id = :o;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(pg_temp.sent(), '[]', 'an order deleted with its disputes sends nothing');

SELECT * FROM finish();
ROLLBACK;
