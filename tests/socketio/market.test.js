// SPDX-License-Identifier: ISC
// The marketplace's contract over Socket.IO: every event from the server with
// its receivers, every event from the client with its answer.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  ADMIN, CLIENT, DISPUTE, MODERATOR, ORDER, ORDER2, PACKAGES, PERFORMER, STRANGER, TRANSPORTS,
  all, ask, closeSockets, finishWorlds, heard, makeWorld, open, until,
} from './world.js';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
let w;
before(async () => {
  w = await makeWorld({ kind: 'market' });
});
afterEach(closeSockets);
after(finishWorlds);

/** It hears nothing of that name: shown by an event to its own room behind. */
async function nothing(socket, user, event) {
  const tag = `tag-${Math.random()}`;
  await w.emit(`user:${user}`, tag, {});
  await heard(socket, tag);
  assert.deepEqual(all(socket, event), []);
}

async function inOrder(user, order = ORDER, options) {
  const socket = await w.client(user, options);
  socket.emit('join_order_chat', { orderId: order });
  assert.deepEqual((await heard(socket, 'joined_order_chat'))[0], { orderId: order });
  return socket;
}

async function inDispute(user) {
  const socket = await w.client(user);
  socket.emit('join_dispute_chat', { disputeId: DISPUTE });
  assert.deepEqual((await heard(socket, 'joined_dispute_chat'))[0], { disputeId: DISPUTE });
  return socket;
}

async function insertMessage(content = 'hello', sender = CLIENT, receiver = PERFORMER) {
  const [[id]] = await w.api(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content)
     VALUES (%s, %s, %s, %s) RETURNING id`, ORDER, sender, receiver, content);
  return id;
}

const notify = (user, related) =>
  w.api(
    `INSERT INTO notifications (user_id, type, content, related_id)
     VALUES (%s, 'message', 'You have a message', %s) RETURNING id`, user, related);

for (const [version, io] of Object.entries(PACKAGES))
  for (const transports of TRANSPORTS)
    test(`client ${version} over ${transports}: connects, joins, hears, is acked`, async () => {
      const socket = await inOrder(CLIENT, ORDER, { io, transports });
      assert.equal(typeof socket.id, 'string');
      if (transports.length > 1)
        await until(() => socket.io.engine.transport.name === 'websocket', 'the upgrade');
      const other = await inOrder(PERFORMER, ORDER, { io, transports });
      socket.emit('order_typing', { orderId: ORDER, isTyping: true });
      assert.deepEqual((await heard(other, 'order_typing'))[0],
        { orderId: ORDER, userId: CLIENT, isTyping: true });
      const answer = await ask(socket, 'mark_messages_read', { orderId: ORDER });
      assert.equal(answer.ok, true);
      const id = await insertMessage('a €');
      await notify(PERFORMER, ORDER);
      for (const s of [socket, other]) {
        const [data] = await heard(s, 'order_message');
        assert.equal(data.messageId, id);
        assert.equal(data.content, 'a €');
        assert.match(data.createdAt, TIME);
      }
    });

for (const [what, auth, message, code] of [
  ['no token', {}, 'Authentication error: No token provided', 'unauthorized'],
  ['a token that is none', { token: 'x' }, 'Authentication error: Invalid token', 'unauthorized'],
  ['a token that is no string', { token: 5 }, 'Authentication error: No token provided',
    'unauthorized'],
])
  test(`connect: ${what} is refused with its text`, async () => {
    const socket = open(w, { auth });
    const [error] = await heard(socket, 'connect_error');
    assert.equal(error.message, message);
    assert.deepEqual(error.data, { code });
    assert.equal(socket.connected, false);
  });

test('connect: a user that is not in the table is refused with its text', async () => {
  const token = await w.token('99999999-0000-4000-8000-000000000001');
  const [error] = await heard(open(w, { auth: { token } }), 'connect_error');
  assert.equal(error.message, 'Authentication error: User not found');
});

test('connect: an expired token is refused', async () => {
  const token = await w.token(CLIENT, -3600);
  const [error] = await heard(open(w, { auth: { token } }), 'connect_error');
  assert.equal(error.message, 'Authentication error: Invalid token');
});

test('connect: the token may come as a header, or in the query', async () => {
  const token = await w.token(CLIENT);
  for (const how of [
    { extraHeaders: { Authorization: `Bearer ${token}` } },
    { query: { token } },
  ])
    for (const transports of TRANSPORTS)
      await heard(open(w, { transports, ...how }), 'connect');
});

test('join_order_chat: the answers of those who may and may not', async () => {
  for (const user of [CLIENT, PERFORMER, ADMIN]) (await inOrder(user)).disconnect();
  const socket = await w.client(STRANGER);
  for (const [data, message] of [
    [{ orderId: ORDER }, 'Access denied to this order chat'],
    [{ orderId: '29999999-0000-4000-8000-000000000001' }, 'Order not found'],
    [{ orderId: 'x' }, 'Failed to join order chat'],
    [undefined, 'Failed to join order chat'],
  ]) {
    const n = all(socket, 'error').length;
    if (data === undefined) socket.emit('join_order_chat');
    else socket.emit('join_order_chat', data);
    assert.deepEqual((await heard(socket, 'error', n + 1))[0], { message });
  }
  const refused = await ask(socket, 'join_order_chat', { orderId: ORDER });
  assert.equal(refused.ok, false);
  assert.equal(refused.error.message, 'Access denied to this order chat');
});

test('join_dispute_chat: the answers of those who may and may not', async () => {
  for (const user of [CLIENT, PERFORMER, ADMIN, MODERATOR]) (await inDispute(user)).disconnect();
  const socket = await w.client(STRANGER);
  for (const [data, message] of [
    [{ disputeId: DISPUTE }, 'Access denied to this dispute chat'],
    [{ disputeId: '39999999-0000-4000-8000-000000000001' }, 'Dispute not found'],
    [{ disputeId: 'x' }, 'Failed to join dispute chat'],
  ]) {
    const n = all(socket, 'error').length;
    socket.emit('join_dispute_chat', data);
    assert.deepEqual((await heard(socket, 'error', n + 1))[0], { message });
  }
});

test('order_message: with attachments, to all in the room', async () => {
  const sockets = [await inOrder(CLIENT), await inOrder(PERFORMER), await inOrder(ADMIN)];
  const outside = await w.client(STRANGER);
  const id = await insertMessage();
  const [[file]] = await w.api(
    `INSERT INTO message_attachments (message_id, file_url, file_name, file_size, file_type)
     VALUES (%s, '/files/a.png', 'a.png', 10, 'image/png') RETURNING id`, id);
  await notify(PERFORMER, ORDER);
  for (const socket of sockets) {
    const [data] = await heard(socket, 'order_message');
    assert.match(data.createdAt, TIME);
    assert.deepEqual({ ...data, createdAt: '' }, {
      orderId: ORDER, messageId: id, senderId: CLIENT, receiverId: PERFORMER, content: 'hello',
      attachments: [{ id: file, fileUrl: '/files/a.png', fileName: 'a.png' }], createdAt: '',
    });
  }
  await nothing(outside, STRANGER, 'order_message');
});

test('message_edit and message_delete', async () => {
  const socket = await inOrder(PERFORMER);
  const id = await insertMessage();
  await heard(socket, 'order_message');
  await w.api('UPDATE messages SET content = %s, edited = true WHERE id = %s', 'new', id);
  const [edit] = await heard(socket, 'message_edit');
  assert.equal(edit.content, 'new');
  assert.equal(edit.edited, true);
  assert.match(edit.updatedAt, TIME);
  await w.api('UPDATE messages SET deleted = true WHERE id = %s', id);
  assert.deepEqual((await heard(socket, 'message_delete'))[0],
    { orderId: ORDER, messageId: id, senderId: CLIENT, receiverId: PERFORMER });
  await nothing(socket, PERFORMER, 'none');
  assert.equal(all(socket, 'message_edit').length, 1);
});

test('messages_read: to the room without the reader’s own socket', async () => {
  const reader = await inOrder(PERFORMER);
  const second = await inOrder(PERFORMER);
  const sender = await inOrder(CLIENT);
  await insertMessage();
  reader.emit('mark_messages_read', { orderId: ORDER });
  for (const socket of [sender, second]) {
    const [data] = await heard(socket, 'messages_read');
    assert.equal(data.orderId, ORDER);
    assert.equal(data.readBy, PERFORMER);
    assert.match(data.readAt, TIME);
  }
  await nothing(reader, PERFORMER, 'messages_read');
});

test('typing: without the sender, and false when its socket goes', async () => {
  const typing = await inOrder(CLIENT);
  const other = await inOrder(PERFORMER);
  typing.emit('order_typing', { orderId: ORDER, isTyping: true });
  assert.equal((await heard(other, 'order_typing'))[0].isTyping, true);
  await nothing(typing, CLIENT, 'order_typing');
  typing.disconnect();
  assert.deepEqual((await heard(other, 'order_typing', 2))[0],
    { orderId: ORDER, userId: CLIENT, isTyping: false });
});

test('typing of a socket that is not in the room reaches nobody', async () => {
  const other = await inOrder(PERFORMER);
  const outside = await w.client(STRANGER);
  const answer = await ask(outside, 'order_typing', { orderId: ORDER, isTyping: true });
  assert.equal(answer.ok, false);
  assert.equal(answer.error.code, 'forbidden');
  await nothing(other, PERFORMER, 'order_typing');
});

test('order_status_update', async () => {
  const socket = await inOrder(CLIENT, ORDER2);
  await w.api(
    `INSERT INTO order_status_history (order_id, status, changed_by)
     VALUES (%s, 'completed', %s)`, ORDER2, PERFORMER);
  const [data] = await heard(socket, 'order_status_update');
  assert.match(data.updatedAt, TIME);
  assert.deepEqual({ ...data, updatedAt: '' },
    { orderId: ORDER2, status: 'completed', updatedBy: PERFORMER, updatedAt: '' });
});

test('dispute_opened: to the order and the admins, each socket once', async () => {
  const admin = await inOrder(ADMIN, ORDER2);
  const [[id]] = await w.api(
    `INSERT INTO disputes (order_id, client_id, performer_id, moderator_id, reason)
     VALUES (%s, %s, %s, %s, 'late') RETURNING id`, ORDER2, CLIENT, PERFORMER, MODERATOR);
  const [data] = await heard(admin, 'dispute_opened');
  assert.equal(data.disputeId, id);
  await nothing(admin, ADMIN, 'none');
  assert.equal(all(admin, 'dispute_opened').length, 1);
});

test('dispute_message, dispute_typing and dispute_status_update', async () => {
  const a = await inDispute(MODERATOR);
  const b = await inDispute(CLIENT);
  const [[id]] = await w.api(
    `INSERT INTO dispute_messages (dispute_id, sender_id, content)
     VALUES (%s, %s, 'hello') RETURNING id`, DISPUTE, CLIENT);
  for (const socket of [a, b])
    assert.equal((await heard(socket, 'dispute_message'))[0].messageId, id);
  a.emit('dispute_typing', { disputeId: DISPUTE, isTyping: true });
  assert.deepEqual((await heard(b, 'dispute_typing'))[0],
    { disputeId: DISPUTE, userId: MODERATOR, isTyping: true });
  await w.api("UPDATE disputes SET status = 'in_review' WHERE id = %s", DISPUTE);
  const [data] = await heard(b, 'dispute_status_update');
  assert.equal(data.status, 'in_review');
  assert.equal(data.updatedBy, MODERATOR);
});

test('notification and new_notification, to the user alone', async () => {
  const socket = await w.client(PERFORMER);
  const other = await w.client(CLIENT);
  const [[id]] = await notify(PERFORMER, null);
  for (const event of ['notification', 'new_notification']) {
    const [data] = await heard(socket, event);
    assert.equal(data.id, id);
    assert.equal(data.userId, PERFORMER);
    assert.equal(data.relatedId, null);
    assert.match(data.createdAt, TIME);
  }
  await nothing(other, CLIENT, 'notification');
});

test('user_presence: to those who share an order, once for two sockets', async () => {
  const watcher = await inOrder(CLIENT);
  const online = 'SELECT count(*) FROM pgpush.presence WHERE online AND user_id = %s';
  await until(async () => (await w.root(online, PERFORMER))[0][0] === 0, 'offline before');
  watcher.heard.length = 0;
  const one = await inOrder(PERFORMER);
  await until(() => all(watcher, 'user_presence').some(
    (p) => p.userId === PERFORMER && p.isOnline), 'online');
  const two = await inOrder(PERFORMER);
  one.disconnect();
  two.disconnect();
  await until(() => all(watcher, 'user_presence').some(
    (p) => p.userId === PERFORMER && !p.isOnline && TIME.test(p.lastSeen)), 'offline');
  assert.equal(all(watcher, 'user_presence').filter(
    (p) => p.userId === PERFORMER && p.isOnline).length, 1);
});

test('leave_order_chat has no answer, and a rejoin at once loses nothing', async () => {
  const socket = await inOrder(CLIENT);
  for (let i = 0; i < 20; i++) {
    socket.emit('leave_order_chat', { orderId: ORDER });
    socket.emit('join_order_chat', { orderId: ORDER });
    if (i % 5 === 0) await w.emit(`order:${ORDER}`, 'n', { n: i / 5 });
  }
  await heard(socket, 'n', 4);
  assert.deepEqual(all(socket, 'n').map((d) => d.n), [0, 1, 2, 3]);
  socket.emit('leave_order_chat', { orderId: ORDER });
  await ask(socket, 'leave_order_chat', { orderId: ORDER });
  await w.emit(`order:${ORDER}`, 'later', {});
  await nothing(socket, CLIENT, 'later');
});

test('order_message and dispute_message from a client do nothing', async () => {
  const socket = await inOrder(CLIENT);
  socket.emit('order_message', { orderId: ORDER, content: 'x' });
  socket.emit('dispute_message', { disputeId: DISPUTE, content: 'x' });
  await nothing(socket, CLIENT, 'error');
  assert.deepEqual(all(socket, 'order_message'), []);
});

test('what comes between a leave and a rejoin is not lost', async () => {
  const socket = await inOrder(CLIENT);
  await ask(socket, 'leave_order_chat', { orderId: ORDER });
  await w.emit(`order:${ORDER}`, 'between', {});
  await w.emit(`user:${CLIENT}`, 'end', {});
  await heard(socket, 'end');
  assert.deepEqual(all(socket, 'between'), []);
  socket.emit('join_order_chat', { orderId: ORDER });
  await heard(socket, 'between');
});
