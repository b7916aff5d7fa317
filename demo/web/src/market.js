// SPDX-License-Identifier: ISC
// The orders and disputes of a user, fetched once and kept up to date by
// events: of the rooms of the orders listed, of the user's own, and of the
// admins'.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { usePush } from 'pgpush/react';

const NOTHING = { orders: [], disputes: [], emojis: undefined };

const patched = (list, id, change) =>
  list.map((one) => (one.id === id ? { ...one, ...change } : one));

/** onEvent hears what is worth telling the user, after it is shown. */
export function useMarket(api, onEvent) {
  const client = usePush();
  const [market, setMarket] = useState(NOTHING);
  const [state, setState] = useState('loading');
  const asked = useRef(0);
  const latest = useRef(onEvent);
  useEffect(() => {
    latest.current = onEvent;
  });

  const load = useCallback(async () => {
    const mine = ++asked.current;
    try {
      const [orders, disputes, emojis] = await Promise.all([
        api.orders(),
        api.disputes(),
        api.emojis(),
      ]);
      if (mine !== asked.current) return;
      setMarket({ orders, disputes, emojis });
      setState('loaded');
    } catch (err) {
      if (mine === asked.current) setState(err.message);
    }
  }, [api]);
  useEffect(() => void load(), [load]);

  useEffect(() => {
    const orderStatus = ({ orderId, status, updatedAt }) =>
      setMarket((was) => ({
        ...was,
        orders: patched(was.orders, orderId, { status, updatedAt }),
      }));
    const disputeStatus = ({ disputeId, status, updatedAt }) => {
      setMarket((was) => ({
        ...was,
        disputes: patched(was.disputes, disputeId, { status, updatedAt }),
      }));
      // The moderator may be new, too.
      void load();
    };
    const offs = [
      client.on('order_status_update', orderStatus),
      client.on('dispute_status_update', disputeStatus),
      client.on('dispute_opened', (data) => {
        void load().then(() => latest.current('dispute_opened', data));
      }),
      // Where it happened may be a room that we are not in.
      client.on('notification', (data) => {
        if (data.type !== 'message') void load();
        latest.current('notification', data);
      }),
      // What came before the connection stood, or during a cut, was not told.
      client.on('welcome', () => void load()),
    ];
    return () => offs.forEach((off) => off());
  }, [client, load]);

  return useMemo(
    () => ({ ...market, state, load, disputeOf: disputeOf(market) }),
    [market, state, load],
  );
}

/** The newest; all but that one are resolved. */
const disputeOf = ({ disputes }) => (orderId) =>
  disputes.find((d) => d.orderId === orderId);
