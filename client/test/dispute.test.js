// SPDX-License-Identifier: ISC
// DisputeChat: the two parties and a moderator, each in a browser context of
// his own. Each test has a dispute of its own; no message may show twice.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { until } from './lib.js';
import { ADMIN, CLIENT, PERFORMER, STRANGER } from './react/lib.js';
import {
  doubles, field, isStatus, makeStage, message, say, seesOnline, seesTyping, shown,
} from './react/stage.js';

let stage;
let api;
let proxy;
before(async () => {
  stage = await makeStage();
  ({ api, proxy } = stage);
});
after(() => stage.finish());
afterEach(() => stage.clear());

async function open(user, disputeId, props = {}, context) {
  const page = await stage.open(user, { disputeId, ...props }, context);
  await page.getByRole('log').waitFor();
  return page;
}

async function openAll(disputeId, props) {
  const pages = await Promise.all([
    open(CLIENT, disputeId, props),
    open(PERFORMER, disputeId, props),
    open(ADMIN, disputeId, { moderates: true, ...props }),
  ]);
  for (const page of pages) await isStatus(page, 'online');
  return pages;
}

const newDispute = async (reason) =>
  stage.newDispute(await stage.newOrder(), reason);
const caseStatus = (page, text) =>
  page.getByRole('status', { name: 'Status of the dispute' })
    .filter({ hasText: text }).waitFor();
const button = (page, name) => page.getByRole('button', { name });

test('three write, each is seen once by all, with who it is', async () => {
  const pages = await openAll(await newDispute());
  const [a, b, c] = pages;
  await say(a, 'once from the client');
  for (const page of pages) await message(page, 'once from the client').waitFor();
  await say(b, 'once from the performer');
  for (const page of pages) await message(page, 'once from the performer').waitFor();
  await say(c, 'once from the moderator');
  for (const page of pages) {
    await message(page, 'once from the moderator').waitFor();
    assert.deepEqual(await shown(page), [
      'once from the client', 'once from the performer', 'once from the moderator',
    ]);
    assert.deepEqual(await doubles(page), []);
    const roles = page.locator('.pgpush-message .pgpush-role');
    await until(async () =>
      (await roles.allTextContents()).join() === 'client,performer,moderator');
  }
  // He moderates it by no row, and is known by his name all the same.
  await message(a, 'once from the moderator').getByText('Iryna').waitFor();
  assert.equal(a.sockets.count, 1);
});

test('who is there: the two see the moderator from when there is one', async () => {
  const dispute = await newDispute();
  const [a, b, c] = await openAll(dispute);
  await seesOnline(a, 1);
  await seesOnline(c, 2);
  await button(c, 'Take into review').click();
  for (const page of [a, b]) {
    await seesOnline(page, 2);
    await page.getByRole('list', { name: 'In this chat' }).getByText('Iryna').waitFor();
  }
  await stage.close(c);
  for (const page of [a, b]) await page.getByText(/last seen today/).waitFor();
});

test('on the smallest phone there is room for messages', async () => {
  const dispute = await newDispute('The logo is late. '.repeat(10));
  const a = await open(CLIENT, dispute, {}, { viewport: { width: 320, height: 380 } });
  await a.getByText('Good to know').click();
  await a.getByText('A moderator reads everything').waitFor();
  await a.getByText('Good to know').click();
  const box = (locator) => locator.evaluate((e) => {
    const { top, bottom } = e.getBoundingClientRect();
    return { top, bottom };
  });
  const log = await box(a.getByRole('log'));
  assert.ok(log.bottom - log.top >= 80, `${log.bottom - log.top} pixels`);
  const composer = await box(field(a));
  assert.ok(composer.bottom <= 380, `it ends at ${composer.bottom}`);
  // Half of a usual small one, beside what the page has above it.
  await a.setViewportSize({ width: 320, height: 568 });
  const { top, bottom } = await box(a.getByRole('log'));
  assert.ok(bottom - top >= 284, `${bottom - top} pixels`);
});

test('the status is live, and a resolved dispute is closed for all', async () => {
  const dispute = await newDispute('The logo is late');
  const [a, b, c] = await openAll(dispute);
  for (const page of [a, b, c]) {
    await caseStatus(page, 'Open');
    await page.getByText('The logo is late').waitFor();
  }
  // What the two should know is there for them to read.
  for (const page of [a, b]) {
    await page.getByText('A moderator reads everything').waitFor();
    await page.getByText('Messages stay as evidence').waitFor();
    assert.equal(await button(page, /Resolve/).count(), 0);
  }
  await button(c, 'Take into review').click();
  for (const page of [a, b, c]) await caseStatus(page, 'In review');
  await button(c, 'Take into review').waitFor({ state: 'detached' });
  await button(c, 'Resolve').click();
  await c.getByText('The chat will be closed for all.').waitFor();
  await button(c, 'Cancel').click();
  await caseStatus(c, 'In review');
  await button(c, 'Resolve').click();
  await button(c, 'Resolve').click();
  for (const page of [a, b, c]) {
    await caseStatus(page, 'Resolved');
    await page.getByText('this chat is closed').waitFor();
    assert.equal(await field(page).count(), 0);
    assert.equal(await button(page, /Resolve/).count(), 0);
    assert.deepEqual(
      await page.evaluate(() => window.statuses.filter((s, i, all) => s !== all[i - 1])),
      ['open', 'in_review', 'resolved']);
  }
});

test('a status that cannot be set says why', async () => {
  const [a] = await openAll(await newDispute(), { moderates: true });
  await button(a, 'Take into review').click();
  await a.getByRole('alert').getByText('Only a moderator may').waitFor();
  await caseStatus(a, 'Open');
});

test('typing with names, of two at once; reactions of all', async () => {
  const [a, b, c] = await openAll(await newDispute());
  await field(a).fill('hel');
  await seesTyping(c, /(Olena, Taras|Taras, Olena) are typing…/, a, b);
  await field(a).press('Enter');
  await seesTyping(c, 'Taras is typing…', b);
  await message(c, 'hel').waitFor();
  for (const page of [b, c]) {
    await message(page, 'hel').getByRole('button', { name: 'React' }).click();
    await message(page, 'hel').getByRole('button', { name: '👍', exact: true }).click();
  }
  for (const page of [a, b, c])
    await message(page, 'hel').getByRole('button', { name: '👍, 2' }).waitFor();
});

test('own bubble at once, a failed one is tried again, nothing twice', async () => {
  const [a, b] = await openAll(await newDispute());
  let release;
  api.hold = new Promise((resolve) => { release = resolve; });
  await say(a, 'once held');
  await message(a, 'once held').waitFor();
  await message(b, 'once held').waitFor();
  api.hold = null;
  release();
  api.refuse = (req) => req.method === 'POST' && /messages$/.test(req.path);
  await say(a, 'once refused');
  await message(a, 'once refused').getByText('Not sent').waitFor();
  assert.equal(await message(b, 'once refused').count(), 0);
  api.refuse = () => false;
  await message(a, 'once refused').getByRole('button', { name: 'Try again' }).click();
  await message(b, 'once refused').waitFor();
  // Evidence: neither changed nor taken back.
  for (const page of [a, b]) {
    assert.deepEqual(await shown(page), ['once held', 'once refused']);
    assert.deepEqual(await doubles(page), []);
    assert.equal(await button(page, /Edit|Delete/).count(), 0);
  }
  await message(a, 'once refused').getByRole('img', { name: 'Delivered' }).waitFor();
});

test('attachments are known by their type', async () => {
  const dispute = await newDispute();
  const [a, b, c] = await openAll(dispute);
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64');
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: png },
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('text') },
  ]);
  await say(a, 'once with files');
  for (const page of [a, b, c]) {
    const one = message(page, 'once with files');
    await one.getByAltText('dot.png').waitFor();
    await one.getByRole('link', { name: 'notes.txt' }).waitFor();
  }
  // Its name says nothing of what it is.
  await stage.sql(
    `WITH m AS (INSERT INTO dispute_messages (dispute_id, sender_id, content)
                VALUES (%s, %s, 'once nameless') RETURNING id)
     INSERT INTO dispute_message_attachments
       (message_id, file_name, file_url, file_size, mime_type)
     SELECT id, 'proof', '/api/files/proof', 1, 'audio/ogg' FROM m RETURNING 1`,
    dispute, PERFORMER);
  await message(c, 'once nameless').locator('audio').waitFor();
});

test('a moderator mutes and unmutes; all see it, the muted knows why', async () => {
  const dispute = await newDispute();
  const [a, b, c] = await openAll(dispute);
  await button(c, 'Mute Olena').click();
  const form = c.getByRole('form', { name: 'Mute Olena' });
  await form.getByLabel('For').selectOption({ label: '10 minutes' });
  await form.getByLabel('Reason').fill('Be polite.');
  await form.getByRole('button', { name: 'Mute', exact: true }).click();
  await a.getByText(/You are muted in this chat until: .* Be polite\./).waitFor();
  assert.equal(await field(a).count(), 0);
  for (const page of [b, c])
    await page.getByTitle('Be polite.').filter({ hasText: /muted until/ }).waitFor();
  assert.equal(await field(b).count(), 1);
  // So it is for who comes later.
  const again = await open(CLIENT, dispute);
  await again.getByText('Be polite.').waitFor();
  await button(c, 'Unmute Olena').click();
  for (const page of [a, again]) await field(page).waitFor();
  for (const page of [b, c])
    await page.getByText('muted until').waitFor({ state: 'detached' });
  await say(a, 'once more');
  for (const page of [b, c, again]) await message(page, 'once more').waitFor();
});

test('a mute ends by itself', async () => {
  const dispute = await newDispute();
  const [a, b] = await openAll(dispute);
  await stage.sql(
    `INSERT INTO room_mutes (dispute_id, user_id, until, "by", reason)
     VALUES (%s, %s, now() + interval '1 hour', %s, 'Short.') RETURNING 1`,
    dispute, CLIENT, ADMIN);
  await a.getByText('Short.').waitFor();
  await b.getByText('muted until').waitFor();
  await stage.sql(
    `UPDATE room_mutes SET until = now() + interval '1 s'
      WHERE dispute_id = %s RETURNING 1`, dispute);
  await field(a).waitFor();
  await b.getByText('muted until').waitFor({ state: 'detached' });
});

test('a moderator removes a message, for all', async () => {
  const [a, b, c] = await openAll(await newDispute());
  await say(a, 'once rude');
  await message(b, 'once rude').waitFor();
  assert.equal(await button(message(b, 'once rude'), 'Delete').count(), 0);
  await message(c, 'once rude').getByRole('button', { name: 'Delete message' }).click();
  for (const page of [a, b, c]) await message(page, 'Message deleted').waitFor();
  assert.equal(await message(a, 'once rude').count(), 0);
});

test('messages and the status over cuts: no gap, nothing twice', async () => {
  const dispute = await newDispute();
  const [a, b, c] = await openAll(dispute);
  const all = [];
  for (let i = 0; i < 12; i++) {
    if (i % 3 === 0) proxy.cut();
    const text = `once ${String(i).padStart(2, '0')}`;
    all.push(text);
    await stage.writeInDispute(dispute, text, i % 2 ? CLIENT : PERFORMER);
    if (i === 7) {
      proxy.refusing = true;
      proxy.cut();
      await isStatus(a, 'reconnecting');
      await button(c, 'Take into review').click();
      await caseStatus(c, 'In review');
      proxy.refusing = false;
    }
  }
  for (const page of [a, b, c]) {
    await message(page, all.at(-1)).waitFor();
    assert.deepEqual(await shown(page), all);
    assert.deepEqual(await doubles(page), []);
    await caseStatus(page, 'In review');
    await isStatus(page, 'online');
  }
});

test('messages of one millisecond stand in the order they were written', async () => {
  const dispute = await newDispute();
  const a = await open(CLIENT, dispute);
  await isStatus(a, 'online');
  const all = [];
  for (let i = 1; i <= 8; i++) {
    all.push(`once ${i}`);
    await stage.sql(
      `INSERT INTO dispute_messages (dispute_id, sender_id, content, created_at)
       VALUES (%s, %s, %s, date_trunc('day', now()) + %s * interval '1 us')
       RETURNING 1`, dispute, PERFORMER, `once ${i}`, i);
  }
  const later = await open(PERFORMER, dispute);
  for (const page of [a, later]) {
    await message(page, 'once 8').waitFor();
    await until(async () => (await shown(page)).length === 8);
    assert.deepEqual(await shown(page), all);
  }
});

test('what comes below while one reads further up', async () => {
  const dispute = await newDispute();
  for (let i = 0; i < 40; i++) await stage.writeInDispute(dispute, `old ${i}`);
  const a = await open(CLIENT, dispute);
  await isStatus(a, 'online');
  await message(a, 'old 39').waitFor();
  // What was there when one came is not new.
  assert.equal(await a.getByRole('separator').count(), 0);
  const log = a.getByRole('log');
  await log.evaluate((l) => { l.scrollTop = 50; });
  await button(a, 'To the newest message').waitFor();
  await stage.writeInDispute(dispute, 'below');
  await button(a, '1 new message').click();
  await a.getByRole('separator').waitFor();
  await button(a, /new message/).waitFor({ state: 'detached' });
});

test('it opens at the other party, and at an admin, without a reload', async () => {
  const order = await stage.newOrder();
  const [a, b] = await Promise.all([
    stage.open(CLIENT, { orderId: order, disputes: true }),
    stage.open(PERFORMER, { orderId: order, disputes: true }),
  ]);
  const c = await stage.open(ADMIN, { disputes: true });
  const pages = [a, b, c];
  for (const page of pages)
    await page.waitForFunction(() => window.openDispute);
  const list = (page) => page.getByRole('list', { name: 'disputes' });
  // All of them hear it, by the order's room or by the admins'.
  const hears = (page, room) =>
    until(() => page.sockets.got.some((f) =>
      (f.type === 'joined' && f.room === room) ||
      (f.type === 'welcome' && f.rooms.includes(room))), room);
  for (const page of [a, b]) await hears(page, `order:${order}`);
  await hears(c, 'admin:notifications');
  const id = await a.evaluate(() => window.openDispute('Not as agreed', undefined));
  for (const page of pages) {
    await list(page).getByText('Not as agreed: open').waitFor();
    await page.waitForFunction(() => window.heard.length > 0);
    assert.deepEqual(await page.evaluate(() => window.heard), ['Not as agreed']);
  }
  const chat = (page) =>
    list(page).getByRole('listitem').filter({ hasText: 'Not as agreed: ' });
  await field(chat(b)).fill('once there');
  await field(chat(b)).press('Enter');
  await chat(a).getByText('once there').waitFor();
  await stage.sql(
    "UPDATE disputes SET status = 'resolved', updated_at = now() WHERE id = %s RETURNING 1", id);
  for (const page of pages)
    await list(page).getByText('Not as agreed: resolved').waitFor();
});

test('who may not see it is told so', async () => {
  const dispute = await newDispute();
  const page = await stage.open(STRANGER, { disputeId: dispute });
  await page.getByRole('alert').getByText('Access denied').waitFor();
  assert.equal(await field(page).count(), 0);
});

test('Ukrainian, on a phone', async () => {
  const dispute = await newDispute(`Довга причина ${'слово '.repeat(20)}`);
  const a = await open(CLIENT, dispute, { locale: 'uk' }, {
    viewport: { width: 360, height: 640 },
  });
  await isStatus(a, 'у мережі');
  await a.getByText('Модератор читає все').waitFor();
  await field(a).fill('Так');
  await button(a, 'Надіслати').click();
  await message(a, 'Так').getByRole('img', { name: /Надіслано|Доставлено/ }).waitFor();
  const wide = await a.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `${wide} pixels`);
});
