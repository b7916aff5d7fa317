-- SPDX-License-Identifier: ISC
--
-- Demo data for schema.sql: four people, two orders between the first two of
-- them, a conversation with two reactions, a few notifications.  Running it
-- again changes nothing.

BEGIN;

INSERT INTO public.users (id, name, email, role) VALUES
  ('c1000000-0000-4000-8000-000000000001', 'Olena Kovalenko', 'client@demo.test', 'client'),
  ('c1000000-0000-4000-8000-000000000002', 'Taras Melnyk', 'performer@demo.test', 'performer'),
  ('c1000000-0000-4000-8000-000000000003', 'Iryna Shevchuk', 'admin@demo.test', 'admin'),
  ('c1000000-0000-4000-8000-000000000004', 'Marko Bondar', 'stranger@demo.test', 'client')
ON CONFLICT DO NOTHING;

INSERT INTO public.orders (id, client_id, performer_id, title, status, price, created_at, updated_at) VALUES
  ('0d000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000002',
   'Logo for a coffee roastery', 'in_progress', 4200.00,
   now() - interval '3 days', now() - interval '2 days'),
  ('0d000000-0000-4000-8000-000000000002',
   'c1000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000002',
   'Landing page, three sections', 'in_progress', 12500.00,
   now() - interval '1 day', now() - interval '20 hours')
ON CONFLICT DO NOTHING;

INSERT INTO public.order_status_history (id, order_id, status, changed_at, changed_by) VALUES
  ('05000000-0000-4000-8000-000000000001', '0d000000-0000-4000-8000-000000000001',
   'open', now() - interval '3 days', 'c1000000-0000-4000-8000-000000000001'),
  ('05000000-0000-4000-8000-000000000002', '0d000000-0000-4000-8000-000000000001',
   'in_progress', now() - interval '2 days', 'c1000000-0000-4000-8000-000000000002'),
  ('05000000-0000-4000-8000-000000000003', '0d000000-0000-4000-8000-000000000002',
   'open', now() - interval '1 day', 'c1000000-0000-4000-8000-000000000001'),
  ('05000000-0000-4000-8000-000000000004', '0d000000-0000-4000-8000-000000000002',
   'in_progress', now() - interval '20 hours', 'c1000000-0000-4000-8000-000000000002')
ON CONFLICT DO NOTHING;

INSERT INTO public.messages
  (id, order_id, sender_id, receiver_id, content, read, read_at, created_at, updated_at) VALUES
  ('3e000000-0000-4000-8000-000000000001', '0d000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000002',
   'Hello! We roast in small batches, the logo should look handmade.', true,
   now() - interval '47 hours', now() - interval '48 hours', now() - interval '47 hours'),
  ('3e000000-0000-4000-8000-000000000002', '0d000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000002', 'c1000000-0000-4000-8000-000000000001',
   'Good day. One colour or two?', true,
   now() - interval '46 hours', now() - interval '47 hours', now() - interval '46 hours'),
  ('3e000000-0000-4000-8000-000000000003', '0d000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000002',
   'One, it goes on paper bags.', true,
   now() - interval '45 hours', now() - interval '46 hours', now() - interval '45 hours'),
  ('3e000000-0000-4000-8000-000000000004', '0d000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000002', 'c1000000-0000-4000-8000-000000000001',
   'Understood. First sketches tomorrow.', false,
   NULL, now() - interval '5 hours', now() - interval '5 hours'),
  ('3e000000-0000-4000-8000-000000000005', '0d000000-0000-4000-8000-000000000002',
   'c1000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000002',
   'The texts are ready, shall I send them here?', false,
   NULL, now() - interval '3 hours', now() - interval '3 hours')
ON CONFLICT DO NOTHING;

INSERT INTO public.message_reactions (id, message_id, user_id, emoji, created_at) VALUES
  ('0e000000-0000-4000-8000-000000000001', '3e000000-0000-4000-8000-000000000001',
   'c1000000-0000-4000-8000-000000000002', '👍', now() - interval '47 hours'),
  ('0e000000-0000-4000-8000-000000000002', '3e000000-0000-4000-8000-000000000004',
   'c1000000-0000-4000-8000-000000000001', '🎉', now() - interval '4 hours')
ON CONFLICT DO NOTHING;

INSERT INTO public.notifications (id, user_id, type, content, read, related_id, created_at) VALUES
  ('0f000000-0000-4000-8000-000000000001', 'c1000000-0000-4000-8000-000000000001',
   'order', 'Taras Melnyk took your order', true,
   '0d000000-0000-4000-8000-000000000001', now() - interval '2 days'),
  ('0f000000-0000-4000-8000-000000000002', 'c1000000-0000-4000-8000-000000000001',
   'message', 'New message from Taras Melnyk', false,
   '0d000000-0000-4000-8000-000000000001', now() - interval '5 hours'),
  ('0f000000-0000-4000-8000-000000000003', 'c1000000-0000-4000-8000-000000000002',
   'message', 'New message from Olena Kovalenko', false,
   '0d000000-0000-4000-8000-000000000002', now() - interval '3 hours')
ON CONFLICT DO NOTHING;

COMMIT;
