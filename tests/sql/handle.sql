-- SPDX-License-Identifier: ISC
-- Clients' events: order, keys, failures that concern nobody else.
BEGIN;
SELECT plan(26);

CREATE SCHEMA app;
CREATE TABLE app.done (n serial, what text, who text, session text);
CREATE FUNCTION app.write(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO app.done (what, who, session)
  VALUES (d ->> 'what', current_setting('pgpush.user'), current_setting('pgpush.session'));
  SELECT jsonb_build_object('reply', jsonb_build_object('user', u, 'room', r, 'ctx', c))
$$;
CREATE FUNCTION app.raise(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO app.done (what) VALUES ('raised');
  RAISE EXCEPTION 'a secret of the database';
END $$;
CREATE FUNCTION app.assert(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  ASSERT false;
  RETURN NULL;
END $$;
CREATE FUNCTION app.error(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO app.done (what) VALUES ('error');
  SELECT '{"error":{"code":"denied","message":"no"}}'::jsonb
$$;
CREATE FUNCTION app.array(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO app.done (what) VALUES ('array');
  SELECT '[1]'::jsonb
$$;
CREATE FUNCTION app.null(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO app.done (what) VALUES ('null ' || (d IS NULL));
  SELECT NULL::jsonb
$$;
CREATE FUNCTION app.gone(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT '{"reply":1}'::jsonb $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
SELECT pgpush.on(f, format('app.%I(text,text,jsonb,jsonb)', f)::regprocedure, member => false)
  FROM unnest(ARRAY['write', 'raise', 'assert', 'error', 'array', 'null', 'gone']) AS f;
ALTER FUNCTION app.gone(text, text, jsonb, jsonb) SECURITY INVOKER;

SET client_min_messages = error;
CREATE TEMP TABLE got ON COMMIT DROP AS SELECT * FROM pgpush.handle('[
  {"user":"ann","session":"s1","claims":{"role":"x"},"event":"write","room":"a:1","data":{"what":"one"}},
  {"user":"bob","session":"s2","claims":{},"event":"raise","room":null,"data":{}},
  {"user":"bob","session":"s2","claims":{},"event":"nothing","room":null,"data":{}},
  {"user":"bob","session":"s2","event":"error","room":null,"data":{},"key":"e"},
  {"user":"bob","session":"s2","event":"array","room":null,"data":{}},
  {"user":"bob","session":"s2","event":"null","room":null,"data":null},
  {"user":"bob","session":"s2","event":"assert","room":null,"data":{}},
  {"user":"bob","session":"s2","event":"gone","room":null,"data":{}},
  {"event":"write","data":{"what":"last"}}
]');
SELECT is(ARRAY(SELECT n FROM got), ARRAY[0,1,2,3,4,5,6,7,8], 'one answer each, in order');
SELECT is((SELECT answer FROM got WHERE n = 0),
  '{"reply":{"user":"ann","room":"a:1","ctx":{"session":"s1","claims":{"role":"x"}}}}',
  'the handler gets user, room and ctx');
SELECT is((SELECT answer FROM got WHERE n = 1),
  '{"error":{"code":"internal","message":"internal error"}}', 'an exception tells the client nothing');
SELECT is((SELECT answer #>> '{error,code}' FROM got WHERE n = 2), 'not_found', 'no such event');
SELECT is((SELECT answer FROM got WHERE n = 3),
  '{"error":{"code":"denied","message":"no"}}', 'an error of the handler is the answer');
SELECT is((SELECT answer #>> '{error,code}' FROM got WHERE n = 4), 'internal', 'an array is no answer');
SELECT is((SELECT answer FROM got WHERE n = 5), '{}', 'NULL is an empty answer');
SELECT is((SELECT answer #>> '{error,code}' FROM got WHERE n = 6), 'internal', 'a failed assertion');
SELECT is((SELECT answer #>> '{error,code}' FROM got WHERE n = 7), 'internal',
  'a function that would now run with pgpush''s rights is not called');
SELECT is(ARRAY(SELECT what FROM app.done ORDER BY n), '{one,error,null true,last}',
  'what failed left nothing, what returned an error left its rows, all in order');
SELECT results_eq($$ SELECT who, session FROM app.done WHERE what IN ('one', 'last') ORDER BY n $$,
  $$ VALUES ('ann', 's1'), ('', '') $$, 'who calls stands in pgpush.user and pgpush.session, of this call only');
SELECT is(current_setting('pgpush.user') || current_setting('pgpush.session'), '', 'and is gone afterwards');
SELECT is((SELECT count(*) FROM pgpush.answers), 0::bigint, 'nothing is kept of a call that failed, nor without a key');

-- Keys
DELETE FROM app.done;
DELETE FROM got;
INSERT INTO got SELECT * FROM pgpush.handle('[
  {"user":"ann","session":"s1","event":"write","room":"a:1","data":{"what":"k"},"key":"k"},
  {"user":"ann","session":"s3","event":"write","room":"a:1","data":{"what":"k"},"key":"k"},
  {"user":"bob","session":"s2","event":"write","room":"a:1","data":{"what":"k"},"key":"k"},
  {"user":"bob","session":"s2","event":"raise","key":"r"},
  {"user":"bob","session":"s2","event":"write","data":{"what":"r"},"key":"r"},
  {"user":"bob","session":"s2","event":"error","key":"e"},
  {"user":"bob","session":"s2","event":"error","key":"e"}]');
SELECT is(current_setting('pgpush.user') || current_setting('pgpush.session'), '',
  'who called is forgotten after every batch');
SELECT is((SELECT count(*) FROM app.done WHERE what = 'k'), 2::bigint, 'a key runs once per user');
SELECT is((SELECT answer FROM got WHERE n = 1), (SELECT answer FROM got WHERE n = 0),
  'a repeat gets the first answer');
SELECT is((SELECT answer #>> '{reply,ctx,session}' FROM got WHERE n = 2), 's2',
  'another user''s same key is another key');
SELECT is((SELECT count(*) FROM app.done WHERE what = 'r'), 1::bigint, 'after an exception the key is free');
SELECT is((SELECT count(*) FROM app.done WHERE what = 'error'), 2::bigint, 'and after an error');
SELECT results_eq('SELECT user_id, key FROM pgpush.answers ORDER BY 1, 2',
  $$ VALUES ('ann', 'k'), ('bob', 'k'), ('bob', 'r') $$, 'what is kept');
SELECT is((SELECT answer FROM pgpush.handle('[{"user":"ann","event":"write","key":"k"}]')),
  (SELECT answer FROM got WHERE n = 0), 'the next batch finds it');

-- A repeat joins only who may still join by the rules
CREATE FUNCTION app.hall(u text, p jsonb, c jsonb) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT p ->> 'id' = '1' AND u = 'ann' AND c ->> 'session' = 's9'
$$;
CREATE FUNCTION app.joins(u text, r text, d jsonb, c jsonb) RETURNS jsonb LANGUAGE sql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT '{"join":["hall:2","hall:1","none"],"reply":1}'::jsonb
$$;
REVOKE ALL ON FUNCTION app.hall(text, jsonb, jsonb), app.joins(text, text, jsonb, jsonb) FROM PUBLIC;
SELECT pgpush.allow('hall:{id}', 'app.hall(text,jsonb,jsonb)'),
  pgpush.on('joins', 'app.joins(text,text,jsonb,jsonb)', member => false) \g /dev/null
SELECT is((SELECT jsonb_agg(answer ORDER BY n) FROM pgpush.handle('[
  {"user":"ann","session":"s9","claims":{},"event":"joins","key":"j"},
  {"user":"ann","session":"s9","claims":{},"event":"joins","key":"j"},
  {"user":"ann","session":"s8","claims":{},"event":"joins","key":"j"}]')),
  '[{"join":["hall:2","hall:1","none"],"reply":1},{"join":["hall:1"],"reply":1},{"join":[],"reply":1}]',
  'a repeat joins only the rooms that the rules allow now');

SELECT is((SELECT count(*) FROM pgpush.handle('[]')), 0::bigint, 'no calls, no answers');
SELECT throws_ok($$ SELECT * FROM pgpush.handle((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 257))) $$,
  '54000', 'pgpush: 257 calls at once, at most 256 are allowed', 'more than 256 calls');
SELECT is((SELECT answer #>> '{error,code}' FROM pgpush.handle('[{}]')), 'not_found', 'an empty call');
SELECT ok(has_function_privilege('pgpush_daemon', 'pgpush.handle(jsonb)', 'EXECUTE')
  AND NOT has_function_privilege('pgpush_admin', 'pgpush.handle(jsonb)', 'EXECUTE'), 'the daemon''s alone');
SELECT * FROM finish();
ROLLBACK;
