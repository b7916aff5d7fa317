// SPDX-License-Identifier: ISC

import { Router } from 'express';
import { disputeFor } from './disputes.js';
import { badRequest, notFound } from './errors.js';
import { body, pathId, text } from './input.js';
import { orderFor } from './orders.js';

const CHATS = {
  messages: { table: 'message_reactions', chat: 'order_id', seen: orderFor },
  'dispute-messages': {
    table: 'dispute_message_reactions',
    chat: 'dispute_id',
    seen: disputeFor,
  },
};

export function reactionRoutes({ db }) {
  const router = Router();

  router.get('/reactions', async (req, res) => {
    const { rows } = await db.query(
      'SELECT emoji FROM reaction_emojis ORDER BY position',
    );
    res.json(rows.map((row) => row.emoji));
  });

  for (const [path, { table, chat, seen }] of Object.entries(CHATS)) {
    const messages = path.replace('-', '_');

    /** The message's id, if it is there and this user may see it. */
    const messageFor = async (user, id) => {
      const { rows } = await db.query(
        `SELECT id, ${chat} AS chat FROM ${messages}
          WHERE id = $1 AND NOT deleted`,
        [pathId(id, 'Message')],
      );
      if (rows.length === 0) throw notFound('Message not found');
      await seen(db, user, rows[0].chat);
      return rows[0].id;
    };

    router.post(`/${path}/:id/reactions`, async (req, res) => {
      const emoji = text(body(req).emoji, 'emoji', { max: 32 });
      const id = await messageFor(req.user, req.params.id);
      const { rows } = await db.query(
        'SELECT FROM reaction_emojis WHERE emoji = $1',
        [emoji],
      );
      if (rows.length === 0) throw badRequest('emoji is not one of ours');
      await db.query(
        `INSERT INTO ${table} (message_id, user_id, emoji)
         VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
        [id, req.user.id, emoji],
      );
      res.status(204).end();
    });

    router.delete(`/${path}/:id/reactions/:emoji`, async (req, res) => {
      const id = await messageFor(req.user, req.params.id);
      const { rowCount } = await db.query(
        `DELETE FROM ${table}
          WHERE message_id = $1 AND user_id = $2 AND emoji = $3`,
        [id, req.user.id, text(req.params.emoji, 'emoji', { max: 32 })],
      );
      if (rowCount === 0) throw notFound('Reaction not found');
      res.status(204).end();
    });
  }

  return router;
}
