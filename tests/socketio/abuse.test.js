// SPDX-License-Identifier: ISC
// Broken and hostile clients, and what every refusal says over raw HTTP.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { Line, Poller, openLine, request } from './peer.js';
import {
  CLIENT, ORDER, PERFORMER,
  all, ask, closeSockets, finishWorlds, heard, makeWorld, open, until,
} from './world.js';

const BASE = '/socket.io';
let w;
before(async () => {
  w = await makeWorld({
    kind: 'market',
    settings: {
      socketio_ping_interval: '400ms', socketio_ping_timeout: '400ms',
      socketio_connect_timeout: '1s', socketio_upgrade_timeout: '1s',
      socketio_namespaces: '/custom', presence_grace: '100ms', log_level: 'info',
      output_high: '64k',
    },
  });
});
afterEach(closeSockets);
after(finishWorlds);

const sessions = async () =>
  (await w.root("SELECT count(*) FROM pgpush.connections WHERE dialect = 'socketio'"))[0][0];
const nobody = () => until(async () => (await sessions()) === 0, 'nobody is left');

for (const [what, method, query, status, body] of [
  ['no transport', 'GET', 'EIO=4', 400, { code: 0, message: 'Transport unknown' }],
  ['another transport', 'GET', 'EIO=4&transport=webtransport', 400,
    { code: 0, message: 'Transport unknown' }],
  ['an unknown sid', 'GET', 'EIO=4&transport=polling&sid=x', 400,
    { code: 1, message: 'Session ID unknown' }],
  ['an unknown sid in a POST', 'POST', 'EIO=4&transport=polling&sid=x', 400,
    { code: 1, message: 'Session ID unknown' }],
  ['a sid of 500 bytes', 'GET', `EIO=4&transport=polling&sid=${'x'.repeat(500)}`, 400,
    { code: 1, message: 'Session ID unknown' }],
  ['a handshake by POST', 'POST', 'EIO=4&transport=polling', 400,
    { code: 2, message: 'Bad handshake method' }],
  ['websocket without an upgrade', 'GET', 'EIO=4&transport=websocket', 400,
    { code: 3, message: 'Bad request' }],
  ['the old protocol', 'GET', 'EIO=3&transport=polling', 400,
    { code: 5, message: 'Unsupported protocol version' }],
  ['no version', 'GET', 'transport=polling', 400,
    { code: 5, message: 'Unsupported protocol version' }],
])
  test(`${what}: ${status} ${JSON.stringify(body)}`, async () => {
    const answer = await request(w.port, method, `${BASE}/?${query}`);
    assert.equal(answer.status, status);
    assert.deepEqual(JSON.parse(answer.body), body);
  });

test('another transport than the session’s, and binary POSTs: 400 code 3', async () => {
  const line = await openLine(w.port, BASE);
  const of = `${BASE}/?EIO=4&transport=polling&sid=${line.hello.sid}`;
  const bad = { code: 3, message: 'Bad request' };
  for (const method of ['GET', 'POST', 'PUT'])
    assert.deepEqual(JSON.parse((await request(w.port, method, of)).body), bad);
  line.end();
  const poller = new Poller(w.port, BASE);
  await poller.open();
  const { status, body } = await poller.post('4x', { 'content-type': 'application/octet-stream' });
  assert.deepEqual([status, JSON.parse(body)], [400, bad]);
});

test('a POST over the limit: 413', async () => {
  const poller = new Poller(w.port, BASE);
  const { maxPayload } = await poller.open();
  assert.equal((await poller.post(`4${'x'.repeat(maxPayload)}`)).status, 413);
});

test('an origin that may not: 403 code 4', async () => {
  const own = await makeWorld({ kind: 'market', settings: { origins: 'https://a.test' } });
  const ask403 = await request(own.port, 'GET', `${BASE}/?EIO=4&transport=polling`, undefined,
    { origin: 'https://b.test' });
  assert.equal(ask403.status, 403);
  assert.deepEqual(JSON.parse(ask403.body), { code: 4, message: 'Forbidden' });
  const { status, headers } = await request(
    own.port, 'GET', `${BASE}/?EIO=4&transport=polling`, undefined, { origin: 'https://a.test' });
  assert.equal(status, 200);
  assert.equal(headers['access-control-allow-origin'], 'https://a.test');
  assert.equal(headers['access-control-allow-credentials'], 'true');
});

test('namespaces: rooms are the same, sockets are not', async () => {
  const token = await w.token(CLIENT);
  const main = open(w, { auth: { token } });
  const custom = open(w, { nsp: '/custom', auth: { token } });
  await heard(main, 'connect');
  await heard(custom, 'connect');
  custom.emit('join_order_chat', { orderId: ORDER });
  await heard(custom, 'joined_order_chat');
  await w.emit(`order:${ORDER}`, 'x', {});
  await heard(custom, 'x');
  await w.emit(`user:${CLIENT}`, 'end', {});
  await heard(main, 'end');
  assert.deepEqual(all(main, 'x'), []);
  const other = open(w, { nsp: '/none', auth: { token } });
  assert.equal((await heard(other, 'connect_error'))[0].message, 'Invalid namespace');
});

test('events that are none are answered, or close', async () => {
  const socket = await w.client(CLIENT);
  const none = await ask(socket, 'no_such_event', {});
  assert.deepEqual([none.ok, none.error.code], [false, 'not_found']);
  const two = await ask(socket, 'join_order_chat', { orderId: ORDER }, 'more');
  assert.deepEqual([two.ok, two.error.code], [false, 'bad_request']);
  for (const data of [undefined, null, 5, 'x', [], { orderId: { a: 1 } }]) {
    const args = data === undefined ? [] : [data];
    assert.equal((await ask(socket, 'join_order_chat', ...args)).ok, false);
  }
  const binary = await ask(socket, 'join_order_chat', { orderId: Buffer.from('abc') });
  assert.equal(binary.ok, false);
  for (const bad of ['42["connect",{}]', '42["disconnect"]', '42[]', '42[{}]', '42{', '4',
    '42["a"', '42["a",]', '450-["a"]x', '451-["a"]', '42/custom,["a"]', '44{"message":"x"}']) {
    const line = await openLine(w.port, BASE);
    line.send(`40${JSON.stringify({ token: await w.token(CLIENT) })}`);
    assert.ok((await line.past()).startsWith('40{'));
    line.send(bad);
    if (bad === '451-["a"]') line.send('42["a"]');
    for (let heard = ''; heard !== null;) heard = await line.past();
  }
});

test('messages before CONNECT, and no CONNECT at all, close', async () => {
  const early = await openLine(w.port, BASE);
  early.send('42["join_order_chat",{}]');
  assert.equal(await early.past(), null);
  const silent = await openLine(w.port, BASE);
  assert.equal(await silent.past(), null);
});

test('hundreds of handshakes, most aborted half-way, leave nobody', async () => {
  const token = await w.token(CLIENT);
  const raw = (text) =>
    new Promise((resolve) => {
      const socket = net.connect(w.port, '127.0.0.1', () => socket.write(text, () => {
        setImmediate(() => {
          socket.destroy();
          resolve();
        });
      }));
      socket.on('error', resolve);
    });
  const head = (query) => `GET ${BASE}/?EIO=4&${query} HTTP/1.1\r\nHost: x\r\n`;
  const websocket = `${head('transport=websocket')}Connection: Upgrade\r\nUpgrade: websocket\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
  const work = [];
  for (let i = 0; i < 300; i++)
    work.push(
      raw(head('transport=polling')), raw(`${head('transport=polling')}\r\n`), raw(websocket));
  for (let i = 0; i < 100; i++)
    work.push((async () => {
      const line = await openLine(w.port, BASE);
      line.send(`40${JSON.stringify({ token })}`);
      line.end();
    })());
  await Promise.all(work);
  await nobody();
  const socket = await w.client(CLIENT);
  await w.emit(`user:${CLIENT}`, 'alive', {});
  await heard(socket, 'alive');
});

test('a polling client that never comes back is gone', async () => {
  const poller = new Poller(w.port, BASE);
  await poller.open();
  await poller.post(`40${JSON.stringify({ token: await w.token(CLIENT) })}`);
  assert.ok((await poller.packets(1))[0].startsWith('40{'));
  await until(async () => (await sessions()) > 0, 'it is there');
  await nobody();
  assert.equal((await poller.get()).status, 400);
});

test('what waits for an absent poller is bounded, and comes all the same', async () => {
  const poller = new Poller(w.port, BASE);
  await poller.open();
  await poller.post(`40${JSON.stringify({ token: await w.token(PERFORMER) })}`);
  assert.ok((await poller.packets(1))[0].startsWith('40{'));
  const rss = await w.does('rss');
  const text = 'x'.repeat(10_000);
  await w.sql(`SELECT pgpush.emit(%s, 'big', jsonb_build_object('n', n, 'text', %s::text))
    FROM generate_series(1, 500) n`, `user:${PERFORMER}`, text);
  const seen = [];
  while (seen.length < 500)
    for (const packet of await poller.packets(1))
      if (packet.startsWith('42["big"')) seen.push(JSON.parse(packet.slice(2))[1].n);
  assert.deepEqual(seen, Array.from({ length: 500 }, (_, i) => i + 1));
  assert.ok((await w.does('rss')) - rss < 64 * 1024, 'memory');
});

test('a probe that is abandoned leaves polling as it was', async () => {
  for (const end of ['close', 'nonsense', 'timeout']) {
    const poller = new Poller(w.port, BASE);
    await poller.open();
    await poller.post(`40${JSON.stringify({ token: await w.token(CLIENT) })}`);
    await poller.packets(1);
    const line = new Line(
      w.port, `${BASE}/?EIO=4&transport=websocket&sid=${poller.sid}`);
    await line.opened();
    line.send('2probe');
    assert.equal(await line.next(), '3probe');
    await w.emit(`user:${CLIENT}`, 'meanwhile', {});
    assert.equal((await poller.get()).body, '6');
    if (end === 'close') line.ws.close();
    if (end === 'nonsense') line.send('4x');
    await line.closed;
    const packets = [];
    while (!packets.some((p) => p.startsWith('42["meanwhile"')))
      packets.push(...(await poller.packets(1)).filter((p) => p !== '6'));
    assert.equal(packets.filter((p) => p.startsWith('42["meanwhile"')).length, 1);
  }
});

test('events during an upgrade come once and in order', async () => {
  for (let round = 0; round < 5; round++) {
    const socket = open(w, {
      transports: ['polling', 'websocket'], auth: { token: await w.token(CLIENT) } });
    await heard(socket, 'connect');
    const writes = w.sql(`SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', n))
      FROM generate_series(0, 199) n`, `user:${CLIENT}`);
    await until(() => socket.io.engine.transport.name === 'websocket', 'the upgrade');
    await writes;
    await heard(socket, 'n', 200);
    assert.deepEqual(all(socket, 'n').map((d) => d.n), Array.from({ length: 200 }, (_, i) => i));
    socket.disconnect();
  }
});

test('an old front end: a socket per component, leaves and joins on each render', async () => {
  const token = await w.token(CLIENT);
  const sockets = Array.from({ length: 30 }, () =>
    open(w, { transports: ['websocket', 'polling'], auth: { token } }));
  await Promise.all(sockets.map((s) => heard(s, 'connect')));
  for (const s of sockets) {
    s.emit('join_order_chat');
    s.emit('order_typing');
    s.emit('join_order_chat', { orderId: ORDER });
  }
  await Promise.all(sockets.map((s) => heard(s, 'joined_order_chat')));
  for (let render = 0; render < 10; render++)
    for (const s of sockets) {
      s.emit('leave_order_chat', { orderId: ORDER });
      s.emit('join_order_chat', { orderId: ORDER });
    }
  await Promise.all(sockets.map((s) => heard(s, 'joined_order_chat', 11)));
  await w.emit(`order:${ORDER}`, 'at last', {});
  await Promise.all(sockets.map((s) => heard(s, 'at last')));
  for (const s of sockets) assert.equal(all(s, 'at last').length, 1);
});

test('drain closes transports without a goodbye, and they come back recovered', async () => {
  const own = await makeWorld({ kind: 'market' });
  const token = await own.token(CLIENT);
  const sockets = ['websocket', 'polling'].map((t) =>
    open(own, { transports: [t], auth: { token } }));
  await Promise.all(sockets.map((s) => heard(s, 'connect')));
  await own.does('restart');
  for (const s of sockets) {
    const [reason] = await heard(s, 'disconnect');
    assert.notEqual(reason, 'io server disconnect');
    await heard(s, 'connect', 2);
    assert.equal(s.recovered, true);
  }
});

test('a kick is a disconnect by the server', async () => {
  const socket = await w.client(PERFORMER);
  await w.sql('SELECT pgpush.kick(%s)', PERFORMER);
  assert.deepEqual(await heard(socket, 'disconnect').then(([reason]) => reason),
    'io server disconnect');
  assert.equal(socket.active, false);
});
