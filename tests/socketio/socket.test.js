// SPDX-License-Identifier: ISC
// The 16 points of Engine.IO at /socket.io/, and the 16 of Socket.IO, against a
// server that answers a connection with the event auth, the event message with
// message-back, and message-with-ack with an ack; in / and /custom.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { closes, handshakes, heartbeats, upgrades } from './engine.js';
import { openLine, startPeer } from './peer.js';

const BASE = '/socket.io';
let server;
const peer = () => server;
before(async () => {
  server = await startPeer('socket');
});
after(() => server.stop());

handshakes(peer, BASE);
heartbeats(peer, BASE);
closes(peer, BASE);
// A namespace that is unknown is answered without a connection before.
upgrades(peer, BASE, '40/random,', '44/random,{"message":"Invalid namespace"}');

async function connect(nsp = '', payload = '', auth = '{}') {
  const line = await openLine(server.port, BASE);
  await enter(line, nsp, payload, auth);
  return line;
}

async function enter(line, nsp = '', payload = '', auth = '{}') {
  line.send(`40${nsp}${payload}`);
  const answer = await line.past();
  assert.ok(answer.startsWith(`40${nsp}{`), answer);
  const told = JSON.parse(answer.slice(2 + nsp.length));
  assert.deepEqual(Object.keys(told), ['sid']);
  assert.equal(typeof told.sid, 'string');
  assert.notEqual(told.sid, line.hello.sid);
  assert.equal(await line.past(), `42${nsp}["auth",${auth}]`);
}

const payload = '{"token":"123"}';

test('connect: the main namespace', async () => (await connect()).end());
test('connect: the main namespace, with auth', async () =>
  (await connect('', payload, payload)).end());
test('connect: another namespace', async () => (await connect('/custom,')).end());
test('connect: another namespace, with auth', async () =>
  (await connect('/custom,', payload, payload)).end());

test('connect: an unknown namespace is refused, the connection stays', async () => {
  const line = await openLine(server.port, BASE);
  line.send('40/random');
  assert.equal(await line.past(), '44/random,{"message":"Invalid namespace"}');
  await enter(line);
  line.end();
});

test('connect: auth that is no object closes', async () => {
  const line = await openLine(server.port, BASE);
  line.send('40"abc"');
  assert.equal(await line.past(), null);
});

test('disconnect: the connection stays, the next packet is a ping', async () => {
  const line = await connect();
  line.send('41');
  assert.equal(await line.next(), '2');
  line.end();
});

test('disconnect: the other namespace stays', async () => {
  const line = await connect();
  await enter(line, '/custom,');
  line.send('41/custom,');
  line.send('42["message","to main"]');
  assert.equal(await line.past(), '42["message-back","to main"]');
  line.end();
});

test('event: text', async () => {
  const line = await connect();
  line.send('42["message",1,"2",{"3":[true]}]');
  assert.equal(await line.past(), '42["message-back",1,"2",{"3":[true]}]');
  line.end();
});

test('event: text, with an ack', async () => {
  const line = await connect();
  line.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  assert.equal(await line.past(), '43456[1,"2",{"3":[false]}]');
  line.end();
});

const HOLES = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

test('event: binary', async () => {
  const line = await connect();
  line.send(`452-["message",${HOLES}]`);
  line.send(Buffer.from([1, 2, 3]));
  line.send(Buffer.from([4, 5, 6]));
  assert.equal(await line.past(), `452-["message-back",${HOLES}]`);
  assert.deepEqual(await line.past(), Buffer.from([1, 2, 3]));
  assert.deepEqual(await line.past(), Buffer.from([4, 5, 6]));
  line.end();
});

test('event: binary, with an ack', async () => {
  const line = await connect();
  line.send(`452-789["message-with-ack",${HOLES}]`);
  line.send(Buffer.from([1, 2, 3]));
  line.send(Buffer.from([4, 5, 6]));
  assert.equal(await line.past(), `462-789[${HOLES}]`);
  assert.deepEqual(await line.past(), Buffer.from([1, 2, 3]));
  assert.deepEqual(await line.past(), Buffer.from([4, 5, 6]));
  line.end();
});

for (const [what, bad] of [
  ['an unknown packet type', '4abc'],
  ['data that is no array', '42{}'],
  ['an ack id that is no number', '42abc["message-with-ack",1]'],
])
  test(`event: ${what} closes`, async () => {
    const line = await connect();
    line.send(bad);
    assert.equal(await line.past(), null);
  });

test('event: text in the place of an attachment closes', async () => {
  const line = await connect();
  line.send('451-["message",{"_placeholder":true,"num":0}]');
  line.send('42["message"]');
  assert.equal(await line.past(), null);
});
