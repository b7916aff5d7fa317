// SPDX-License-Identifier: ISC
// A chat in rough conditions: access that comes and goes, senders that nobody
// knows, a thousand messages, what was written offline.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { until } from './lib.js';
import { CLIENT, PERFORMER, STRANGER } from './react/lib.js';
import {
  field, isStatus, makeStage, message, say, shown,
} from './react/stage.js';

let stage;
before(async () => {
  stage = await makeStage();
});
after(() => stage.finish());
afterEach(() => stage.clear());

const regain = { base: 100, cap: 400 };

test('access that is taken away is said, and comes back by itself', async () => {
  const orderId = await stage.newOrder();
  await stage.write(orderId, 'once before', CLIENT);
  const page = await stage.open(PERFORMER, { orderId, regain });
  await message(page, 'once before').waitFor();
  await stage.sql('UPDATE orders SET performer_id = NULL WHERE id = %s RETURNING 1', orderId);
  await page.getByText('Your access to this conversation was taken away.').waitFor();
  assert.equal(await field(page).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'React' }).count(), 0);
  await stage.sql(
    'UPDATE orders SET performer_id = %s WHERE id = %s RETURNING 1', PERFORMER, orderId);
  await field(page).waitFor();
  await say(page, 'once after');
  await page.locator('.pgpush-message[data-id]', { hasText: 'once after' }).waitFor();
});

test('a sender whom nobody knows is called unknown', async () => {
  const orderId = await stage.newOrder();
  await stage.write(orderId, 'who am I?', STRANGER);
  const page = await stage.open(CLIENT, { orderId });
  await message(page, 'who am I?').getByText('Unknown sender').waitFor();
  assert.equal(await page.getByText('Moderator').count(), 0);
});

test('a thousand messages: few are shown, each is reached, Tab passes them', async () => {
  const orderId = await stage.newOrder();
  await stage.sql(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content, created_at, read, read_at)
     SELECT %s, %s, %s, 'm' || n, now() - interval '1 day' + n * interval '1 second', true, now()
       FROM generate_series(1, 1000) n RETURNING 1`,
    orderId, PERFORMER, CLIENT);
  const page = await stage.open(CLIENT, { orderId });
  await page.getByText('m1000', { exact: true }).waitFor();
  assert.ok((await page.getByRole('article').count()) <= 60);
  // The list is one stop: from the newest message it is not far to the field.
  await page.getByRole('article').last().focus();
  let presses = 0;
  while (!(await field(page).evaluate((e) => e === document.activeElement))) {
    await page.keyboard.press('Tab');
    assert.ok(++presses < 8, `${presses} presses`);
  }
  await page.getByRole('article').last().focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  assert.match(await page.evaluate(() => document.activeElement.textContent), /m998/);
  // Up to the first one of all.
  await until(async () => {
    await page.getByRole('log').evaluate((log) => (log.scrollTop = 0));
    return (await page.getByText('m1', { exact: true }).count()) > 0;
  });
  const all = await shown(page);
  assert.deepEqual(all, Array.from({ length: 1000 }, (_, i) => `m${i + 1}`));
});

test('a message that vanished from the list goes', async () => {
  const orderId = await stage.newOrder();
  const id = await stage.write(orderId, 'once gone');
  await stage.write(orderId, 'once here');
  const page = await stage.open(CLIENT, { orderId });
  await message(page, 'once gone').waitFor();
  await stage.sql('DELETE FROM messages WHERE id = %s RETURNING 1', id);
  await stage.w.emit(`order:${orderId}`, 'resync', { bytes: 1 });
  await message(page, 'once gone').waitFor({ state: 'detached' });
  assert.deepEqual(await shown(page), ['once here']);
});

test('what was written offline is kept over a reload, and sent once', async () => {
  const orderId = await stage.newOrder();
  const context = await stage.openContext();
  const page = await stage.openPage(context, CLIENT, { orderId });
  await isStatus(page, 'online');
  stage.api.refuse = () => true;
  stage.proxy.refusing = true;
  stage.proxy.cut();
  await say(page, 'once later');
  await page.getByText('Not sent').waitFor();
  await field(page).fill('not yet sent');
  await page.close();
  stage.api.refuse = () => false;
  stage.proxy.refusing = false;
  const again = await stage.openPage(context, CLIENT, { orderId });
  await again.locator('.pgpush-message[data-id]', { hasText: 'once later' }).waitFor();
  assert.equal(await field(again).inputValue(), 'not yet sent');
  const rows = await stage.sql(
    "SELECT 1 FROM messages WHERE order_id = %s AND content = 'once later'", orderId);
  assert.equal(rows.length, 1);
});

test('one whose answer was lost is not sent again after a reload', async () => {
  const orderId = await stage.newOrder();
  const context = await stage.openContext();
  const page = await stage.openPage(context, CLIENT, { orderId });
  await isStatus(page, 'online');
  stage.proxy.refusing = true;
  stage.proxy.cut();
  stage.api.lose = (req) => req.method === 'POST';
  await say(page, 'once written');
  await page.getByText('Not sent').waitFor();
  await page.close();
  stage.api.lose = () => false;
  stage.proxy.refusing = false;
  const again = await stage.openPage(context, CLIENT, { orderId });
  await again.locator('.pgpush-message[data-id]', { hasText: 'once written' }).waitFor();
  await until(() => again.evaluate(() =>
    !Object.keys(localStorage).some((key) => key.startsWith('pgpush.outbox'))));
  const rows = await stage.sql('SELECT 1 FROM messages WHERE order_id = %s', orderId);
  assert.equal(rows.length, 1);
});
