-- SPDX-License-Identifier: ISC
--
-- triggers/notifications.sql.  psql -X -q -At -f, as superuser, in a database in
-- which sql/*.sql, pgtap, demo/db/schema.sql and triggers/*.sql are.

\ir lib/marketplace.psql
\set n '''f0000000-0000-4000-8000-000000000001'''
\set none '''f0000000-0000-4000-8000-0000000000ff'''
\set t '''2026-01-02 03:04:05.6789+00'''
\set iso '''2026-01-02T03:04:05.678Z'''

SELECT plan(60);

-- notification
INSERT INTO public.notifications (id, user_id, type, content, related_id, created_at)
VALUES (:n, :p, 'order', 'Taken', :o, :t);
SELECT is(pg_temp.sent(), (SELECT jsonb_agg(pg_temp.event('user:' || :p, e,
    jsonb_build_object('id', :n, 'userId', :p, 'type', 'order', 'content', 'Taken',
                       'relatedId', :o, 'createdAt', :iso)) ORDER BY i)
    FROM unnest(ARRAY['notification', 'new_notification']) WITH ORDINALITY v (e, i)),
  'a notification goes to its user, under both names');
INSERT INTO public.notifications (user_id, type) VALUES (:c, 'system'), (:p, 'message');
SELECT unnest(ARRAY[
       is(jsonb_path_query_array(e, '$[*].room'),
          jsonb_build_array('user:' || :c, 'user:' || :c, 'user:' || :p, 'user:' || :p),
          'several: each to its user'),
       is(e #> '{0,data,relatedId}', 'null', 'without relation: null')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
UPDATE public.notifications SET read = true;
UPDATE public.notifications SET content = 'x';
DELETE FROM public.notifications;
SELECT is(pg_temp.sent(), '[]', 'flags, changes, deletion: no event');

-- it releases
INSERT INTO public.messages (order_id, sender_id, receiver_id, content)
VALUES (:o, :c, :p, '1'), (:o, :c, :p, '2'), (:o, :p, :c, '3'), (:o2, :c, :p, '4');
INSERT INTO public.notifications (user_id, type, related_id)
VALUES (:p, 'message', :o), (:p, 'message', :o), (:p, 'order', :o2);
SELECT is(jsonb_path_query_array(pg_temp.sent(), '$[0 to 2].data.content'), '["1", "2", ""]',
  'messages to that receiver in that order go first, in order');
SELECT is((SELECT string_agg(m.content, ' ' ORDER BY m.content) FROM pg_temp.held() h
             JOIN public.messages m ON m.id::text = h.arg ->> 'id'), '3 4',
  'the others are held on');
DELETE FROM pgpush.held;
SELECT pg_temp.sent() \g /dev/null

-- greet
SELECT is(pgpush.greet_user(u, '{}'), rooms, 'greet: ' || what)
  FROM (VALUES (:c, ARRAY['user:' || :c], 'client'),
               (:p, ARRAY['user:' || :p], 'performer'),
               (:none, NULL, 'no such user'),
               ('7', NULL, 'no uuid'),
               ('', NULL, 'empty'),
               (upper(:c), NULL, 'upper case')) v (u, rooms, what);
SELECT set_eq(format('SELECT unnest(pgpush.greet_user(%L, ''{"claims": {"role": "client"}}''))', :a),
  ARRAY['user:' || :a, 'admin:notifications'],
  'greet: an admin is who users.role says so, whatever the token claims');
SELECT is(pgpush.greet_user(:s, '{"claims": {"role": "admin"}}'), ARRAY['user:' || :s],
  'greet: a token alone makes no admin');

-- who may be where
SELECT is(pgpush.authorize(u, r, '{"claims": {"role": "admin"}}'), yes, what)
  FROM (VALUES (:c, 'user:' || :c, true, 'user: one''s own'),
               (:c, 'user:' || :p, false, 'user: nobody else''s'),
               (:a, 'user:' || :c, false, 'user: not even for an admin'),
               (:none, 'user:' || :none, false, 'user: who is not there has none'),
               ('', 'user:', false, 'user: none without a name'),
               (:a, 'admin:notifications', true, 'admin:notifications: admin'),
               (:c, 'admin:notifications', false, 'admin:notifications: client'),
               (:s, 'admin:notifications', false, 'admin:notifications: stranger'),
               ('7', 'admin:notifications', false, 'admin:notifications: no uuid'),
               (:a, 'admin:other', false, 'admin:other: no rule, no entry'),
               (:c, 'peer:' || :c, true, 'peer: oneself'),
               (:c, 'peer:' || :p, true, 'peer: client sees performer'),
               (:p, 'peer:' || :c, true, 'peer: performer sees client'),
               (:a, 'peer:' || :s, true, 'peer: admin sees anybody'),
               (:a, 'peer:' || :none, false, 'peer: nobody there to see'),
               (:c, 'peer:' || :a, false, 'peer: client does not see admin'),
               (:c, 'peer:' || :s, false, 'peer: client does not see stranger'),
               (:s, 'peer:' || :c, false, 'peer: stranger does not see client'),
               (:m, 'peer:' || :c, false, 'peer: moderator to be does not see client yet'),
               (:c, 'peer:7', false, 'peer: no uuid'),
               ('7', 'peer:' || :c, false, 'peer: for no uuid')) v (u, r, yes, what);
INSERT INTO public.disputes (order_id, client_id, performer_id, moderator_id, reason)
VALUES (:o, :c, :p, :m, 'r');
SELECT ok(pgpush.authorize(u, 'peer:' || v, '{}'), 'peer: in a dispute the moderator, ' || what)
  FROM (VALUES (:c, :m, 'by the client'), (:m, :c, 'and he the client'),
               (:p, :m, 'by the performer'), (:m, :p, 'and he the performer')) x (u, v, what);
SELECT pg_temp.sent() \g /dev/null

-- user_presence
SELECT FROM pgpush.node_stamp('n', true, 1, '{}', '');
SELECT FROM pgpush.sessions_write('n', jsonb_build_array(jsonb_build_object(
  'session', 'x', 'user', :p, 'address', '', 'since', pgpush.iso(now()))), '{}', true);
SELECT FROM pgpush.presence_sync('0');
SELECT is(pg_temp.sent() #> '{0,data}', jsonb_build_object('userId', :p, 'isOnline', true),
  'the daemon''s presence is told by it');
SELECT FROM public.push_presence(:c, true, NULL);
SELECT unnest(ARRAY[
       is(jsonb_agg(e - 'dup' ORDER BY e -> 'room'),
         (SELECT jsonb_agg(pg_temp.event(r, 'user_presence',
            jsonb_build_object('userId', :c, 'isOnline', true), '{"kind": "signal"}') ORDER BY r)
            FROM unnest(ARRAY['peer:' || :c, 'user:' || :c, 'admin:notifications']) r),
         'coming: user_presence in three rooms'),
       is(count(DISTINCT e ->> 'dup')::int, 1, 'a socket in several hears it once')])
  FROM jsonb_array_elements(pg_temp.sent()) e;
SELECT FROM public.push_presence(:c, false, :t);
SELECT is(jsonb_agg(e -> 'data'), (SELECT jsonb_agg(
           jsonb_build_object('userId', :c, 'isOnline', false, 'lastSeen', :iso))
           FROM generate_series(1, 3)), 'going: with the time last seen')
  FROM jsonb_array_elements(pg_temp.sent()) e;
SELECT FROM pg_temp.send(:c, 'order_typing', 'order:' || :o, jsonb_build_object('orderId', :o, 'isTyping', true));
SELECT pg_temp.sent() \g /dev/null
SELECT FROM public.push_presence(:c, false, :t);
SELECT is(pg_temp.sent() -> 0, pg_temp.event('order:' || :o, 'order_typing',
    jsonb_build_object('orderId', :o, 'userId', :c, 'isTyping', false), '{"kind": "signal"}'),
  'going while typing (a daemon died): that is taken back first');

-- people go
UPDATE public.users SET name = 'X', avatar_url = '/x', email = id || '@x.test'
 WHERE id IN (:c, :p, :a, :m, :s);
UPDATE public.users SET role = 'performer' WHERE id = :s;
UPDATE public.users SET role = 'client' WHERE id = :s;
UPDATE public.users SET role = 'admin' WHERE id = :s;
SELECT is(pg_temp.sent(), '[]', 'a changed profile, another role: no event');
UPDATE public.users SET role = 'client' WHERE id = :s;
SELECT is(pg_temp.heads(), 'kick ' || :s, 'an admin who is one no more is thrown out');
DELETE FROM public.users WHERE id = :s;
SELECT is(pg_temp.sent(), jsonb_build_array(jsonb_build_object('kind', 'kick', 'event', '',
    'room', '', 'user', :s, 'data', '{"reason": "deleted"}'::jsonb)),
  'a deleted user is thrown out');
DELETE FROM public.users WHERE id = :p;
SELECT unnest(ARRAY[
       is(jsonb_path_query_array(e, '$[*] ? (@.kind == "event")'), '[]',
         'and all that goes with him sends no event'),
       is(jsonb_path_query_array(e, '$[*] ? (@.kind == "kick").user'), jsonb_build_array(:p),
         'he alone is thrown out')])
  FROM (SELECT pg_temp.sent() AS e OFFSET 0) x;
SELECT is(pgpush.greet_user(:p, '{}'), NULL, 'his token opens nothing any more');

-- who is online, for one who has just come
INSERT INTO pgpush.presence (user_id, online, since, last_seen)
VALUES (:a, true, :t, :t), (:c, false, :t, :t);
SELECT is(pg_temp.send(:m, 'get_presence', NULL, jsonb_build_object('userIds', jsonb_build_array(:c, :a, :none))),
  '{"reply": {"users": []}}', 'a stranger to them hears nothing');
SELECT is(pg_temp.send(:a, 'get_presence', NULL, jsonb_build_object('userIds', jsonb_build_array(:c, :m, :a))),
  jsonb_build_object('reply', jsonb_build_object('users', jsonb_build_array(
    jsonb_build_object('userId', :c, 'isOnline', false, 'lastSeen', :iso),
    jsonb_build_object('userId', :m, 'isOnline', false),
    jsonb_build_object('userId', :a, 'isOnline', true)))),
  'an admin hears of everybody, in the order asked; never seen: no lastSeen');
SELECT is(pg_temp.send(:a, 'get_presence', NULL, d) -> 'error' ->> 'code', 'bad_request',
          'get_presence of ' || d::text)
  FROM unnest(ARRAY['{}', '{"userIds": "x"}']::jsonb[]) d;

-- what the wiring owns
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc
                   WHERE proname LIKE 'push\_%' AND pronamespace = 'public'::regnamespace
                     AND (has_function_privilege('public', oid, 'EXECUTE')
                          OR NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
                          OR obj_description(oid, 'pg_proc') IS NULL)$$,
  'no function of the wiring is for everybody, has an open search_path or no comment');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                   WHERE t.tgname LIKE 'push\_%' AND NOT p.prosecdef$$,
  'every trigger runs with its owner''s rights');

-- nothing of ours may fail the application's write
REVOKE INSERT (room, event, data, others, dup, lost, key, about, render, arg,
  due, recheck, source) ON pgpush.outbox FROM pgpush_admin;
SET LOCAL client_min_messages = error;
SELECT lives_ok(q, 'an error in the wiring: ' || q)
  FROM unnest(ARRAY[
    format('INSERT INTO public.notifications (user_id, type) VALUES (%L, ''x'')', :c),
    format('INSERT INTO public.messages (order_id, sender_id, receiver_id) VALUES (%L, %L, %L)', :o, :c, :c),
    'UPDATE public.messages SET content = ''changed''',
    format('INSERT INTO public.order_status_history (order_id, status) VALUES (%L, ''x'')', :o)]) q;

SELECT * FROM finish();
ROLLBACK;
