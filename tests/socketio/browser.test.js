// SPDX-License-Identifier: ISC
// The page of the README with the unmodified bundle, in Chromium: two browsers
// chat in an order's room, over each transport, and survive a restart.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM } from '../../client/test/chromium.js';
import { CLIENT, ORDER, PERFORMER, TRANSPORTS, finishWorlds, makeWorld, until } from './world.js';

const BUNDLE = readFileSync(
  new URL('node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url));
const PAGE = `<!doctype html><script src="/bundle.js"></script><script>
  const q = new URLSearchParams(location.search)
  window.heard = []
  const socket = io(q.get('url'), {
    auth: { token: q.get('token') }, transports: q.get('transports').split(','),
    reconnectionDelay: 50, reconnectionDelayMax: 300 })
  socket.on('connect', () => {
    heard.push(socket.recovered ? 'recovered' : 'new')
    if (!socket.recovered) socket.emit('join_order_chat', { orderId: q.get('orderId') })
  })
  socket.on('joined_order_chat', () => heard.push('joined'))
  socket.on('order_message', (m) => heard.push(m.content))
  socket.on('order_typing', (m) => heard.push('typing ' + m.isTyping))
</script>`;

let w;
let web;
let browser;
before(async () => {
  w = await makeWorld({ kind: 'market' });
  web = createServer((req, res) => {
    const bundle = req.url === '/bundle.js';
    res.setHeader('content-type', bundle ? 'text/javascript' : 'text/html');
    res.end(bundle ? BUNDLE : PAGE);
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  browser = await chromium.launch(CHROMIUM);
});
after(async () => {
  await browser?.close();
  web.close();
  await finishWorlds();
});

async function openPage(user, transports) {
  const page = await browser.newPage();
  const query = new URLSearchParams({
    url: w.url, token: await w.token(user), transports: transports.join(), orderId: ORDER });
  await page.goto(`http://127.0.0.1:${web.address().port}/?${query}`);
  return page;
}

const heard = (page) => page.evaluate(() => window.heard);
const hears = (page, what) =>
  until(async () => (await heard(page)).includes(what), `a page hears ${what}`);

async function say(content) {
  await w.api(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content)
     VALUES (%s, %s, %s, %s)`, ORDER, CLIENT, PERFORMER, content);
}

for (const transports of TRANSPORTS)
  test(`${transports}: two pages chat, and a restart loses nothing`, async () => {
    const pages = [await openPage(CLIENT, transports), await openPage(PERFORMER, transports)];
    for (const page of pages) await hears(page, 'joined');
    await pages[0].evaluate((orderId) =>
      window.eval('socket').emit('order_typing', { orderId, isTyping: true }), ORDER);
    await hears(pages[1], 'typing true');
    await say('one');
    for (const page of pages) await hears(page, 'one');
    await w.does('stop');
    await say('two');
    await w.does('start');
    for (const page of pages) {
      await hears(page, 'recovered');
      await hears(page, 'two');
      const all = await heard(page);
      assert.equal(all.filter((x) => x === 'one').length, 1);
      assert.equal(all.filter((x) => x === 'two').length, 1);
      assert.equal(all.filter((x) => x === 'new').length, 1);
      await page.close();
    }
  });
