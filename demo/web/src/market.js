// SPDX-License-Identifier: ISC
// The orders and disputes of a user, fetched and kept up to date by events:
// of the rooms of those listed, of the user's own, and of the admins'.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useDisputes, usePush, useStale } from 'pgpush/market';

/** onOpened is called with each dispute that is opened while we look. */
export function useMarket(api, me, route, onOpened) {
  const client = usePush();
  const latest = useRef(null);
  useEffect(() => {
    latest.current = route;
  });
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
      client.on('order_message', (m) =>
        setOrders((was) => was.map((o) => withMessage(o, m, me, latest.current))),
      ),
      client.on('message_delete', load),
      client.on('message_edit', load),
      // A new order is told to nobody but in a notification.
      client.on('notification', ({ type }) => type === 'message' || load()),
      // What came before the connection stood, or during a cut, was not told.
      client.on('welcome', load),
    ];
    return () => offs.forEach((off) => off());
  }, [client, load, me]);

  useStale(load);
  // What is looked at is read.
  useEffect(() => {
    if (route.kind === 'order')
      setOrders((was) =>
        was.map((o) => (o.id === route.id && o.unread ? { ...o, unread: 0 } : o)),
      );
  }, [route]);
  const sorted = useMemo(
    () => [...orders].sort((a, b) => activeAt(b).localeCompare(activeAt(a))),
    [orders],
  );
  return useMemo(
    () => ({
      orders: sorted,
      disputes,
      emojis,
      state,
      refreshDisputes: refresh,
      /** The newest; all but that one are resolved. */
      disputeOf: (orderId) => disputes.find((d) => d.orderId === orderId),
    }),
    [sorted, disputes, emojis, state, refresh],
  );
}

/** When something was last written in it. */
const activeAt = (order) => order.lastMessage?.createdAt ?? order.updatedAt;

function withMessage(order, m, me, route) {
  if (order.id !== m.orderId) return order;
  const { senderId, content, createdAt } = m;
  // It may come again, or after a newer one.
  if ((order.lastMessage?.createdAt ?? '') >= createdAt) return order;
  const isSeen =
    route.id === order.id && document.visibilityState === 'visible';
  const isMine = m.receiverId === me.id;
  return {
    ...order,
    lastMessage: { senderId, content, createdAt, deleted: false },
    unread: isMine && !isSeen ? order.unread + 1 : order.unread,
  };
}
