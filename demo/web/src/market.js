// SPDX-License-Identifier: ISC
// The orders and disputes of a user, fetched and kept up to date by events:
// of the rooms of those listed, of the user's own, and of the admins'.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useDisputes, usePush, useStale } from 'pgpush/market';

/** onOpened is called with each dispute that is opened while we look. */
export function useMarket(api, onOpened) {
  const client = usePush();
  const [orders, setOrders] = useState([]);
  const [emojis, setEmojis] = useState();
  const [state, setState] = useState('loading');
  const asked = useRef(0);
  const { disputes, refresh } = useDisputes({ api, onOpened });

  const load = useCallback(async () => {
    const mine = ++asked.current;
    try {
      const [orders, emojis] = await Promise.all([api.orders(), api.emojis()]);
      if (mine !== asked.current) return;
      setOrders(orders);
      setEmojis(emojis);
      setState('loaded');
    } catch (err) {
      if (mine === asked.current) setState(err.message);
    }
  }, [api]);

  useEffect(() => {
    void load();
    const offs = [
      client.on('order_status_update', ({ orderId: id, status, updatedAt }) =>
        setOrders((was) =>
          was.map((o) => (o.id === id ? { ...o, status, updatedAt } : o)),
        ),
      ),
      // A new order is told to nobody but in a notification.
      client.on('notification', ({ type }) => type === 'message' || load()),
      // What came before the connection stood, or during a cut, was not told.
      client.on('welcome', load),
    ];
    return () => offs.forEach((off) => off());
  }, [client, load]);

  useStale(load);
  return useMemo(
    () => ({
      orders,
      disputes,
      emojis,
      state,
      refreshDisputes: refresh,
      /** The newest; all but that one are resolved. */
      disputeOf: (orderId) => disputes.find((d) => d.orderId === orderId),
    }),
    [orders, disputes, emojis, state, refresh],
  );
}
