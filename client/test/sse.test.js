// SPDX-License-Identifier: ISC
// The fallback: server-sent events and POST, where WebSocket is blocked.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  closeClients,
  finishWorlds,
  isIn,
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
  proxy.refusing = proxy.silent = proxy.noUpgrade = false;
  proxy.cutAfter = Infinity;
  proxy.delay = 0;
});

const both = { transports: ['websocket', 'sse'] };
const sse = { transports: ['sse'] };

const fallen = (client) =>
  until(() => client.status === 'fallback', () => `fallback: ${client.status}`);

test('a proxy that refuses upgrades: everything works all the same', async () => {
  proxy.noUpgrade = true;
  const client = w.client('ann', { to: proxy, ...both });
  const room = client.room('open:sse').join();
  const heard = record(room);
  await isIn(room);
  assert.equal(client.status, 'fallback');
  assert.equal(client.user, 'ann');
  assert.equal(proxy.upgrades, 1);
  await w.count('open:sse', 1, 5);
  const answer = await client.send('echo', { n: 1 });
  assert.equal(answer.data.n, 1);
  assert.equal(answer.ctx.session, client.session);
  await until(() => heard.n.length === 5);
  assert.deepEqual(heard.n, range(1, 5));
  const other = w.client('bob').room('open:sse').join();
  await isIn(other);
  const typing = new Promise((resolve) => {
    other.on('typing', resolve);
  });
  await client.send('typing', { on: true }, { room: 'open:sse' });
  assert.deepEqual(await typing, { user: 'ann', on: true });
  await assert.rejects(client.send('refuse'), { code: 'forbidden' });
  const whispered = new Promise((resolve) => {
    client.on('whispered', (data, meta) => resolve({ data, meta }));
  });
  await client.send('whisper', { a: 'ü\n' });
  const { data, meta } = await whispered;
  assert.deepEqual(data, { a: 'ü\n' });
  assert.equal(meta.room, undefined);
});

test('a room by a handler, a forbidden one, a revoked one', async () => {
  const client = w.client('ann', { to: proxy, ...sse });
  const room = client
    .room('open:byhand')
    .join({ event: 'enter', data: { rooms: ['open:byhand', 'open:side'] } });
  const heard = record(room);
  await isIn(room);
  assert.deepEqual(heard.resets, []);
  const closed = client.room('closed:9').join();
  await until(() => closed.state === 'error');
  assert.equal(client.status, 'fallback');
  await w.sql("INSERT INTO app.members VALUES ('closed:9', 'ann')");
  const { left } = record(closed);
  closed.join();
  await isIn(closed);
  await w.sql("SELECT pgpush.revoke('closed:9', 'ann')");
  await until(() => left.length === 1);
  room.leave();
  await w.count('open:byhand', 1, 1);
  await w.count('open:side', 1, 1);
});

test('nothing is lost or doubled over cuts of the stream', async () => {
  const random = makeRandom(4);
  const client = w.client('ann', { to: proxy, ...sse });
  const rooms = ['open:a', 'open:b', 'open:c'].map((n) => client.room(n).join());
  const heard = rooms.map(record);
  const given = [];
  client.on('n', (data, meta) => {
    if (meta.room === 'user:ann') given.push(data.n);
  });
  await Promise.all(rooms.map(isIn));
  const emitted = rooms.map(() => 0);
  let own = 0;
  let cuts = 0;
  while (cuts < 40) {
    const i = Math.floor(random() * 3);
    const n = 1 + Math.floor(random() * 20);
    await w.count(rooms[i].name, emitted[i] + 1, emitted[i] + n);
    emitted[i] += n;
    if (random() < 0.3) {
      own++;
      await w.count('user:ann', own, own);
    }
    if (random() < 0.5) {
      proxy.cut();
      cuts++;
      if (random() < 0.7) await fallen(client);
    } else if (random() < 0.3) {
      proxy.cutAfter = Math.floor(random() * 1500);
      cuts++;
    }
  }
  proxy.cutAfter = Infinity;
  for (const [i, h] of heard.entries()) {
    await until(() => h.n.length >= emitted[i], () => `${h.n} of ${emitted[i]}`);
    assert.deepEqual(h.n, range(1, emitted[i]));
    assert.deepEqual(h.resets, []);
  }
  await until(() => given.length >= own);
  assert.deepEqual(given, range(1, own));
});

test('a send by POST runs once over cuts', async () => {
  const random = makeRandom(5);
  const client = w.client('six', { to: proxy, ...sse });
  await fallen(client);
  const answers = [];
  for (let n = 1; n <= 60; n++) {
    answers.push(client.send('echo', { n }));
    if (n % 6 === 0) {
      proxy.cutAfter = Math.floor(random() * 900);
      await Promise.race([
        answers.at(-1),
        until(() => client.status !== 'fallback'),
      ]);
    }
    if (n % 10 === 0) {
      proxy.cut();
      await fallen(client);
    }
  }
  proxy.cutAfter = Infinity;
  const all = await Promise.all(answers);
  assert.deepEqual(all.map((a) => a.data.n), range(1, 60));
  const rows = await w.sql(
    "SELECT data->'n' FROM app.calls WHERE user_id = 'six' AND event = 'echo'",
  );
  const ran = rows.map(([n]) => n).sort((a, b) => a - b);
  assert.deepEqual(ran, range(1, 60));
});

test('sends by POST run in their order, joins before them', async () => {
  const random = makeRandom(6);
  // Those on different connections overtake each other.
  proxy.delay = () => random() * 40;
  const client = w.client('seven', { to: proxy, ...sse });
  const room = client.room('open:order').join();
  const answers = range(1, 20).map((n) => client.send('echo', { n }));
  answers.push(client.send('typing', { on: true }, { room: 'open:order' }));
  await Promise.all(answers);
  assert.equal(room.state, 'joined');
  const rows = await w.sql(
    `SELECT data->'n' FROM app.calls WHERE user_id = 'seven' AND event = 'echo'
      ORDER BY id`,
  );
  assert.deepEqual(rows.map(([n]) => n), range(1, 20));
});

test('the daemon killed, drained, the database away: by streams, too', async () => {
  const client = w.client('ann', { to: proxy, ...sse });
  const room = client.room('open:away').join();
  const heard = record(room);
  await isIn(room);
  await w.count('open:away', 1, 2);
  await w.does('kill');
  await w.count('open:away', 3, 4);
  await w.does('start');
  await until(() => heard.n.length === 4);
  await w.does('restart');
  await w.count('open:away', 5, 6);
  await until(() => heard.n.length === 6);
  await w.does('pg_stop');
  const answer = client.send('echo', { n: 1 });
  const later = client.room('open:later').join();
  await w.does('pg_start');
  assert.equal((await answer).data.n, 1);
  await isIn(later);
  await w.count('open:away', 7, 8);
  await until(() => heard.n.length === 8);
  assert.deepEqual(heard.n, range(1, 8));
  assert.deepEqual(heard.resets, []);
});

test('tokens of a stream: refreshed, ended, refused', async () => {
  const lives = [8, 3600];
  let asked = 0;
  const client = w.client('ann', {
    ...sse,
    getToken: () => w.token('ann', lives[asked++] ?? 3600),
  });
  const room = client.room('open:fresh').join();
  const heard = record(room);
  await isIn(room);
  const { session } = client;
  const ends = Date.now() + 9500;
  for (let n = 1; Date.now() < ends; n++) {
    await w.count('open:fresh', n, n);
    await until(() => heard.n.length === n);
  }
  assert.equal(client.session, session);
  assert.equal((await client.send('echo', {})).user, 'ann');

  const bad = w.client('ann', {
    ...sse,
    getToken: () => w.does('bad_token', { user: 'ann' }),
  });
  const err = await new Promise((resolve) => {
    bad.on('error', resolve);
  });
  assert.equal(err.code, 'unauthorized');
  const none = w.client('nobody', sse);
  const gone = await new Promise((resolve) => {
    none.on('error', resolve);
  });
  assert.equal(gone.code, 'forbidden');
});

test('a stream that goes silent is found dead', async () => {
  const own = await makeWorld({ settings: { ping_interval: '1s' } });
  const through = await Proxy.start(own.port);
  // Its heartbeats may be late, but not by three seconds.
  const client = own.client('ann', { to: through, ...sse, pingInterval: 3000 });
  const room = client.room('open:silent').join();
  const heard = record(room);
  await isIn(room);
  // Alive for longer than it may be silent.
  const { session } = client;
  const ends = Date.now() + 5000;
  await until(() => Date.now() > ends);
  assert.equal(client.session, session);
  // POSTs still pass: their answers prove nothing, and are no position.
  through.silentStreams = true;
  await own.count('open:silent', 1, 3);
  await client.send('echo', {});
  await until(() => client.status === 'reconnecting');
  through.silentStreams = false;
  await until(() => heard.n.length === 3);
  assert.deepEqual(heard.n, [1, 2, 3]);
  through.stop();
});

test('an event larger than the chunks it comes in', async () => {
  const client = w.client('ann', { to: proxy, ...sse });
  const room = client.room('open:large').join();
  await isIn(room);
  const text = 'größer '.repeat(100_000);
  const got = new Promise((resolve) => {
    room.on('large', resolve);
  });
  await w.emit('open:large', 'large', { text });
  assert.equal((await got).text, text);
  await assert.rejects(client.send('echo', { text }), { code: 'too_big' });
  assert.equal((await client.send('echo', { n: 1 })).data.n, 1);
});

test('from the fallback back to WebSocket, without a gap', async (t) => {
  const real = globalThis.setTimeout;
  // Half a minute is half a second here.
  t.mock.method(globalThis, 'setTimeout', (run, ms, ...rest) =>
    real(run, ms >= 30_000 && ms % 30_000 === 0 ? ms / 60 : ms, ...rest),
  );
  proxy.noUpgrade = true;
  const client = w.client('ann', { to: proxy, ...both, sendTimeout: 31_000 });
  const statuses = [];
  client.on('status', (status) => statuses.push(status));
  const room = client.room('open:better').join();
  const heard = record(room);
  await isIn(room);
  const before = proxy.upgrades;
  let n = 0;
  while (proxy.upgrades === before) {
    n++;
    await w.count('open:better', n, n);
  }
  assert.equal(client.status, 'fallback');
  proxy.noUpgrade = false;
  while (client.status !== 'online') {
    n++;
    await w.count('open:better', n, n);
  }
  await w.count('open:better', n + 1, n + 5);
  await until(() => heard.n.length >= n + 5);
  assert.deepEqual(heard.n, range(1, n + 5));
  assert.deepEqual(statuses, ['fallback', 'online']);
  assert.deepEqual(heard.resets, []);
});

test('WebSocket that has worked is not given up for one failure', async () => {
  const client = w.client('ann', { to: proxy, ...both });
  await online(client);
  proxy.noUpgrade = 2;
  proxy.cut();
  await until(() => proxy.noUpgrade === 0, 'two refused');
  await online(client);
  // But if it stays blocked, it is.
  proxy.noUpgrade = true;
  proxy.cut();
  await fallen(client);
});

test('a stream cannot resume what only a handler opens: it is reset', async () => {
  const client = w.client('ann', { to: proxy, ...sse });
  const hidden = client
    .room('hidden:2')
    .join({ event: 'enter', data: { rooms: ['hidden:2'] } });
  const open = client.room('open:beside').join();
  const [heard, beside] = [record(hidden), record(open)];
  await Promise.all([isIn(hidden), isIn(open)]);
  for (let i = 0; i < 3; i++) {
    await w.count('hidden:2', 3 * i + 1, 3 * i + 1);
    await w.count('open:beside', 2 * i + 1, 2 * i + 1);
    await until(() => beside.n.at(-1) === 2 * i + 1);
    await until(() => heard.n.at(-1) === 3 * i + 1);
    proxy.refusing = true;
    proxy.cut();
    await w.count('hidden:2', 3 * i + 2, 3 * i + 2);
    await w.count('open:beside', 2 * i + 2, 2 * i + 2);
    proxy.refusing = false;
    await until(() => heard.resets.length === i + 1);
    await isIn(hidden);
    await until(
      () => beside.n.at(-1) === 2 * i + 2 || beside.resets.length > i,
    );
  }
  await w.count('hidden:2', 10, 10);
  await until(() => heard.n.at(-1) === 10);
  assert.deepEqual(heard.n, [1, 4, 7, 10]);
  // The first time it may go down with the other; then that one is known.
  const missed = range(1, 6).filter((n) => !beside.n.includes(n));
  assert.deepEqual(missed, beside.resets.length > 0 ? [2] : []);
  assert.deepEqual(beside.n, range(1, 6).filter((n) => !missed.includes(n)));
});
