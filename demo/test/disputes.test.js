// SPDX-License-Identifier: ISC
// Disputes and moderation in a real browser: everything shows without a reload.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  field, message, paneOf, seesTyping, shoot, texts, useBrowser, write,
} from './browser.js';
import { request } from './lib.js';

const use = useBrowser();

async function openDispute(pane, reason) {
  await pane.getByRole('button', { name: 'Open a dispute' }).click();
  const dialog = pane.page().getByRole('dialog', { name: 'Open a dispute' });
  await dialog.getByLabel('What went wrong?').fill(reason);
  await shoot(pane.page(), 'dispute-form');
  await dialog.getByRole('button', { name: 'Open a dispute' }).click();
}

const chat = (pane) => pane.locator('.pgpush-dispute');

test('a dispute: opened, three parties, in review, resolved', async () => {
  const { w } = use;
  const [, a, b] = await use.pair();
  const admin = await use.open([w.admin], '#moderation');
  const m = paneOf(admin, 0);
  const column = (name) => m.getByRole('list', { name, exact: true });
  const card = (name) =>
    column(name).getByRole('listitem').filter({ hasText: w.order.title });

  await openDispute(a, 'Nothing was delivered');
  // It opens at the other party, and comes to the admins.
  for (const pane of [a, b])
    await chat(pane).getByText('Nothing was delivered').waitFor();
  await card('Open').getByText('Nothing was delivered').waitFor();
  await shoot(admin, 'moderation');

  await card('Open').getByRole('button', { name: 'Take into review' }).click();
  await card('In review').getByText(w.admin.name).waitFor();
  for (const pane of [a, b])
    await chat(pane).getByRole('status').getByText('In review').waitFor();
  await card('In review').getByRole('link', { name: 'Open chat' }).click();

  await write(m, 'What happened?');
  await message(a, 'What happened?').waitFor();
  await write(a, 'It is late');
  await write(b, 'It is not');
  for (const pane of [a, b, m]) {
    await message(pane, 'It is late').getByText('client').waitFor();
    await message(pane, 'It is not').getByText('performer').waitFor();
    await message(pane, 'What happened?').getByText('moderator').waitFor();
    assert.equal(await pane.locator('.pgpush-message').count(), 3);
  }
  await seesTyping(m, `${w.client.name} is typing…`, a);
  await shoot(admin, 'dispute-moderator');
  await shoot(a.page(), 'dispute');

  // Both chats of the order are one click apart.
  await b.getByRole('link', { name: 'Order chat' }).click();
  await b.getByText('No messages yet.').waitFor();
  await b.getByRole('link', { name: /^Dispute/ }).last().click();
  await message(b, 'It is late').waitFor();

  await m.getByRole('button', { name: /^Resolve/ }).click();
  await m.getByRole('button', { name: 'Resolve', exact: true }).click();
  for (const pane of [a, b, m]) {
    await pane.getByText('this chat is closed', { exact: false }).last().waitFor();
    await field(pane).waitFor({ state: 'detached' });
  }
  await m.getByRole('link', { name: /^Moderation/ }).click();
  await card('Resolved').waitFor();
});

test('a dispute comes to the moderation without a look at it', async () => {
  const { w } = use;
  const admin = await use.open([w.admin], `#order/${w.order.id}`);
  const count = admin.getByRole('link', { name: /^Moderation/ });
  await count.waitFor();
  const { status } = await request(
    w.performer, 'POST', `/api/orders/${w.order.id}/disputes`, {
      reason: 'Not paid for weeks',
    });
  assert.equal(status, 201);
  // He looks at that very order.
  await admin.locator('.pgpush-dispute').getByText('Not paid for weeks').waitFor();
  await count.click();
  await admin
    .getByRole('list', { name: 'Open', exact: true })
    .getByText('Not paid for weeks')
    .waitFor();
});

test('who is writing is told of a dispute, and not taken away', async () => {
  const { w } = use;
  const [, b] = await use.inOrder(w.performer);
  await field(b).fill('half a sent');
  await request(w.client, 'POST', `/api/orders/${w.order.id}/disputes`, {
    reason: 'Late',
  });
  const told = b.getByRole('alert').filter({ hasText: 'A dispute was opened: Late' });
  await told.waitFor();
  assert.equal(await field(b).inputValue(), 'half a sent');
  await told.getByRole('button', { name: 'Go to the dispute' }).click();
  await chat(b).getByText('Late').waitFor();
});

test('a mute takes effect at once, and so does its end', async () => {
  const { w } = use;
  const [page, a, b] = await use.pair();
  const [admin, m] = await use.inOrder(w.admin);
  await write(b, 'rude words');
  await message(m, 'rude words').waitFor();

  await m.getByRole('button', { name: `Mute ${w.performer.name}` }).click();
  const form = m.getByRole('form', { name: `Mute ${w.performer.name}` });
  await form.getByLabel('Reason').fill('Be polite.');
  await shoot(admin, 'mute');
  await form.getByRole('button', { name: 'Mute' }).click();
  await b.getByText(/You are muted in this chat until/).waitFor();
  await field(b).waitFor({ state: 'detached' });
  await m.getByRole('button', { name: `Unmute ${w.performer.name}` }).waitFor();
  await shoot(page, 'muted');
  const { status } = await request(
    w.performer, 'POST', `/api/orders/${w.order.id}/messages`, { content: 'x' });
  assert.equal(status, 403);
  // The other goes on.
  await write(a, 'I am not');
  await message(b, 'I am not').waitFor();

  await m.getByRole('button', { name: `Unmute ${w.performer.name}` }).click();
  await field(b).waitFor();
  await write(b, 'sorry');
  await message(a, 'sorry').waitFor();
});

test('a moderator removes a message, everywhere at once', async () => {
  const { w } = use;
  const [, a, b] = await use.pair();
  const [, m] = await use.inOrder(w.admin);
  for (const text of ['to be removed', 'to stay']) {
    await write(b, text);
    for (const pane of [a, m]) await message(pane, text).waitFor();
  }
  const victim = message(m, 'to be removed');
  await victim.hover();
  await victim.getByRole('button', { name: 'Delete message' }).click();
  for (const pane of [a, b, m]) {
    await pane.getByText('Message deleted').waitFor();
    await message(pane, 'to stay').waitFor();
    assert.deepEqual(await texts(pane), ['Message deleted', 'to stay']);
  }
});
