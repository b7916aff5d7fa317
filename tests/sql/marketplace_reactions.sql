-- SPDX-License-Identifier: ISC
--
-- triggers/reactions.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set d '''e0000000-0000-4000-8000-000000000001'''
\set none '''e0000000-0000-4000-8000-0000000000ff'''
\set m1 '''c0000000-0000-4000-8000-000000000001'''
\set m2 '''c0000000-0000-4000-8000-000000000002'''
\set m3 '''c0000000-0000-4000-8000-000000000003'''
\set n1 '''c0000000-0000-4000-8000-000000000004'''
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set droom '''dispute:e0000000-0000-4000-8000-000000000001'''
INSERT INTO public.disputes (id, order_id, client_id, performer_id, moderator_id, reason)
VALUES (:d, :o, :c, :p, :m, 'Late');
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content, created_at)
VALUES (:m1, :o, :c, :p, 'One', now()), (:m2, :o2, :p, :c, 'Two', now() + interval '1 s');
INSERT INTO public.dispute_messages (id, dispute_id, sender_id, content) VALUES (:n1, :d, :c, 'Three');
SELECT pg_temp.due();
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_temp.sent() \g /dev/null

CREATE FUNCTION pg_temp.toggle(who text, message text, emoji text DEFAULT '👍') RETURNS jsonb
LANGUAGE sql AS $$
  SELECT pg_temp.send(who, 'toggle_reaction', NULL,
           jsonb_build_object('messageId', message, 'emoji', emoji));
$$;
CREATE FUNCTION pg_temp.reaction(emoji text, VARIADIC users text[]) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('emoji', emoji, 'count', cardinality(users), 'userIds', users);
$$;
-- What became of the held ones, its data: [[message, reactions], ...].
CREATE FUNCTION pg_temp.told() RETURNS jsonb LANGUAGE sql AS $$
  SELECT pg_temp.due();
  SELECT coalesce(jsonb_agg(jsonb_build_array(e #> '{data,messageId}', e #> '{data,reactions}')), '[]')
    FROM jsonb_array_elements(pg_temp.sent()) e;
$$;

SELECT plan(57);

-- one's own
SELECT is(pg_temp.toggle(:p, :m1), jsonb_build_object('reply', jsonb_build_object(
  'messageId', :m1, 'emoji', '👍', 'reacted', true)), 'toggle_reaction: put');
SELECT is(pg_temp.sent(), '[]', 'the event waits for the commit');
SELECT is((SELECT array_agg(due <= clock_timestamp()) FROM pg_temp.held()), '{t}', 'and no longer');
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:room, 'message_reaction',
  jsonb_build_object('orderId', :o, 'messageId', :m1, 'reactions',
    jsonb_build_array(pg_temp.reaction('👍', :p))))), 'message_reaction, to all in the room');
SELECT is(pg_temp.toggle(:p, :m1) #> '{reply,reacted}', 'false', 'toggle_reaction again: taken back');
SELECT is(pg_temp.told(), jsonb_build_array(jsonb_build_array(:m1, '[]'::jsonb)), 'none is left');

-- several
INSERT INTO public.message_reactions (message_id, user_id, emoji, created_at) VALUES
  (:m1, :p, '❤️', '2026-01-01 00:00:02Z'), (:m1, :c, '👍', '2026-01-01 00:00:01Z'),
  (:m1, :a, '❤️', '2026-01-01 00:00:01Z'), (:m1, :p, '👍', '2026-01-01 00:00:00Z');
SELECT is(pg_temp.told(), jsonb_build_array(jsonb_build_array(:m1, jsonb_build_array(
  pg_temp.reaction('👍', :p, :c), pg_temp.reaction('❤️', :a, :p)))),
  'several at once: one event, the oldest first');
SELECT FROM pg_temp.toggle(:c, :m1);
SELECT FROM pg_temp.toggle(:c, :m1, '😂');
SELECT FROM pg_temp.toggle(:p, :m2);
SELECT is(pg_temp.told(), jsonb_build_array(
  jsonb_build_array(:m1, jsonb_build_array(pg_temp.reaction('👍', :p),
    pg_temp.reaction('❤️', :a, :p), pg_temp.reaction('😂', :c))),
  jsonb_build_array(:m2, jsonb_build_array(pg_temp.reaction('👍', :p)))),
  'several in a row: one event for each message, as it is at the end');
SELECT throws_ok(format('INSERT INTO public.message_reactions (message_id, user_id, emoji) VALUES (%L, %L, ''👍'')',
  :m1, :p), '23505', NULL, 'the same a second time: the table refuses it');
INSERT INTO public.message_reactions (message_id, user_id, emoji) VALUES (:m1, :p, '👍') ON CONFLICT DO NOTHING;
SELECT is(pg_temp.told(), '[]', 'or nothing happens, nothing is sent');
UPDATE public.message_reactions SET emoji = '🎉' WHERE emoji = '👍' AND message_id = :m1;
SELECT is(pg_temp.told() #> '{0,1,0,emoji}', to_jsonb('🎉'::text), 'one that is changed in psql is told');
DELETE FROM public.message_reactions WHERE message_id = :m1;
SELECT is(pg_temp.told(), jsonb_build_array(jsonb_build_array(:m1, '[]'::jsonb)), 'all taken away: one event');
DELETE FROM public.message_reactions WHERE message_id = :m1;
SELECT is(pg_temp.told(), '[]', 'nothing taken away: none');

-- very many
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
SELECT :o, :c, :p, n FROM generate_series(1, 500) n;
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
INSERT INTO public.message_reactions (message_id, user_id, emoji)
SELECT m.id, u, e FROM public.messages m, unnest(ARRAY[:c, :p, :a]::uuid[]) u, unnest(ARRAY['👍', '👎']) e
 WHERE m.content <> 'One' AND m.content <> 'Two';
SELECT is(jsonb_array_length(pg_temp.told()), 500, '3000 reactions to 500 messages: 500 events');
DELETE FROM public.messages WHERE content NOT IN ('One', 'Two');
SELECT is(pg_temp.told(), '[]', 'deleted with their messages they say nothing');

-- one's message is still held
INSERT INTO public.messages (id, order_id, sender_id, receiver_id, content) VALUES (:m3, :o, :c, :p, 'Fast');
SELECT FROM pg_temp.toggle(:p, :m3);
SELECT is(pg_temp.heads(), 'order_message ' || :room, 'a message that is held is released at once');
SELECT pg_temp.due();
SELECT is(pg_temp.heads(), 'message_reaction ' || :room, 'the reaction comes after it');

-- a deleted one
SELECT FROM pg_temp.toggle(:p, :m3, '😮');
UPDATE public.messages SET deleted = true WHERE id = :m3;
SELECT pg_temp.due();
SELECT is(pg_temp.heads(), 'message_delete ' || :room, 'a message deleted in the meantime: no event');
SELECT is(pg_temp.toggle(:p, :m3) -> 'error', '{"code": "not_found", "message": "Message not found"}',
  'a deleted message: refused');
INSERT INTO public.message_reactions (message_id, user_id, emoji) VALUES (:m3, :c, '👍');
SELECT is(pg_temp.told(), '[]', 'a row for it says nothing');

-- disputes
SELECT is(pg_temp.toggle(:m, :n1, '🙏') #> '{reply,reacted}', 'true', 'toggle_reaction in a dispute');
SELECT pg_temp.due();
SELECT is(pg_temp.sent(), jsonb_build_array(pg_temp.event(:droom, 'dispute_message_reaction',
  jsonb_build_object('disputeId', :d, 'orderId', :o, 'messageId', :n1, 'reactions',
    jsonb_build_array(pg_temp.reaction('🙏', :m))))), 'dispute_message_reaction');
SELECT is(pg_temp.toggle(:m, :n1, '🙏') #> '{reply,reacted}', 'false', 'again: taken back');
SELECT is(pg_temp.told(), jsonb_build_array(jsonb_build_array(:n1, '[]'::jsonb)), 'none is left');
UPDATE public.dispute_messages SET deleted = true WHERE id = :n1;
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.toggle(:m, :n1) #>> '{error,code}', 'not_found', 'a removed one: refused');
UPDATE public.dispute_messages SET deleted = false WHERE id = :n1;

-- who may
SELECT is(coalesce(pg_temp.toggle(who, message) #>> '{error,message}', 'yes'), answer, what)
  FROM (VALUES
    (:c, :m1, 'yes', 'the client'), (:p, :m1, 'yes', 'the performer'), (:a, :m1, 'yes', 'an admin'),
    (:s, :m1, 'Access denied to this order chat', 'a stranger'),
    (:m, :m1, 'Access denied to this order chat', 'the moderator, in the order'),
    (:none, :m1, 'Access denied to this order chat', 'nobody'),
    ('7', :m1, 'Access denied to this order chat', 'a user that is no uuid'),
    (:m, :n1, 'yes', 'the moderator, in the dispute'), (:a, :n1, 'yes', 'an admin, in the dispute'),
    (:s, :n1, 'Access denied to this dispute chat', 'a stranger, in the dispute'),
    (:s, :m3, 'Access denied to this order chat', 'a stranger, a deleted message'),
    (:a, :none, 'Message not found', 'no such message'),
    (:a, :o, 'Message not found', 'the id of an order')) v (who, message, answer, what);
DELETE FROM public.message_reactions;
DELETE FROM public.dispute_message_reactions;
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.send(:c, 'toggle_reaction', NULL, x) #>> '{error,code}', 'bad_request', 'toggle_reaction with ' || x::text)
  FROM unnest(ARRAY['{}', '[]', '7', '{"emoji": "👍"}', '{"messageId": 7, "emoji": "👍"}',
    '{"messageId": "x", "emoji": "👍"}',
    jsonb_build_object('messageId', :m1), jsonb_build_object('messageId', :m1, 'emoji', NULL),
    jsonb_build_object('messageId', :m1, 'emoji', ''), jsonb_build_object('messageId', :m1, 'emoji', ARRAY['👍']),
    jsonb_build_object('messageId', :m1, 'emoji', 'x'),
    jsonb_build_object('messageId', upper(:m1), 'emoji', '👍'),
    jsonb_build_object('messageId', :m1, 'emoji', repeat('👍', 9))]::jsonb[]) x;
SELECT is(pg_temp.told(), '[]', 'what is refused says nothing');
SELECT is(pg_temp.toggle(:c, :m1, 'x') #>> '{error,message}', 'emoji must be one of 👍 ❤️ 😂 😮 😢 🎉 🙏 👎',
  'which there are');
INSERT INTO public.reaction_emojis VALUES ('🚀', 9);
SELECT is(pg_temp.toggle(:c, :m1, '🚀') #> '{reply,reacted}', 'true', 'one more in the table is one more');

-- cascade
SELECT FROM pg_temp.toggle(:p, :m1);
SELECT FROM pg_temp.toggle(:a, :m1);
SELECT FROM pg_temp.toggle(:m, :n1);
SELECT pg_temp.due();
SELECT pg_temp.sent() \g /dev/null
DELETE FROM public.users WHERE id = :a;
SELECT pg_temp.sent() \g /dev/null
SELECT is(pg_temp.told(), jsonb_build_array(jsonb_build_array(:m1, jsonb_build_array(
  pg_temp.reaction('👍', :p), pg_temp.reaction('🚀', :c)))), 'a deleted user reacts no more');
DELETE FROM public.orders WHERE id = :o;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(pg_temp.told(), '[]', 'an order deleted with all reactions says nothing');
DELETE FROM public.users WHERE id = :p;
SELECT pg_temp.lead();
DELETE FROM pgpush.log WHERE kind <> 'event';
SELECT is(pg_temp.told(), '[]', 'nor does a user with all his messages');

SELECT * FROM finish();
ROLLBACK;
