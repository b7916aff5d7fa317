// SPDX-License-Identifier: ISC
// What a stranger builds, and the pages of the first user, in a browser.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from './chromium.js';
import { LIMIT_MS, finishWorlds, makeWorld, until } from './lib.js';
import { Proxy } from './proxy.js';
import {
  CLIENT, ORDER, PERFORMER, notify, postMessage, servePage,
} from './react/lib.js';

let w;
let proxy;
let server;
let browser;
let contexts = [];
let problems = [];
/** The list that the page's API gives, and how slow it is. */
let slow = 0;

before(async () => {
  w = await makeWorld({ kind: 'market', settings: { presence_grace: '100ms' } });
  proxy = await Proxy.start(w.port);
  server = await servePage('kit.jsx');
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
  slow = 0;
  proxy.cut();
  proxy.refusing = proxy.silent = false;
  await w.does('api', { text: 'DELETE FROM messages RETURNING 1' });
  const found = problems;
  problems = [];
  assert.deepEqual(found, []);
});

const listMessages = async (order) => {
  const rows = await w.does('api', {
    text: `SELECT id, content, sender_id FROM messages WHERE order_id = %s AND NOT deleted
            ORDER BY created_at`,
    args: [order],
  });
  if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
  return rows.map(([id, content, by]) => ({ id, content, by }));
};

async function open(props, user = CLIENT) {
  const context = await browser.newContext();
  context.setDefaultTimeout(LIMIT_MS);
  contexts.push(context);
  const page = await context.newPage();
  page.user = user;
  watchProblems(page, problems);
  await page.exposeFunction('getToken', () => page.user && w.token(page.user));
  await page.exposeFunction('listMessages', listMessages);
  await page.exposeFunction('postMessage_', async (content) => {
    await postMessage(w, content, page.user);
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.start);
  await page.evaluate((p) => window.start(p), {
    url: `http://127.0.0.1:${proxy.port}/ws`, orderId: ORDER, ...props,
  });
  return page;
}

const lines = (page, label) =>
  page.getByRole('list', { name: label }).getByRole('listitem').allTextContents();
const shows = (page, label, ...expected) =>
  until(
    async () => JSON.stringify(await lines(page, label)) === JSON.stringify(expected),
    `${label} shows ${expected}`, 20_000,
  ).catch(async (err) => {
    assert.deepEqual(await lines(page, label), expected, err.message);
  });

test('useLive: what is written while the list is on its way is shown', async () => {
  await postMessage(w, 'before');
  slow = 300;
  const page = await open({ show: ['List'] });
  await page.getByRole('list', { name: 'loading' }).waitFor({ state: 'attached' });
  for (const n of [1, 2, 3]) await postMessage(w, `m${n}`);
  await shows(page, 'list', 'before', 'm1', 'm2', 'm3');
  await page.getByRole('list', { name: 'list' }).waitFor();
});

test('another user in the same tab sees nothing of the former one', async () => {
  const page = await open({ show: ['Who', 'List', 'Bell'], user: CLIENT });
  await page.getByText(`online as ${CLIENT}`).waitFor();
  await notify(w, CLIENT, 'for the client');
  await shows(page, 'bell', 'for the client');
  page.user = PERFORMER;
  await page.evaluate((user) => window.set({ show: ['Who', 'List', 'Bell'], user, orderId: null }), PERFORMER);
  // At once: not when the new connection stands.
  assert.deepEqual(await lines(page, 'bell'), []);
  await page.getByText(`online as ${PERFORMER}`).waitFor();
  await notify(w, CLIENT, 'again for the client');
  await notify(w, PERFORMER, 'for the performer');
  await shows(page, 'bell', 'for the performer');
  // Nobody: no connection, and no error.
  page.user = null;
  await page.evaluate(() => window.set({ show: ['Who'], user: null }));
  await page.getByText('idle as null').waitFor();
  assert.equal(await page.evaluate(() => window.error), undefined);
});

test('another token without a word begins anew, too', async () => {
  const page = await open({ show: ['Who', 'Bell'] });
  await page.getByText(`online as ${CLIENT}`).waitFor();
  await notify(w, CLIENT, 'for the client');
  await shows(page, 'bell', 'for the client');
  page.user = PERFORMER;
  proxy.cut();
  await page.getByText(`online as ${PERFORMER}`).waitFor();
  assert.deepEqual(await lines(page, 'bell'), []);
});

test('the old components: a short cut loses nothing, and nothing is double', async () => {
  const page = await open({ show: ['Who', 'Old'] });
  await page.getByText(`online as`).waitFor();
  await postMessage(w, 'one');
  await shows(page, 'old', 'one');
  for (let turn = 0; turn < 3; turn++) {
    proxy.refusing = true;
    proxy.cut();
    await page.getByText('reconnecting as').waitFor();
    for (const n of [1, 2, 3]) await postMessage(w, `cut ${turn} ${n}`);
    proxy.refusing = false;
    await page.getByText('online as').waitFor();
  }
  await postMessage(w, 'last');
  const cuts = [0, 1, 2].flatMap((t) => [1, 2, 3].map((n) => `cut ${t} ${n}`));
  await shows(page, 'old', 'one', ...cuts, 'last');
});

test('the Chat of any application: load, write, hear', async () => {
  await postMessage(w, 'hello', PERFORMER);
  const page = await open({ show: ['Simple'], me: CLIENT });
  const log = page.getByRole('log');
  await log.getByText('hello').waitFor();
  await page.getByRole('textbox', { name: 'Message' }).fill('hello yourself');
  await page.keyboard.press('Enter');
  await log.getByText('hello yourself').waitFor();
  await postMessage(w, 'bye', PERFORMER);
  await log.getByText('bye').waitFor();
  assert.deepEqual(await log.locator('p').allTextContents(), ['hello', 'hello yourself', 'bye']);
  assert.deepEqual(await log.locator('em').allTextContents(), ['they', 'me', 'they']);
});

test('devtools show frames and rooms, and cut the connection', async () => {
  const page = await open({ show: ['Who', 'List'], dev: true });
  await page.getByText('online as').waitFor();
  const dev = page.getByRole('complementary', { name: 'pgpush' });
  await dev.getByRole('cell', { name: `order:${ORDER}` }).waitFor();
  await postMessage(w, 'seen by devtools');
  await dev.locator('summary').filter({ hasText: 'order_message' }).first().waitFor();
  const seen = proxy.connections;
  await dev.getByRole('button', { name: 'Cut' }).click();
  await until(() => proxy.connections > seen);
  await page.getByText('online as').waitFor();
});
