// SPDX-License-Identifier: ISC
// OrderChat and NotificationBell: two people in two browser contexts. Each test
// has an order of its own; no message may show twice.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { until } from './lib.js';
import {
  ADMIN, CLIENT, PERFORMER, STRANGER, notify,
} from './react/lib.js';
import {
  doubles, field, isStatus, makeStage, message, say, seesOnline, seesTyping,
} from './react/stage.js';

let stage;
let w;
let api;
let proxy;
before(async () => {
  stage = await makeStage();
  ({ w, api, proxy } = stage);
});
after(() => stage.finish());
afterEach(() => stage.clear());

const newOrder = () => stage.newOrder();
const write = (...args) => stage.write(...args);

async function open(user, orderId, props = {}, context = {}) {
  const page = await stage.open(user, { orderId, ...props }, context);
  await page.getByRole('log').waitFor();
  return page;
}

async function openBoth(order, props) {
  const pages = [
    await open(CLIENT, order, props),
    await open(PERFORMER, order, props),
  ];
  for (const page of pages) await isStatus(page, 'online');
  for (const page of pages) await seesOnline(page, 1);
  return pages;
}

test('a message is seen once on both sides, and ticks', async () => {
  const order = await newOrder();
  const [a, b] = await openBoth(order);
  for (let i = 0; i < 5; i++) await say(i % 2 ? a : b, `once ${i}`);
  for (const page of [a, b]) {
    for (let i = 0; i < 5; i++) await message(page, `once ${i}`).waitFor();
    assert.equal(await page.getByRole('article').count(), 5);
    assert.deepEqual(await doubles(page), []);
  }
  // They are looked at, so they are read.
  await message(a, 'once 3').getByRole('img', { name: 'Read' }).waitFor();
  await message(b, 'once 4').getByRole('img', { name: 'Read' }).waitFor();
  assert.equal(a.sockets.count, 1);
});

test('the event comes before the answer, and after it', async () => {
  const order = await newOrder();
  const [a, b] = await openBoth(order);
  let release;
  api.hold = new Promise((resolve) => { release = resolve; });
  await say(a, 'once early');
  await message(b, 'once early').waitFor();
  // The event has come, the bubble is the real one, the answer is to come.
  await a.locator('[data-id]', { hasText: 'once early' }).waitFor();
  assert.equal(await a.getByRole('article').count(), 1);
  api.hold = null;
  release();
  await say(a, 'once same');
  await message(b, 'once same').waitFor();
  await message(a, 'once same').getByRole('img', { name: 'Read' }).waitFor();
  assert.equal(await a.getByRole('article').count(), 2);
  // The answer first: no event until the connection is there again.
  proxy.refusing = true;
  proxy.cut();
  await isStatus(a, 'reconnecting');
  await say(a, 'once late');
  await a.locator('[data-id]', { hasText: 'once late' }).waitFor();
  proxy.refusing = false;
  await isStatus(a, 'online');
  await message(b, 'once late').waitFor();
  await message(a, 'once late').getByRole('img', { name: 'Read' }).waitFor();
  assert.equal(await a.getByRole('article').count(), 3);
  assert.deepEqual(await doubles(a), []);
  assert.deepEqual(await doubles(b), []);
});

test('an address in a text can be followed, and nothing else', async () => {
  const order = await newOrder();
  const text = 'See https://a.test/b?c=(d)&e=1, or (http://f.test). <i>No</i> javascript:x';
  await write(order, text);
  const a = await open(CLIENT, order);
  const content = a.locator('.pgpush-content');
  assert.equal(await content.textContent(), text);
  const links = await content.getByRole('link').evaluateAll((all) =>
    all.map((l) => [l.getAttribute('href'), l.rel.includes('noopener')]));
  assert.deepEqual(links, [
    ['https://a.test/b?c=(d)&e=1', true], ['http://f.test', true],
  ]);
});

test('the same text twice is two messages', async () => {
  const [a, b] = await openBoth(await newOrder());
  await say(a, 'again');
  await say(a, 'again');
  for (const page of [a, b])
    await until(async () =>
      (await page.locator('[data-id]').count()) === 2 &&
      (await page.getByRole('article').count()) === 2);
});

test('edit and delete live, by mouse and keyboard', async () => {
  const [a, b] = await openBoth(await newOrder());
  await say(a, 'firts');
  await message(b, 'firts').waitFor();
  await a.locator('[data-id]').waitFor();
  await field(a).press('ArrowUp');
  await field(a).fill('first');
  await field(a).press('Enter');
  await message(b, 'first').getByText('edited').waitFor();
  await message(a, 'first').getByText('edited').waitFor();
  await message(a, 'first').getByRole('button', { name: 'Edit' }).click();
  await a.getByText('Editing a message').waitFor();
  await a.locator('.pgpush-in-field', { hasText: 'first' }).waitFor();
  await field(a).press('Escape');
  const box = await field(a).elementHandle();
  await a.waitForFunction((f) => f.value === '', box);
  assert.equal(await message(b, 'first').getByRole('button', { name: 'Edit' }).count(), 0);
  await message(a, 'first').getByRole('button', { name: 'Delete' }).click();
  for (const page of [a, b]) await message(page, 'Message deleted').waitFor();
  assert.equal(await message(b, 'first').count(), 0);
});

test('typing with names, reactions, presence and last seen', async () => {
  const [a, b] = await openBoth(await newOrder());
  await field(a).fill('hel');
  await seesTyping(b, 'Olena is typing…', a);
  await field(a).press('Enter');
  await message(b, 'hel').waitFor();
  await b.getByText('Olena is typing…').waitFor({ state: 'detached' });
  await message(b, 'hel').getByRole('button', { name: 'React' }).click();
  await message(b, 'hel').getByRole('button', { name: '👍', exact: true }).click();
  const mark = message(a, 'hel').getByRole('button', { name: '👍, 1' });
  await mark.waitFor();
  assert.equal(await mark.getAttribute('aria-pressed'), 'false');
  await message(b, 'hel').getByRole('button', { name: '👍, 1' }).click();
  await mark.waitFor({ state: 'detached' });
  await stage.close(b);
  await a.getByText(/last seen today/).waitFor();
});

test('a failed send is tried again; one whose answer was lost is one', async () => {
  const [a, b] = await openBoth(await newOrder());
  api.refuse = (req) => req.method === 'POST' && /messages$/.test(req.path);
  await say(a, 'once refused');
  await message(a, 'once refused').getByText('Not sent').waitFor();
  assert.equal(await message(b, 'once refused').count(), 0);
  api.refuse = () => false;
  await message(a, 'once refused').getByRole('button', { name: 'Try again' }).click();
  await message(b, 'once refused').waitFor();
  await message(a, 'once refused').getByRole('img', { name: 'Read' }).waitFor();

  // Written, but nobody says so, neither the API nor an event; the list does.
  proxy.refusing = true;
  proxy.cut();
  await isStatus(a, 'reconnecting');
  api.lose = (req) => req.method === 'POST' && /messages$/.test(req.path);
  await say(a, 'once lost');
  await message(a, 'once lost').getByText('Not sent').waitFor();
  api.lose = () => false;
  await message(a, 'once lost').getByRole('button', { name: 'Try again' }).click();
  await a.locator('[data-id]', { hasText: 'once lost' }).waitFor();
  proxy.refusing = false;
  await message(b, 'once lost').waitFor();
  await isStatus(a, 'online');
  for (const page of [a, b]) {
    assert.equal(await page.getByRole('article').count(), 2);
    assert.deepEqual(await doubles(page), []);
  }
});

test('attachments: preview, progress, and there for the other', async () => {
  const [a, b] = await openBoth(await newOrder());
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64');
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: png },
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('text') },
    { name: 'wrong.txt', mimeType: 'text/plain', buffer: Buffer.from('no') },
  ]);
  await a.locator('.pgpush-chips img').waitFor();
  await a.getByRole('button', { name: 'Remove wrong.txt' }).click();
  let release;
  api.hold = new Promise((resolve) => { release = resolve; });
  await say(a, 'once with files');
  await a.getByRole('progressbar', { name: 'Uploading' }).waitFor();
  // It is shown before it is there.
  await message(a, 'once with files').getByAltText('dot.png').waitFor();
  api.hold = null;
  release();
  for (const page of [a, b]) {
    await message(page, 'once with files').getByAltText('dot.png').waitFor();
    await message(page, 'once with files').getByRole('link', { name: 'notes.txt' }).waitFor();
    assert.equal(await page.getByText('wrong.txt').count(), 0);
    assert.equal(await page.getByRole('article').count(), 1);
  }
});

test('files are pasted, and dropped anywhere in the chat', async () => {
  const [a, b] = await openBoth(await newOrder());
  const give = (e, [type, name]) => {
    const data = new DataTransfer();
    data.items.add(new File(['text'], name, { type: 'text/plain' }));
    const how = { bubbles: true, cancelable: true };
    const event = type === 'paste'
      ? new ClipboardEvent(type, { clipboardData: data, ...how })
      : new DragEvent(type, { dataTransfer: data, ...how });
    // False: the browser does not do with it what it else would.
    return e.dispatchEvent(event);
  };
  const to = async (locator, type, name) =>
    assert.equal(await locator.evaluate(give, [type, name]), false, type);
  await to(field(a), 'paste', 'pasted.txt');
  await to(a.getByRole('log'), 'dragover', 'dropped.txt');
  await to(a.getByRole('log'), 'drop', 'dropped.txt');
  await a.getByRole('button', { name: 'Remove dropped.txt' }).waitFor();
  await field(a).press('Enter');
  for (const name of ['pasted.txt', 'dropped.txt'])
    await b.locator('[data-id]').getByRole('link', { name }).waitFor();
});

test('a list that grows before it is told of its scrolling stays at its end', async () => {
  const order = await newOrder();
  for (let i = 0; i < 40; i++) await write(order, `old ${i}`);
  const a = await open(CLIENT, order);
  await isStatus(a, 'online');
  const log = a.getByRole('log');
  const gap = () => log.evaluate((l) => l.scrollHeight - l.scrollTop - l.clientHeight);
  await until(async () => (await gap()) < 2, 'at the end');
  // As a picture would that comes between our scrolling and the event of it.
  await log.evaluate((l) => {
    l.lastElementChild.style.minHeight = '400px';
    l.dispatchEvent(new Event('scroll'));
  });
  await write(order, 'next');
  await message(a, 'next').waitFor();
  await until(async () => (await gap()) < 2, 'at the end still');
});

test('where nothing connects the chat and the bell fetch now and then', async () => {
  const order = await newOrder();
  await write(order, 'before');
  proxy.refusing = true;
  const a = await open(CLIENT, order, { bell: true, poll: { interval: 50 } });
  await isStatus(a, 'not live');
  await message(a, 'before').waitFor();
  await write(order, 'meanwhile');
  await message(a, 'meanwhile').waitFor();
  await notify(w, CLIENT, 'polled', order);
  await a.locator('.pgpush-bell-list', { hasText: 'polled' })
    .waitFor({ state: 'attached' });
  await say(a, 'by the API');
  await a.locator('[data-id]', { hasText: 'by the API' }).waitFor();
  proxy.refusing = false;
  await isStatus(a, 'online');
  assert.equal(await a.getByRole('article').count(), 3);
  assert.deepEqual(await doubles(a), []);
});

test('a reader further up is not pulled down; the divider', async () => {
  const order = await newOrder();
  for (let i = 0; i < 40; i++) await write(order, `old ${i}`, CLIENT, '2 days');
  await w.does('api', { text: 'UPDATE messages SET read_at = now() WHERE order_id = %s RETURNING 1', args: [order] });
  await write(order, 'unseen');
  const a = await open(CLIENT, order);
  await isStatus(a, 'online');
  await a.getByRole('separator').waitFor();
  await a.getByText('Today', { exact: true }).waitFor();
  const log = a.getByRole('log');
  const gap = () => log.evaluate((l) => l.scrollHeight - l.scrollTop - l.clientHeight);
  await until(async () => (await gap()) < 2, 'at the end');
  await write(order, 'next');
  await message(a, 'next').waitFor();
  await until(async () => (await gap()) < 2, 'at the end still');
  await log.evaluate((l) => { l.scrollTop = 100; });
  await until(async () => (await gap()) > 500);
  await a.waitForFunction(() => document.querySelector('.pgpush-log').scrollTop === 100);
  await write(order, 'below');
  await a.getByRole('button', { name: /1 new message/ }).waitFor();
  assert.equal(await log.evaluate((l) => l.scrollTop), 100);
  await a.getByRole('button', { name: /1 new message/ }).click();
  await until(async () => (await gap()) < 2, 'at the end by the button');
});

test('who scrolls up while a message comes is left there, and has not read it', async () => {
  const order = await newOrder();
  for (let i = 0; i < 40; i++) await write(order, `old ${i}`, CLIENT);
  const [a, b] = await openBoth(order);
  const log = a.getByRole('log');
  await until(() => log.evaluate((l) => l.scrollTop > 1000));
  // So shortly before that the browser has not told the page of it.
  await log.evaluate((l) => {
    const { parse } = JSON;
    JSON.parse = (text) => {
      if (text.includes('below')) l.scrollTop = 100;
      return parse(text);
    };
  });
  await write(order, 'below');
  await a.getByRole('button', { name: /1 new message/ }).waitFor();
  assert.equal(await log.evaluate((l) => l.scrollTop), 100);
  assert.equal(await message(b, 'below').getByRole('img', { name: 'Read' }).count(), 0);
});

test('cut, fallback, and who may not: the badge tells the truth', async () => {
  const order = await newOrder();
  proxy.noUpgrade = true;
  const a = await open(CLIENT, order);
  await isStatus(a, 'online (fallback)');
  await write(order, 'by the fallback');
  await message(a, 'by the fallback').waitFor();
  const other = await open(STRANGER, order);
  await other.getByText('You have no access to this conversation.').waitFor();
  assert.equal(await other.getByRole('textbox').count(), 0);
});

test('Ukrainian, on a phone', async () => {
  const order = await newOrder();
  await write(order, `Довге ${'слово '.repeat(60)}`);
  const a = await open(CLIENT, order, { locale: 'uk' }, {
    viewport: { width: 360, height: 640 },
  });
  await isStatus(a, 'у мережі');
  await a.getByPlaceholder('Напишіть повідомлення').fill('Так');
  await a.getByRole('button', { name: 'Надіслати' }).click();
  await message(a, 'Так').getByRole('img', { name: 'Надіслано' }).waitFor();
  const wide = await a.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `${wide} pixels`);
  if (process.env.PUSH_SHOTS)
    await a.screenshot({ path: `${process.env.PUSH_SHOTS}/chat-phone.png` });
});

test('the bell: what was there, what comes, read by mouse and keys', async () => {
  const order = await newOrder();
  await w.does('api', {
    text: 'DELETE FROM notifications WHERE user_id = %s RETURNING 1',
    args: [PERFORMER],
  });
  await notify(w, PERFORMER, 'was there', order, 'order_status');
  const [a, b] = await openBoth(order, { bell: true });
  const bell = (n) => b.getByRole('button', { name: `Notifications, ${n} unread` });
  await bell(1).waitFor();
  await say(a, 'once rung');
  await bell(2).waitFor();
  proxy.cut();
  await notify(w, PERFORMER, 'while cut', order, 'order_status');
  await bell(3).click();
  const list = b.getByRole('list', { name: 'Notifications' });
  await until(async () => (await list.getByRole('listitem').count()) === 3);
  assert.match(
    (await list.getByRole('listitem').allTextContents()).join('|'),
    /^while cut.*\|New message from .*\|was there/);
  await list.getByRole('button', { name: 'while cut' }).click();
  assert.deepEqual(await b.evaluate(() => window.opened), [order]);
  await bell(2).waitFor();
  assert.equal(await list.isVisible(), false);
  await bell(2).press('Enter');
  await b.keyboard.press('Escape');
  assert.equal(await list.isVisible(), false);
  await bell(2).press('Enter');
  await b.getByRole('button', { name: 'Mark all as read' }).click();
  await b.getByRole('button', { name: 'Notifications', exact: true }).waitFor();
  const unread = () => w.does('api', {
    text: 'SELECT count(*)::int FROM notifications WHERE user_id = %s AND NOT read',
    args: [PERFORMER],
  });
  await until(async () => (await unread())[0][0] === 0, 'read in the database');
});

test('the bell does not count what is being looked at', async () => {
  const order = await newOrder();
  await w.does('api', {
    text: 'DELETE FROM notifications WHERE user_id = %s RETURNING 1',
    args: [PERFORMER],
  });
  const b = await open(PERFORMER, order, { bell: true });
  await isStatus(b, 'online');
  await notify(w, PERFORMER, 'message of what is seen', order);
  await notify(w, PERFORMER, 'another', order);
  await b.getByRole('button', { name: 'Notifications, 1 unread' }).click();
  const list = b.getByRole('list', { name: 'Notifications' });
  await until(async () => (await list.getByRole('listitem').count()) === 2);
  assert.equal(await list.locator('.pgpush-new').count(), 1);
  const read = () => w.does('api', {
    text: 'SELECT content FROM notifications WHERE user_id = %s AND read',
    args: [PERFORMER],
  });
  await until(async () => (await read()).length === 1, 'read in the database');
  assert.deepEqual(await read(), [['message of what is seen']]);
});

test('a chat that is hidden, or scrolled away, reads nothing', async () => {
  const order = await newOrder();
  const [a, b] = await openBoth(order);
  const marks = () => b.sockets.of('mark_messages_read').length;
  const style = (text) => b.evaluate(
    (text) => new Promise((resolve) => {
      document.getElementById('root').style = text;
      // All who look at it are told together.
      const observer = new IntersectionObserver(() => {
        observer.disconnect();
        resolve();
      });
      observer.observe(document.querySelector('.pgpush-log'));
    }), text);
  for (const [i, away] of ['display: none', 'margin-top: 3000px'].entries()) {
    await style(away);
    const before = marks();
    await say(a, `once ${i}`);
    // Roles are of what can be seen only.
    await b.locator('.pgpush-content', { hasText: `once ${i}` })
      .waitFor({ state: 'attached' });
    await style(away);
    assert.equal(marks(), before);
    await style('');
    await until(() => marks() === before + 1, 'it is read when it is seen');
    await message(a, `once ${i}`).getByRole('img', { name: 'Read' }).waitFor();
  }
});

test('who is muted is told so, at once and when he comes anew', async () => {
  const order = await newOrder();
  const [a, b] = await openBoth(order);
  const mute = (text, args) => w.does('api', { text, args });
  await mute(
    `INSERT INTO room_mutes (order_id, user_id, until, "by", reason)
     VALUES (%s, %s, now() + interval '1 hour', %s, 'Be polite.') RETURNING 1`,
    [order, CLIENT, ADMIN]);
  await a.getByText(/You are muted in this chat until: .* Be polite\./).waitFor();
  assert.equal(await field(a).count(), 0);
  assert.equal(await field(b).count(), 1);
  const again = await open(CLIENT, order);
  await again.getByText('Be polite.').waitFor();
  await mute(
    'DELETE FROM room_mutes WHERE order_id = %s RETURNING 1', [order]);
  await field(a).waitFor();
  await say(a, 'once more');
  for (const page of [a, b, again]) await message(page, 'once more').waitFor();
});

test('a moderator removes a message, for all; who is none cannot', async () => {
  const order = await newOrder();
  const [a, b] = await openBoth(order);
  const admin = await open(ADMIN, order, { moderates: true });
  await isStatus(admin, 'online');
  await say(a, 'once rude');
  await message(b, 'once rude').waitFor();
  const remove = (page) =>
    message(page, 'once rude').getByRole('button', { name: 'Delete message' });
  assert.equal(await remove(b).count(), 0);
  await remove(admin).click();
  for (const page of [a, b, admin]) await message(page, 'Message deleted').waitFor();

  // One who only says that he moderates is told that he does not.
  const liar = await open(PERFORMER, order, { moderates: true });
  await say(a, 'once rude');
  await remove(liar).click();
  await liar.getByText('Only an admin or the moderator may remove a message').waitFor();
  assert.equal(await message(liar, 'once rude').count(), 1);
});

test('files of all kinds: how far they are, and how they are shown', async () => {
  const [a, b] = await openBoth(await newOrder());
  const cdp = await a.context().newCDPSession(a);
  await cdp.send('Network.enable');
  // So slow that one can look on.
  await cdp.send('Network.emulateNetworkConditions', {
    offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 150_000,
  });
  await a.evaluate(() => {
    window.progress = [];
    new MutationObserver(() => {
      const bar = document.querySelector('.pgpush-message progress');
      if (bar && window.progress.at(-1) !== bar.value) window.progress.push(bar.value);
    }).observe(document.body, {
      subtree: true, childList: true, attributes: true, attributeFilter: ['value'],
    });
  });
  const bytes = (n) => Buffer.alloc(n, 'x');
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'a.png', mimeType: 'image/png', buffer: bytes(60_000) },
    { name: 'b.mp4', mimeType: 'video/mp4', buffer: bytes(60_000) },
    { name: 'c.mp3', mimeType: 'audio/mpeg', buffer: bytes(60_000) },
    { name: 'd.pdf', mimeType: 'application/pdf', buffer: bytes(60_000) },
  ]);
  await field(a).press('Enter');
  for (const page of [a, b]) {
    const one = page.locator('[data-id]');
    await one.locator('img[alt="a.png"]').waitFor({ state: 'attached' });
    await one.locator('video').waitFor();
    await one.locator('audio').waitFor();
    await one.getByRole('link', { name: 'd.pdf' }).waitFor();
  }
  await a.getByRole('progressbar').waitFor({ state: 'detached' });
  const progress = await a.evaluate(() => window.progress);
  assert.ok(progress.some((part) => part > 0 && part < 1), `progress: ${progress}`);
  assert.deepEqual(progress, [...progress].sort((x, y) => x - y));
});

test('days are told apart', async () => {
  const order = await newOrder();
  await write(order, 'long ago', CLIENT, '400 days');
  await write(order, 'the day before', PERFORMER, '1 day');
  await write(order, 'now', PERFORMER);
  const a = await open(CLIENT, order);
  await message(a, 'now').waitFor();
  const lines = await a.locator('.pgpush-day').allTextContents();
  assert.equal(lines.length, 3);
  assert.match(lines[0], /^[A-Z][a-z]+ \d+, \d{4}$/);
  assert.deepEqual(lines.slice(1), ['Yesterday', 'Today']);
});

test('all of it by the keys alone', async () => {
  const [a, b] = await openBoth(await newOrder());
  const keys = a.keyboard;
  await field(a).focus();
  await keys.type('two');
  await keys.press('Shift+Enter');
  await keys.type('lines');
  await keys.press('Enter');
  await b.getByText('two\nlines').waitFor();
  await a.locator('[data-id]').waitFor();
  assert.equal(await field(a).evaluate((f) => f === document.activeElement), true);
  // Back to the message's tools.
  const isOn = (name) => a.evaluate(
    (name) => document.activeElement.getAttribute('aria-label') === name, name);
  for (let i = 0; i < 20 && !(await isOn('React')); i++) await keys.press('Shift+Tab');
  assert.equal(await isOn('React'), true);
  await keys.press('Enter');
  await a.getByRole('group', { name: 'React' }).waitFor();
  await keys.press('Escape');
  await a.getByRole('group', { name: 'React' }).waitFor({ state: 'detached' });
  assert.equal(await isOn('React'), true);
  await keys.press('Enter');
  await keys.press('Tab');
  assert.equal(await isOn('👍'), true);
  await keys.press('Enter');
  await message(b, 'lines').getByRole('button', { name: '👍, 1' }).waitFor();
  for (let i = 0; i < 20 && !(await isOn('Edit message')); i++) await keys.press('Tab');
  // A key that follows at once finds the text there.
  await a.evaluate(() => {
    window.found = new Promise((resolve) => {
      new MutationObserver(() => {
        if (document.querySelector('.pgpush-editing'))
          resolve(document.activeElement.value);
      }).observe(document.body, { subtree: true, childList: true });
    });
  });
  await keys.press('Enter');
  await a.getByText('Editing a message').waitFor();
  assert.equal(await a.evaluate(() => window.found), 'two\nlines');
  await keys.press('End');
  await keys.type(' more');
  await keys.press('Enter');
  await message(b, 'lines more').getByText('edited').waitFor();
});

/** Buttons, fields and pictures that nothing names. */
const nameless = () =>
  [...document.querySelectorAll(
    '#root button, #root input, #root textarea, #root select, #root img, #root video, #root audio',
  )].filter((e) => {
    const name = e.getAttribute('aria-label') ?? e.getAttribute('alt') ??
      e.labels?.[0]?.textContent ?? e.textContent;
    return name.trim() === '' && !(e.localName === 'img' && e.alt === '');
  }).map((e) => e.outerHTML);

/** What stands on what, by the names of the variables. */
const PAIRS = [
  ['fg', 'bg'], ['fg', 'soft'], ['fg', 'mine'], ['fg', 'theirs'],
  ['dim', 'bg'], ['dim', 'soft'], ['dim', 'mine'], ['dim', 'theirs'],
  ['accent', 'bg'], ['accent', 'mine'], ['accent', 'theirs'], ['on-accent', 'accent'],
  ['bad', 'bg'], ['bad', 'mine'], ['bad', 'soft'], ['on-bad', 'bad'],
  ['good', 'bg'], ['on-good', 'good'], ['warn', 'bg'],
  ['client', 'bg'], ['client', 'theirs'], ['performer', 'bg'],
  ['performer', 'theirs'], ['moderator', 'bg'], ['moderator', 'theirs'],
];

function contrast(one, other) {
  const light = (hex) => {
    const full = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, '$&$&') : hex;
    const [r, g, b] = [1, 3, 5].map((i) => {
      const c = parseInt(full.slice(i, i + 2), 16) / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(one), light(other)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

test('it can be read and named: contrast by day and night, names of all', async () => {
  const order = await newOrder();
  await write(order, 'something', PERFORMER);
  for (const colorScheme of ['light', 'dark']) {
    const a = await open(CLIENT, order, { bell: true, call: true }, { colorScheme });
    await message(a, 'something').waitFor();
    assert.deepEqual(await a.evaluate(nameless), []);
    const color = (name) => a.locator('.pgpush-chat').evaluate(
      (e, name) => getComputedStyle(e).getPropertyValue(name).trim(), `--_${name}`);
    for (const [one, other] of PAIRS) {
      const ratio = contrast(await color(one), await color(other));
      assert.ok(ratio >= 4.5, `${colorScheme}: ${one} on ${other} is ${ratio.toFixed(2)}`);
    }
  }
});

test('a moderator mutes in an order, too', async () => {
  const order = await newOrder();
  const [a] = await openBoth(order);
  const admin = await open(ADMIN, order, { moderates: true });
  await isStatus(admin, 'online');
  await admin.getByRole('button', { name: 'Mute Olena' }).click();
  await admin.getByLabel('For').selectOption({ label: 'for good' });
  await admin.getByRole('button', { name: 'Mute', exact: true }).last().click();
  await a.getByText('You are muted in this chat.').waitFor();
  await admin.getByRole('button', { name: 'Unmute Olena' }).click();
  await field(a).waitFor();
  // Who only says that he moderates is told that he does not.
  const liar = await open(PERFORMER, order, { moderates: true });
  await liar.getByRole('button', { name: 'Mute Olena' }).click();
  await liar.getByRole('form').getByRole('button', { name: 'Mute' }).click();
  await liar.getByRole('alert').getByText('Only an admin').waitFor();
});
