// SPDX-License-Identifier: ISC
// What clients send: answers, errors, and once over cuts.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  closeClients,
  finishWorlds,
  isIn,
  listenIn,
  makeRandom,
  makeWorld,
  online,
  range,
  record,
  until,
} from './lib.js';
import { Proxy } from './proxy.js';

let w;
let proxy;
before(async () => {
  w = await makeWorld({ own: true });
  proxy = await Proxy.start(w.port);
});
after(async () => {
  proxy?.stop();
  await finishWorlds();
});
afterEach(() => {
  closeClients();
  proxy.cut();
  proxy.refusing = proxy.silent = false;
  proxy.cutAfter = Infinity;
});

/** What the handlers of a user were called with, in order. */
const callsOf = async (user) =>
  (
    await w.sql(
      `SELECT data FROM app.calls WHERE user_id = %s AND event = 'echo'
        ORDER BY id`,
      user,
    )
  ).map(([data]) => data);

test('a send is answered by its handler', async () => {
  const client = w.client('one');
  const answer = await client.send('echo', { text: 'hi' });
  assert.equal(answer.user, 'one');
  assert.deepEqual(answer.data, { text: 'hi' });
  assert.equal(await client.send('silent'), null);
});

test('what is refused rejects with the code', async () => {
  const client = w.client('two');
  await assert.rejects(client.send('refuse'), {
    name: 'PushError',
    code: 'forbidden',
    message: 'not today',
  });
  await assert.rejects(client.send('no such'), { code: 'not_found' });
  await assert.rejects(client.send('fail'), { code: 'internal' });
  await assert.rejects(client.send('echo', 1n), TypeError);
  await assert.rejects(client.send('typing', {}, { room: 'open:no' }), {
    code: 'forbidden',
  });
});

test('events for this connection alone, and for others', async () => {
  const a = w.client('three');
  const b = w.client('four');
  const rooms = [a, b].map((c) => c.room('open:talk').join());
  await Promise.all(rooms.map(isIn));
  const whispers = [];
  a.on('whispered', (data, meta) => whispers.push({ data, meta }));
  await a.send('whisper', { text: 'psst' });
  assert.deepEqual(whispers[0].data, { text: 'psst' });
  assert.equal(whispers[0].meta.room, undefined);
  const typing = new Promise((resolve) => {
    rooms[1].on('typing', (data, meta) => resolve({ data, meta }));
  });
  await a.send('typing', { on: true }, { room: 'open:talk' });
  const { data, meta } = await typing;
  assert.deepEqual(data, { user: 'three', on: true });
  assert.equal(meta.id, undefined);
});

test('sends wait for the connection and run in their order', async () => {
  proxy.refusing = true;
  const client = w.client('five', { to: proxy });
  const answers = range(1, 30).map((n) => client.send('echo', { n }));
  proxy.refusing = false;
  const all = await Promise.all(answers);
  assert.deepEqual(all.map((a) => a.data.n), range(1, 30));
  assert.deepEqual((await callsOf('five')).map((d) => d.n), range(1, 30));
});

test('a send runs once, however often it is cut off', async () => {
  const random = makeRandom(3);
  const client = w.client('six', { to: proxy, queue: 200 });
  await online(client);
  const answers = [];
  for (let n = 1; n <= 120; n++) {
    answers.push(client.send('echo', { n }));
    if (n % 6 === 0) {
      proxy.cutAfter = Math.floor(random() * 900);
      await Promise.race([answers.at(-1), until(() => client.status !== 'online')]);
    }
    if (n % 10 === 0) {
      proxy.cut();
      await until(() => client.status === 'online');
    }
  }
  proxy.cutAfter = Infinity;
  const all = await Promise.all(answers);
  assert.deepEqual(all.map((a) => a.data.n), range(1, 120));
  const ran = (await callsOf('six')).map((d) => d.n);
  assert.deepEqual(ran.sort((a, b) => a - b), range(1, 120));
});

test('without a key a send is cut off with the connection', async () => {
  const { sent, WebSocket } = listenIn();
  const client = w.client('seven', { to: proxy, WebSocket });
  await online(client);
  const answer = client.send('slow', { seconds: 1 }, { key: false });
  proxy.cut();
  await assert.rejects(answer, { code: 'lost' });
  await online(client);
  await client.send('echo', { n: 0 });
  assert.equal(sent.filter((f) => f.event === 'slow').length, 1);
  // One that was not written yet is not lost by a cut.
  proxy.refusing = true;
  proxy.cut();
  await until(() => client.status === 'reconnecting');
  const later = client.send('echo', { n: 1 }, { key: false });
  proxy.refusing = false;
  assert.equal((await later).data.n, 1);
});

test('the keys are the caller’s, or different ones', async () => {
  const { sent, WebSocket } = listenIn();
  const client = w.client('eight', { WebSocket });
  await online(client);
  const first = await client.send('echo', { n: 1 }, { key: 'mine' });
  const again = await client.send('echo', { n: 2 }, { key: 'mine' });
  assert.deepEqual(again, first);
  await Promise.all(range(1, 50).map((n) => client.send('echo', { n })));
  const keys = sent.filter((f) => f.type === 'send').map((f) => f.key);
  assert.equal(new Set(keys).size, 51);
  await client.send('echo', {}, { key: false });
  assert.equal(sent.at(-1).key, undefined);
});

test('the queue is bounded', async () => {
  proxy.refusing = true;
  const client = w.client('nine', { to: proxy, queue: 5 });
  const answers = range(1, 5).map((n) => client.send('echo', { n }));
  await assert.rejects(client.send('echo', { n: 6 }), { code: 'too_many' });
  proxy.refusing = false;
  await Promise.all(answers);
  assert.deepEqual((await callsOf('nine')).map((d) => d.n), range(1, 5));
  await client.send('echo', { n: 7 });
});

test('what has no answer in time is given up', async () => {
  proxy.refusing = true;
  const away = w.client('ten', { to: proxy, sendTimeout: 50 });
  await assert.rejects(away.send('echo', { n: 1 }), { code: 'timeout' });
  proxy.refusing = false;
  await online(away);
  const slow = away.send('slow', { seconds: 1 });
  await assert.rejects(slow, { code: 'timeout' });
  // The late answer disturbs nothing, and the queue is empty.
  const here = w.client('ten');
  const answer = await here.send('echo', { n: 2 });
  assert.equal(answer.data.n, 2);
  assert.ok((await callsOf('ten')).every((d) => d.n !== 1));
});

test('sends and joins wait for a database that is away', async () => {
  const client = w.client('eleven');
  await online(client);
  await w.does('pg_stop');
  const room = client.room('open:later').join();
  const heard = record(room);
  const answers = range(1, 5).map((n) => client.send('echo', { n }));
  const known = client.status;
  await w.does('pg_start');
  const all = await Promise.all(answers);
  assert.deepEqual(all.map((a) => a.data.n), range(1, 5));
  assert.equal(known, 'online');
  await isIn(room);
  await w.count('open:later', 1, 1);
  await until(() => heard.n.length === 1);
  assert.deepEqual((await callsOf('eleven')).map((d) => d.n).sort(), range(1, 5));
});

test('a message that is too big fails alone', async () => {
  const client = w.client('twelve');
  await online(client);
  const small = client.send('slow', { seconds: 0.2 });
  const big = client.send('echo', { text: 'x'.repeat(100_000) });
  await assert.rejects(big, { code: 'too_big' });
  assert.equal(await small, 'done');
  assert.equal((await client.send('echo', { n: 1 })).data.n, 1);
});

test('a client that is closed rejects what waits, and what is sent', async () => {
  proxy.refusing = true;
  const client = w.client('thirteen', { to: proxy });
  const waits = client.send('echo', {});
  client.close();
  await assert.rejects(waits, { code: 'closed' });
  await assert.rejects(client.send('echo', {}), { code: 'closed' });
  assert.equal(client.status, 'closed');
});
