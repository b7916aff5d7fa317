// SPDX-License-Identifier: ISC
// The page in a real browser: what one user does is seen by the others, live
// and once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESKTOP, field, fits, isOnline, message, paneOf, PHONE, seesTyping, shoot,
  texts, useBrowser, write, writeOne,
} from './browser.js';
import { BASE, makeOrder, PNG, request, until } from './lib.js';

const use = useBrowser();
const { pool } = use;

test('one logs in by picking a user, and a reload keeps him', async () => {
  const page = await use.open([]);
  const pick = page.getByRole('button', { name: /client@demo\.test/ });
  await pick.waitFor();
  await shoot(page, 'login');
  await pick.click();
  const order = page.getByRole('link', { name: /Logo for a coffee roastery/ });
  await order.waitFor();
  await isOnline(page);
  await shoot(page, 'list');
  await order.click();
  await page.getByText('One, it goes on paper bags.').waitFor();
  await page.reload();
  await page.getByText('One, it goes on paper bags.').waitFor();
  await page.getByText('Olena Kovalenko').first().waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await pick.waitFor();
  await page.reload();
  await pick.waitFor();
});

test('client and performer side by side by one button', async () => {
  const page = await use.open([]);
  await page.getByRole('button', { name: /side by side/ }).click();
  const [a, b] = [paneOf(page, 0), paneOf(page, 1)];
  for (const pane of [a, b]) await isOnline(pane);
  await a.getByText('Olena Kovalenko').first().waitFor();
  await b.getByText('Taras Melnyk').first().waitFor();
  await page.reload();
  for (const pane of [a, b]) await isOnline(pane);
  // Each has his own place, and going back leads where one was.
  await a.getByRole('link', { name: /Logo for/ }).click();
  await b.getByRole('link', { name: /Landing page/ }).click();
  await message(b, /The texts are ready/).waitFor();
  await a.getByText('One, it goes on paper bags.').waitFor();
  await page.goBack();
  await b.getByRole('link', { name: /Landing page/ }).waitFor();
  await a.getByText('One, it goes on paper bags.').waitFor();
  await page.getByRole('button', { name: 'Two users' }).click();
  await b.waitFor({ state: 'detached' });
  await a.getByText('One, it goes on paper bags.').waitFor();
});

test('two panes see each other’s messages, each once', async () => {
  const [page, a, b] = await use.pair();
  for (const pane of [a, b]) await pane.getByText('No messages yet.').waitFor();
  for (let i = 0; i < 5; i++) {
    await writeOne(a, `from a ${i}`);
    await writeOne(b, `from b ${i}`);
  }
  const all = [0, 1, 2, 3, 4].flatMap((i) => [`from a ${i}`, `from b ${i}`]);
  for (const pane of [a, b]) {
    await message(pane, 'from a 4').waitFor();
    await message(pane, 'from b 4').waitFor();
    assert.deepEqual(await texts(pane), all);
  }
  await page.reload();
  for (const pane of [a, b]) {
    await message(pane, 'from b 4').waitFor();
    assert.deepEqual(await texts(pane), all);
  }
});

test('a row written by hand shows, too', async () => {
  const [, b] = await use.inOrder(use.w.performer);
  await pool.query(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content)
     VALUES ($1, $2, $3, 'by hand')`,
    [use.w.order.id, use.w.client.id, use.w.performer.id],
  );
  await message(b, 'by hand').waitFor();
  assert.deepEqual(await texts(b), ['by hand']);
});

test('typing, read ticks, edit and delete are seen at the other side', async () => {
  const { w } = use;
  const [page, a, b] = await use.pair();
  await write(a, 'can you hear me?');
  await message(b, 'can you hear me?').waitFor();
  await message(a, 'can you hear me?').getByLabel('Read').waitFor();

  await seesTyping(a, `${w.performer.name} is typing…`, b);
  await shoot(page, 'two-users');
  await field(b).fill('');
  await a.getByText(/is typing/).waitFor({ state: 'detached' });

  const mine = message(a, 'can you hear me?');
  await mine.hover();
  await mine.getByRole('button', { name: 'Edit message' }).click();
  await field(a).fill('do you hear me?');
  await a.getByRole('button', { name: 'Save' }).click();
  for (const pane of [a, b])
    await message(pane, 'do you hear me?').getByText('edited').waitFor();

  const edited = message(a, 'do you hear me?');
  await edited.hover();
  await edited.getByRole('button', { name: 'Delete message' }).click();
  for (const pane of [a, b]) {
    await pane.getByText('Message deleted').waitFor();
    assert.equal(await pane.locator('.pgpush-message').count(), 1);
  }
});

test('reactions come and go at both sides', async () => {
  const [, a, b] = await use.pair();
  await write(a, 'like it?');
  const there = message(b, 'like it?');
  await there.hover();
  await there.getByRole('button', { name: 'React' }).click();
  await there.getByRole('button', { name: '👍', exact: true }).click();
  for (const pane of [a, b])
    await message(pane, 'like it?').getByRole('button', { name: '👍, 1' }).waitFor();
  await message(a, 'like it?').getByRole('button', { name: '👍, 1' }).click();
  await there.getByRole('button', { name: '👍, 2' }).click();
  for (const pane of [a, b])
    await message(pane, 'like it?').getByRole('button', { name: '👍, 1' }).waitFor();
});

test('a user is online while a window is open', async () => {
  const { w } = use;
  const [, a] = await use.inOrder(w.client);
  const [page] = await use.inOrder(w.performer);
  const other = a.locator(`[data-user="${w.performer.id}"]`);
  await other.getByText('online').waitFor();
  await page.context().close();
  await other.getByText(/last seen/).waitFor();
});

test('attachments are shown at both sides', async () => {
  const { w } = use;
  const [page, a, b] = await use.pair(w.client, w.performer, {
    colorScheme: 'dark',
  });
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: PNG },
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hi') },
  ]);
  await write(a, 'two files');
  for (const pane of [a, b]) {
    const row = message(pane, 'two files');
    await row.getByRole('img', { name: 'dot.png' }).waitFor();
    await row.getByRole('link', { name: /notes\.txt/ }).waitFor();
    const wide = await row
      .getByRole('img', { name: 'dot.png' })
      .evaluate((img) => img.decode().then(() => img.naturalWidth));
    assert.equal(wide, 320);
  }
  await shoot(page, 'dark');
});

test('the bell counts what one does not look at', async () => {
  const { w } = use;
  const other = await makeOrder(pool, w, 'Another order');
  const page = await use.open([w.performer], `#order/${other.id}`);
  const bell = page.getByRole('button', { name: /^Notifications/ });
  const counts = (n) =>
    page
      .getByRole('button', {
        name: n === 0 ? 'Notifications' : `Notifications, ${n} unread`,
        exact: true,
      })
      .waitFor();
  const send = (content) =>
    request(w.client, 'POST', `/api/orders/${w.order.id}/messages`, { content });
  await counts(0);
  assert.equal((await send('elsewhere')).status, 201);
  await counts(1);
  await bell.click();
  await page.getByRole('button', { name: /New message from/ }).waitFor();
  await shoot(page, 'bell');
  await page.getByRole('button', { name: /New message from/ }).click();
  await message(page.locator('.view'), 'elsewhere').waitFor();
  await counts(0);

  // What one looks at is not counted.
  await send('here');
  await message(page.locator('.view'), 'here').waitFor();
  await until(async () => {
    const { body } = await request(w.performer, 'GET', '/api/notifications');
    return body.items.length === 2 && body.unread === 0;
  }, 'it is read');
  await counts(0);
  await pool.query(
    `INSERT INTO notifications (user_id, type, content)
     VALUES ($1, 'note', 'the last')`,
    [w.performer.id],
  );
  await counts(1);
});

test('the status of an order changes at the other side, in the list, too', async () => {
  const { w } = use;
  const page = await use.open(
    [w.client, w.performer],
    `#;order/${w.order.id}`,
  );
  const [a, b] = [paneOf(page, 0), paneOf(page, 1)];
  const row = a.getByRole('link', { name: w.order.title });
  await row.getByText('in progress').waitFor();
  await b.getByLabel('Order status').selectOption('completed');
  await row.getByText('completed').waitFor();
  await row.click();
  await b.getByLabel('Order status').selectOption('cancelled');
  await until(
    async () => (await a.getByLabel('Order status').inputValue()) === 'cancelled',
    'the status at the other side',
  );
});

test('nothing is lost and nothing is double across a cut', async () => {
  const { w } = use;
  const [, a] = await use.inOrder(w.client);
  const [page, b] = await use.inOrder(w.performer);
  await write(a, 'before');
  await message(b, 'before').waitFor();

  await page.context().setOffline(true);
  await page.evaluate(() => window.sockets.at(-1).close());
  await b.locator('.connection:not([data-status="online"])').waitFor();
  for (const text of ['during 1', 'during 2']) await writeOne(a, text);
  await page.context().setOffline(false);
  await isOnline(b);
  await write(a, 'after');
  await message(b, 'after').waitFor();
  assert.deepEqual(await texts(b), ['before', 'during 1', 'during 2', 'after']);
});

test('who disconnects gets what he missed when he connects', async () => {
  const [, a, b] = await use.pair();
  await b.getByRole('button', { name: /^Disconnect/ }).click();
  await b.getByRole('status').getByText('not connected').waitFor();
  await writeOne(a, 'missed');
  assert.deepEqual(await texts(b), []);
  await b.getByRole('button', { name: 'Connect', exact: true }).click();
  await message(b, 'missed').waitFor();
  await write(b, 'seen');
  await message(a, 'seen').waitFor();
  assert.deepEqual(await texts(b), ['missed', 'seen']);
});

test('a stranger sees nothing of others', async () => {
  const { w } = use;
  const page = await use.open([w.stranger], `#order/${w.order.id}`);
  await page.getByText('There is no such conversation').waitFor();
  await page.getByRole('button', { name: 'Events', exact: true }).click();
  const { body: dispute } = await request(
    w.client, 'POST', `/api/orders/${w.order.id}/disputes`, { reason: 'late' });
  await page.evaluate((id) => {
    location.hash = `dispute/${id}`;
  }, dispute.id);
  await page.getByRole('alert').getByText('Access denied to this dispute').waitFor();
  await page.getByRole('link').first().waitFor({ state: 'detached' });

  await request(w.client, 'POST', `/api/orders/${w.order.id}/messages`, {
    content: 'secret',
  });
  // Written after all that, so that it has come when this has.
  await pool.query(
    `INSERT INTO notifications (user_id, type, content)
     VALUES ($1, 'note', 'yours')`,
    [w.stranger.id],
  );
  const wire = page.locator('.wire li');
  await wire.filter({ hasText: 'notification' }).first().waitFor();
  const rooms = new Set(await wire.locator('.room').allTextContents());
  // The refusal is for this connection alone.
  rooms.delete('this connection');
  assert.deepEqual([...rooms], [`user:${w.stranger.id}`]);
});

test('the inspector shows room, id, size and latency', async () => {
  const { w } = use;
  const [page, a, b] = await use.pair();
  await page.getByRole('button', { name: 'Events', exact: true }).click();
  const inspector = page.getByRole('complementary', { name: 'Event inspector' });
  const of = (event) => inspector.locator(`[data-event="${event}"]`);

  await write(a, 'look at me');
  await message(b, 'look at me').waitFor();
  await field(b).pressSequentially('I');
  const row = of('order_message').first();
  await row.waitFor();
  // Once in each pane.
  await until(async () => (await of('order_message').count()) === 2, 'both');
  assert.equal(await row.locator('.room').textContent(), `order:${w.order.id}`);
  const { rows } = await pool.query(
    `SELECT id, at FROM pgpush.log
      WHERE room = $1 AND event = 'order_message'`,
    [`order:${w.order.id}`],
  );
  assert.match(await row.locator('.id').textContent(), new RegExp(`${rows[0].id}$`));
  assert.match(await row.locator('.size').textContent(), /^\d+ B$/);
  await row.locator('.latency', { hasText: /\d+ ms$/ }).waitFor();
  const latency = Number(/(\d+) ms/.exec(await row.locator('.latency').textContent())[1]);
  assert.ok(latency < 60_000, `${latency} ms`);

  const typing = of('order_typing').first();
  await typing.getByText('ephemeral').waitFor();
  await shoot(page, 'inspector');

  await row.locator('summary').click();
  await row.locator('pre', { hasText: '"content": "look at me"' }).waitFor();

  await inspector.getByLabel('Filter events').fill('order_typing');
  await of('order_message').first().waitFor({ state: 'detached' });
  await typing.waitFor();
  await inspector.getByLabel('Filter events').fill('');

  await inspector.getByRole('button', { name: 'Pause' }).click();
  const before = await inspector.locator('.wire li').count();
  await write(a, 'unseen');
  await message(b, 'unseen').waitFor();
  const resume = inspector.getByRole('button', { name: /^Resume \(\d+ new\)/ });
  await resume.waitFor();
  assert.equal(await inspector.locator('.wire li').count(), before);
  await resume.click();
  await inspector.locator('li', { hasText: 'order_message' }).nth(2).waitFor();
  await inspector.getByRole('button', { name: 'Clear' }).click();
  await of('order_message').first().waitFor({ state: 'detached' });

  await inspector.getByLabel('Filter events').press('Escape');
  await inspector.waitFor({ state: 'detached' });
  const focused = await page.evaluate(() => document.activeElement.ariaLabel);
  assert.equal(focused, 'Events');
});

test('on a phone everything is within reach', async () => {
  const { w } = use;
  const [, b] = await use.inOrder(w.performer);
  const page = await use.open([w.client], '', { viewport: PHONE });
  const a = paneOf(page, 0);
  await fits(page);
  await page.getByRole('link', { name: w.order.title }).click();
  // The link that had the focus is gone.
  await page.locator('h1:focus').waitFor();
  await a.getByLabel('Attach files').setInputFiles([
    { name: 'dot.png', mimeType: 'image/png', buffer: PNG },
  ]);
  await write(a, 'A first sketch, and a sentence long enough to need two lines');
  await message(b, /A first sketch/).waitFor();
  await write(b, 'Looks good');
  await message(a, 'Looks good').waitFor();
  await seesTyping(a, /is typing/, b);
  await shoot(page, 'order');
  assert.equal(await a.locator('.list').isVisible(), false);

  await page.getByRole('button', { name: 'Back to the list' }).click();
  await page.getByRole('link', { name: w.order.title }).waitFor();
  assert.equal(await a.locator('.view').isVisible(), false);

  // The second user is behind a tab, and hears all the same.
  await page.getByRole('button', { name: 'Two users' }).click();
  await page.getByRole('button', { name: 'User 2' }).click();
  assert.equal(await a.isVisible(), false);
  await paneOf(page, 1).getByRole('button', { name: /admin@demo\.test/ }).click();
  await isOnline(paneOf(page, 1));
  await page.getByRole('button', { name: w.client.name }).click();
  await page.getByRole('link', { name: w.order.title }).waitFor();
  await page.getByRole('button', { name: 'Events', exact: true }).click();
  await fits(page);
  await page.getByRole('button', { name: 'Close the inspector' }).click();
  await page.getByRole('button', { name: 'Українська' }).click();
  await page.getByText('Замовлення').first().waitFor();
  await fits(page);
});

test('in Ukrainian', async () => {
  const { w } = use;
  const page = await use.open([w.client, w.performer], `#;order/${w.order.id}`, {
    locale: 'uk',
  });
  const [a, b] = [paneOf(page, 0), paneOf(page, 1)];
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'uk');
  await a.getByRole('heading', { name: 'Замовлення' }).waitFor();
  await a.getByRole('link', { name: w.order.title }).click();
  await b.getByRole('textbox', { name: 'Повідомлення' }).fill('Вітаю!');
  await b.getByRole('button', { name: 'Надіслати' }).click();
  await message(a, 'Вітаю!').waitFor();
  await page.getByRole('button', { name: 'Події' }).click();
  await page.getByRole('complementary', { name: 'Інспектор подій' }).waitFor();
  await shoot(page, 'ukrainian');
  // The choice outlives a reload, and can be taken back.
  await page.getByRole('button', { name: 'English' }).click();
  await page.reload();
  await a.getByRole('button', { name: 'Send' }).waitFor();
});

test('by keyboard alone', async () => {
  const page = await use.open([], '', { viewport: DESKTOP });
  const press = async (locator, key) => {
    await locator.focus();
    await page.keyboard.press(key);
  };
  const pick = page.getByRole('button', { name: /client@demo\.test/ });
  await pick.waitFor();
  // Tab reaches it.
  await until(async () => {
    await page.keyboard.press('Tab');
    return pick.evaluate((node) => node === document.activeElement);
  }, 'the focus comes to the user');
  await page.keyboard.press('Enter');
  await press(page.getByRole('link', { name: /Landing page/ }), 'Enter');
  await press(page.getByRole('button', { name: 'Open a dispute' }), 'Enter');
  const dialog = page.getByRole('dialog', { name: 'Open a dispute' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await press(page.getByRole('button', { name: 'Log out' }), 'Enter');
  await pick.waitFor();
});

test('where nothing connects the page asks again and again', async () => {
  const { w } = use;
  const page = await use.open([]);
  await page.routeWebSocket('**/ws', (socket) => socket.close());
  await page.route('**/events*', (route) => route.abort());
  await page.evaluate(({ token, ...user }) => {
    sessionStorage.setItem('pgpush-demo.0', JSON.stringify({ token, user }));
  }, w.client);
  await page.goto(`${BASE}/#order/${w.order.id}`);
  await page.reload();
  await page
    .locator('.connection[data-status="polling"]')
    .waitFor({ state: 'attached' });
  const view = page.locator('.view');
  for (const content of ['polled', 'polled again']) {
    await request(w.performer, 'POST', `/api/orders/${w.order.id}/messages`, { content });
    await message(view, content).waitFor();
  }
  await page.getByRole('button', { name: /^Notifications, \d unread/ }).waitFor();
  await write(view, 'written all the same');
  await view.locator('[data-id]', { hasText: 'written all the same' }).waitFor();
  const status = page.getByRole('combobox', { name: 'Order status' });
  await request(w.performer, 'PATCH', `/api/orders/${w.order.id}/status`, {
    status: 'completed',
  });
  await until(async () => (await status.inputValue()) === 'completed', 'status');
});

test('the smallest phone and the longest name', async () => {
  const { w } = use;
  const name = 'Wolfeschlegelsteinhausenbergerdorffoundation';
  await pool.query('UPDATE users SET name = $2 WHERE id = $1', [
    w.performer.id,
    name,
  ]);
  const [page, pane] = await use.inOrder(w.client, {
    viewport: { width: 320, height: 568 },
  });
  await request(w.performer, 'POST', `/api/orders/${w.order.id}/messages`, {
    content: 'a message',
  });
  await message(pane, 'a message').waitFor();
  await pane.locator('.pgpush-people').getByText(name).waitFor();
  await fits(page);
  const log = await pane.getByRole('log').boundingBox();
  assert.ok(log.height >= 80, `${log.height} pixels`);
  const composer = await field(pane).boundingBox();
  assert.ok(composer.y + composer.height <= 568, `${composer.y} and below`);
});
