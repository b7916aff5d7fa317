// SPDX-License-Identifier: ISC
// The hooks in a real browser, in StrictMode, on the marketplace's database.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from './chromium.js';
import { LIMIT_MS, finishWorlds, makeWorld, until } from './lib.js';
import { Proxy } from './proxy.js';
import {
  CLIENT, DISPUTE, ORDER, ORDER2, PERFORMER, STRANGER, notify, postMessage,
  servePage, watchSockets,
} from './react/lib.js';

const DOOR = { event: 'join_order_chat', data: { orderId: ORDER } };
const ROOM = `order:${ORDER}`;

let w;
let proxy;
let server;
let browser;
let contexts = [];
let problems = [];

before(async () => {
  w = await makeWorld({ kind: 'market', settings: { presence_grace: '100ms' } });
  proxy = await Proxy.start(w.port);
  server = await servePage('page.jsx');
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
  proxy.refusing = proxy.silent = false;
  proxy.delay = 0;
  const found = problems;
  problems = [];
  assert.deepEqual(found, []);
});

/** A tab of this user that shows these components. */
async function open(user, ...specs) {
  const context = await browser.newContext();
  context.setDefaultTimeout(LIMIT_MS);
  contexts.push(context);
  const page = await context.newPage();
  watchProblems(page, problems);
  page.sockets = watchSockets(page);
  await page.exposeFunction('getToken', () => w.token(user));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(
    (url) => window.start({ url, backoff: { base: 20, cap: 200 } }),
    `http://127.0.0.1:${proxy.port}/ws`,
  );
  await page.waitForFunction(() => window.show);
  await show(page, ['Status', { label: 'status' }], ...specs);
  await is(page, 'status', 'online');
  return page;
}

const show = (page, ...specs) =>
  page.evaluate((specs) => window.show(...specs), specs);

const is = (page, label, value) =>
  page.waitForFunction(
    ([label, value]) =>
      JSON.stringify(window.state[label]) === JSON.stringify(value),
    [label, value],
  );

const heard = (page, label) =>
  page.evaluate((l) => window.heard[l] ?? [], label);

const hears = (page, label, line) =>
  page.waitForFunction(
    ([label, line]) => (window.heard[label] ?? []).includes(line),
    [label, line],
  );

test('StrictMode: one socket, one join, each event once', async () => {
  const page = await open(CLIENT, ['Room', { label: 'a', room: ROOM }]);
  await is(page, 'a', 'joined');
  await postMessage(w, 'one');
  await hears(page, 'a', '0 one');
  await postMessage(w, 'two', PERFORMER);
  await hears(page, 'a', '0 two');
  assert.deepEqual(await heard(page, 'a'), ['joined', '0 one', '0 two']);
  assert.equal(page.sockets.count, 1);
  assert.equal(page.sockets.of('join').length, 1);
  assert.equal(page.sockets.of('leave').length, 0);
});

test('twenty components that come, go and render: one socket', async () => {
  const status = ['Status', { label: 'status' }];
  const room = (i) => ['Room', { label: `r${i}`, room: ROOM, join: DOOR }];
  const all = Array.from({ length: 20 }, (_, i) => room(i));
  const page = await open(CLIENT, ...all);
  for (let i = 0; i < 20; i++) await is(page, `r${i}`, 'joined');
  for (let turn = 0; turn < 5; turn++) {
    await page.evaluate(() => window.bump());
    // Some go, and come back as others go.
    await show(page, status, ...all.slice(turn, turn + 10));
    await show(page, status, ...all.slice(turn + 5));
  }
  await show(page, status, ...all);
  await postMessage(w, 'to all');
  for (let i = 0; i < 20; i++) await hears(page, `r${i}`, '5 to all');
  for (let i = 0; i < 20; i++) {
    const lines = (await heard(page, `r${i}`)).filter((l) => l !== 'joined');
    assert.deepEqual(lines, ['5 to all']);
  }
  assert.equal(page.sockets.count, 1);
  assert.equal(await page.evaluate(() => window.clients.size), 1);
  assert.equal(page.sockets.of('join_order_chat').length, 1);
  assert.equal(page.sockets.of('leave').length, 0);

  // The last one out leaves, and who comes later is let in again.
  await show(page, status);
  await until(() => page.sockets.of('leave').length === 1);
  await show(page, status, room(0));
  await is(page, 'r0', 'joined');
  assert.equal(page.sockets.of('leave').length, 1);
  assert.equal(page.sockets.count, 1);
});

test('the newest handlers are called, once, also across cuts', async () => {
  const page = await open(CLIENT, ['Room', { label: 'a', room: ROOM }]);
  await is(page, 'a', 'joined');
  const expected = ['joined'];
  for (let turn = 0; turn < 6; turn++) {
    if (turn > 0) await page.evaluate(() => window.bump());
    if (turn % 2) proxy.cut();
    await postMessage(w, `m${turn}`);
    await hears(page, 'a', `${turn} m${turn}`);
    expected.push(`${turn} m${turn}`);
  }
  const lines = await heard(page, 'a');
  assert.deepEqual(
    lines.filter((l, i) => l !== 'joined' || i === 0),
    expected,
  );
});

test('a component goes while its join is under way', async () => {
  const page = await open(CLIENT);
  const status = ['Status', { label: 'status' }];
  const room = (label) => ['Room', { label, room: ROOM }];
  proxy.delay = 50;
  for (let i = 0; i < 5; i++) {
    await page.evaluate(async ([room, status]) => {
      window.show(status, room);
      // The join goes out at the end of this turn, its answer comes in another.
      await null;
      window.show(status);
    }, [room('a'), status]);
    await until(() => page.sockets.of('leave').length === i + 1);
    assert.equal(page.sockets.of('join').length, i + 1);
    // What is asked after the leave is answered after it.
    await page.evaluate(() => window.client.send('get_presence', { userIds: [] }));
  }
  // All in one turn: nothing happens.
  await page.evaluate(([room, status]) => {
    for (let i = 0; i < 5; i++) {
      window.show(status, room);
      window.show(status);
    }
  }, [room('a'), status]);
  assert.equal(page.sockets.of('join').length, 5);
  await show(page, status, room('b'));
  await is(page, 'b', 'joined');
  await postMessage(w, 'after');
  await hears(page, 'b', '0 after');
  assert.deepEqual(await heard(page, 'a'), []);
  assert.deepEqual(await heard(page, 'b'), ['joined', '0 after']);
});

test('another room, none, and one that may not be entered', async () => {
  const status = ['Status', { label: 'status' }];
  const room = (id) => ['Room', { label: 'a', room: id && `order:${id}` }];
  const page = await open(CLIENT, room(ORDER));
  await is(page, 'a', 'joined');
  await show(page, status, room(ORDER2));
  // Not by its state: that is yet the one of the other room.
  await until(async () => (await heard(page, 'a')).length === 2);
  assert.equal(page.sockets.of('leave').length, 1);
  await postMessage(w, 'first order');
  await postMessage(w, 'second order', CLIENT, ORDER2);
  await hears(page, 'a', '0 second order');
  await show(page, status, room(null));
  await is(page, 'a', 'left');
  assert.deepEqual(
    await heard(page, 'a'), ['joined', 'joined', '0 second order']);

  const other = await open(STRANGER, room(ORDER));
  await is(other, 'a', 'error');
  assert.deepEqual(await heard(other, 'a'), ['error forbidden']);
});

test('the provider goes: the socket is closed; it comes again', async () => {
  const page = await open(CLIENT, ['Room', { label: 'a', room: ROOM }]);
  await is(page, 'a', 'joined');
  await page.evaluate(() => window.stop());
  await until(() => page.sockets.open === 0);
  await page.evaluate((url) => window.start({ url }), `http://127.0.0.1:${proxy.port}/ws`);
  await until(() => page.sockets.open === 1);
  assert.equal(page.sockets.count, 2);
});

test('who is online: asked once, then told; unknown while cut', async () => {
  const both = ['Presence', { label: 'p', userIds: [PERFORMER, STRANGER] }];
  const more = Array.from({ length: 10 }, (_, i) => [
    'Presence', { label: `p${i}`, userIds: [PERFORMER] }]);
  const page = await open(CLIENT, both, ...more);
  const online = (is) => page.waitForFunction(
    ([id, is]) => window.state.p?.[id]?.isOnline === is, [PERFORMER, is]);
  await online(false);
  assert.equal(page.sockets.of('get_presence').length, 1);
  const other = await open(PERFORMER);
  await online(true);
  await page.waitForFunction(
    (id) => window.state.p9?.[id]?.isOnline === true, PERFORMER);
  // Whom one has no order with one may not follow.
  assert.equal(await page.evaluate((id) => window.state.p[id], STRANGER), undefined);
  proxy.refusing = true;
  proxy.cut();
  await is(page, 'status', 'reconnecting');
  await page.waitForFunction((id) => !window.state.p?.[id], PERFORMER);
  proxy.refusing = false;
  await online(true);
  await other.context().close();
  contexts = contexts.filter((c) => c !== other.context());
  await online(false);
  assert.match(
    await page.evaluate((id) => window.state.p[id].lastSeen, PERFORMER),
    /^\d{4}-.*Z$/,
  );
});

/** Nobody, him, nobody: whenever one looks, if the page draws it at all. */
const seesComeAndGo = async (page, user, doIt) => {
  await is(page, 't', []);
  await page.evaluate(() => {
    window.heard.t = [];
  });
  await doIt();
  await page.waitForFunction((who) => window.heard.t.join('|') === `${who}|`, user);
};

test('typing is told, repeated seldom, and ends by itself', async () => {
  const typing = (expiry) => [
    'Typing', { label: 't', room: ROOM, join: DOOR, expiry, idle: 1e6 }];
  const a = await open(CLIENT, typing(1e6), ['Room', { label: 'a', room: ROOM }]);
  const b = await open(PERFORMER, typing(1e6), ['Room', { label: 'a', room: ROOM }]);
  await is(a, 'a', 'joined');
  await is(b, 'a', 'joined');
  const type = (page, isTyping) =>
    page.evaluate((is) => window.setTyping.t(is), isTyping);
  await a.evaluate(() => {
    for (let i = 0; i < 10; i++) window.setTyping.t(true);
  });
  await is(b, 't', [CLIENT]);
  assert.equal(a.sockets.of('order_typing').length, 1);
  await type(a, false);
  await is(b, 't', []);
  // A message ends it, too.
  await type(a, true);
  await is(b, 't', [CLIENT]);
  await postMessage(w, 'said');
  await is(b, 't', []);
  assert.deepEqual(await a.evaluate(() => window.state.t), []);
  assert.equal(await a.evaluate(() => window.setTypings.size), 1);

  // One who says no more.
  await show(b, ['Status', { label: 'status' }], typing(2000));
  await seesComeAndGo(b, CLIENT, () =>
    w.signal(ROOM, 'order_typing', { orderId: ORDER, userId: CLIENT, isTyping: true }));
});

test('typing ends when its component goes, or no key is pressed', async () => {
  const typing = ['Typing', { label: 't', room: ROOM, idle: 2000 }];
  const a = await open(CLIENT, typing, ['Room', { label: 'a', room: ROOM }]);
  const b = await open(PERFORMER, ['Typing', { label: 't', room: ROOM, expiry: 1e6 }],
    ['Room', { label: 'a', room: ROOM }]);
  await is(a, 'a', 'joined');
  await is(b, 'a', 'joined');
  await seesComeAndGo(b, CLIENT, () =>
    a.evaluate(() => window.setTyping.t(true)));
  await show(a, ['Status', { label: 'status' }],
    ['Typing', { label: 't', room: ROOM, idle: 1e6 }]);
  await a.evaluate(() => window.setTyping.t(true));
  await is(b, 't', [CLIENT]);
  await show(a, ['Status', { label: 'status' }]);
  await is(b, 't', []);
});

test('notifications: the list, what comes, and what was read', async () => {
  const page = await open(PERFORMER);
  await page.exposeFunction('listNotifications', () => ({
    unread: 1,
    items: [{ id: 'x', content: 'listed', read: false }],
  }));
  await show(page, ['Bell', { label: 'n', list: true }]);
  await is(page, 'n', { unread: 1, items: ['listed'] });
  await notify(w, PERFORMER, 'came');
  await is(page, 'n', { unread: 2, items: ['came', 'listed'] });
  proxy.cut();
  await notify(w, PERFORMER, 'while cut');
  await is(page, 'n', { unread: 3, items: ['while cut', 'came', 'listed'] });
  assert.deepEqual(await heard(page, 'n'), ['came', 'while cut']);
  await page.evaluate(() => window.markRead('x'));
  await is(page, 'n', { unread: 2, items: ['while cut', 'came', 'listed'] });
  await page.evaluate(() => window.markRead());
  await is(page, 'n', { unread: 0, items: ['while cut', 'came', 'listed'] });
  assert.deepEqual(await heard(page, 'n read'), ['x', 'all']);
});

test('the old hook: many components, effects after every render', async () => {
  const old = (i) => ['Old', { label: `o${i}`, order: ORDER, connects: true }];
  const olds = Array.from({ length: 10 }, (_, i) => old(i));
  const page = await open(CLIENT, ...olds);
  await until(() => page.sockets.of('join_order_chat').length === 1);
  for (let i = 0; i < 10; i++) await page.evaluate(() => window.bump());
  await page.waitForFunction(
    (r) => window.client.room(r).state === 'joined', ROOM);
  await postMessage(w, 'old');
  for (let i = 0; i < 10; i++) await hears(page, `o${i}`, 'old');
  for (let i = 0; i < 10; i++)
    assert.deepEqual(await heard(page, `o${i}`), ['old']);
  assert.equal(await page.evaluate(() => window.joins.size), 10);
  // One that goes does not take the connection or the room from the others.
  await show(page, ['Status', { label: 'status' }], ...olds.slice(5));
  await postMessage(w, 'still');
  await hears(page, 'o9', 'still');
  assert.equal((await heard(page, 'o0')).length, 1);
  assert.equal(page.sockets.count, 1);
  assert.equal(page.sockets.of('join_order_chat').length, 1);
  assert.equal(page.sockets.of('leave').length, 0);
  // All of them gone, nobody wants the connection any more.
  await show(page, ['Status', { label: 'status' }]);
  await is(page, 'status', 'idle');
});

test('the old hook: typing, reading, sending, disputes', async () => {
  const spec = ['Old', { label: 'o', order: ORDER, dispute: DISPUTE }];
  const a = await open(CLIENT, spec);
  const b = await open(PERFORMER, spec);
  for (const page of [a, b])
    await page.waitForFunction(
      (names) => names.every((n) => window.client.room(n).state === 'joined'),
      [ROOM, `dispute:${DISPUTE}`],
    );
  await b.evaluate(() => {
    window.read = [];
    window.olds.o.onMessagesRead((data) => window.read.push(data.readBy));
    window.olds.o.onDisputeTyping((d) => window.heard.d = [d.userId]);
  });
  await a.evaluate((o) => window.olds.o.setOrderTyping(o, true), ORDER);
  await hears(b, 'o', `${CLIENT} true`);
  await a.evaluate((d) => window.olds.o.setDisputeTyping(d, true), DISPUTE);
  await hears(b, 'd', CLIENT);
  await postMessage(w, 'read me', PERFORMER);
  await hears(a, 'o', 'read me');
  await a.evaluate((o) => window.olds.o.markOrderMessagesRead(o), ORDER);
  await b.waitForFunction((id) => window.read[0] === id, CLIENT);
  await a.evaluate(() => window.olds.o.sendOrderMessage('id', 'text', []));
  assert.deepEqual((await heard(a, 'o')).at(-1), ['id', 'text', []]);
  const code = await a.evaluate(() =>
    window.olds.o.sendDisputeMessage('id', 'x').catch((err) => err.code));
  assert.equal(code, 'no_api');
});
