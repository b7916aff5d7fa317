// SPDX-License-Identifier: ISC
// People in browser contexts of their own, before components of the package:
// the demo's API, a daemon, a proxy between, and helpers to look and do.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from '../chromium.js';
import { LIMIT_MS, finishWorlds, makeWorld, until } from '../lib.js';
import { Proxy } from '../proxy.js';
import { startApi } from './api.js';
import { ADMIN, CLIENT, PERFORMER, servePage, watchSockets } from './lib.js';

export const PEOPLE = [
  { id: CLIENT, name: 'Olena', role: 'client' },
  { id: PERFORMER, name: 'Taras', role: 'performer' },
];

const NAMES = { [CLIENT]: 'Olena', [PERFORMER]: 'Taras', [ADMIN]: 'Iryna' };

export async function makeStage({ own = false } = {}) {
  const w = await makeWorld({
    kind: 'market', own, settings: { presence_grace: '100ms' },
  });
  const proxy = await Proxy.start(w.port);
  const api = await startApi(w);
  const server = await servePage('chat.jsx', (req, res) => api.handle(req, res));
  const browser = await chromium.launch(CHROMIUM);
  for (const [id, name] of Object.entries(NAMES))
    await w.does('api', {
      text: 'UPDATE users SET name = %s WHERE id = %s RETURNING 1',
      args: [name, id],
    });
  return new Stage({ w, proxy, api, server, browser });
}

class Stage {
  contexts = [];
  problems = [];

  constructor(parts) {
    Object.assign(this, parts);
  }

  async finish() {
    await this.browser?.close();
    this.server?.close();
    this.server?.closeAllConnections();
    this.proxy?.stop();
    await this.api?.stop();
    await finishWorlds();
  }

  /** After each test. */
  async clear() {
    const { proxy, api } = this;
    await Promise.all(this.contexts.map((c) => c.close()));
    this.contexts = [];
    proxy.cut();
    proxy.refusing = proxy.noUpgrade = false;
    api.refuse = api.lose = () => false;
    api.hold = null;
    // A message shows before its notification is written.
    await until(() => api.writing === 0, 'all is written');
    const found = this.problems;
    this.problems = [];
    assert.deepEqual(found, []);
  }

  // --- what is in the database

  sql(text, ...args) {
    return this.w.does('api', { text, args });
  }

  async newOrder() {
    const [[id]] = await this.sql(
      `INSERT INTO orders (client_id, performer_id, title, status)
       VALUES (%s, %s, 'An order', 'in_progress') RETURNING id`,
      CLIENT, PERFORMER);
    return id;
  }

  async newDispute(order, reason = 'It is late') {
    const [[id]] = await this.sql(
      `INSERT INTO disputes (order_id, client_id, performer_id, reason)
       VALUES (%s, %s, %s, %s) RETURNING id`,
      order, CLIENT, PERFORMER, reason);
    return id;
  }

  async write(order, content, from = PERFORMER, ago = '0') {
    const [[id]] = await this.sql(
      `INSERT INTO messages
         (order_id, sender_id, receiver_id, content, created_at)
       VALUES (%s, %s, %s, %s, now() - %s::interval) RETURNING id`,
      order, from, from === CLIENT ? PERFORMER : CLIENT, content, ago);
    return id;
  }

  async writeInDispute(dispute, content, from = PERFORMER) {
    const [[id]] = await this.sql(
      `INSERT INTO dispute_messages (dispute_id, sender_id, content)
       VALUES (%s, %s, %s) RETURNING id`,
      dispute, from, content);
    return id;
  }

  // --- who looks at it

  async openContext(context = {}) {
    const c = await this.browser.newContext({
      viewport: { width: 700, height: 600 },
      ...context,
    });
    c.setDefaultTimeout(LIMIT_MS);
    this.contexts.push(c);
    return c;
  }

  async open(user, props, context) {
    return this.openPage(await this.openContext(context), user, props);
  }

  async openPage(context, user, props) {
    const page = await context.newPage();
    watchProblems(page, this.problems);
    page.sockets = watchSockets(page);
    await page.exposeFunction('getToken', () => this.w.token(user));
    await page.goto(`http://127.0.0.1:${this.server.address().port}/`);
    await page.waitForFunction(() => window.start);
    await page.evaluate(watchDoubles);
    await page.evaluate((props) => window.start(props), {
      url: `http://127.0.0.1:${this.proxy.port}/ws`,
      me: user,
      people: PEOPLE,
      ...props,
    });
    return page;
  }

  async close(page) {
    const context = page.context();
    await context.close();
    this.contexts = this.contexts.filter((c) => c !== context);
  }
}

/** From now on no message may show twice, not even for a moment. */
function watchDoubles() {
  window.doubles = [];
  new MutationObserver(() => {
    const shown = [...document.querySelectorAll('.pgpush-message')].map(
      (m) => m.querySelector('.pgpush-content')?.textContent,
    );
    for (const text of shown)
      if (text?.startsWith('once') && shown.indexOf(text) !== shown.lastIndexOf(text))
        window.doubles.push(text);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}

// --- what is seen and done

export const isStatus = (page, text) =>
  page.locator('.pgpush-connection').filter({ hasText: text }).waitFor();
export const field = (page) =>
  page.getByRole('textbox', { name: /^(Message|Повідомлення)$/ });
export const message = (page, text) =>
  page.getByRole('article').filter({ hasText: text });
export const doubles = (page) => page.evaluate(() => window.doubles);

export async function say(page, text) {
  await field(page).fill(text);
  await field(page).press('Enter');
}

/** All that is shown, in its order. */
export const shown = (page) =>
  page.locator('.pgpush-content').allTextContents();

/** Who pauses is not typing any more: they go on until it is seen. */
export const seesTyping = (page, text, ...typing) =>
  until(async () => {
    for (const other of typing) await field(other).press('x');
    return (await page.getByText(text).count()) > 0;
  }, String(text));

/** So many others are online. */
export const seesOnline = (page, n) =>
  until(
    async () => (await page.locator('.pgpush-dot.pgpush-on').count()) === n,
    `${n} others are online`,
  );
