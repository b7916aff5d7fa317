-- SPDX-License-Identifier: ISC
--
-- triggers/messages.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set m1 '''c0000000-0000-4000-8000-000000000001'''
\set m2 '''c0000000-0000-4000-8000-000000000002'''
\set m3 '''c0000000-0000-4000-8000-000000000003'''
\set f1 '''d0000000-0000-4000-8000-000000000001'''
\set f2 '''d0000000-0000-4000-8000-000000000002'''
\set f3 '''d0000000-0000-4000-8000-000000000003'''
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set t '''2026-01-02 03:04:05.6789+00'''
\set iso '''2026-01-02T03:04:05.678Z'''

SELECT plan(63);

-- order_message is held
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content, created_at)
VALUES (:m1, :o, :c, :p, 'Hello "you" ' || chr(128075), :t);
SELECT is(pg_temp.sent(), '[]', 'a message is not sent at once');
SELECT is((SELECT jsonb_agg(to_jsonb(h) - '{id,due,about,who,xid,source,src,at}'::text[]
             || jsonb_build_object('render', h.render::regprocedure::oid::regprocedure::text)) FROM pg_temp.held() h),
  jsonb_build_array(jsonb_build_object(
    'key', 'order:' || :o || ':' || :p, 'room', :room, 'event', 'order_message',
    'render', 'pgpush_triggers.messages_insert_order_message(jsonb)', 'arg', jsonb_build_object('id', :m1),
    'origin', NULL, 'dup', NULL)),
  'it is held under its order and receiver');
SELECT ok((SELECT due BETWEEN now() + interval '200 ms'
                          AND clock_timestamp() + interval '200 ms' FROM pg_temp.held()),
  'for 200 ms');

-- attachments while it is held
INSERT INTO public.message_attachments (id, message_id, file_url, file_name, file_size, file_type, created_at)
VALUES (:f2, :m1, '/files/2', 'two.png', 2, 'image/png', '2026-01-02 00:00:02Z');
INSERT INTO public.message_attachments (id, message_id, file_url, file_name, created_at)
VALUES (:f1, :m1, '/files/1', 'one.png', '2026-01-02 00:00:01Z');
SELECT is((SELECT count(*)::int FROM pg_temp.held()), 1, 'attachments are part of the held event');
SELECT is(pg_temp.sent(), '[]', 'and send nothing themselves');
INSERT INTO public.notifications (user_id, type, related_id) VALUES
  (:p, 'order', :o), (:p, 'message', :o2), (:c, 'message', :o), (:p, 'message', NULL);
SELECT unalike(pg_temp.heads(), '%order_message%',
  'another type, order, receiver or none does not release it');
INSERT INTO public.notifications (user_id, type, related_id) VALUES (:p, 'message', :o);
SELECT is(pg_temp.sent() -> 0, pg_temp.event(:room, 'order_message', jsonb_build_object(
    'orderId', :o, 'messageId', :m1, 'senderId', :c, 'receiverId', :p,
    'content', 'Hello "you" ' || chr(128075), 'createdAt', :iso,
    'attachments', jsonb_build_array(
      jsonb_build_object('id', :f1, 'fileUrl', '/files/1', 'fileName', 'one.png'),
      jsonb_build_object('id', :f2, 'fileUrl', '/files/2', 'fileName', 'two.png')))),
  'the notification releases it, whole, before its own event');
SELECT is((SELECT count(*)::int FROM pg_temp.held()), 0, 'nothing is held any more');

-- attachments after it
INSERT INTO public.message_attachments (id, message_id, file_url, file_name, created_at)
VALUES (:f3, :m1, '/files/3', 'three.png', '2026-01-02 00:00:03Z');
SELECT is((SELECT count(*)::int FROM pg_temp.held() WHERE due <= clock_timestamp()), 1,
  'a late attachment is held too, but due at once');
UPDATE public.message_attachments SET file_name = '3.png' WHERE id = :f3;
INSERT INTO public.message_attachments (message_id, file_url, file_name, created_at)
VALUES (:m1, '/files/4', 'four.png', '2026-01-02 00:00:04Z'), (:m1, '/files/5', 'five.png', '2026-01-02 00:00:05Z');
SELECT pg_temp.due();
SELECT unnest(ARRAY[
       is(jsonb_array_length(e), 1, 'several late attachments send one event'),
       is((e #- '{0,data,attachments}' #- '{0,data,updatedAt}') -> 0,
          pg_temp.event(:room, 'message_edit', jsonb_build_object(
            'orderId', :o, 'messageId', :m1, 'senderId', :c, 'receiverId', :p,
            'content', 'Hello "you" ' || chr(128075), 'edited', false)),
          'message_edit'),
       is(jsonb_path_query_array(e, '$[0].data.attachments[*].fileName'),
          '["one.png", "two.png", "3.png", "four.png", "five.png"]', 'with all of them')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
DELETE FROM public.message_attachments WHERE message_id = :m1 AND id NOT IN (:f1);
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), '[]', 'attachments changed or taken away: no event');

INSERT INTO public.message_attachments (message_id, file_url, file_name)
SELECT :m1, '/', n FROM generate_series(1, 9) n;
SELECT pg_temp.due();
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[0].data.attachments[*].fileName'),
  '["one.png", "1", "2", "3", "4", "5", "6", "7", "8", "9"]',
  'those of one moment in the order they were written');
DELETE FROM public.message_attachments WHERE message_id = :m1 AND id <> :f1;

-- by hand: no notification, the time is up
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content)
VALUES (:m2, :o, :p, :c, 'By hand');
SELECT pg_temp.due();
SELECT is(pg_temp.heads(), 'order_message ' || :room, 'when the time is up it goes');
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
VALUES (:o, :p, :c, 'Gone'), (:o, :p, :c, 'Stays');
DELETE FROM public.messages WHERE content = 'Gone';
SELECT pg_temp.due();
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.content'), '["Stays"]',
  'a message gone in the meantime sends nothing, the next one does');

-- message_edit
UPDATE public.messages SET content = 'Edited', edited = true WHERE id = :m1;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'message_edit',
  jsonb_build_object(
    'orderId', :o, 'messageId', :m1, 'senderId', :c, 'receiverId', :p,
    'content', 'Edited', 'edited', true, 'updatedAt', pgpush.iso(now()),
    'attachments', jsonb_build_array(
      jsonb_build_object('id', :f1, 'fileUrl', '/files/1', 'fileName', 'one.png'))))),
  'a new content sends message_edit');
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content)
VALUES (:m3, :o, :c, :p, 'Fast');
UPDATE public.messages SET content = 'Faster', edited = true WHERE id = :m3;
SELECT is(pg_temp.heads(), format('order_message %1$s, message_edit %1$s', :room),
  'the edit of a held message releases it first');
INSERT INTO public.message_attachments (message_id, file_url, file_name) VALUES (:m3, '/a', 'a');
UPDATE public.messages SET content = 'Fastest' WHERE id = :m3;
SELECT is(pg_temp.heads(), format('message_edit %1$s, message_edit %1$s', :room),
  'a late attachment goes before the next edit');

-- message_delete
UPDATE public.messages SET deleted = true, content = '' WHERE id = :m1;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'message_delete',
  jsonb_build_object('orderId', :o, 'messageId', :m1, 'senderId', :c, 'receiverId', :p))),
  'deleting sends message_delete and no message_edit beside it');
UPDATE public.messages SET content = 'Ghost' WHERE id IN (:m1, :m2);
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*] ? (@.event == "message_delete" || @.event == "message_edit").data.messageId'),
  jsonb_build_array(:m2), 'another one in the same statement does not wake it');
UPDATE public.messages SET deleted = true WHERE id = :m1;
INSERT INTO public.message_attachments (message_id, file_url, file_name) VALUES (:m1, '/g', 'g');
UPDATE public.messages SET deleted = false WHERE id = :m1;
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), '[]', 'a deleted message stays silent');
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
VALUES (:o, :c, :p, 'Secret');
UPDATE public.messages SET deleted = true WHERE content = 'Secret';
SELECT unnest(ARRAY[
       is(jsonb_path_query_array(e, '$[*].event'), '["order_message", "message_delete"]',
         'deleting a held message releases it first'),
       is(jsonb_path_query_array(e, '$[0].data.content'), '[""]',
         'without what it said')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;

INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
VALUES (:o, :c, :p, 'Late');
ALTER TABLE public.messages DISABLE TRIGGER USER;
UPDATE public.messages SET deleted = true WHERE content = 'Late';
ALTER TABLE public.messages ENABLE TRIGGER USER;
SELECT pg_temp.due();
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.content'), '[""]',
  'one that was deleted without a trigger appears without what it said');
INSERT INTO public.message_attachments (message_id, file_url, file_name) VALUES (:m3, '/l', 'l');
UPDATE public.messages SET deleted = true WHERE id = :m3;
SELECT is(pg_temp.heads(), 'message_delete ' || :room,
  'deleting overtakes the message_edit of a late attachment');

-- messages_read
DELETE FROM public.messages;
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
SELECT CASE WHEN n <= 500 THEN :o::uuid ELSE :o2::uuid END, :c, :p, n FROM generate_series(1, 700) n;
SELECT is((SELECT count(*)::int FROM pg_temp.held()), 700, '700 messages at once: all held');
INSERT INTO public.message_attachments (message_id, file_url, file_name)
SELECT id, '/b', 'b' FROM public.messages;
SELECT is((SELECT count(*)::int FROM pg_temp.held()), 700,
  '700 attachments at once: all part of what is held');
DELETE FROM public.message_attachments;
SELECT pg_temp.due();
SELECT unnest(ARRAY[
       is(jsonb_array_length(e), 700, 'and sent'),
       is(jsonb_path_query_array(e, '$[*].data.content'),
          (SELECT jsonb_agg(n::text ORDER BY n) FROM generate_series(1, 700) n),
          'in their order')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
UPDATE public.messages SET read = true;
UPDATE public.messages SET updated_at = now();
UPDATE public.messages SET edited = true, type = 'file';
SELECT is(pg_temp.sent(), '[]', 'the flag read, updated_at, type: no event');
UPDATE public.messages SET read = true, read_at = :t WHERE order_id = :o;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'messages_read',
  jsonb_build_object('orderId', :o, 'readBy', :p, 'readAt', :iso))),
  '500 messages marked read send one messages_read');
UPDATE public.messages SET read_at = now() WHERE order_id = :o;
UPDATE public.messages SET read_at = NULL WHERE order_id = :o;
SELECT is(pg_temp.sent(), '[]', 'read_at moved or taken back: no event');
INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (:o, :p, :c);
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
UPDATE public.messages SET read_at = :t;
SELECT is(jsonb_agg(e ORDER BY e -> 'room'), jsonb_build_array(
    pg_temp.event(:room, 'messages_read',
      jsonb_build_object('orderId', :o, 'readBy', NULL, 'readAt', :iso)),
    pg_temp.event('order:' || :o2, 'messages_read',
      jsonb_build_object('orderId', :o2, 'readBy', :p, 'readAt', :iso))),
  'one event for each order; nobody is named where several receivers have read')
  FROM jsonb_array_elements(pg_temp.sent()) e;
INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (:o, :p, :c);
UPDATE public.messages SET read_at = now();
SELECT is(pg_temp.heads(), format('order_message %1$s, messages_read %1$s', :room),
  'reading a held message releases it first');

-- mark_messages_read
DELETE FROM public.messages;
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
SELECT :o, CASE WHEN n <= 3 THEN :c::uuid ELSE :p::uuid END,
       CASE WHEN n <= 3 THEN :p::uuid ELSE :c::uuid END, n
  FROM generate_series(1, 5) n;
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.send(:p, 'mark_messages_read', :room, jsonb_build_object('orderId', :o)),
  jsonb_build_object('reply', jsonb_build_object(
    'orderId', :o, 'marked', 3, 'readAt', pgpush.iso(now()))),
  'mark_messages_read answers how many');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'messages_read',
  jsonb_build_object('orderId', :o, 'readBy', :p, 'readAt', pgpush.iso(now())),
  jsonb_build_object('origin', 'socket of ' || :p))),
  'messages_read names the reader and spares his socket');
SELECT results_eq('SELECT content, read, read_at = now() FROM public.messages ORDER BY content',
  $$VALUES ('1', true, true), ('2', true, true), ('3', true, true),
           ('4', false, NULL), ('5', false, NULL)$$,
  'one''s own messages are not marked');
SELECT is(pg_temp.send(:p, 'mark_messages_read', :room, jsonb_build_object('orderId', :o)),
  jsonb_build_object('reply', jsonb_build_object('orderId', :o, 'marked', 0, 'readAt', NULL)),
  'nothing left to mark');
SELECT is(pg_temp.sent(), '[]', 'nothing said');
SELECT FROM pg_temp.send(:a, 'mark_messages_read', :room, jsonb_build_object('orderId', :o));
SELECT is(pg_temp.sent() #> '{0,data}', jsonb_build_object(
  'orderId', :o, 'readBy', :a, 'readAt', pgpush.iso(now())), 'the reader is who asked');
SELECT is(pg_temp.send(:p, 'mark_messages_read', r, '{}') #>> '{error,code}', 'bad_request',
         'mark_messages_read in room ' || coalesce(r, 'NULL'))
  FROM unnest(ARRAY[NULL, 'order:', 'order:7', 'dispute:' || :o]) r;

-- order_typing
SELECT is(pg_temp.send(:c, 'order_typing', :room, jsonb_build_object('orderId', :o, 'isTyping', true)),
  '{}', 'order_typing has no answer');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'order_typing',
  jsonb_build_object('orderId', :o, 'userId', :c, 'isTyping', true),
  jsonb_build_object('kind', 'signal', 'origin', 'socket of ' || :c))),
  'order_typing is ephemeral and spares the sender''s socket');
SELECT FROM pg_temp.send(:c, 'order_typing', :room, jsonb_build_object('orderId', :o, 'isTyping', true));
SELECT FROM pg_temp.send(:p, 'order_typing', :room, jsonb_build_object('orderId', :o, 'isTyping', true));
SELECT FROM pg_temp.send(:p, 'order_typing', :room, jsonb_build_object('orderId', :o, 'isTyping', false));
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.isTyping'), '[true, true, false]',
  'each change is told');
SELECT FROM pg_temp.send(:c, 'order_typing', 'order:' || :o2, jsonb_build_object('orderId', :o2, 'isTyping', true));
SELECT FROM pg_temp.send(:c, 'leave_order_chat', 'order:' || :o2, jsonb_build_object('orderId', :o2));
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*].data.isTyping'), '[true, false]',
  'who leaves types no more');
SELECT is(pg_temp.send(:p, 'disconnect', NULL, jsonb_build_object('rooms', jsonb_build_array(:room))),
  '{}', 'disconnect');
SELECT is(pg_temp.sent(), '[]', 'a socket that did not type goes silently');
SELECT FROM pg_temp.send(:c, 'disconnect', NULL, jsonb_build_object('rooms', jsonb_build_array(:room)));
SELECT is(jsonb_agg(e - 'origin'), jsonb_build_array(pg_temp.event(:room, 'order_typing',
  jsonb_build_object('orderId', :o, 'userId', :c, 'isTyping', false), '{"kind": "signal"}')),
  'one that did is taken back, once and only there')
  FROM jsonb_array_elements(pg_temp.sent()) e;
SELECT is((SELECT count(*)::int FROM public.push_typing), 0, 'nobody is typing');
INSERT INTO public.push_typing (session, room, user_id, event, data, at)
VALUES ('old', 'r', 'u', 'e', '{}', now() - interval '61 minutes'),
       ('new', 'r', 'u', 'e', '{}', now() - interval '59 minutes');
SELECT FROM pg_temp.send(:s, 'disconnect', NULL, '{}');
SELECT is((SELECT string_agg(session, ' ') FROM public.push_typing), 'new',
  'what a dead daemon has left goes with age');
SELECT is(pg_temp.send(:c, 'order_typing', :room, d) #>> '{error,code}', 'bad_request',
         'order_typing with ' || d::text)
  FROM unnest(ARRAY['{}', '{"isTyping": "yes"}', '{"isTyping": null}', '[]', '7']::jsonb[]) d;
SELECT is(pg_temp.heads(), '', 'a refused one says nothing');

-- order_message from a browser
SELECT is(pg_temp.send(:c, 'order_message', :room, jsonb_build_object('orderId', :o, 'content', 'x')),
  '{}', 'order_message from a browser is taken and does nothing');
SELECT is(pg_temp.send(:c, 'dispute_message', NULL, '{"content": "x"}'), '{}', 'so is dispute_message');

-- cascade
DELETE FROM public.orders WHERE id = :o;
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), '[]', 'an order deleted with all its messages sends nothing');

SELECT * FROM finish();
ROLLBACK;
