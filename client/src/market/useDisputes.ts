// SPDX-License-Identifier: ISC

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Dispute, DisputesApi } from './api.js';
import { useLatest } from '../react/latest.js';
import { usePush } from '../react/provider.js';
import { useRoom } from '../react/useRoom.js';
import { doorOf } from './door.js';
import { useStale } from '../react/useStale.js';

export interface DisputeOpened {
  disputeId: string;
  orderId: string;
  clientId: string;
  performerId: string;
  reason: string;
  createdAt: string;
}

export interface DisputesOptions {
  api: DisputesApi;
  /** Those of one order; without it all of one's own, for an admin all. */
  orderId?: string | null;
  /** Called once for each that is opened, by whomever, while we look. */
  onOpened?: (dispute: DisputeOpened) => void;
}

export interface Disputes {
  /** The newest first. */
  disputes: readonly Dispute[];
  loaded: boolean;
  refresh: () => Promise<void>;
  /** Opens one about an order, by default the one given. */
  open: (reason: string, orderId?: string) => Promise<Dispute>;
}

/** An admin may see more disputes than a connection may have rooms. */
const MAX_ROOMS = 20;
const NONE: readonly Dispute[] = [];

export function useDisputes(options: DisputesOptions): Disputes {
  const client = usePush();
  const { orderId = null } = options;
  const latest = useLatest(options);
  const [disputes, setDisputes] = useState<readonly Dispute[] | null>(null);
  const asked = useRef(0);

  const refresh = useCallback(async () => {
    const mine = ++asked.current;
    const all = await latest.current.api.disputes();
    if (mine === asked.current)
      setDisputes(all.filter((d) => !orderId || d.orderId === orderId));
  }, [latest, orderId]);
  const quietly = useCallback(() => {
    refresh().catch(() => {
      // The next event, or the next connection, tries again.
    });
  }, [refresh]);

  // Of whatever room: an admin has them from his own, a party from the
  // order's, or only from the notification of it.
  useEffect(() => {
    const about = (data: { orderId: string }) =>
      !orderId || data.orderId === orderId;
    const offs = [
      client.on('dispute_opened', (data: DisputeOpened) => {
        if (!about(data)) return;
        quietly();
        latest.current.onOpened?.(data);
      }),
      client.on('dispute_status_update', (data: { orderId: string }) => {
        if (about(data)) quietly();
      }),
      client.on('notification', ({ type }: { type: string }) => {
        if (type === 'dispute') quietly();
      }),
      client.on('welcome', quietly),
    ];
    quietly();
    return () => {
      asked.current++;
      setDisputes(null);
      offs.forEach((off) => off());
    };
  }, [client, latest, orderId, quietly]);
  useStale(refresh);
  useRoom(
    orderId && `order:${orderId}`,
    { joined: ({ resumed }) => resumed || quietly(), reset: quietly },
    { join: orderId ? doorOf('order', orderId) : undefined },
  );

  // A status is told in the dispute's own room.
  const open = (disputes ?? NONE)
    .filter((d) => d.status !== 'resolved')
    .slice(0, MAX_ROOMS)
    .map((d) => d.id)
    .sort()
    .join(' ');
  useEffect(() => {
    const rooms = open.split(' ').filter(Boolean).map((id) =>
      client.room(`dispute:${id}`).join(doorOf('dispute', id)));
    return () => rooms.forEach((room) => room.leave());
  }, [client, open]);

  const openOne = useCallback(
    async (reason: string, about = orderId ?? undefined) => {
      if (about === undefined) throw new Error('a dispute is about an order');
      const dispute = await latest.current.api.openDispute(about, reason);
      quietly();
      return dispute;
    },
    [latest, orderId, quietly],
  );
  return useMemo(
    () => ({
      disputes: disputes ?? NONE,
      loaded: disputes !== null,
      refresh,
      open: openOne,
    }),
    [disputes, refresh, openOne],
  );
}
