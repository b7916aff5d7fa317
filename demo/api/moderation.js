// SPDX-License-Identifier: ISC
// Who may not write in a chat for a while, and messages taken away: by admins,
// and by the moderator of a dispute in it and in its order.

import { Router } from 'express';
import { disputeFor } from './disputes.js';
import { badRequest, forbidden, notFound } from './errors.js';
import { body, bodyId, pathId, text } from './input.js';
import { orderFor } from './orders.js';

const MINUTES_MAX = 365 * 24 * 60;

const ACTIVE = '(x.until IS NULL OR x.until > now())';

const muteJson = (row) => ({
  room: row.room,
  userId: row.user_id,
  until: row.until,
  by: row.by,
  reason: row.reason,
});

/** The two kinds of chat: where their rows are, and what a mute names. */
const CHATS = {
  orders: {
    column: 'order_id',
    what: 'Order',
    messages: 'messages',
    seen: orderFor,
  },
  disputes: {
    column: 'dispute_id',
    what: 'Dispute',
    messages: 'dispute_messages',
    seen: disputeFor,
  },
};

/**
 * The disputes this user moderates of a chat that is there; of an admin null,
 * who moderates without any.
 */
async function moderated(db, user, kind, id) {
  const { what } = CHATS[kind];
  const there = await db.query(`SELECT FROM ${kind} WHERE id = $1`, [
    pathId(id, what),
  ]);
  if (there.rows.length === 0) throw notFound(`${what} not found`);
  if (user.role === 'admin') return null;
  const { rows } = await db.query(
    `SELECT client_id, performer_id FROM disputes
      WHERE ${kind === 'orders' ? 'order_id' : 'id'} = $1
        AND moderator_id = $2`,
    [id.toLowerCase(), user.id],
  );
  if (rows.length === 0)
    throw forbidden('Only an admin or the moderator may do this');
  return rows;
}

/** Throws unless this user may mute and unmute that one in this chat. */
async function checkMute(db, user, kind, id, over) {
  const disputes = await moderated(db, user, kind, id);
  if (over === user.id) throw forbidden('You cannot mute or unmute yourself');
  const isParty = disputes?.some(
    (d) => d.client_id === over || d.performer_id === over,
  );
  if (isParty === false)
    throw forbidden('A moderator mutes the parties of the dispute');
  const { rows } = await db.query(
    `SELECT u.role, x.user_id IS NOT NULL
                    AND coalesce(b.role = 'admin', true) AS by_admin
       FROM users u
       LEFT JOIN room_mutes x
         ON x.user_id = u.id AND x.${CHATS[kind].column} = $2 AND ${ACTIVE}
       LEFT JOIN users b ON b.id = x.by
      WHERE u.id = $1`,
    [over, id.toLowerCase()],
  );
  if (rows.length === 0) throw notFound('User not found');
  if (rows[0].by_admin && user.role !== 'admin')
    throw forbidden('This user was muted by an admin');
  return rows[0];
}

/** minutes of the body: a number, or null for good. */
function minutesOf(input) {
  const { minutes } = input;
  if (minutes === null) return null;
  if (typeof minutes !== 'number' || !(minutes > 0 && minutes <= MINUTES_MAX))
    throw badRequest(
      `minutes must be a number up to ${MINUTES_MAX}, or null for good`,
    );
  return minutes;
}

function muteRoutes(router, db, kind) {
  const { column, what, seen } = CHATS[kind];

  router.get(`/${kind}/:id/mutes`, async (req, res) => {
    const id = pathId(req.params.id, what);
    // Who is in the chat, and a moderator who is not in that of the order.
    await seen(db, req.user, id).catch(async (err) => {
      if (err.status !== 403) throw err;
      await moderated(db, req.user, kind, id);
    });
    const { rows } = await db.query(
      `SELECT x.* FROM room_mutes x
        WHERE x.${column} = $1 AND ${ACTIVE} ORDER BY x.created_at, x.user_id`,
      [id],
    );
    res.json(rows.map(muteJson));
  });

  router.post(`/${kind}/:id/mutes`, async (req, res) => {
    const input = body(req);
    const over = bodyId(input.userId, 'userId');
    const minutes = minutesOf(input);
    const reason = text(input.reason ?? '', 'reason', {
      max: 500,
      empty: true,
    });
    const { role } = await checkMute(db, req.user, kind, req.params.id, over);
    if (role === 'admin') throw forbidden('An admin cannot be muted');
    const { rows } = await db.query(
      `INSERT INTO room_mutes (${column}, user_id, until, by, reason)
       VALUES ($1, $2, now() + $3::float8 * interval '1 minute', $4, $5)
       ON CONFLICT (room, user_id) DO UPDATE
         SET until = excluded.until, by = excluded.by, reason = excluded.reason
       RETURNING *`,
      [req.params.id, over, minutes, req.user.id, reason],
    );
    res.status(201).json(muteJson(rows[0]));
  });

  router.delete(`/${kind}/:id/mutes/:userId`, async (req, res) => {
    const over = pathId(req.params.userId, 'User');
    await checkMute(db, req.user, kind, req.params.id, over);
    const { rowCount } = await db.query(
      `UPDATE room_mutes x SET until = now(), by = $3
        WHERE x.${column} = $1 AND x.user_id = $2 AND ${ACTIVE}`,
      [req.params.id, over, req.user.id],
    );
    if (rowCount === 0) throw notFound('This user is not muted here');
    res.status(204).end();
  });
}

export function moderationRoutes({ db }) {
  const router = Router();

  for (const kind of Object.keys(CHATS)) {
    const { column, messages } = CHATS[kind];
    const path = messages.replace('_', '-');
    muteRoutes(router, db, kind);

    router.post(`/${path}/:id/remove`, async (req, res) => {
      const id = pathId(req.params.id, 'Message');
      const { rows } = await db.query(
        `SELECT ${column} AS chat FROM ${messages}
          WHERE id = $1 AND NOT deleted`,
        [id],
      );
      if (rows.length === 0) throw notFound('Message not found');
      await moderated(db, req.user, kind, rows[0].chat);
      await db.query(`UPDATE ${messages} SET deleted = true WHERE id = $1`, [
        id,
      ]);
      res.status(204).end();
    });
  }

  return router;
}
