// SPDX-License-Identifier: ISC
// The page in a real browser: what one user does is seen by the others, live
// and once.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { BASE, makeOrder, makeWorld, openPool, PNG, request } from './lib.js';

const SHOTS = process.env.PGPUSH_SHOTS;
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };

const pool = openPool();
let browser;
let contexts = [];
let w;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});
after(async () => {
  await browser?.close();
  await pool.end();
});
beforeEach(async () => {
  w = await makeWorld(pool);
});
afterEach(async () => {
  await Promise.all(contexts.map((c) => c.close()));
  contexts = [];
});

/** A window of its own for this user; hash is where it starts. */
async function windowOf(user, hash = '', viewport = DESKTOP) {
  const context = await browser.newContext({ viewport });
  contexts.push(context);
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (err) => page.problems.push(err.message));
  await context.addInitScript(
    (email) => sessionStorage.setItem('pgpush-demo-user', email),
    user.email,
  );
  await page.goto(`${BASE}/${hash}`);
  await page.locator('#connection[data-status="online"]').waitFor();
  return page;
}

async function inOrder(user, viewport) {
  const page = await windowOf(user, `#order/${w.order.id}`, viewport);
  await page.locator('.chat[data-live]').waitFor();
  return page;
}

const message = (page, text) =>
  page.locator('.message', { has: page.getByText(text, { exact: true }) });

async function write(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const shot = (page, name) =>
  page.screenshot({ path: path.join(SHOTS, `${name}.png`) });

function noProblems(...pages) {
  for (const page of pages) assert.deepEqual(page.problems, []);
}

test('one logs in by picking a user', async () => {
  const context = await browser.newContext({ viewport: PHONE });
  contexts.push(context);
  const page = await context.newPage();
  await page.goto(BASE);
  await page.getByRole('button', { name: /client@demo\.test/ }).waitFor();
  await shot(page, 'login-phone');
  await page.getByRole('button', { name: /client@demo\.test/ }).click();
  await page.getByRole('link', { name: /Logo for a coffee roastery/ }).waitFor();
  await page.locator('#connection[data-status="online"]').waitFor();
  await shot(page, 'list-phone');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: /client@demo\.test/ }).waitFor();
});

test('two windows see each other’s messages, each once', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);
  await a.getByText('No messages yet.').waitFor();

  for (let i = 0; i < 5; i++) {
    await write(a, `from a ${i}`);
    await message(a, `from a ${i}`).waitFor();
    await write(b, `from b ${i}`);
    await message(b, `from b ${i}`).waitFor();
  }
  for (const page of [a, b]) {
    await message(page, 'from a 4').waitFor();
    await message(page, 'from b 4').waitFor();
    const texts = await page.locator('.message .content').allTextContents();
    assert.deepEqual(
      texts,
      [0, 1, 2, 3, 4].flatMap((i) => [`from a ${i}`, `from b ${i}`]),
    );
  }
  await a.reload();
  await message(a, 'from b 4').waitFor();
  assert.equal(await a.locator('.message').count(), 10);
  noProblems(a, b);
});

test('a row written by hand shows, too', async () => {
  const b = await inOrder(w.performer);
  await pool.query(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content)
     VALUES ($1, $2, $3, 'by hand')`,
    [w.order.id, w.client.id, w.performer.id],
  );
  await message(b, 'by hand').waitFor();
  assert.equal(await b.locator('.message').count(), 1);
  noProblems(b);
});

test('typing, read ticks, edit and delete are seen at the other side', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);

  await write(a, 'can you hear me?');
  await message(b, 'can you hear me?').waitFor();
  await message(a, 'can you hear me?').getByLabel('Read').waitFor();

  await b.getByLabel('Message', { exact: true }).pressSequentially('yes');
  await a.getByText(`${w.performer.name} is typing…`).waitFor();
  await b.getByLabel('Message', { exact: true }).fill('');
  await a.getByText(/is typing/).waitFor({ state: 'detached' });

  await message(a, 'can you hear me?')
    .getByRole('button', { name: 'Edit message' })
    .click();
  await a.getByLabel('Message', { exact: true }).fill('do you hear me?');
  await a.getByRole('button', { name: 'Save' }).click();
  await message(b, 'do you hear me?').getByText('edited').waitFor();
  await message(a, 'do you hear me?').getByText('edited').waitFor();

  await message(a, 'do you hear me?')
    .getByRole('button', { name: 'Delete message' })
    .click();
  await b.getByText('Message deleted').waitFor();
  await a.getByText('Message deleted').waitFor();
  assert.equal(await b.locator('.message').count(), 1);
  noProblems(a, b);
});

test('a user is online while a window is open', async () => {
  const a = await inOrder(w.client);
  const presence = a.locator(`[data-presence="${w.performer.id}"]`);
  const b = await inOrder(w.performer);
  await a.locator('.presence[data-state="online"]').waitFor();
  assert.equal(await presence.textContent(), 'online');
  // Who comes second is told who is there.
  await b.locator('.presence[data-state="online"]').waitFor();
  await b.context().close();
  await a.locator('.presence[data-state="offline"]').waitFor();
  assert.match(await presence.getAttribute('title'), /^last seen/);
  noProblems(a);
});

test('attachments are shown at both sides', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: PNG },
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hi') },
  ]);
  await write(a, 'two files');
  for (const page of [a, b]) {
    const row = message(page, 'two files');
    await row.getByRole('img', { name: 'dot.png' }).waitFor();
    await row.getByRole('link', { name: /notes\.txt/ }).waitFor();
    const wide = await row
      .getByRole('img', { name: 'dot.png' })
      .evaluate((img) => img.decode().then(() => img.naturalWidth));
    assert.equal(wide, 320);
  }
  noProblems(a, b);
});

test('the bell counts what one does not look at', async () => {
  const other = await makeOrder(pool, w, 'Another order');
  const b = await windowOf(w.performer, `#order/${other.id}`);
  const bell = (n) =>
    b.getByRole('button', { name: `Notifications, ${n} unread` });
  await bell(0).waitFor();
  const sent = await request(
    w.client,
    'POST',
    `/api/orders/${w.order.id}/messages`,
    { content: 'elsewhere' },
  );
  assert.equal(sent.status, 201);
  await bell(1).waitFor();
  await bell(1).click();
  await shot(b, 'bell-desktop');
  await b.getByRole('button', { name: /New message from/ }).click();
  await message(b, 'elsewhere').waitFor();
  await bell(0).waitFor();

  // What one looks at is not counted.
  await request(w.client, 'POST', `/api/orders/${w.order.id}/messages`, {
    content: 'here',
  });
  await message(b, 'here').waitFor();
  await pool.query(
    `INSERT INTO notifications (user_id, type, content)
     VALUES ($1, 'note', 'the last')`,
    [w.performer.id],
  );
  await bell(1).waitFor();
  noProblems(b);
});

test('the status of an order changes at the other side', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);
  await b.getByLabel('Order status').selectOption('completed');
  await a.locator('#list').getByText('completed').waitFor();
  assert.equal(await a.getByLabel('Order status').inputValue(), 'completed');
  noProblems(a, b);
});

test('a dispute: opened, three parties, resolved', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);
  const m = await windowOf(w.admin);

  await a.getByRole('button', { name: 'Open a dispute' }).click();
  await a.getByLabel('What went wrong?').fill('Nothing was delivered');
  await a
    .getByRole('dialog')
    .getByRole('button', { name: 'Open dispute' })
    .click();
  await a.getByRole('heading', { name: `Dispute: ${w.order.title}` }).waitFor();

  // It appears at the others without a reload.
  await b.getByRole('link', { name: /Dispute open/ }).click();
  await m
    .locator('#list [data-kind="dispute"]', { hasText: w.order.title })
    .click();
  for (const page of [b, m])
    await page.getByText('Nothing was delivered').waitFor();

  await m.getByLabel('Dispute status').selectOption('in_review');
  for (const page of [a, b])
    await page.locator('#dispute-status', { hasText: 'in review' }).waitFor();

  await write(m, 'What happened?');
  await message(a, 'What happened?').waitFor();
  await write(a, 'It is late');
  await write(b, 'It is not');
  for (const page of [a, b, m]) {
    await message(page, 'It is late').locator('.role-client').waitFor();
    await message(page, 'It is not').locator('.role-performer').waitFor();
    await message(page, 'What happened?').locator('.role-admin').waitFor();
    assert.equal(await page.locator('.message').count(), 3);
  }
  await a.getByLabel('Message', { exact: true }).pressSequentially('but');
  await m.getByText(`${w.client.name} is typing…`).waitFor();
  await shot(m, 'dispute-desktop');
  await b.setViewportSize(PHONE);
  await shot(b, 'dispute-phone');

  await m.getByLabel('Dispute status').selectOption('resolved');
  for (const page of [a, b])
    await page.locator('.chat').getByText('The dispute is resolved.').waitFor();
  noProblems(a, b, m);
});

test('nothing is lost and nothing is double across a cut', async () => {
  const a = await inOrder(w.client);
  const b = await inOrder(w.performer);
  await write(a, 'before');
  await message(b, 'before').waitFor();

  await b.evaluate(() => window.demo.push.socket.close());
  await b.locator('#connection[data-status="connecting"]').waitFor();
  for (const text of ['during 1', 'during 2']) {
    await write(a, text);
    await message(a, text).waitFor();
  }
  await b.locator('#connection[data-status="online"]').waitFor();
  await write(a, 'after');
  await message(b, 'after').waitFor();
  const texts = await b.locator('.message .content').allTextContents();
  assert.deepEqual(texts, ['before', 'during 1', 'during 2', 'after']);
  noProblems(a, b);
});

test('usable on a phone and at a desk', async () => {
  const a = await inOrder(w.client, PHONE);
  const b = await inOrder(w.performer);
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: PNG },
  ]);
  await write(a, 'A first sketch, and a sentence long enough to need two lines');
  await message(b, /A first sketch/).waitFor();
  await write(b, 'Looks good');
  await message(a, 'Looks good').waitFor();
  await b.getByLabel('Message', { exact: true }).pressSequentially('and');
  await a.getByText(/is typing/).waitFor();
  await shot(a, 'order-phone');
  await shot(b, 'order-desktop');

  const width = await a.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(width, PHONE.width);
  await a.getByRole('button', { name: 'Back to the list' }).click();
  await a.getByRole('link', { name: w.order.title }).waitFor();
  assert.equal(await a.locator('#view').isVisible(), false);
  noProblems(a, b);
});
