-- SPDX-License-Identifier: ISC
--
-- triggers/moderation.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set d '''e0000000-0000-4000-8000-000000000001'''
\set d2 '''e0000000-0000-4000-8000-000000000002'''
\set none '''e0000000-0000-4000-8000-0000000000ff'''
\set m1 '''c0000000-0000-4000-8000-000000000001'''
\set m2 '''c0000000-0000-4000-8000-000000000002'''
\set n1 '''c0000000-0000-4000-8000-000000000003'''
\set a2 '''a0000000-0000-4000-8000-00000000000f'''
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set room2 '''order:b0000000-0000-4000-8000-000000000002'''
\set droom '''dispute:e0000000-0000-4000-8000-000000000001'''
\set forbidden '''Only an admin, or the moderator of a dispute for its parties, may do this'''
INSERT INTO public.users (id, name, email, role) VALUES (:a2, 'Other', 'a2@marketplace.test', 'admin');
INSERT INTO public.disputes (id, order_id, client_id, performer_id, moderator_id, reason)
VALUES (:d, :o, :c, :p, :m, 'Late');
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content)
VALUES (:m1, :o, :c, :p, 'One'), (:m2, :o, :p, :c, 'Two');
INSERT INTO public.dispute_messages (id, dispute_id, sender_id, content) VALUES (:n1, :d, :c, 'Three');
SELECT pg_temp.due();
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_temp.sent() \g /dev/null

-- What a mute is, as the test expects it.
CREATE FUNCTION pg_temp.mute(room text, over text, until timestamptz, who text, why text DEFAULT '')
RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('room', room, 'userId', over,
    'until', pgpush.iso(until), 'by', who, 'reason', why);
$$;
-- Mutes for so many minutes and says in a word what it was answered.
CREATE FUNCTION pg_temp.mutes(who text, over text, room text, more jsonb DEFAULT '{"minutes": 5}')
RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(answer #>> '{error,code}' || ': ' || (answer #>> '{error,message}'), 'yes')
    FROM pg_temp.send(who, 'mute_user', NULL,
           jsonb_build_object('room', room, 'userId', over) || more) answer;
$$;
-- What the database says to a statement: its SQLSTATE and message.
CREATE FUNCTION pg_temp.says(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'yes';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

SELECT plan(120);

-- mute_user
SELECT is(pg_temp.send(:a, 'mute_user', NULL, jsonb_build_object(
    'room', :room, 'userId', :c, 'minutes', 5, 'reason', ' Rude ')),
  jsonb_build_object('reply', pg_temp.mute(:room, :c, now() + interval '5 minutes', :a, 'Rude')),
  'mute_user answers what it has done');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'user_muted',
  pg_temp.mute(:room, :c, now() + interval '5 minutes', :a, 'Rude'))),
  'and sends user_muted to the room, to all who are there');
SELECT is((SELECT jsonb_agg(jsonb_build_array(event, room, due - now() BETWEEN interval '5 minutes'
             AND interval '6 minutes')) FROM pg_temp.held()),
  jsonb_build_array(jsonb_build_array('user_unmuted', :room, true)),
  'user_unmuted is held until its time is over');
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), '[]', 'one that comes too early is not sent');
SELECT is(pg_temp.send(:a, 'mute_user', NULL, jsonb_build_object(
    'orderId', :o, 'userId', :c, 'minutes', NULL)),
  jsonb_build_object('reply', pg_temp.mute(:room, :c, NULL, :a)),
  'again by orderId: instead of the first, for good, without a reason');
SELECT unnest(ARRAY[
       is(e #> '{0,data}', pg_temp.mute(:room, :c, NULL, :a), 'user_muted says so'),
       is(jsonb_array_length(e), 1, 'and nothing else is sent'),
       is((SELECT count(*)::int FROM pg_temp.held()), 0, 'there is no end of it to wait for')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
SELECT is(pg_temp.send(:a, 'mute_user', :droom, jsonb_build_object('userId', :p, 'minutes', 0.5)) -> 'reply',
  pg_temp.mute(:droom, :p, now() + interval '30 seconds', :a), 'the room of the frame, half a minute');
SELECT is(pg_temp.send(:a, 'mute_user', NULL, jsonb_build_object(
    'disputeId', :d, 'userId', :p, 'minutes', 1)) #>> '{reply,room}', :droom, 'by disputeId');
SELECT is((SELECT count(*)::int FROM pg_temp.held()), 1, 'a longer one: one end');
SELECT pg_temp.sent() \g /dev/null

-- the time is over
UPDATE public.room_mutes SET until = now() + interval '1 ms' WHERE room = :droom;
SELECT is(pg_temp.heads(), 'user_muted ' || :droom, 'a mute that is changed in psql is told as well');
SELECT pg_sleep(0.002);
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:droom, 'user_unmuted',
  pg_temp.mute(:droom, :p, now() + interval '1 ms', NULL))), 'when its time is over: user_unmuted, by nobody');
UPDATE public.room_mutes SET until = now() - interval '1 minute' WHERE room = :droom;
SELECT pg_temp.sent() \g /dev/null
UPDATE public.room_mutes SET reason = 'Later' WHERE room = :droom;
DELETE FROM public.room_mutes WHERE room = :droom;
INSERT INTO public.room_mutes (dispute_id, user_id, until) VALUES (:d, :p, now());
SELECT is(pg_temp.sent(), '[]', 'one that is over changes, goes, or comes silently');

-- unmute_user
SELECT is(pg_temp.send(:a, 'unmute_user', NULL, jsonb_build_object('room', :room, 'userId', :c)),
  jsonb_build_object('reply', pg_temp.mute(:room, :c, now(), :a)), 'unmute_user answers when it has ended');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'user_unmuted',
  pg_temp.mute(:room, :c, now(), :a))), 'and sends user_unmuted');
SELECT is(pg_temp.send(:a, 'unmute_user', NULL, jsonb_build_object('room', :room, 'userId', :c)) -> 'error',
  '{"code": "not_found", "message": "This user is not muted here"}', 'a second time: not muted');
SELECT is(pg_temp.send(:a, 'unmute_user', NULL, jsonb_build_object('orderId', :o, 'userId', :s)) #>> '{error,code}',
  'not_found', 'one who never was');
INSERT INTO public.room_mutes (order_id, user_id) VALUES (:o, :c), (:o2, :c)
ON CONFLICT (room, user_id) DO UPDATE SET until = excluded.until, "by" = excluded."by";
SELECT set_eq('SELECT e ->> ''event'' AS a, e ->> ''room'' AS b FROM jsonb_array_elements(pg_temp.sent()) e',
  format('VALUES (''user_muted'', %L), (''user_muted'', %L)', :room, :room2),
  'rows written in psql, one of them lifted before: user_muted for each');
DELETE FROM public.room_mutes WHERE room = :room2;
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room2, 'user_unmuted',
  pg_temp.mute(:room2, :c, now(), NULL))), 'a row that is deleted: user_unmuted');
UPDATE public.room_mutes SET created_at = now();
SELECT is(pg_temp.sent(), '[]', 'a change of nothing that matters: no event');
SELECT matches(pg_temp.says('INSERT INTO public.room_mutes (user_id, order_id, dispute_id, until) '
                            || format('VALUES (%L, %s)', :s, v)), '^235', 'no mute: ' || what)
  FROM (VALUES ('NULL, NULL, NULL', 'nowhere'),
               (format('%L, %L, NULL', :o, :d), 'in two rooms'),
               (format('%L, NULL, ''infinity''', :o), 'until infinity')) x (v, what);
DELETE FROM public.room_mutes;
SELECT pg_temp.sent() \g /dev/null

-- who may mute whom
SELECT is(pg_temp.mutes(who, over, room), answer, what)
  FROM (VALUES
    (:m, :c, :room, 'yes', 'the moderator, a party, in the order'),
    (:m, :p, :droom, 'yes', 'the moderator, a party, in the dispute'),
    (:a, :s, :room, 'yes', 'an admin, anybody'),
    (:a, :m, :droom, 'yes', 'an admin, the moderator'),
    (:a, :a2, :room, 'forbidden: An admin cannot be muted', 'an admin, another admin'),
    (:a, :a, :room, 'forbidden: You cannot mute or unmute yourself', 'an admin, himself'),
    (:m, :c, :room2, 'forbidden: ' || :forbidden, 'the moderator, in another order'),
    (:m, :s, :room, 'forbidden: ' || :forbidden, 'the moderator, who is no party'),
    (:m, :a, :room, 'forbidden: ' || :forbidden, 'the moderator, an admin'),
    (:m, :m, :droom, 'forbidden: ' || :forbidden, 'the moderator, himself'),
    (:c, :p, :room, 'forbidden: ' || :forbidden, 'a party, the other'),
    (:c, :c, :room, 'forbidden: ' || :forbidden, 'a party, himself'),
    (:s, :c, :room, 'forbidden: ' || :forbidden, 'a stranger'),
    (:none, :c, :room, 'forbidden: ' || :forbidden, 'nobody'),
    ('7', :c, :room, 'forbidden: ' || :forbidden, 'a user that is no uuid'),
    (:a, :none, :room, 'not_found: User not found', 'whom there is not'),
    (:a, :c, 'order:' || :none, 'not_found: Order not found', 'no such order'),
    (:a, :c, 'dispute:' || :none, 'not_found: Dispute not found', 'no such dispute'))
    v (who, over, room, answer, what);
SELECT is(pg_temp.mutes(:a, :c, :room, d) LIKE 'bad_request: %', true, 'mute_user with ' || d::text)
  FROM unnest(ARRAY['{}', '{"minutes": "5"}', '{"minutes": 0}', '{"minutes": -1}',
    '{"minutes": 525601}', '{"minutes": 1e300}', '{"minutes": true}',
    '{"minutes": 1, "reason": 7}', '{"minutes": 1, "userId": "x"}', '{"minutes": 1, "userId": null}',
    '{"minutes": 1, "room": "user:7"}', '{"minutes": 1, "room": "order:7"}', '{"minutes": 1, "room": 7}',
    jsonb_build_object('minutes', 1, 'reason', repeat('x', 501))]::jsonb[]) d;
SELECT is(pg_temp.send(:a, 'mute_user', NULL, d) #>> '{error,code}', 'bad_request', 'mute_user with ' || d::text)
  FROM unnest('{"[]", "7", "\"x\"", "{}"}'::jsonb[]) d;
SELECT is(pg_temp.mutes(:a, :c, :room, jsonb_build_object('minutes', 525600, 'reason', repeat('x', 500))),
  'yes', 'a year, 500 characters');
SELECT is(pg_temp.mutes(:m, :c, :room), 'forbidden: This user was muted by an admin',
  'what an admin has muted the moderator does not change');
SELECT is(pg_temp.send(:m, 'unmute_user', NULL, jsonb_build_object('room', :room, 'userId', :c)) #>> '{error,message}',
  'This user was muted by an admin', 'nor lift');
SELECT is(pg_temp.send(:m, 'unmute_user', NULL, jsonb_build_object('room', :droom, 'userId', :p)) #>> '{reply,by}',
  :m, 'what he has muted he lifts');
SELECT is(pg_temp.send(who, 'unmute_user', NULL, jsonb_build_object('room', room, 'userId', over)) #>> '{error,code}',
          'forbidden', 'unmute_user: ' || what)
  FROM (VALUES (:c, :c, :room, 'oneself'), (:p, :c, :room, 'a party'), (:s, :s, :room, 'a stranger'),
               (:m, :m, :droom, 'the moderator himself'), (:m, :s, :room, 'the moderator, no party'))
         v (who, over, room, what);
UPDATE public.users SET role = 'admin' WHERE id = :s;
SELECT is(pg_temp.send(:a, 'unmute_user', NULL, jsonb_build_object('room', :room, 'userId', :s)) -> 'reply' IS NOT NULL,
  true, 'one who has become an admin is let off');
UPDATE public.users SET role = 'performer' WHERE id = :s;
UPDATE public.disputes SET moderator_id = NULL WHERE id = :d;
SELECT is(pg_temp.mutes(:m, :p, :room), 'forbidden: ' || :forbidden, 'who moderates no more mutes no more');
UPDATE public.disputes SET moderator_id = :m WHERE id = :d;
DELETE FROM public.room_mutes;
SELECT pg_temp.sent() \g /dev/null

-- what the muted may not
INSERT INTO public.push_typing (session, room, user_id, event, data)
VALUES ('s', :room, :c, 'order_typing', '{"orderId": 1}'), ('s', :room2, :c, 'order_typing', '{"orderId": 2}'),
       ('t', :room, :p, 'order_typing', '{"orderId": 3}');
INSERT INTO public.room_mutes (order_id, user_id, until, reason) VALUES (:o, :c, '2030-01-02 03:04:05Z', 'Spam');
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[*] ? (@.event == "order_typing").data'),
  '[{"orderId": 1, "isTyping": false}]', 'who is muted while typing types no more, there');
\set said '''You are muted in this chat until 2030-01-02 03:04 UTC'''
SELECT is(pg_temp.send(:c, 'order_typing', :room, '{"isTyping": true}') -> 'error',
  jsonb_build_object('code', 'muted', 'message', :said), 'order_typing of the muted');
SELECT is(pg_temp.send(:c, 'order_typing', :room, '{"isTyping": 7}') #>> '{error,code}', 'bad_request',
  'what is wrong is said first');
SELECT is(pg_temp.send(:c, 'order_typing', :room2, '{"isTyping": true}'), '{}', 'in another order he types');
SELECT is(pg_temp.send(:p, 'order_typing', :room, '{"isTyping": true}'), '{}', 'so does the other one here');
SELECT is(pg_temp.send(:c, 'toggle_reaction', NULL, jsonb_build_object('messageId', :m2, 'emoji', '👍')) -> 'error',
  jsonb_build_object('code', 'muted', 'message', :said), 'toggle_reaction of the muted');
SELECT is(pg_temp.send(:c, 'mark_messages_read', :room, '{}') #>> '{reply,marked}', '1', 'he reads');
SELECT is(pgpush.authorize(:c, :room, '{}'), true, 'and may be there');
SELECT is(pg_temp.says(statement), answer, what)
  FROM (VALUES
    (format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)', :o, :c, :p),
     'MUTED: ' || :said, 'his message is refused'),
    (format('INSERT INTO public.messages (order_id, sender_id, receiver_id) SELECT x::uuid, %L, %L FROM unnest(%L::text[]) x',
            :c, :p, ARRAY[:o2, :o]), 'MUTED: ' || :said, 'among others too'),
    (format('INSERT INTO public.message_reactions (message_id, user_id, emoji) VALUES (%L, %L, ''👍'')', :m2, :c),
     'MUTED: ' || :said, 'his reaction is refused'),
    (format('UPDATE public.messages SET content = ''More'' WHERE id = %L', :m1),
     'MUTED: ' || :said, 'what he edits is refused'),
    (format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)', :o2, :c, :p),
     'yes', 'not so in another order'),
    (format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)', :o, :p, :c),
     'yes', 'nor of the other one'),
    (format('INSERT INTO public.dispute_messages (dispute_id, sender_id) VALUES (%L, %L)', :d, :c),
     'yes', 'nor in the dispute'),
    (format('UPDATE public.messages SET content = ''Two!'' WHERE id = %L', :m2), 'yes', 'nor an edit of the other''s'),
    (format('UPDATE public.messages SET deleted = true, content = '''' WHERE id = %L', :m1), 'yes', 'he may delete'))
    v (statement, answer, what);
UPDATE public.room_mutes SET until = NULL;
SELECT is(pg_temp.says(format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)',
  :o, :c, :p)), 'MUTED: You are muted in this chat', 'for good: no time');
UPDATE public.room_mutes SET until = now();
SELECT is(pg_temp.says(format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)',
  :o, :c, :p)), 'yes', 'when it is over he writes again');
SELECT is(pg_temp.send(:c, 'order_typing', :room, '{"isTyping": true}'), '{}', 'and types');
INSERT INTO public.room_mutes (dispute_id, user_id) VALUES (:d, :c);
SELECT matches(pg_temp.says(statement), '^MUTED', what)
  FROM (VALUES
    (format('INSERT INTO public.dispute_messages (dispute_id, sender_id) VALUES (%L, %L)', :d, :c), 'muted in a dispute: no message'),
    (format('UPDATE public.dispute_messages SET content = ''More'' WHERE id = %L', :n1), 'no edit'),
    (format('INSERT INTO public.dispute_message_reactions (message_id, user_id, emoji) VALUES (%L, %L, ''👍'')', :n1, :c), 'no reaction'))
    v (statement, what);
SELECT is(pg_temp.send(:c, 'dispute_typing', :droom, '{"isTyping": true}') #>> '{error,code}', 'muted', 'no typing');

-- remove_message
DELETE FROM public.room_mutes;
UPDATE public.messages SET deleted = false;
DELETE FROM public.push_typing;
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.send(who, 'remove_message', NULL, d) #>> '{error,code}', code, 'remove_message: ' || what)
  FROM (VALUES
    (:c, jsonb_build_object('messageId', :m1), 'forbidden', 'who wrote it uses the API'),
    (:p, jsonb_build_object('messageId', :m1), 'forbidden', 'a party'),
    (:s, jsonb_build_object('messageId', :n1), 'forbidden', 'a stranger'),
    (:a, jsonb_build_object('messageId', :none), 'not_found', 'no such message'),
    (:a, jsonb_build_object('messageId', :o), 'not_found', 'the id of an order'),
    (:a, '{"messageId": "7"}', 'bad_request', 'an id that is no uuid'),
    (:a, '{}', 'bad_request', 'no id'), (:a, '[]', 'bad_request', 'no object')) v (who, d, code, what);
SELECT is(pg_temp.sent(), '[]', 'nothing is sent');
SELECT is(pg_temp.send(:m, 'remove_message', NULL, jsonb_build_object('messageId', :m1)),
  jsonb_build_object('reply', jsonb_build_object('messageId', :m1, 'orderId', :o)),
  'the moderator, in the order');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'message_delete',
  jsonb_build_object('orderId', :o, 'messageId', :m1, 'senderId', :c, 'receiverId', :p))),
  'sends message_delete');
SELECT is(pg_temp.send(:a, 'remove_message', NULL, jsonb_build_object('messageId', :m1)) #>> '{error,code}',
  'not_found', 'a second time: not found');
SELECT is(pg_temp.send(:m, 'remove_message', NULL, jsonb_build_object('messageId', :n1)) -> 'reply',
  jsonb_build_object('messageId', :n1, 'disputeId', :d), 'the moderator, in the dispute');
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:droom, 'dispute_message_delete',
  jsonb_build_object('disputeId', :d, 'orderId', :o, 'messageId', :n1, 'senderId', :c))),
  'sends dispute_message_delete');
UPDATE public.dispute_messages SET deleted = true WHERE id = :n1;
SELECT is(pg_temp.sent(), '[]', 'no more than once');
SELECT is(pg_temp.send(:a, 'remove_message', NULL, jsonb_build_object('messageId', :m2)) #>> '{reply,messageId}',
  :m2, 'an admin');
UPDATE public.disputes SET moderator_id = NULL WHERE id = :d;
UPDATE public.messages SET deleted = false;
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.send(:m, 'remove_message', NULL, jsonb_build_object('messageId', :m2)) #>> '{error,code}',
  'forbidden', 'who moderates no more removes no more');

SELECT is((SELECT jsonb_object_agg(event, jsonb_build_array(room, member, "grant"))
             FROM pgpush.handlers() WHERE event LIKE '%mute_user' OR event LIKE 'remove%'),
  '{"mute_user": [null, false, false], "unmute_user": [null, false, false],
    "remove_message": [null, false, false]}', 'who moderates need not be in the room');

-- what goes along
INSERT INTO public.room_mutes (order_id, user_id, until, "by") VALUES
  (:o, :c, NULL, :a2), (:o, :p, now() + interval '1 hour', :a), (:o2, :s, NULL, :a2);
INSERT INTO public.room_mutes (dispute_id, user_id) VALUES (:d, :s);
SELECT pg_temp.sent() \g /dev/null
DELETE FROM public.users WHERE id = :a2;
SELECT is(pg_temp.heads(), 'kick ' || :a2, 'who has muted is deleted: the mute stays, and nothing is said');
SELECT is((SELECT count(*)::int FROM public.room_mutes WHERE "by" IS NULL), 3, 'by nobody');
DELETE FROM public.users WHERE id = :s;
SELECT is(pg_temp.heads(), 'kick ' || :s, 'the mutes of a deleted user go silently');
DELETE FROM public.orders WHERE id = :o;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), '[]', 'and so do those of a deleted order and its disputes');
SELECT is((SELECT count(*)::int FROM public.room_mutes), 0, 'none is left');

-- Without the table nobody can be refused, and nobody is.
SET LOCAL client_min_messages = error;
ALTER TABLE public.room_mutes RENAME TO gone;
SELECT is(pg_temp.says(format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)',
  :o2, :c, :p)), 'yes', 'a check that fails refuses nothing');
SELECT is(pg_temp.says('UPDATE public.messages SET content = ''Still'''), 'yes', 'nor an edit');

SELECT * FROM finish();
ROLLBACK;
