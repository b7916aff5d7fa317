// SPDX-License-Identifier: ISC
// The package in a real browser, as its page would use it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from './chromium.js';
import { LIMIT_MS, finishWorlds, makeWorld, range, until } from './lib.js';
import { Proxy } from './proxy.js';

let w;
let proxy;
let server;
let browser;
let contexts = [];
let problems = [];

/** The page and the package; the page has nothing of its own. */
async function serve(req, res) {
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
  w = await makeWorld({ own: true });
  proxy = await Proxy.start(w.port);
  server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  browser = await chromium.launch(CHROMIUM);
});
after(async () => {
  await browser?.close();
  server?.close();
  proxy?.stop();
  await finishWorlds();
});
afterEach(async () => {
  await Promise.all(contexts.map((c) => c.close()));
  contexts = [];
  proxy.cut();
  proxy.refusing = proxy.silent = proxy.noUpgrade = false;
  const found = problems;
  problems = [];
  assert.deepEqual(found, []);
});

async function newContext() {
  const context = await browser.newContext();
  context.setDefaultTimeout(LIMIT_MS);
  contexts.push(context);
  return context;
}

/**
 * A tab with a client of this user in these rooms. In it: client, and heard,
 * what each room has told; statuses and errors.
 */
async function openTab(user, rooms, options = {}, context, host = '127.0.0.1') {
  const page = await (context ?? (await newContext())).newPage();
  watchProblems(page, problems);
  await page.exposeFunction('getToken', () => w.token(user));
  await page.goto(`http://${host}:${server.address().port}/`);
  await page.evaluate(
    async ([url, rooms, options]) => {
      const { connect } = await import('/index.js');
      const client = connect({
        url,
        getToken: window.getToken,
        backoff: { base: 20, cap: 200 },
        ...options,
      });
      const heard = {};
      const statuses = [client.status];
      const errors = [];
      const resets = [];
      client.on('status', (status) => statuses.push(status));
      client.on('error', (err) => errors.push(err.code));
      for (const name of rooms) {
        heard[name] = [];
        const room = client.room(name).join();
        room.on('n', ({ n }) => heard[name].push(n));
        room.on('reset', (data) => resets.push(data));
      }
      Object.assign(window, { client, heard, statuses, errors, resets });
    },
    [`http://${host}:${proxy.port}/ws`, rooms, options],
  );
  await inRooms(page, rooms);
  return page;
}

const inRooms = (page, rooms) =>
  page.waitForFunction(
    (rooms) => rooms.every((r) => window.client.room(r).state === 'joined'),
    rooms,
  );

const hears = (page, room, count) =>
  page.waitForFunction(
    ([room, count]) => window.heard[room].length >= count,
    [room, count],
  );

const heard = (page, room) => page.evaluate((r) => window.heard[r], room);
const resets = (page) => page.evaluate(() => window.resets.length);

const hasStatus = (page, status) =>
  page.waitForFunction((s) => window.client.status === s, status);

test('messages flow while the link, the daemon and PostgreSQL go', async () => {
  const page = await openTab('ann', ['open:flow']);
  assert.equal(await page.evaluate(() => window.client.status), 'online');
  let n = 0;
  const write = async (count) => {
    await w.count('open:flow', n + 1, n + count);
    n += count;
  };
  await write(10);
  for (let i = 0; i < 5; i++) {
    proxy.cut();
    await write(10);
    await hears(page, 'open:flow', n);
  }
  await w.does('kill');
  await write(10);
  await hasStatus(page, 'reconnecting');
  await w.does('start');
  await hears(page, 'open:flow', n);
  await w.does('pg_stop');
  await w.does('pg_start');
  await write(10);
  await hears(page, 'open:flow', n);
  await w.does('restart');
  await write(10);
  await hears(page, 'open:flow', n);
  assert.deepEqual(await heard(page, 'open:flow'), range(1, n));
  assert.equal(await resets(page), 0);
  await hasStatus(page, 'online');
});

test('offline and online again, without waiting for the next try', async () => {
  // Its own waits would be far too long.
  const page = await openTab('ann', ['open:off'], {
    backoff: { base: 1e6, cap: 1e6 },
  });
  await w.count('open:off', 1, 3);
  await hears(page, 'open:off', 3);
  proxy.silent = true;
  await page.context().setOffline(true);
  await hasStatus(page, 'offline');
  await w.count('open:off', 4, 6);
  const answer = page.evaluate(() => window.client.send('echo', { n: 1 }));
  proxy.cut();
  proxy.silent = false;
  await page.context().setOffline(false);
  await hears(page, 'open:off', 6);
  assert.equal((await answer).data.n, 1);
  assert.deepEqual(await heard(page, 'open:off'), range(1, 6));
  const statuses = await page.evaluate(() => window.statuses);
  assert.deepEqual(statuses.slice(-3), ['offline', 'reconnecting', 'online']);
});

/** Headless windows are always visible: say otherwise, as the browser does. */
const setVisible = (page, visible) =>
  page.evaluate((visible) => {
    const state = visible ? 'visible' : 'hidden';
    Object.defineProperty(document, 'visibilityState', {
      value: state,
      configurable: true,
    });
    document.dispatchEvent(new Event('visibilitychange'));
  }, visible);

test('a page that is looked at again finds a dead link at once', async () => {
  // By itself it would not find out before the test is over.
  const page = await openTab('ann', ['open:seen'], { pingInterval: 1e6 });
  await setVisible(page, false);
  proxy.silent = proxy.refusing = true;
  await setVisible(page, true);
  await hasStatus(page, 'reconnecting');
  proxy.silent = proxy.refusing = false;
  await hasStatus(page, 'online');

  // One that waits tries at once.
  const waiting = await openTab('bob', [], {
    backoff: { base: 1e6, cap: 1e6 },
  });
  await hasStatus(waiting, 'online');
  proxy.cut();
  await hasStatus(waiting, 'reconnecting');
  await setVisible(waiting, false);
  await setVisible(waiting, true);
  await hasStatus(waiting, 'online');
});

test('a proxy that refuses upgrades: the fallback in a browser', async () => {
  proxy.noUpgrade = true;
  const page = await openTab('ann', ['open:sse', 'open:sse2']);
  assert.equal(await page.evaluate(() => window.client.status), 'fallback');
  let n = 0;
  for (let i = 0; i < 5; i++) {
    await w.count('open:sse', n + 1, n + 10);
    n += 10;
    const answer = await page.evaluate(
      (n) => window.client.send('echo', { n }),
      n,
    );
    assert.equal(answer.data.n, n);
    proxy.cut();
    await w.count('open:sse', n + 1, n + 10);
    await w.count('open:sse2', i + 1, i + 1);
    n += 10;
    await hears(page, 'open:sse', n);
  }
  await hears(page, 'open:sse2', 5);
  assert.deepEqual(await heard(page, 'open:sse'), range(1, n));
  assert.deepEqual(await heard(page, 'open:sse2'), range(1, 5));
  assert.equal(await resets(page), 0);
});

test('several tabs, each with everything, each for itself', async () => {
  const context = await newContext();
  const tabs = [];
  for (let i = 0; i < 5; i++)
    tabs.push(await openTab('ann', ['open:tabs'], {}, context));
  const sessions = await Promise.all(
    tabs.map((tab) => tab.evaluate(() => window.client.session)),
  );
  assert.equal(new Set(sessions).size, 5);
  await w.count('open:tabs', 1, 10);
  await tabs[0].close();
  proxy.cut();
  await w.count('open:tabs', 11, 20);
  for (const tab of tabs.slice(1)) {
    await hears(tab, 'open:tabs', 20);
    assert.deepEqual(await heard(tab, 'open:tabs'), range(1, 20));
  }
});

test('a handler that throws is reported, the others hear all', async () => {
  const page = await openTab('ann', ['open:throws']);
  await page.evaluate(() => {
    window.client.on('n', () => {
      throw new Error('on purpose');
    });
  });
  await w.count('open:throws', 1, 3);
  await hears(page, 'open:throws', 3);
  await until(() => problems.length === 3);
  for (const problem of problems.splice(0))
    assert.match(problem, /^Error: on purpose\n/);
});

test('a page on plain http, where the browser makes no uuids', async () => {
  const page = await openTab('ann', ['open:plain'], {}, undefined, 'plain.test');
  assert.equal(
    await page.evaluate(() => typeof crypto.randomUUID),
    'undefined',
  );
  const answers = await page.evaluate(() =>
    Promise.all([1, 2, 3].map((n) => window.client.send('echo', { n }))),
  );
  assert.deepEqual(answers.map((a) => a.data.n), [1, 2, 3]);
});

test('a relative address is that of the page', async () => {
  const page = await openTab('ann', []);
  const urls = [];
  page.on('websocket', (socket) => urls.push(socket.url()));
  await page.evaluate(async () => {
    const { connect } = await import('/index.js');
    connect({ url: '/push/ws', getToken: window.getToken });
  });
  const requested = await page.waitForRequest(/events/);
  const origin = `127.0.0.1:${server.address().port}`;
  assert.equal(requested.url(), `http://${origin}/push/events`);
  assert.ok(urls.includes(`ws://${origin}/push/ws`));
  // The page's server knows no such thing, and that is said.
  await until(() => problems.some((p) => /pgpush: .* answered 404/.test(p)));
  problems = problems.filter((p) => !/answered 404/.test(p));
});

test('a page that goes back and forth loses nothing', async () => {
  const page = await openTab('ann', ['open:cache']);
  await w.count('open:cache', 1, 2);
  await hears(page, 'open:cache', 2);
  const cdp = await page.context().newCDPSession(page);
  // What a phone does with a page in the background.
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  proxy.cut();
  await w.count('open:cache', 3, 5);
  await cdp.send('Page.setWebLifecycleState', { state: 'active' });
  await hears(page, 'open:cache', 5);
  assert.deepEqual(await heard(page, 'open:cache'), range(1, 5));
});
