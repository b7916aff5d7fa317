-- SPDX-License-Identifier: ISC
--
-- What was missing or wrong at the first user's own database.

\if :{?srcdir}
\else
\set srcdir .
\endif
\ir lib/marketplace.psql
\set d '''e0000000-0000-4000-8000-000000000001'''
\set room '''order:b0000000-0000-4000-8000-000000000001'''
\set moderation `sed '/^BEGIN;$/d; /^COMMIT;$/d' :'srcdir'/triggers/moderation.sql`
\set messages `sed '/^BEGIN;$/d; /^COMMIT;$/d' :'srcdir'/triggers/messages.sql`
SELECT plan(8);

-- The API lets the client of a dispute make himself its moderator
INSERT INTO public.disputes (id, order_id, client_id, performer_id, moderator_id, reason, status)
VALUES (:d, :o, :c, :p, :c, 'late', 'open');
SELECT is(pg_temp.send(:c, 'mute_user', :room, jsonb_build_object('room', :room, 'userId', :p, 'minutes', 5)) #>> '{error,code}',
  'forbidden', 'a party of the order moderates nobody, whoever made it the moderator');
UPDATE public.disputes SET moderator_id = :m;
SELECT is(pg_temp.send(:m, 'mute_user', :room, jsonb_build_object('room', :room, 'userId', :p, 'minutes', 5)) #>> '{reply,userId}',
  :p, 'a moderator who is no party does');
SELECT is(pg_temp.send(:a, 'unmute_user', :room, jsonb_build_object('room', :room, 'userId', :p)) #>> '{reply,userId}',
  :p, 'and an admin');

-- What is pushed can be seen
SELECT set_eq($$SELECT DISTINCT event FROM pgpush.attached WHERE event <> ''$$,
  ARRAY['order_message', 'message_edit', 'message_delete', 'messages_read', 'order_status_update',
    'dispute_opened', 'dispute_status_update', 'dispute_message_delete'], 'pgpush.attached shows what the tables push');
SELECT is_empty($$SELECT * FROM pgpush.attached WHERE missing <> '{}' OR NOT enabled$$, 'and nothing is missing');

-- A schema that lacks something
CREATE FUNCTION pg_temp.after(change text, load text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  said text := '';
BEGIN
  BEGIN
    EXECUTE change;
    IF load LIKE 'SELECT %' THEN
      EXECUTE load INTO said;
    ELSE
      EXECUTE load;
    END IF;
    RAISE EXCEPTION 'loaded: %', said;
  EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
  END;
END $$;
SELECT alike(pg_temp.after('ALTER TABLE public.room_mutes RENAME COLUMN until TO ends', :'moderation'),
  '%moderation.sql needs columns%: room_mutes.until', 'a missing column is named when a file is loaded');
SELECT alike(pg_temp.after('ALTER TABLE public.message_attachments RENAME TO files', :'messages'),
  '%messages.sql needs columns%message_attachments.message_id%', 'and those of a missing table');
SELECT is(pg_temp.after('DROP FUNCTION public.push_muted(text, uuid)', format(
    'SELECT pg_temp.send(%L, ''call_offer'', %L, %L)', :c, :room, jsonb_build_object('orderId', :o, 'callId', '1', 'sdp', 'x'))),
  'loaded: {}', 'calls go without moderation');

SELECT * FROM finish();
ROLLBACK;
