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

-- Which reactions there are, in the order in which they are offered.
CREATE TABLE IF NOT EXISTS public.reaction_emojis (
  emoji    text PRIMARY KEY CHECK (octet_length(emoji) BETWEEN 1 AND 32),
  position int  NOT NULL
);
INSERT INTO public.reaction_emojis (emoji, position) VALUES
  ('👍', 1), ('❤️', 2), ('😂', 3), ('😮', 4), ('😢', 5), ('🎉', 6), ('🙏', 7), ('👎', 8)
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS public.message_reactions (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id uuid        NOT NULL REFERENCES public.messages (id) ON DELETE CASCADE,
  user_id    uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  emoji      text        NOT NULL REFERENCES public.reaction_emojis (emoji),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (message_id, user_id, emoji)
);
CREATE INDEX IF NOT EXISTS message_reactions_user_id
  ON public.message_reactions (user_id);

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

-- A message that a moderator has removed stays as evidence, unseen.
ALTER TABLE public.dispute_messages
  ADD COLUMN IF NOT EXISTS deleted boolean NOT NULL DEFAULT false;

CREATE TABLE IF NOT EXISTS public.dispute_message_reactions (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id uuid        NOT NULL REFERENCES public.dispute_messages (id) ON DELETE CASCADE,
  user_id    uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  emoji      text        NOT NULL REFERENCES public.reaction_emojis (emoji),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (message_id, user_id, emoji)
);
CREATE INDEX IF NOT EXISTS dispute_message_reactions_user_id
  ON public.dispute_message_reactions (user_id);

-- Who may read but not write in the chat of an order or of a dispute.  until
-- NULL: for good; one that is over stays as its own record.  "by" is who muted
-- or, if it was lifted, who lifted it.
CREATE TABLE IF NOT EXISTS public.room_mutes (
  order_id   uuid        REFERENCES public.orders (id) ON DELETE CASCADE,
  dispute_id uuid        REFERENCES public.disputes (id) ON DELETE CASCADE,
  room       text        GENERATED ALWAYS AS
                         (coalesce('order:' || order_id::text,
                                   'dispute:' || dispute_id::text)) STORED,
  user_id    uuid        NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  until      timestamptz CHECK (isfinite(until)),
  "by"       uuid        REFERENCES public.users (id) ON DELETE SET NULL,
  reason     text        NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (room, user_id),
  CHECK (num_nonnulls(order_id, dispute_id) = 1)
);
CREATE INDEX IF NOT EXISTS room_mutes_order_id ON public.room_mutes (order_id);
CREATE INDEX IF NOT EXISTS room_mutes_dispute_id ON public.room_mutes (dispute_id);
CREATE INDEX IF NOT EXISTS room_mutes_user_id ON public.room_mutes (user_id);
CREATE INDEX IF NOT EXISTS room_mutes_by ON public.room_mutes ("by");

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
