// SPDX-License-Identifier: ISC
// Two clients of npm's ws in one order's room.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { BASE, makeWorld, openPool, request, until } from './lib.js';

const pool = openPool();
const url = `${BASE.replace('http', 'ws')}/ws`;
const sockets = [];
let w;

before(async () => {
  w = await makeWorld(pool);
});
after(async () => {
  for (const socket of sockets) socket.terminate();
  await pool.end();
});

/** Connected, authenticated and in the order's room; keeps what it hears. */
async function connect(user) {
  const socket = new WebSocket(url, 'pgpush.v1');
  sockets.push(socket);
  const heard = [];
  socket.on('message', (bytes) => heard.push(JSON.parse(bytes)));
  await once(socket, 'open');
  const say = (frame) => socket.send(JSON.stringify(frame));
  const hear = (what, check) => until(() => heard.find(check), what);

  say({ type: 'auth', token: user.token });
  await hear('welcome', (f) => f.type === 'welcome');
  const room = `order:${w.order.id}`;
  say({ type: 'join', room, ref: 'join' });
  const reply = await hear('reply to join', (f) => f.ref === 'join');
  assert.equal(reply.ok, true, JSON.stringify(reply));
  const events = (name) =>
    heard.filter((f) => f.type === 'event' && f.event === name);
  return { socket, say, hear, heard, events };
}

const isEvent = (name, check) => (f) =>
  f.type === 'event' && f.event === name && check(f.data);

test('rows committed in the database reach both clients', async () => {
  const client = await connect(w.client);
  const performer = await connect(w.performer);

  const { rows: notes } = await pool.query(
    `INSERT INTO notifications (user_id, type, content)
     VALUES ($1, 'note', 'look') RETURNING id`,
    [w.performer.id],
  );
  const note = await performer.hear(
    'the notification',
    isEvent('notification', (d) => d.id === notes[0].id),
  );
  assert.equal(note.room, `user:${w.performer.id}`);
  assert.equal(note.data.content, 'look');

  const { rows: messages } = await pool.query(
    `INSERT INTO messages (order_id, sender_id, receiver_id, content)
     VALUES ($1, $2, $3, 'by hand') RETURNING id`,
    [w.order.id, w.client.id, w.performer.id],
  );
  const ours = (d) => d.messageId === messages[0].id;
  for (const one of [client, performer]) {
    const frame = await one.hear('the message', isEvent('order_message', ours));
    assert.equal(frame.data.content, 'by hand');
    assert.equal(typeof frame.id, 'number');
  }
  assert.equal(client.events('notification').length, 0);
});

test('a message of the API comes with its attachments, once', async () => {
  const performer = await connect(w.performer);
  const upload = await request(
    w.client,
    'POST',
    '/api/attachments?name=a.txt',
    new TextEncoder().encode('text'),
    { 'Content-Type': 'text/plain' },
  );
  const sent = await request(
    w.client,
    'POST',
    `/api/orders/${w.order.id}/messages`,
    { content: 'with two', attachments: [upload.body, upload.body] },
  );
  assert.equal(sent.status, 201);
  const ours = (d) => d.messageId === sent.body.id;
  const frame = await performer.hear(
    'the message',
    isEvent('order_message', ours),
  );
  assert.equal(frame.data.attachments.length, 2);
  assert.equal(frame.data.createdAt, sent.body.createdAt);

  // What comes after is behind whatever could have come twice.
  await request(w.client, 'PUT', `/api/messages/${sent.body.id}`, {
    content: 'changed',
  });
  await performer.hear('the edit', isEvent('message_edit', ours));
  const copies = performer
    .events('order_message')
    .filter((f) => ours(f.data));
  assert.equal(copies.length, 1);
});

test('a stranger is not let in', async () => {
  const socket = new WebSocket(url, 'pgpush.v1');
  sockets.push(socket);
  const heard = [];
  socket.on('message', (bytes) => heard.push(JSON.parse(bytes)));
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'auth', token: w.stranger.token }));
  const room = `order:${w.order.id}`;
  socket.send(JSON.stringify({ type: 'join', room, ref: 1 }));
  const reply = await until(() => heard.find((f) => f.ref === 1), 'the reply');
  assert.equal(reply.ok, false);
  assert.equal(reply.error.code, 'forbidden');
});
