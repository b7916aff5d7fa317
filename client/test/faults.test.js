// SPDX-License-Identifier: ISC
// Two people go on talking in OrderChat while the network, the daemon and
// PostgreSQL go and come: no gap, no message twice, and the badge says how it
// is. Also: many tabs.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { until } from './lib.js';
import { CLIENT, PERFORMER } from './react/lib.js';
import {
  doubles, isStatus, makeStage, message, say, seesOnline, shown,
} from './react/stage.js';

let stage;
let w;
let proxy;
before(async () => {
  stage = await makeStage({ own: true });
  ({ w, proxy } = stage);
});
after(() => stage.finish());
afterEach(() => stage.clear());

async function openBoth() {
  const orderId = await stage.newOrder();
  const pages = [
    await stage.open(CLIENT, { orderId }),
    await stage.open(PERFORMER, { orderId }),
  ];
  for (const page of pages) await isStatus(page, 'online');
  return { orderId, a: pages[0], b: pages[1], said: [] };
}

/** One after the other, for the order is that of the rows. */
async function talk({ said }, page, n) {
  for (let i = 0; i < n; i++) {
    const text = `once ${String(said.length).padStart(3, '0')}`;
    said.push(text);
    await say(page, text);
    await page.locator('[data-id]', { hasText: text }).waitFor();
  }
}

async function agree({ a, b, said }) {
  for (const page of [a, b]) {
    await isStatus(page, 'online');
    await until(
      async () => (await shown(page)).length >= said.length,
      async () => `${said.length} messages: ${await shown(page)}`,
    );
    assert.deepEqual(await shown(page), said);
    assert.deepEqual(await doubles(page), []);
  }
}

test('the connection is cut again and again', async () => {
  const chat = await openBoth();
  for (let i = 0; i < 6; i++) {
    proxy.cut();
    await talk(chat, i % 2 ? chat.a : chat.b, 2);
    proxy.cutAfter = 300 + 100 * i;
    await talk(chat, i % 2 ? chat.b : chat.a, 1);
  }
  proxy.cutAfter = Infinity;
  await agree(chat);
});

test('one has no network for a while', async () => {
  const chat = await openBoth();
  const { a, b } = chat;
  await talk(chat, a, 2);
  await a.context().setOffline(true);
  await isStatus(a, 'no network');
  await talk(chat, b, 5);
  await say(a, 'once offline');
  await message(a, 'once offline').getByText('Not sent').waitFor();
  await a.context().setOffline(false);
  await agree({ ...chat, a: b });
  await isStatus(a, 'online');
  // It is sent by itself, once.
  chat.said.push('once offline');
  await agree(chat);
});

test('the daemon is killed, and comes again', async () => {
  const chat = await openBoth();
  const { a, b } = chat;
  await talk(chat, b, 2);
  await w.does('kill');
  for (const page of [a, b]) await isStatus(page, 'reconnecting');
  // They are written, and only not told yet.
  await talk(chat, b, 3);
  await talk(chat, a, 2);
  await w.does('start');
  await agree(chat);
  await w.does('restart');
  await talk(chat, a, 2);
  await agree(chat);
});

test('PostgreSQL is stopped, and started', async () => {
  const chat = await openBoth();
  const { a, b } = chat;
  await talk(chat, a, 2);
  await w.does('pg_stop');
  await say(b, 'once without a database');
  await message(b, 'once without a database').getByText('Not sent').waitFor();
  await w.does('pg_start');
  await message(b, 'once without a database')
    .getByRole('button', { name: 'Try again' }).click();
  chat.said.push('once without a database');
  await b.locator('[data-id]', { hasText: 'once without' }).waitFor();
  await talk(chat, a, 3);
  await agree(chat);
});

test('what no event told is fetched after a reset', async () => {
  const chat = await openBoth();
  const { orderId, a, b, said } = chat;
  await talk(chat, a, 2);
  // As after a failover to another cluster, which has lost the end of the log.
  said.push('once untold');
  await w.does('root', {
    text: `ALTER TABLE messages DISABLE TRIGGER USER;
           INSERT INTO messages (order_id, sender_id, receiver_id, content)
           VALUES (%s, %s, %s, %s);
           ALTER TABLE messages ENABLE TRIGGER USER;
           DELETE FROM pgpush.terms RETURNING 1`,
    args: [orderId, CLIENT, PERFORMER, said.at(-1)],
  });
  await w.does('restart');
  await agree(chat);
  await talk(chat, b, 2);
  await agree(chat);
});

test('WebSocket is forbidden in the middle: it goes on by the fallback', async () => {
  const chat = await openBoth();
  const { a, b } = chat;
  await talk(chat, a, 2);
  proxy.noUpgrade = true;
  proxy.cut();
  for (const page of [a, b]) await isStatus(page, 'online (fallback)');
  await talk(chat, b, 3);
  await talk(chat, a, 1);
  for (const page of [a, b]) {
    await until(async () => (await shown(page)).length === chat.said.length);
    assert.deepEqual(await shown(page), chat.said);
    assert.deepEqual(await doubles(page), []);
  }
});

test('ten tabs of one: all have it once, each by one socket', async () => {
  const orderId = await stage.newOrder();
  const context = await stage.openContext();
  const tabs = [];
  for (let i = 0; i < 10; i++)
    tabs.push(await stage.openPage(context, CLIENT, { orderId }));
  for (const tab of tabs) await isStatus(tab, 'online');
  const b = await stage.open(PERFORMER, { orderId });
  await seesOnline(b, 1);
  await say(tabs[0], 'once for all');
  await say(b, 'once back');
  for (const tab of tabs) {
    await message(tab, 'once for all').waitFor();
    await message(tab, 'once back').waitFor();
    assert.equal(await tab.getByRole('article').count(), 2);
    assert.deepEqual(await doubles(tab), []);
    assert.equal(tab.sockets.count, 1);
  }
  // Nine go, and he is still there; then the last one.
  for (const tab of tabs.slice(1)) await tab.close();
  await say(b, 'once more');
  await message(tabs[0], 'once more').waitFor();
  await seesOnline(b, 1);
  await tabs[0].close();
  await seesOnline(b, 0);
});
