// SPDX-License-Identifier: ISC

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Welcome } from '../types.js';
import { useLatest } from './latest.js';
import { usePush } from './provider.js';
import { useStale } from './useStale.js';

export interface Notification {
  id: string;
  userId: string;
  type: string;
  content: string;
  relatedId: string | null;
  createdAt: string;
  read?: boolean;
}

/** What the application's API gives and does. */
export interface NotificationSource {
  list?: () => Promise<{ unread: number; items: Notification[] }>;
  /** One, or all of them. */
  markRead?: (id?: string) => Promise<unknown>;
}

export interface NotificationOptions extends NotificationSource {
  /** As many are kept, 50 by default. */
  limit?: number;
  /** One that comes is of what is being looked at: it is marked as read. */
  isSeen?: (notification: Notification) => boolean;
  /** Called once for each that comes, not for those of the list. */
  onNotification?: (notification: Notification) => void;
}

export interface Notifications {
  /** The newest first. */
  items: readonly Notification[];
  unread: number;
  /** All without an id. Always the same function. */
  markRead: (id?: string) => Promise<void>;
  refresh: () => Promise<void>;
}

interface State {
  items: readonly Notification[];
  unread: number;
}

const NONE: State = { items: [], unread: 0 };

export function useNotifications(
  options: NotificationOptions = {},
): Notifications {
  const client = usePush();
  const latest = useLatest(options);
  const [state, setState] = useState(NONE);
  const limit = options.limit ?? 50;
  /** What came while the list was on its way may be missing in it, */
  const fresh = useRef<Notification[]>([]);
  /** and what was read be unread. */
  const readSince = useRef(new Set<string>());
  const asked = useRef(0);

  const refresh = useCallback(async () => {
    const { list } = latest.current;
    if (!list) return;
    const mine = ++asked.current;
    fresh.current = [];
    readSince.current = new Set();
    const { items, unread } = await list();
    if (mine !== asked.current) return;
    const ids = new Set(items.map((n) => n.id));
    const missing = fresh.current.filter((n) => !ids.has(n.id));
    const all = [...missing, ...items];
    const isRead = ({ id }: Notification) => readSince.current.has(id);
    setState({
      items: all
        .map((n) => (isRead(n) ? { ...n, read: true } : n))
        .slice(0, limit),
      unread:
        unread + missing.length - all.filter((n) => !n.read && isRead(n)).length,
    });
  }, [latest, limit]);

  const markRead = useCallback(
    async (id?: string) => {
      if (id !== undefined) readSince.current.add(id);
      setState((was) => {
        const left = (n: Notification) => id !== undefined && n.id !== id;
        const known = was.items.some((n) => n.id === id && !n.read);
        return {
          items: was.items.map((n) => (left(n) ? n : { ...n, read: true })),
          unread: id === undefined ? 0 : was.unread - Number(known),
        };
      });
      await latest.current.markRead?.(id);
    },
    [latest],
  );

  useEffect(() => {
    let off: (() => void) | null = null;
    let gone = false;
    const quietly = () => {
      refresh().catch(() => {
        // The next reset, or the user, tries again.
      });
    };
    const follow = (user: string) => {
      off?.();
      const room = client.room(`user:${user}`);
      const offs = [
        room.on('joined', ({ resumed }) => resumed || quietly()),
        room.on('reset', quietly),
        room.on('notification', (data: Notification) => {
          if (gone) return;
          fresh.current = [data, ...fresh.current];
          setState((was) =>
            was.items.some((n) => n.id === data.id)
              ? was
              : {
                  items: [data, ...was.items].slice(0, limit),
                  unread: was.unread + 1,
                },
          );
          if (latest.current.isSeen?.(data))
            markRead(data.id).catch(() => {
              // The next list says how it is.
            });
          latest.current.onNotification?.(data);
        }),
      ];
      if (room.state === 'joined') quietly();
      off = () => offs.forEach((o) => o());
    };
    let user = client.user;
    if (user) follow(user);
    const offWelcome = client.on('welcome', (welcome: Welcome) => {
      if (welcome.user === user) return;
      user = welcome.user;
      setState(NONE);
      follow(user);
    });
    return () => {
      gone = true;
      asked.current++;
      off?.();
      offWelcome();
    };
  }, [client, latest, limit, refresh, markRead]);

  useStale(refresh);
  return useMemo(
    () => ({ ...state, markRead, refresh }),
    [state, markRead, refresh],
  );
}
