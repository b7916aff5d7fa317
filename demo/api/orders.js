// SPDX-License-Identifier: ISC

import { Router } from 'express';
import { conflict, forbidden, notFound } from './errors.js';
import { body, oneOf, pathId } from './input.js';
import { notify } from './notifications.js';

const STATUSES = ['open', 'in_progress', 'completed', 'cancelled'];

const SELECT = `
  SELECT o.id, o.title, o.status, o.price, o.updated_at,
         o.client_id, c.name AS client_name,
         o.performer_id, p.name AS performer_name
    FROM orders o
    JOIN users c ON c.id = o.client_id
    LEFT JOIN users p ON p.id = o.performer_id`;

/** What a list of conversations shows of each; $1 is who looks at it. */
const LAST = `
  LEFT JOIN LATERAL (
    SELECT m.content, m.sender_id, m.created_at, m.deleted
      FROM messages m WHERE m.order_id = o.id
     ORDER BY m.created_at DESC, m.id DESC LIMIT 1) l ON true
  LEFT JOIN LATERAL (
    SELECT count(*)::int AS unread
      FROM messages m
     WHERE m.order_id = o.id AND m.receiver_id = $1
       AND m.read_at IS NULL AND NOT m.deleted) u ON true`;

const listJson = (row) => ({
  ...orderJson(row),
  unread: row.unread,
  lastMessage: row.sent_at && {
    senderId: row.sender_id,
    content: row.deleted ? '' : row.content,
    deleted: row.deleted,
    createdAt: row.sent_at,
  },
});

const orderJson = (row) => ({
  id: row.id,
  title: row.title,
  status: row.status,
  price: row.price === null ? null : Number(row.price),
  updatedAt: row.updated_at,
  client: { id: row.client_id, name: row.client_name },
  performer: row.performer_id && {
    id: row.performer_id,
    name: row.performer_name,
  },
});

export const isParty = (order, user) =>
  order.client_id === user.id || order.performer_id === user.id;

/** The order, if this user may see it: its two parties and admins may. */
export async function orderFor(db, user, id) {
  const { rows } = await db.query(`${SELECT} WHERE o.id = $1`, [
    pathId(id, 'Order'),
  ]);
  if (rows.length === 0) throw notFound('Order not found');
  if (!isParty(rows[0], user) && user.role !== 'admin')
    throw forbidden('Access denied to this order');
  return rows[0];
}

export function orderRoutes({ db }) {
  const router = Router();

  router.get('/orders', async (req, res) => {
    const { rows } = await db.query(
      `${SELECT.replace('FROM orders o', `, u.unread, l.content, l.sender_id,
                l.deleted, l.created_at AS sent_at
           FROM orders o`)}
        ${LAST}
        WHERE $2 OR o.client_id = $1 OR o.performer_id = $1
        ORDER BY o.updated_at DESC, o.id
        LIMIT 200`,
      [req.user.id, req.user.role === 'admin'],
    );
    res.json(rows.map(listJson));
  });

  router.get('/orders/:id', async (req, res) => {
    res.json(orderJson(await orderFor(db, req.user, req.params.id)));
  });

  router.patch('/orders/:id/status', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    const status = oneOf(body(req).status, 'status', STATUSES);
    if (order.status === status)
      throw conflict(`The order already is ${status}`);

    await db.query(
      'UPDATE orders SET status = $2, updated_at = now() WHERE id = $1',
      [order.id, status],
    );
    await db.query(
      `INSERT INTO order_status_history (order_id, status, changed_by)
       VALUES ($1, $2, $3)`,
      [order.id, status, req.user.id],
    );
    for (const other of [order.client_id, order.performer_id]) {
      if (other === null || other === req.user.id) continue;
      await notify(db, other, 'order_status', {
        content: `“${order.title}” is now ${status.replace('_', ' ')}`,
        relatedId: order.id,
      });
    }
    res.json(orderJson(await orderFor(db, req.user, order.id)));
  });

  router.get('/orders/:id/history', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    const { rows } = await db.query(
      `SELECT id, status, changed_at, changed_by FROM order_status_history
        WHERE order_id = $1 ORDER BY changed_at, id`,
      [order.id],
    );
    res.json(
      rows.map((row) => ({
        id: row.id,
        status: row.status,
        changedAt: row.changed_at,
        changedBy: row.changed_by,
      })),
    );
  });

  return router;
}
