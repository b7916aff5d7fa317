// SPDX-License-Identifier: ISC
// Connection state recovery from the database, as the unmodified client does it.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import {
  CLIENT, ORDER, ORDER2, PERFORMER, TRANSPORTS,
  all, ask, closeSockets, finishWorlds, heard, makeWorld, open, until,
} from './world.js';

let w;
before(async () => {
  w = await makeWorld({ kind: 'market' });
});
afterEach(closeSockets);
after(finishWorlds);

const RANGE = (n) => Array.from({ length: n }, (_, i) => i);

async function inOrder(user, options, order = ORDER) {
  const socket = await w.client(user, options);
  socket.emit('join_order_chat', { orderId: order });
  await heard(socket, 'joined_order_chat');
  return socket;
}

/** Cut the transport without a goodbye; it comes back by itself. */
const cut = (socket) => socket.io.engine.close();
const back = (socket, n = 2) => heard(socket, 'connect', n);
const count = (room, from, to) =>
  w.sql(`SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', n))
           FROM generate_series(%s, %s) n`, room, from, to);
const numbers = (socket) => all(socket, 'n').map((d) => d.n);

for (const transports of TRANSPORTS)
  test(`${transports}: what was missed comes before connect, in order, once`, async () => {
    const witness = await w.client(CLIENT);
    const socket = await inOrder(CLIENT, { transports });
    const { id } = socket;
    await count(`order:${ORDER}`, 0, 2);
    await heard(socket, 'n', 3);
    socket.io.reconnection(false);
    cut(socket);
    await heard(socket, 'disconnect');
    await count(`order:${ORDER}`, 3, 5);
    await count(`user:${CLIENT}`, 6, 7);
    await until(() => numbers(witness).includes(7), 'the daemon has them');
    socket.io.reconnection(true);
    socket.connect();
    await back(socket);
    assert.equal(socket.recovered, true);
    assert.equal(socket.id, id);
    const names = socket.heard.map(([name]) => name);
    assert.deepEqual(names.slice(names.indexOf('disconnect')),
      ['disconnect', 'n', 'n', 'n', 'n', 'n', 'connect']);
    await count(`order:${ORDER}`, 8, 8);
    await heard(socket, 'n', 9);
    assert.deepEqual(numbers(socket), RANGE(9));
    const answer = await ask(socket, 'mark_messages_read', { orderId: ORDER });
    assert.equal(answer.ok, true);
  });

test('without any event before the cut it recovers too', async () => {
  const socket = await w.client(CLIENT);
  socket.io.reconnection(false);
  cut(socket);
  await heard(socket, 'disconnect');
  await count(`user:${CLIENT}`, 0, 1);
  socket.connect();
  await back(socket);
  assert.equal(socket.recovered, true);
  await heard(socket, 'n', 2);
  assert.deepEqual(numbers(socket), [0, 1]);
});

test('an event whose data is a string does not become the offset', async () => {
  const socket = await w.client(CLIENT);
  await w.emit(`user:${CLIENT}`, 'word', 'hello');
  await w.signal(`user:${CLIENT}`, 'blip', 'hello');
  assert.deepEqual((await heard(socket, 'word'))[0], 'hello');
  assert.deepEqual((await heard(socket, 'blip'))[0], 'hello');
  cut(socket);
  await back(socket);
  assert.equal(socket.recovered, true);
  await w.emit(`user:${CLIENT}`, 'end', {});
  await heard(socket, 'end');
  assert.equal(all(socket, 'word').length, 1);
});

test('a restart of the daemon, and one by kill -9', async () => {
  const socket = await inOrder(CLIENT);
  const { id } = socket;
  for (const [n, how] of [[2, 'stop'], [3, 'kill']]) {
    await count(`order:${ORDER}`, n * 10, n * 10);
    await until(() => numbers(socket).includes(n * 10));
    await w.does(how);
    await count(`order:${ORDER}`, n * 10 + 1, n * 10 + 1);
    await w.does('start');
    await back(socket, n);
    assert.equal(socket.recovered, true, how);
    assert.equal(socket.id, id);
    await until(() => numbers(socket).includes(n * 10 + 1));
  }
  assert.deepEqual(numbers(socket), [20, 21, 30, 31]);
});

test('kill -9 right after a join never recovers outside the room', async () => {
  for (let i = 0; i < 10; i++) {
    const socket = await w.client(CLIENT);
    socket.emit('join_order_chat', { orderId: ORDER });
    // At any moment between the call and after the answer.
    if (i % 2) await heard(socket, 'joined_order_chat');
    else await new Promise((resolve) => setTimeout(resolve, i * 3));
    const joined = all(socket, 'joined_order_chat').length > 0;
    await w.does('kill');
    await w.does('start');
    await back(socket);
    if (socket.recovered && joined) {
      await w.emit(`order:${ORDER}`, `tag${i}`, {});
      await heard(socket, `tag${i}`);
    }
    socket.disconnect();
  }
});

test('after a goodbye there is nothing to recover', async () => {
  const socket = await w.client(CLIENT);
  const { id } = socket;
  socket.disconnect();
  await until(async () => (await w.root(
    'SELECT count(*) FROM pgpush.sockets WHERE session = %s', id))[0][0] === 0);
  socket.connect();
  await back(socket);
  assert.equal(socket.recovered, false);
  assert.notEqual(socket.id, id);
});

test('another user with the pid begins afresh', async () => {
  const socket = await inOrder(CLIENT);
  socket.auth = { token: await w.token(PERFORMER) };
  cut(socket);
  await back(socket);
  assert.equal(socket.recovered, false);
  await w.emit(`order:${ORDER}`, 'secret', {});
  await w.emit(`user:${PERFORMER}`, 'end', {});
  await heard(socket, 'end');
  assert.deepEqual(all(socket, 'secret'), []);
});

test('a room that the user may not enter any more: afresh, without the room', async () => {
  const [[order]] = await w.api(
    `INSERT INTO orders (client_id, performer_id, title, status)
     VALUES (%s, %s, 'x', 'open') RETURNING id`, CLIENT, PERFORMER);
  const socket = await inOrder(PERFORMER, {}, order);
  socket.io.reconnection(false);
  cut(socket);
  await heard(socket, 'disconnect');
  await w.api('UPDATE orders SET performer_id = NULL WHERE id = %s', order);
  await w.emit(`order:${order}`, 'secret', {});
  socket.connect();
  await back(socket);
  assert.equal(socket.recovered, false);
  await w.emit(`order:${order}`, 'secret', {});
  await w.emit(`user:${PERFORMER}`, 'end', {});
  await heard(socket, 'end');
  assert.deepEqual(all(socket, 'secret'), []);
});

test('an offset that cannot be read: afresh', async () => {
  const socket = await w.client(CLIENT);
  await w.emit(`user:${CLIENT}`, 'a', {});
  await heard(socket, 'a');
  socket._lastOffset = 'nonsense';
  cut(socket);
  await back(socket);
  assert.equal(socket.recovered, false);
});

test('more than recovery_max events, or an offset below the floor: afresh', async () => {
  const own = await makeWorld({ kind: 'market', settings: { recovery_max: '5' } });
  const socket = open(own, { auth: { token: await own.token(CLIENT) } });
  await heard(socket, 'connect');
  const witness = await own.client(CLIENT);
  let seen = 0;
  const miss = async (n) => {
    socket.io.reconnection(false);
    cut(socket);
    const cuts = all(socket, 'disconnect').length;
    await until(() => !socket.connected);
    await own.sql(`SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', n))
      FROM generate_series(1, %s) n`, `user:${CLIENT}`, n);
    seen += n;
    await until(() => numbers(witness).length === seen, 'the daemon has them');
    socket.connect();
    await back(socket, cuts + 1);
  };
  await miss(5);
  assert.equal(socket.recovered, true);
  assert.equal(numbers(socket).length, 5);
  await miss(6);
  assert.equal(socket.recovered, false);
  assert.equal(numbers(socket).length, 5);
  await own.emit(`user:${CLIENT}`, 'live', {});
  await heard(socket, 'live');
});

test('recovery can be left out by a client, and by the setting', async () => {
  const plain = async (world, auth, query) => {
    const args = [];
    const socket = open(world, {
      auth: { token: await world.token(CLIENT), ...auth }, query });
    socket.on('a', (...all) => args.push(all));
    await heard(socket, 'connect');
    await world.emit(`user:${CLIENT}`, 'a', { x: 1 });
    await heard(socket, 'a');
    cut(socket);
    await back(socket);
    assert.ok(!socket.recovered);
    return args[0].length;
  };
  assert.equal(await plain(w, { recovery: false }), 1);
  assert.equal(await plain(w, {}, { recovery: 'no' }), 1);
  const own = await makeWorld({ kind: 'market', settings: { recovery_window: '0' } });
  assert.equal(await plain(own, {}), 1);
});

test('a leave that was written is not undone by a recovery', async () => {
  const socket = await inOrder(CLIENT);
  await ask(socket, 'leave_order_chat', { orderId: ORDER });
  await until(async () => {
    const [[rooms]] = await w.root(
      'SELECT rooms::text FROM pgpush.sockets WHERE session = %s', socket.id);
    return !rooms.includes('order:');
  });
  cut(socket);
  await back(socket);
  assert.equal(socket.recovered, true);
  await w.emit(`order:${ORDER}`, 'later', {});
  await w.emit(`user:${CLIENT}`, 'end', {});
  await heard(socket, 'end');
  assert.deepEqual(all(socket, 'later'), []);
});

test('a rejoin of a room that is kept writes nothing', async () => {
  const socket = await inOrder(CLIENT);
  const row = () => w.root(
    'SELECT xmin::text FROM pgpush.sockets WHERE session = %s', socket.id);
  const before = await row();
  for (let i = 0; i < 50; i++) {
    socket.emit('leave_order_chat', { orderId: ORDER });
    socket.emit('join_order_chat', { orderId: ORDER });
  }
  await heard(socket, 'joined_order_chat', 51);
  assert.deepEqual(await row(), before);
});
