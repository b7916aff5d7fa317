// SPDX-License-Identifier: ISC

import { Router } from 'express';
import { storedAttachments } from './attachments.js';
import { badRequest, conflict, forbidden, notFound } from './errors.js';
import { body, oneOf, pageOf, pathId, text } from './input.js';
import { notify } from './notifications.js';
import { isParty, orderFor } from './orders.js';
import { reactionsOf, transaction } from './db.js';

const STATUSES = ['open', 'in_review', 'resolved'];

const SELECT = `
  SELECT d.*, o.title,
         c.name AS client_name, p.name AS performer_name,
         m.name AS moderator_name
    FROM disputes d
    JOIN orders o ON o.id = d.order_id
    JOIN users c ON c.id = d.client_id
    JOIN users p ON p.id = d.performer_id
    LEFT JOIN users m ON m.id = d.moderator_id`;

const disputeJson = (row) => ({
  id: row.id,
  orderId: row.order_id,
  orderTitle: row.title,
  client: { id: row.client_id, name: row.client_name },
  performer: { id: row.performer_id, name: row.performer_name },
  moderator: row.moderator_id && {
    id: row.moderator_id,
    name: row.moderator_name,
  },
  reason: row.reason,
  status: row.status,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const SELECT_MESSAGE = `
  SELECT m.*, u.name AS sender_name, u.role AS sender_role,
         (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'id', a.id, 'fileUrl', a.file_url, 'fileName', a.file_name,
                   'fileSize', a.file_size, 'mimeType', a.mime_type)
                   ORDER BY a.created_at, a.id), '[]')
            FROM dispute_message_attachments a
           WHERE a.message_id = m.id) AS attachments,
${reactionsOf('dispute_message_reactions')}
    FROM dispute_messages m
    JOIN users u ON u.id = m.sender_id`;

const messageJson = (row) => ({
  id: row.id,
  disputeId: row.dispute_id,
  senderId: row.sender_id,
  senderName: row.sender_name,
  senderRole: row.sender_role,
  content: row.deleted ? '' : row.content,
  deleted: row.deleted,
  createdAt: row.created_at,
  attachments: row.deleted ? [] : row.attachments,
  reactions: row.deleted ? [] : row.reactions,
});

const partiesOf = (dispute) =>
  [dispute.client_id, dispute.performer_id, dispute.moderator_id].filter(
    (id) => id !== null,
  );

/** The dispute, if this user may see it: the parties, its moderator, admins. */
export async function disputeFor(db, user, id) {
  const { rows } = await db.query(`${SELECT} WHERE d.id = $1`, [
    pathId(id, 'Dispute'),
  ]);
  if (rows.length === 0) throw notFound('Dispute not found');
  if (!partiesOf(rows[0]).includes(user.id) && user.role !== 'admin')
    throw forbidden('Access denied to this dispute');
  return rows[0];
}

async function tellOthers(db, dispute, user, content) {
  for (const other of partiesOf(dispute)) {
    if (other === user.id) continue;
    await notify(db, other, 'dispute', { content, relatedId: dispute.order_id });
  }
}

export function disputeRoutes({ db, uploads }) {
  const router = Router();

  router.get('/disputes', async (req, res) => {
    const { rows } = await db.query(
      `${SELECT}
        WHERE $2 OR $1 IN (d.client_id, d.performer_id, d.moderator_id)
        ORDER BY d.created_at DESC, d.id LIMIT 200`,
      [req.user.id, req.user.role === 'admin'],
    );
    res.json(rows.map(disputeJson));
  });

  router.get('/disputes/:id', async (req, res) => {
    res.json(disputeJson(await disputeFor(db, req.user, req.params.id)));
  });

  router.post('/orders/:id/disputes', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    const reason = text(body(req).reason, 'reason', { max: 2000 });
    if (!isParty(order, req.user))
      throw forbidden('Only a party of the order may open a dispute');
    if (order.performer_id === null)
      throw conflict('The order has no performer yet');

    const { rows } = await db.query(
      `INSERT INTO disputes (order_id, client_id, performer_id, reason)
       SELECT $1, $2, $3, $4
        WHERE NOT EXISTS (SELECT FROM disputes
                           WHERE order_id = $1 AND status <> 'resolved')
       RETURNING id`,
      [order.id, order.client_id, order.performer_id, reason],
    );
    if (rows.length === 0)
      throw conflict('The order already has an open dispute');
    const dispute = await disputeFor(db, req.user, rows[0].id);
    await tellOthers(
      db,
      dispute,
      req.user,
      `${req.user.name} opened a dispute about “${order.title}”`,
    );
    res.status(201).json(disputeJson(dispute));
  });

  router.patch('/disputes/:id/status', async (req, res) => {
    const dispute = await disputeFor(db, req.user, req.params.id);
    const status = oneOf(body(req).status, 'status', STATUSES);
    if (req.user.role !== 'admin')
      throw forbidden('Only a moderator may change the status of a dispute');
    if (dispute.status === status)
      throw conflict(`The dispute already is ${status}`);

    await db.query(
      `UPDATE disputes
          SET status = $2, moderator_id = coalesce(moderator_id, $3),
              updated_at = now()
        WHERE id = $1`,
      [dispute.id, status, req.user.id],
    );
    const updated = await disputeFor(db, req.user, dispute.id);
    await tellOthers(
      db,
      updated,
      req.user,
      `The dispute about “${updated.title}” is now ${status.replace('_', ' ')}`,
    );
    res.json(disputeJson(updated));
  });

  router.get('/disputes/:id/messages', async (req, res) => {
    const dispute = await disputeFor(db, req.user, req.params.id);
    const { rows } = await db.query(
      `SELECT * FROM (${SELECT_MESSAGE} WHERE m.dispute_id = $1
           AND ($2::uuid IS NULL OR (m.created_at, m.id) <
                (SELECT b.created_at, b.id FROM dispute_messages b WHERE b.id = $2))
                       ORDER BY m.created_at DESC, m.id DESC LIMIT $3) t
        ORDER BY created_at, id`,
      [dispute.id, ...pageOf(req.query)],
    );
    res.json(rows.map(messageJson));
  });

  router.post('/disputes/:id/messages', async (req, res) => {
    const dispute = await disputeFor(db, req.user, req.params.id);
    const input = body(req);
    const files = await storedAttachments(uploads, input.attachments);
    const content = text(input.content ?? '', 'content', {
      empty: files.length > 0,
    });
    if (dispute.status === 'resolved')
      throw badRequest('The dispute is resolved');

    const id = await transaction(db, (client) =>
      insertMessage(client, dispute.id, req.user.id, content, files),
    );
    const { rows } = await db.query(`${SELECT_MESSAGE} WHERE m.id = $1`, [id]);
    res.status(201).json(messageJson(rows[0]));
  });

  return router;
}

/** A dispute is evidence: a message and its attachments stand or fall as one. */
async function insertMessage(client, disputeId, senderId, content, files) {
  const { rows } = await client.query(
    `INSERT INTO dispute_messages (dispute_id, sender_id, content)
     VALUES ($1, $2, $3) RETURNING id`,
    [disputeId, senderId, content],
  );
  for (const file of files) {
    await client.query(
      `INSERT INTO dispute_message_attachments
         (message_id, file_name, file_url, file_size, mime_type)
       VALUES ($1, $2, $3, $4, $5)`,
      [rows[0].id, file.fileName, file.fileUrl, file.fileSize, file.fileType],
    );
  }
  return rows[0].id;
}
