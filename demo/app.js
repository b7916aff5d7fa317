// SPDX-License-Identifier: ISC
// One port for everything: the API under /api, the page, and the daemon's own
// paths, which go to the daemon as they are.

import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { createApi } from './api/index.js';

/** Made by Vite from web/, see build_page in script/lib.sh. */
const PAGE = fileURLToPath(new URL('dist/', import.meta.url));
const DAEMON_PATHS = [
  '/ws',
  '/events',
  '/send',
  '/socket.io',
  '/healthz',
  '/readyz',
];
const PAGE_POLICY = [
  "default-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "connect-src 'self' ws: wss:",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'self'",
].join('; ');

const isDaemonPath = (pathname) =>
  DAEMON_PATHS.some((p) => pathname === p || pathname.startsWith(`${p}/`));

/** Streams both ways; a daemon that is away is a 502, not a hang. */
function daemonProxy(target) {
  return createProxyMiddleware({
    target,
    pathFilter: isDaemonPath,
    xfwd: true,
    on: {
      error(err, req, res) {
        if (typeof res.writeHead !== 'function') {
          res.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n');
        } else if (res.headersSent) {
          res.destroy(err);
        } else {
          res.writeHead(502, { 'Content-Type': 'application/json' });
          res.end('{"error":"The push server is away"}');
        }
      },
    },
  });
}

function page() {
  return express.static(PAGE, {
    setHeaders(res, file) {
      // The names of assets change with what is in them.
      const isAsset = path.dirname(file) === path.join(PAGE, 'assets');
      res.set(
        'Cache-Control',
        isAsset ? 'public, max-age=31536000, immutable' : 'no-cache',
      );
      res.set('Content-Security-Policy', PAGE_POLICY);
      res.set('X-Content-Type-Options', 'nosniff');
    },
  });
}

/** app = { db, secret, uploads, daemon: base URL }; returns an http.Server */
export function createDemo(app) {
  const site = express();
  const proxy = daemonProxy(app.daemon);

  site.disable('x-powered-by');
  site.use(proxy);
  site.use('/api', createApi(app));
  site.use(page());
  site.use((req, res) => {
    res.status(404).type('text/plain').send('Not found\n');
  });

  const server = createServer(site);
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (isDaemonPath(req.url.split('?')[0])) proxy.upgrade(req, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
  });
  return server;
}
