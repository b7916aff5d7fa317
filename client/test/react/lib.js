// SPDX-License-Identifier: ISC
// A browser on a page made of the package and one file of this folder.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const CLIENT = '10000000-0000-4000-8000-000000000001';
export const PERFORMER = '10000000-0000-4000-8000-000000000002';
export const ADMIN = '10000000-0000-4000-8000-000000000003';
export const STRANGER = '10000000-0000-4000-8000-000000000004';
export const MODERATOR = '10000000-0000-4000-8000-000000000005';
export const ORDER = '20000000-0000-4000-8000-000000000001';
export const ORDER2 = '20000000-0000-4000-8000-000000000002';
export const DISPUTE = '30000000-0000-4000-8000-000000000001';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const PAGE = `<!doctype html><html lang="en"><title>test</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css">
<div id="root"></div><script type="module" src="/page.js"></script>`;

/** The bundle of a page, by the paths of its files. */
async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [here(entry)],
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    outfile: '/page.js',
    write: false,
    // StrictMode does what it does only there.
    define: { 'process.env.NODE_ENV': '"development"' },
    alias: {
      'pgpush/react/style.css': here('../../dist/react/style.css'),
      'pgpush/market/style.css': here('../../dist/market/style.css'),
      'pgpush/market': here('../../dist/market/index.js'),
      'pgpush/devtools': here('../../dist/devtools/index.js'),
      'pgpush/live': here('../../dist/live.js'),
      'pgpush/react': here('../../dist/react/index.js'),
      pgpush: here('../../dist/index.js'),
      // Another React can be tried without installing it here.
      ...(process.env.REACT_FROM && {
        react: `${process.env.REACT_FROM}/react`,
        'react-dom': `${process.env.REACT_FROM}/react-dom`,
      }),
    },
  });
  return new Map(outputFiles.map((f) => [f.path, f.contents]));
}

/** other(req, res) answers what the page itself is not. */
export async function servePage(entry, other) {
  const files = await bundle(entry);
  const server = createServer((req, res) => {
    const file = files.get(req.url);
    if (file) {
      const type = req.url.endsWith('.css') ? 'text/css' : 'text/javascript';
      res.setHeader('Content-Type', type);
      res.end(file);
    } else if (req.url === '/') {
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      res.end(PAGE);
    } else if (req.url === '/page.css') {
      res.setHeader('Content-Type', 'text/css');
      res.end();
    } else if (other) other(req, res);
    else res.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return server;
}

/** Frames of the page, and its sockets; open counts those that live. */
export function watchSockets(page) {
  const seen = { count: 0, open: 0, sent: [], got: [] };
  page.on('websocket', (socket) => {
    seen.count++;
    seen.open++;
    socket.on('close', () => seen.open--);
    socket.on('framesent', ({ payload }) => seen.sent.push(JSON.parse(payload)));
    socket.on('framereceived', ({ payload }) => seen.got.push(JSON.parse(payload)));
  });
  seen.of = (what) =>
    seen.sent.filter((f) => f.type === what || f.event === what);
  return seen;
}

/** As the API writes a message: two statements, each by itself. */
export async function postMessage(w, content, from = CLIENT, order = ORDER) {
  const to = from === CLIENT ? PERFORMER : CLIENT;
  await w.does('api', {
    text: `INSERT INTO messages (order_id, sender_id, receiver_id, content)
           VALUES (%s, %s, %s, %s)`,
    args: [order, from, to, content],
  });
  await notify(w, to, `message ${content}`, order);
}

export const notify = (w, user, content, related = null, type = 'message') =>
  w.does('api', {
    text: `INSERT INTO notifications (user_id, type, content, related_id)
           VALUES (%s, %s, %s, %s)`,
    args: [user, type, content, related],
  });
