-- SPDX-License-Identifier: ISC
--
-- The marketplace's own tables: clients order work, performers do it, both
-- chat about it, an admin settles what they cannot agree on.  Run by the role
-- that owns them.  Running it again does no harm.

BEGIN;

SET LOCAL client_min_messages = warning;

CREATE TABLE IF NOT EXISTS public.users (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  name       text        NOT NULL,
  email      text        NOT NULL UNIQUE,
  role       text        NOT NULL DEFAULT 'client'
                         CHECK (role IN ('client', 'performer', 'admin')),
  avatar_url text,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.orders (
  id           uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id    uuid          NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  performer_id uuid          REFERENCES public.users (id) ON DELETE SET NULL,
  title        text          NOT NULL CHECK (title <> ''),
  status       text          NOT NULL DEFAULT 'open' CHECK (status <> ''),
  price        numeric(12,2) NOT NULL DEFAULT 0 CHECK (price >= 0),
  created_at   timestamptz   NOT NULL DEFAULT now(),
  updated_at   timestamptz   NOT NULL DEFAULT now(),
  CHECK (performer_id <> client_id)
);
CREATE INDEX IF NOT EXISTS orders_client_id ON public.orders (client_id);
CREATE INDEX IF NOT EXISTS orders_performer_id ON public.orders (performer_id);

CREATE TABLE IF NOT EXISTS public.order_status_history (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id   uuid        NOT NULL REFERENCES public.orders (id) ON DELETE CASCADE,
  status     text        NOT NULL CHECK (status <> ''),
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by uuid        REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS order_status_history_order_id
  ON public.order_status_history (order_id, changed_at);
CREATE INDEX IF NOT EXISTS order_status_history_changed_by
  ON public.order_status_history (changed_by);

CREATE TABLE IF NOT EXISTS public.messages (
  id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id    uuid        NOT NULL REFERENCES public.orders (id) ON DELETE CASCADE,
  sender_id   uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  receiver_id uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  content     text        NOT NULL DEFAULT '',
  type        text        NOT NULL DEFAULT 'text',
  read        boolean     NOT NULL DEFAULT false,
  read_at     timestamptz,
  edited      boolean     NOT NULL DEFAULT false,
  deleted     boolean     NOT NULL DEFAULT false,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS messages_order_id ON public.messages (order_id, created_at);
CREATE INDEX IF NOT EXISTS messages_sender_id ON public.messages (sender_id);
CREATE INDEX IF NOT EXISTS messages_receiver_id ON public.messages (receiver_id);
CREATE INDEX IF NOT EXISTS messages_unread ON public.messages (order_id)
  WHERE read_at IS NULL;

CREATE OR REPLACE FUNCTION public.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS touch_updated_at ON public.messages;
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.messages
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();

CREATE TABLE IF NOT EXISTS public.message_attachments (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id uuid        NOT NULL REFERENCES public.messages (id) ON DELETE CASCADE,
  file_url   text        NOT NULL,
  file_name  text        NOT NULL,
  file_size  bigint      CHECK (file_size >= 0),
  file_type  text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS message_attachments_message_id
  ON public.message_attachments (message_id);

CREATE TABLE IF NOT EXISTS public.disputes (
  id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id     uuid        NOT NULL REFERENCES public.orders (id) ON DELETE CASCADE,
  client_id    uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  performer_id uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  moderator_id uuid        REFERENCES public.users (id) ON DELETE SET NULL,
  reason       text        NOT NULL,
  status       text        NOT NULL DEFAULT 'open'
                           CHECK (status IN ('open', 'in_review', 'resolved')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS disputes_order_id ON public.disputes (order_id);
CREATE INDEX IF NOT EXISTS disputes_client_id ON public.disputes (client_id);
CREATE INDEX IF NOT EXISTS disputes_performer_id ON public.disputes (performer_id);
CREATE INDEX IF NOT EXISTS disputes_moderator_id ON public.disputes (moderator_id);

CREATE TABLE IF NOT EXISTS public.dispute_messages (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  dispute_id uuid        NOT NULL REFERENCES public.disputes (id) ON DELETE CASCADE,
  sender_id  uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  content    text        NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS dispute_messages_dispute_id
  ON public.dispute_messages (dispute_id, created_at);
CREATE INDEX IF NOT EXISTS dispute_messages_sender_id
  ON public.dispute_messages (sender_id);

CREATE TABLE IF NOT EXISTS public.dispute_message_attachments (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id uuid        NOT NULL REFERENCES public.dispute_messages (id) ON DELETE CASCADE,
  file_name  text        NOT NULL,
  file_url   text        NOT NULL,
  file_size  bigint      CHECK (file_size >= 0),
  mime_type  text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS dispute_message_attachments_message_id
  ON public.dispute_message_attachments (message_id);

CREATE TABLE IF NOT EXISTS public.notifications (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id    uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  type       text        NOT NULL,
  content    text        NOT NULL DEFAULT '',
  read       boolean     NOT NULL DEFAULT false,
  related_id uuid,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS notifications_user_id
  ON public.notifications (user_id, created_at);

CREATE TABLE IF NOT EXISTS public.websocket_connections (
  id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id      uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  socket_id    text        NOT NULL,
  connected_at timestamptz NOT NULL DEFAULT now(),
  last_seen    timestamptz NOT NULL DEFAULT now(),
  is_active    boolean     NOT NULL DEFAULT true
);
CREATE INDEX IF NOT EXISTS websocket_connections_user_id
  ON public.websocket_connections (user_id);

COMMIT;
