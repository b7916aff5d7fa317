// SPDX-License-Identifier: ISC
// Reactions, mutes and messages that are removed: what the API writes and who
// may.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { makeWorld, openPool, request } from './lib.js';

const pool = openPool();
let w;
let orders;

before(async () => {
  w = await makeWorld(pool);
  orders = `/api/orders/${w.order.id}`;
});
after(() => pool.end());

async function expectStatus(status, ...args) {
  const answer = await request(...args);
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  if (status >= 400) assert.equal(typeof answer.body.error, 'string');
  return answer.body;
}

const write = (user, status = 201) =>
  expectStatus(status, user, 'POST', `${orders}/messages`, { content: 'x' });

/** A dispute of the order, moderated by the stranger, with a message. */
async function makeDispute() {
  const opened = `${orders}/disputes`;
  const { id } = await expectStatus(201, w.client, 'POST', opened, {
    reason: 'late',
  });
  await pool.query('UPDATE disputes SET moderator_id = $2 WHERE id = $1', [
    id,
    w.stranger.id,
  ]);
  const path = `/api/disputes/${id}`;
  const list = `${path}/messages`;
  const message = await expectStatus(201, w.client, 'POST', list, {
    content: 'look',
  });
  return { path, message };
}

test('reactions are put, listed and taken back', async () => {
  const { path, message } = await makeDispute();
  const emojis = await expectStatus(200, w.client, 'GET', '/api/reactions');
  const [first, second] = emojis;
  for (const [kind, list, id] of [
    ['messages', `${orders}/messages`, (await write(w.client)).id],
    ['dispute-messages', `${path}/messages`, message.id],
  ]) {
    const url = `/api/${kind}/${id}/reactions`;
    const seen = async () =>
      (await expectStatus(200, w.client, 'GET', list)).find((m) => m.id === id)
        .reactions;
    assert.deepEqual(await seen(), []);
    for (const user of [w.performer, w.client, w.performer])
      await expectStatus(204, user, 'POST', url, { emoji: first });
    await expectStatus(204, w.admin, 'POST', url, { emoji: second });
    assert.deepEqual(await seen(), [
      { emoji: first, count: 2, userIds: [w.performer.id, w.client.id] },
      { emoji: second, count: 1, userIds: [w.admin.id] },
    ]);
    const mine = `${url}/${encodeURIComponent(first)}`;
    await expectStatus(204, w.performer, 'DELETE', mine);
    await expectStatus(404, w.performer, 'DELETE', mine);
    await expectStatus(400, w.performer, 'DELETE', `${url}/%00`);
    assert.equal((await seen())[0].count, 1);
    for (const emoji of ['<b>', '', 7, null, undefined, 'x\0'])
      await expectStatus(400, w.client, 'POST', url, { emoji });
  }
  const other = `/api/messages/${(await write(w.client)).id}/reactions`;
  await expectStatus(403, w.stranger, 'POST', other, { emoji: first });
  for (const id of [randomUUID(), 'x'])
    await expectStatus(404, w.client, 'POST', `/api/messages/${id}/reactions`, {
      emoji: first,
    });
});

test('who is muted reads and does not write', async () => {
  const mutes = `${orders}/mutes`;
  const mute = { userId: w.client.id, minutes: 5, reason: ' rude ' };
  const message = await write(w.client);
  const made = await expectStatus(201, w.admin, 'POST', mutes, mute);
  assert.deepEqual(
    [made.room, made.userId, made.by, made.reason],
    [`order:${w.order.id}`, w.client.id, w.admin.id, 'rude'],
  );
  assert.ok(Math.abs(new Date(made.until) - Date.now() - 300_000) < 60_000);

  const { error } = await write(w.client, 403);
  assert.match(error, /^You are muted in this chat until 20.* UTC$/);
  await expectStatus(403, w.client, 'PUT', `/api/messages/${message.id}`, {
    content: 'more',
  });
  const [emoji] = await expectStatus(200, w.client, 'GET', '/api/reactions');
  const reactions = `/api/messages/${message.id}/reactions`;
  await expectStatus(403, w.client, 'POST', reactions, { emoji });
  await expectStatus(200, w.client, 'GET', `${orders}/messages`);
  await expectStatus(204, w.client, 'DELETE', `/api/messages/${message.id}`);
  await write(w.performer);

  for (const user of [w.client, w.performer, w.admin])
    assert.deepEqual(await expectStatus(200, user, 'GET', mutes), [made]);
  await expectStatus(204, w.admin, 'DELETE', `${mutes}/${w.client.id}`);
  await expectStatus(404, w.admin, 'DELETE', `${mutes}/${w.client.id}`);
  assert.deepEqual(await expectStatus(200, w.client, 'GET', mutes), []);
  await write(w.client);
  const good = await expectStatus(201, w.admin, 'POST', mutes, {
    userId: w.client.id,
    minutes: null,
  });
  assert.equal(good.until, null);
  const said = await write(w.client, 403);
  assert.equal(said.error, 'You are muted in this chat');
  await expectStatus(204, w.admin, 'DELETE', `${mutes}/${w.client.id}`);
});

test('who may mute whom', async () => {
  w.order = (await makeWorld(pool)).order; // nobody's of these
  await pool.query(
    'UPDATE orders SET client_id = $2, performer_id = $3 WHERE id = $1',
    [w.order.id, w.client.id, w.performer.id],
  );
  orders = `/api/orders/${w.order.id}`;
  const { path } = await makeDispute();
  const other = (await makeWorld(pool)).order;
  for (const [status, by, over, url] of [
    [403, w.client, w.performer, orders],
    [403, w.client, w.client, orders],
    [403, w.admin, w.admin, orders],
    [201, w.stranger, w.client, orders],
    [201, w.stranger, w.performer, path],
    [403, w.stranger, w.admin, orders],
    [403, w.stranger, w.stranger, path],
    [403, w.stranger, w.client, `/api/orders/${other.id}`],
    [201, w.admin, w.stranger, path],
    [404, w.admin, { id: randomUUID() }, orders],
    [404, w.admin, w.client, `/api/orders/${randomUUID()}`],
    [404, w.admin, w.client, '/api/disputes/x'],
    [400, w.admin, { id: 'x' }, orders],
  ])
    await expectStatus(status, by, 'POST', `${url}/mutes`, {
      userId: over.id,
      minutes: 1,
    });
  for (const minutes of [undefined, 0, -1, '5', 525601, {}])
    await expectStatus(400, w.admin, 'POST', `${orders}/mutes`, {
      userId: w.client.id,
      minutes,
    });

  // What an admin has muted only an admin changes.
  const mute = { userId: w.client.id, minutes: 1 };
  await expectStatus(201, w.admin, 'POST', `${orders}/mutes`, mute);
  await expectStatus(403, w.stranger, 'POST', `${orders}/mutes`, mute);
  const url = `${orders}/mutes/${w.client.id}`;
  await expectStatus(403, w.stranger, 'DELETE', url);
  await expectStatus(403, w.client, 'DELETE', url);
  assert.equal(
    (await expectStatus(200, w.stranger, 'GET', `${orders}/mutes`)).length,
    1,
  );
  await expectStatus(204, w.admin, 'DELETE', url);
});

test('a moderator removes messages', async () => {
  const { rows } = await pool.query(
    'SELECT id FROM disputes WHERE order_id = $1',
    [w.order.id],
  );
  const list = `/api/disputes/${rows[0].id}/messages`;
  const proof = (await expectStatus(200, w.admin, 'GET', list))[0];
  const message = await write(w.client);
  for (const url of [
    `/api/messages/${message.id}/remove`,
    `/api/dispute-messages/${proof.id}/remove`,
  ]) {
    await expectStatus(403, w.client, 'POST', url);
    await expectStatus(204, w.stranger, 'POST', url);
    await expectStatus(404, w.stranger, 'POST', url);
  }
  for (const [url, id] of [
    [`${orders}/messages`, message.id],
    [list, proof.id],
  ]) {
    const shown = await expectStatus(200, w.admin, 'GET', url);
    const gone = shown.find((m) => m.id === id);
    assert.deepEqual([gone.deleted, gone.content], [true, '']);
  }
});
