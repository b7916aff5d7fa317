// SPDX-License-Identifier: ISC

import { Router } from 'express';
import { notFound } from './errors.js';
import { pathId } from './input.js';

const notificationJson = (row) => ({
  id: row.id,
  userId: row.user_id,
  type: row.type,
  content: row.content,
  read: row.read,
  relatedId: row.related_id,
  createdAt: row.created_at,
});

export async function notify(db, userId, type, { content, relatedId }) {
  await db.query(
    `INSERT INTO notifications (user_id, type, content, related_id)
     VALUES ($1, $2, $3, $4)`,
    [userId, type, content, relatedId],
  );
}

export function notificationRoutes({ db }) {
  const router = Router();

  router.get('/notifications', async (req, res) => {
    // Count and list in one statement: they must be of one moment.
    const { rows } = await db.query(
      `SELECT id, user_id, type, content, read, related_id, created_at,
              (count(*) FILTER (WHERE NOT read) OVER ())::int AS unread
         FROM notifications WHERE user_id = $1
        ORDER BY created_at DESC, id LIMIT 50`,
      [req.user.id],
    );
    res.json({
      unread: rows[0]?.unread ?? 0,
      items: rows.map(notificationJson),
    });
  });

  router.post('/notifications/read', async (req, res) => {
    const { rowCount } = await db.query(
      'UPDATE notifications SET read = true WHERE user_id = $1 AND NOT read',
      [req.user.id],
    );
    res.json({ updated: rowCount });
  });

  router.post('/notifications/:id/read', async (req, res) => {
    const { rows } = await db.query(
      `UPDATE notifications SET read = true WHERE id = $1 AND user_id = $2
       RETURNING *`,
      [pathId(req.params.id, 'Notification'), req.user.id],
    );
    if (rows.length === 0) throw notFound('Notification not found');
    res.json(notificationJson(rows[0]));
  });

  return router;
}
