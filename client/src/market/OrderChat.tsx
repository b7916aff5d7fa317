// SPDX-License-Identifier: ISC
// The conversation of the two parties of an order.

import type { ReactNode } from 'react';
import type { OrderApi, Person } from './api.js';
import { Chat } from './Chat.js';
import { usePush } from '../react/provider.js';
import type { Locale } from './texts.js';

export interface OrderChatProps {
  orderId: string;
  /** Who is looking. */
  me: string;
  /** The parties, and whoever else has written. */
  people: readonly Person[];
  api: OrderApi;
  locale?: Locale;
  /** Why one cannot write, or null. */
  closed?: string | null;
  emojis?: readonly string[];
  /** An admin, or the moderator of its dispute: may mute and remove. */
  moderates?: boolean;
  /** Beside the people: a CallPanel, for example. */
  header?: ReactNode;
}

export function OrderChat(props: OrderChatProps): ReactNode {
  const { orderId, me, api, locale = 'en', closed = null } = props;
  const client = usePush();
  return (
    <Chat
      // Another order is another conversation from the beginning.
      key={`${orderId} ${me}`}
      source={{
        kind: 'order',
        id: orderId,
        list: (page) => api.orderMessages(orderId, page),
        post: (message) => api.postOrderMessage(orderId, message),
        upload: (file, progress) => api.upload(file, progress),
        mutes: async () => (await api.orderMutes?.(orderId)) ?? [],
        change: {
          edit: (id, content) => api.editMessage(id, content),
          remove: (id) => api.deleteMessage(id),
        },
        // The connection is the short way; without it the API does the same.
        markRead: (up) =>
          (up
            ? client.send('mark_messages_read', { orderId })
            : Promise.reject(new Error('not connected'))
          ).catch(() => api.markOrderRead(orderId)),
      }}
      me={me}
      people={props.people}
      locale={locale}
      closed={closed}
      emojis={props.emojis}
      moderates={props.moderates ?? false}
      header={props.header}
    />
  );
}
