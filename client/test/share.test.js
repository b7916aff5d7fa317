// SPDX-License-Identifier: ISC
// One connection for all tabs of an origin and a user.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from './chromium.js';
import { finishWorlds, makeWorld, range, until } from './lib.js';
import { Proxy } from './proxy.js';

let w;
let proxy;
let server;
let browser;
let contexts = [];
let problems = [];

/**
 * The page, the package, and the daemon behind one address, as it is in
 * earnest: so that streams and files share the six connections of a browser.
 */
async function serve(req, res) {
  if (/^\/(events|send)(\?|$)/.test(req.url)) {
    const { request } = await import('node:http');
    const out = request(
      { host: '127.0.0.1', port: proxy.port, path: req.url, method: req.method,
        headers: req.headers },
      (answer) => {
        res.writeHead(answer.statusCode, answer.headers);
        answer.pipe(res);
        answer.on('error', () => res.destroy());
        answer.on('close', () => res.destroy());
      },
    );
    out.on('error', () => res.destroy());
    res.on('close', () => out.destroy());
    req.pipe(out);
    return;
  }
  if (req.url === '/') {
    res.setHeader('Content-Type', 'text/html');
    res.end('<!doctype html><title>test</title><link rel=icon href=data:,>');
    return;
  }
  try {
    const file = new URL(`../dist${req.url}`, import.meta.url);
    res.setHeader('Content-Type', 'text/javascript');
    res.end(await readFile(file));
  } catch {
    res.writeHead(404).end();
  }
}

before(async () => {
  w = await makeWorld();
  proxy = await Proxy.start(w.port);
  server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  browser = await chromium.launch(CHROMIUM);
});
after(async () => {
  await browser?.close();
  server?.close();
  server?.closeAllConnections();
  proxy?.stop();
  await finishWorlds();
});
afterEach(async () => {
  await Promise.all(contexts.map((c) => c.close()));
  contexts = [];
  proxy.cut();
  proxy.refusing = proxy.silent = false;
  const found = problems;
  problems = [];
  assert.deepEqual(found, []);
});

async function newContext() {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  contexts.push(context);
  return context;
}

const SSE = { transports: ['sse'] };
const WS = { transports: ['websocket'], share: true };

/** A tab of this user in these rooms; it writes down what each tells. */
async function openTab(context, user, rooms, options) {
  const page = await context.newPage();
  watchProblems(page, problems);
  await page.exposeFunction('getToken', () => w.token(user));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const ws = `http://127.0.0.1:${proxy.port}/ws`;
  await page.evaluate(
    async ([url, rooms, options]) => {
      const { connect } = await import('/index.js');
      const client = connect({
        url, getToken: window.getToken, backoff: { base: 20, cap: 200 },
        ...options,
      });
      const heard = {};
      const resets = [];
      window.enter = (name) => {
        heard[name] = [];
        const room = client.room(name).join();
        room.on('n', ({ n }) => heard[name].push(n));
        room.on('reset', () => resets.push(name));
        return room;
      };
      Object.assign(window, { client, heard, resets });
      for (const name of rooms) window.enter(name);
    },
    [options === SSE ? '/ws' : ws, rooms, options],
  );
  for (const room of rooms) await isIn(page, room);
  return page;
}

const isIn = (page, room) =>
  page.waitForFunction((r) => window.client.room(r).state === 'joined', room);
const heard = (page, room) => page.evaluate((r) => window.heard[r], room);
const hears = (page, room, last) =>
  page.waitForFunction(
    ([room, last]) => window.heard[room].at(-1) === last, [room, last]);
const sessions = async (pages) =>
  new Set(await Promise.all(pages.map((p) => p.evaluate(() => window.client.session))));
/** Connections of a user, as the database knows them. */
const connections = async (user) =>
  (await w.sql('SELECT count(*)::int FROM pgpush.connections WHERE user_id = %s', user))[0][0];

test('eight tabs on streams: each loads, hears all, and there is one stream', async () => {
  const context = await newContext();
  const pages = [];
  for (let i = 0; i < 8; i++)
    pages.push(await openTab(context, 'tabs', ['open:tabs', `open:own${i}`], SSE));
  assert.equal((await sessions(pages)).size, 1);
  await until(async () => (await connections('tabs')) === 1);
  await w.count('open:tabs', 1, 20);
  for (const page of pages) await hears(page, 'open:tabs', 20);
  for (const page of pages)
    assert.deepEqual(await heard(page, 'open:tabs'), range(1, 20));
  await w.count('open:own3', 1, 3);
  await hears(pages[3], 'open:own3', 3);
  // An answer is its own tab's.
  const answers = await Promise.all(pages.map((page, i) =>
    page.evaluate((i) => window.client.send('echo', { i }), i)));
  assert.deepEqual(answers.map((a) => a.data.i), range(0, 7));
});

for (const [kind, options] of [['websocket', WS], ['sse', SSE]]) {
  test(`tabs come and go, the leader too, and nothing is lost: ${kind}`, async () => {
    const context = await newContext();
    const room = `open:leader-${kind}`;
    const user = `mover-${kind}`;
    const pages = [];
    for (let i = 0; i < 3; i++)
      pages.push(await openTab(context, user, [room], options));
    assert.equal((await sessions(pages)).size, 1);
    await w.count(room, 1, 5);
    for (const page of pages) await hears(page, room, 5);
    // The first one leads. Events come while it goes.
    await Promise.all([pages.shift().close(), w.count(room, 6, 10)]);
    await w.count(room, 11, 15);
    for (const page of pages) await hears(page, room, 15);
    proxy.cut();
    await w.count(room, 16, 20);
    for (const page of pages) {
      await hears(page, room, 20);
      assert.deepEqual(await heard(page, room), range(1, 20));
      assert.deepEqual(await page.evaluate(() => window.resets), []);
    }
    await until(async () => (await sessions(pages)).size === 1);
    await until(async () => (await connections(user)) === 1);
  });

  test(`a room is left with the last tab in it: ${kind}`, async () => {
    const context = await newContext();
    const room = `open:last-${kind}`;
    const a = await openTab(context, `last-${kind}`, [room], options);
    const b = await openTab(context, `last-${kind}`, [room], options);
    await b.close();
    await w.count(room, 1, 1);
    await hears(a, room, 1);
    const c = await openTab(context, `last-${kind}`, [], options);
    await c.evaluate((r) => void window.enter(r), room);
    await isIn(c, room);
    await w.count(room, 2, 2);
    await hears(c, room, 2);
    await hears(a, room, 2);
  });
}

test('a tab of another user has nothing of the first one’s', async () => {
  const context = await newContext();
  const a = await openTab(context, 'mine', ['user:mine'], WS);
  const b = await openTab(context, 'yours', ['open:both'], WS);
  assert.equal((await sessions([a, b])).size, 2);
  await w.emit('user:mine', 'n', { n: 1 });
  await hears(a, 'user:mine', 1);
  const seen = await b.evaluate(() => window.client.tools.rooms().map((r) => r.name));
  assert.ok(!seen.includes('user:mine'), seen.join());
});

test('a tab whose token is bad gets nothing', async () => {
  const context = await newContext();
  await openTab(context, 'safe', ['open:safe'], WS);
  const page = await context.newPage();
  const bad = await w.does('bad_token', { user: 'safe' });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const error = await page.evaluate(async ([url, bad]) => {
    const { connect } = await import('/index.js');
    window.client = connect({
      url, getToken: () => bad, transports: ['websocket'], share: true,
    });
    return new Promise((resolve) => window.client.on('error', (e) => resolve(e.code)));
  }, [`http://127.0.0.1:${proxy.port}/ws`, bad]);
  assert.equal(error, 'unauthorized');
  assert.equal(await page.evaluate(() => window.client.user), null);
});

test('a visible tab takes over from a leader that is frozen', async () => {
  const context = await newContext();
  const a = await openTab(context, 'frozen', ['open:frozen'], WS);
  const b = await openTab(context, 'frozen', ['open:frozen'], WS);
  await w.count('open:frozen', 1, 3);
  await hears(b, 'open:frozen', 3);
  const devtools = await context.newCDPSession(a);
  // Its scripts stand still: it answers nobody, and holds its lock.
  await devtools.send('Debugger.enable');
  await devtools.send('Debugger.pause');
  a.evaluate(() => 1).catch(() => {});
  await w.count('open:frozen', 4, 6);
  await b.bringToFront();
  await hears(b, 'open:frozen', 6);
  await devtools.send('Debugger.resume');
  await devtools.detach();
  // It wakes up, and follows.
  await w.count('open:frozen', 7, 9);
  for (const page of [a, b]) {
    await hears(page, 'open:frozen', 9);
    assert.deepEqual(await heard(page, 'open:frozen'), range(1, 9));
  }
  await until(async () => (await sessions([a, b])).size === 1);
});

test('a handler’s leave in one tab leaves the others where they are', async () => {
  const context = await newContext();
  const a = await openTab(context, 'quit', ['open:quit'], WS);
  const b = await openTab(context, 'quit', ['open:quit'], WS);
  await b.evaluate(() => window.client.send('quit', { rooms: ['open:quit'] }));
  await w.count('open:quit', 1, 2);
  await hears(a, 'open:quit', 2);
  assert.equal(await b.evaluate(() => window.client.room('open:quit').state), 'left');
});

test('a send that cannot be read is its own tab’s alone', async () => {
  const context = await newContext();
  const a = await openTab(context, 'bad', ['open:bad'], WS);
  const b = await openTab(context, 'bad', ['open:bad'], WS);
  const [bad, good] = await Promise.all([
    b.evaluate(() => window.client.send('echo', '\u0000').catch((e) => e.code)),
    a.evaluate(() => window.client.send('echo', 'good').then((r) => r.data)),
  ]);
  assert.deepEqual([bad, good], ['bad_request', 'good']);
});
