// SPDX-License-Identifier: ISC
// The marketplace's API. It writes rows and answers requests.

import express, { Router } from 'express';
import { fileRoutes, uploadRoutes } from './attachments.js';
import { loginRoutes, requireUser, userJson } from './auth.js';
import { disputeRoutes } from './disputes.js';
import { errorHandler, notFound } from './errors.js';
import { messageRoutes } from './messages.js';
import { moderationRoutes } from './moderation.js';
import { notificationRoutes } from './notifications.js';
import { orderRoutes } from './orders.js';
import { reactionRoutes } from './reactions.js';

/** app = { db: a pg pool, secret: of the tokens, uploads: a folder } */
export function createApi(app) {
  const router = Router();

  router.use(allowNeighbours);
  router.get('/health', async (req, res) => {
    await app.db.query('SELECT 1');
    res.json({ ok: true });
  });
  router.use(fileRoutes(app));
  router.use(express.json({ limit: '256kb', type: notAnUpload }));
  router.use(loginRoutes(app));

  router.use(requireUser(app));
  router.get('/users/me', (req, res) => res.json(userJson(req.user)));
  router.use(uploadRoutes(app));
  router.use(orderRoutes(app));
  router.use(messageRoutes(app));
  router.use(disputeRoutes(app));
  router.use(notificationRoutes(app));
  router.use(reactionRoutes(app));
  router.use(moderationRoutes(app));

  router.use(() => {
    throw notFound('No such route');
  });
  router.use(errorHandler);
  return router;
}

/** A page that is tried on this machine may ask from a port of its own. */
function allowNeighbours(req, res, next) {
  const origin = req.get('origin') ?? '';
  res.vary('Origin');
  if (!/^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(origin)) return next();
  res.set('Access-Control-Allow-Origin', origin);
  if (req.method !== 'OPTIONS') return next();
  res.set({
    'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
  });
  res.status(204).end();
}

/** Uploads are parsed after the user is known, with a limit of their own. */
const notAnUpload = (req) =>
  req.originalUrl.split('?')[0] !== '/api/attachments' &&
  /^application\/json\b/i.test(req.headers['content-type'] ?? '');
