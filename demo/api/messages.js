// SPDX-License-Identifier: ISC

import { Router } from 'express';
import { storedAttachments } from './attachments.js';
import { reactionsOf } from './db.js';
import { badRequest, conflict, forbidden, notFound } from './errors.js';
import { body, bodyId, pageOf, pathId, text } from './input.js';
import { notify } from './notifications.js';
import { isParty, orderFor } from './orders.js';

const SELECT = `
  SELECT m.*,
         (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'id', a.id, 'fileUrl', a.file_url, 'fileName', a.file_name,
                   'fileSize', a.file_size, 'fileType', a.file_type)
                   ORDER BY a.created_at, a.id), '[]')
            FROM message_attachments a WHERE a.message_id = m.id) AS attachments,
${reactionsOf('message_reactions')}
    FROM messages m`;

const messageJson = (row) => ({
  id: row.id,
  orderId: row.order_id,
  senderId: row.sender_id,
  receiverId: row.receiver_id,
  content: row.deleted ? '' : row.content,
  type: row.type,
  read: row.read,
  readAt: row.read_at,
  edited: row.edited,
  deleted: row.deleted,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  attachments: row.deleted ? [] : row.attachments,
  reactions: row.deleted ? [] : row.reactions,
});

async function messageById(db, id) {
  const { rows } = await db.query(`${SELECT} WHERE m.id = $1`, [id]);
  return rows[0];
}

/** The message, if it is there and this user wrote it. */
async function ownMessage(db, user, id) {
  const row = await messageById(db, pathId(id, 'Message'));
  if (row === undefined || row.deleted) throw notFound('Message not found');
  if (row.sender_id !== user.id)
    throw forbidden('Only the author may change a message');
  return row;
}

/** The party at the other end; an admin says which one, or means the client. */
function receiverOf(order, user, asked) {
  let receiver;
  if (user.id === order.client_id) receiver = order.performer_id;
  else if (user.id === order.performer_id) receiver = order.client_id;
  else if (asked === undefined) receiver = order.client_id;
  else {
    receiver = bodyId(asked, 'receiverId');
    if (!isParty(order, { id: receiver }))
      throw badRequest('receiverId must be a party of the order');
  }
  if (receiver === null) throw conflict('The order has no performer yet');
  return receiver;
}

export function messageRoutes({ db, uploads }) {
  const router = Router();

  router.get('/orders/:id/messages', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    // The newest, oldest first.
    const { rows } = await db.query(
      `SELECT * FROM (${SELECT} WHERE m.order_id = $1
           AND ($2::uuid IS NULL OR (m.created_at, m.id) <
                (SELECT b.created_at, b.id FROM messages b WHERE b.id = $2))
                       ORDER BY m.created_at DESC, m.id DESC LIMIT $3) t
        ORDER BY created_at, id`,
      [order.id, ...pageOf(req.query)],
    );
    res.json(rows.map(messageJson));
  });

  router.post('/orders/:id/messages', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    const input = body(req);
    const files = await storedAttachments(uploads, input.attachments);
    const content = text(input.content ?? '', 'content', {
      empty: files.length > 0,
    });
    const receiverId = receiverOf(order, req.user, input.receiverId);

    const { rows } = await db.query(
      `INSERT INTO messages (order_id, sender_id, receiver_id, content, type)
       VALUES ($1, $2, $3, $4, $5) RETURNING id`,
      [
        order.id,
        req.user.id,
        receiverId,
        content,
        files.length > 0 ? 'file' : 'text',
      ],
    );
    const { id } = rows[0];
    for (const file of files) {
      await db.query(
        `INSERT INTO message_attachments
           (message_id, file_url, file_name, file_size, file_type)
         VALUES ($1, $2, $3, $4, $5)`,
        [id, file.fileUrl, file.fileName, file.fileSize, file.fileType],
      );
    }
    await notify(db, receiverId, 'message', {
      content: `New message from ${req.user.name}`,
      relatedId: order.id,
    });
    res.status(201).json(messageJson(await messageById(db, id)));
  });

  router.post('/orders/:id/messages/read', async (req, res) => {
    const order = await orderFor(db, req.user, req.params.id);
    const { rowCount } = await db.query(
      `UPDATE messages SET read = true, read_at = now()
        WHERE order_id = $1 AND receiver_id = $2 AND read_at IS NULL`,
      [order.id, req.user.id],
    );
    res.json({ updated: rowCount });
  });

  router.put('/messages/:id', async (req, res) => {
    const content = text(body(req).content, 'content');
    const message = await ownMessage(db, req.user, req.params.id);
    await db.query(
      'UPDATE messages SET content = $2, edited = true WHERE id = $1',
      [message.id, content],
    );
    res.json(messageJson(await messageById(db, message.id)));
  });

  router.delete('/messages/:id', async (req, res) => {
    const message = await ownMessage(db, req.user, req.params.id);
    await db.query('UPDATE messages SET deleted = true WHERE id = $1', [
      message.id,
    ]);
    res.status(204).end();
  });

  return router;
}
