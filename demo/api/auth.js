// SPDX-License-Identifier: ISC
// Login without a password, for a demo user is nobody's secret; what follows
// is as in the real thing: a signed token, checked on every request. The role
// that counts is the one in the table, not the one in the token.

import { Router } from 'express';
import jwt from 'jsonwebtoken';
import { notFound, unauthorized } from './errors.js';
import { body, text } from './input.js';

const LIFETIME_S = 24 * 60 * 60;

export function signToken(user, secret) {
  return jwt.sign({ id: user.id, role: user.role }, secret, {
    algorithm: 'HS256',
    expiresIn: LIFETIME_S,
  });
}

export const userJson = (row) => ({
  id: row.id,
  name: row.name,
  email: row.email,
  role: row.role,
  avatarUrl: row.avatar_url,
});

export function loginRoutes({ db, secret }) {
  const router = Router();

  router.get('/demo-users', async (req, res) => {
    const { rows } = await db.query(
      'SELECT id, name, email, role, avatar_url FROM users ORDER BY email',
    );
    res.json(rows.map(userJson));
  });

  router.post('/login', async (req, res) => {
    const email = text(body(req).email, 'email', { max: 320 });
    const { rows } = await db.query(
      `SELECT id, name, email, role, avatar_url FROM users
        WHERE lower(email) = lower($1)`,
      [email],
    );
    if (rows.length === 0) throw notFound('No such user');
    res.json({ token: signToken(rows[0], secret), user: userJson(rows[0]) });
  });

  return router;
}

/** Sets req.user to the row of the user who asks. */
export function requireUser({ db, secret }) {
  return async (req, res, next) => {
    const match = /^Bearer +(\S+)$/i.exec(req.get('authorization') ?? '');
    if (!match) throw unauthorized('No token provided');
    let claims;
    try {
      claims = jwt.verify(match[1], secret, { algorithms: ['HS256'] });
    } catch {
      throw unauthorized('Invalid token');
    }
    const { rows } = await db.query(
      `SELECT id, name, email, role, avatar_url FROM users
        WHERE id::text = $1`,
      [String(claims.id)],
    );
    if (rows.length === 0) throw unauthorized('User not found');
    req.user = rows[0];
    next();
  };
}
