// SPDX-License-Identifier: ISC
// The demo's API on the database of a world.

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createApi } from '../../../demo/api/index.js';
import { openDatabase } from '../../../demo/api/db.js';

const require = createRequire(new URL('../../../demo/', import.meta.url));
const express = require('express');
const jwt = require('jsonwebtoken');

export async function startApi(w) {
  const [[database, port]] = await w.sql(
    `SELECT current_database(), current_setting('port')::int`,
  );
  // The daemon looks at the signature; here only the name in it counts.
  const secret = 'of this file';
  const uploads = mkdtempSync(path.join(tmpdir(), 'pgpush-uploads.'));
  const db = openDatabase({ host: '127.0.0.1', port, database, user: 'app_api' });
  const site = express();
  const api = {
    /** (req) => true: it fails before it is done, or after. */
    refuse: () => false,
    lose: () => false,
    /** Messages that are being written, also if nobody waits any more. */
    writing: 0,
    /** Resolves when an answer may go out. */
    hold: null,
    handle: site,
    async stop() {
      await db.end();
      rmSync(uploads, { recursive: true, force: true });
    },
  };
  site.use((req, res, next) => {
    const [, claims] = /^Bearer [^.]+\.([^.]+)/.exec(req.headers.authorization ?? '') ?? [];
    if (claims) {
      const { id } = JSON.parse(Buffer.from(claims, 'base64url'));
      req.headers.authorization = `Bearer ${jwt.sign({ id }, secret)}`;
    }
    if (req.method === 'POST' && /messages$/.test(req.path)) {
      const { end } = res;
      api.writing++;
      res.end = (...args) => {
        api.writing--;
        return end.apply(res, args);
      };
    }
    if (api.refuse(req)) {
      res.status(503).json({ error: 'The server is away' });
      return;
    }
    const { end } = res;
    const { hold } = api;
    if (api.lose(req))
      res.end = (...args) => {
        res.statusCode = 504;
        return end.apply(res, args);
      };
    else if (hold && req.method === 'POST')
      res.end = (...args) => hold.then(() => end.apply(res, args));
    next();
  });
  site.use('/api', createApi({ db, secret, uploads }));
  return api;
}
