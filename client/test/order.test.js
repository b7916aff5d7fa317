// SPDX-License-Identifier: ISC
// Each event once and in order, whatever happens to the connection.

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
  w = await makeWorld();
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
  proxy.delay = 0;
});

test('a room that is joined tells its events, and where it began', async () => {
  const client = w.client('ann');
  const room = client.room('open:first').join();
  const heard = record(room);
  assert.equal(room.state, 'joining');
  await isIn(room);
  assert.equal(client.status, 'online');
  assert.equal(client.user, 'ann');
  assert.match(client.session, /./);
  const before = heard.joined[0].id;
  assert.deepEqual(heard.joined, [{ id: before, resumed: false }]);
  const got = new Promise((resolve) => {
    room.on('news', (data, meta) => resolve({ data, meta }));
  });
  await w.emit('open:first', 'news', { text: 'hello' });
  const { data, meta } = await got;
  assert.deepEqual(data, { text: 'hello' });
  assert.equal(meta.room, 'open:first');
  assert.equal(meta.event, 'news');
  assert.ok(meta.id > before);
});

test('nothing is lost or doubled over a hundred cuts', async () => {
  const random = makeRandom(1);
  const client = w.client('ann', { to: proxy });
  const rooms = ['open:a', 'open:b', 'open:c'].map((n) => client.room(n).join());
  const heard = rooms.map(record);
  await Promise.all(rooms.map(isIn));
  const emitted = rooms.map(() => 0);
  let cuts = 0;
  while (cuts < 100) {
    const i = Math.floor(random() * 3);
    const n = 1 + Math.floor(random() * 20);
    await w.count(rooms[i].name, emitted[i] + 1, emitted[i] + n);
    emitted[i] += n;
    if (random() < 0.5) {
      proxy.cut();
      cuts++;
      // Not always long enough to be let in again.
      if (random() < 0.7) await until(() => client.status === 'online');
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
    assert.deepEqual(h.ids, [...h.ids].sort((a, b) => a - b));
    assert.equal(h.joined.filter((j) => !j.resumed).length, 1);
  }
});

test('an event before the reply to the join, behind a slow line', async () => {
  proxy.delay = 30;
  const client = w.client('ann', { to: proxy });
  const room = client.room('open:slow').join();
  const heard = record(room);
  await online(client);
  let n = 0;
  while (heard.n.length < 10) await w.count('open:slow', ++n, n);
  await until(() => heard.n.at(-1) === n);
  assert.deepEqual(heard.n, range(heard.n[0], n));
  assert.equal(heard.joined.length, 1);
});

test('many rooms are resumed, each from its own position', async () => {
  const client = w.client('ann', { to: proxy });
  const names = range(1, 60).map((i) => `open:many${i}`);
  const rooms = names.map((name) => client.room(name).join());
  const heard = rooms.map(record);
  await Promise.all(rooms.map(isIn));
  for (let i = 0; i < 60; i += 7) await w.count(names[i], 1, i + 1);
  await until(() => heard[56].n.length === 57);
  proxy.refusing = true;
  proxy.cut();
  await until(() => client.status === 'reconnecting');
  assert.ok(rooms.every((room) => room.state === 'joining'));
  for (const [i, name] of names.entries())
    await w.count(name, i % 7 === 0 ? i + 2 : 1, i + 10);
  proxy.refusing = false;
  for (const [i, h] of heard.entries()) {
    await until(() => h.n.at(-1) === i + 10, () => `${names[i]}: ${h.n}`);
    assert.deepEqual(h.n, range(1, i + 10));
    assert.deepEqual(h.joined.map((j) => j.resumed), [false, true]);
  }
});

test('a room that the daemon gives is resumed with the welcome', async () => {
  const client = w.client('bob', { to: proxy });
  const seen = [];
  client.on('n', (data, meta) => seen.push([meta.room, data.n]));
  await online(client);
  await w.count('user:bob', 1, 3);
  await until(() => seen.length === 3);
  proxy.refusing = true;
  proxy.cut();
  await w.count('user:bob', 4, 6);
  proxy.refusing = false;
  await until(() => seen.length >= 6);
  assert.deepEqual(seen, range(1, 6).map((n) => ['user:bob', n]));
});

test('rooms of the welcome have one position together, and no event twice', async () => {
  const own = await makeWorld();
  await own.sql(`CREATE OR REPLACE FUNCTION app.greet(user_id text, ctx jsonb)
    RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT ARRAY['user:' || user_id, 'open:hall'] $$`);
  const through = await Proxy.start(own.port);
  const client = own.client('ann', { to: through });
  const seen = { 'user:ann': [], 'open:hall': [] };
  client.on('n', ({ n }, { room }) => seen[room].push(n));
  await online(client);
  for (let i = 0; i < 4; i++) {
    // The one is ahead of the other when the link is cut.
    await own.count('user:ann', 2 * i + 1, 2 * i + 1);
    await own.count('open:hall', 10 * i + 1, 10 * i + 10);
    await until(() => seen['open:hall'].length === 10 * i + 10);
    through.refusing = true;
    through.cut();
    await own.count('user:ann', 2 * i + 2, 2 * i + 2);
    through.refusing = false;
    await until(() => seen['user:ann'].length === 2 * i + 2);
  }
  await own.count('open:hall', 41, 41);
  await until(() => seen['open:hall'].includes(41));
  assert.deepEqual(seen, { 'user:ann': range(1, 8), 'open:hall': range(1, 41) });
  through.stop();
});

test('a given room that is wanted later tells what comes from then on', async () => {
  const client = w.client('bob', { to: proxy });
  await online(client);
  const room = client.room('user:bob');
  const heard = record(room);
  await isIn(room);
  await w.count('user:bob', 1, 2);
  await until(() => heard.n.length === 2);
  assert.equal(heard.joined.length, 1);
  // To leave it is to stop listening; the daemon's greeting stays.
  for (const off of heard.off) off();
  const seen = [];
  client.on('n', ({ n }) => seen.push(n));
  await w.count('user:bob', 3, 3);
  await until(() => seen.length === 1);
  assert.deepEqual(heard.n, [1, 2]);
});

test('reset after a purge: told once, and the room goes on', async () => {
  const own = await makeWorld();
  const through = await Proxy.start(own.port);
  const client = own.client('ann', { to: through });
  const room = client.room('open:purged').join();
  const other = client.room('open:other').join();
  const [heard, heardOther] = [record(room), record(other)];
  await Promise.all([isIn(room), isIn(other)]);
  await own.count('open:purged', 1, 5);
  await until(() => heard.n.length === 5);
  through.refusing = true;
  through.cut();
  await own.count('open:purged', 6, 10);
  await own.count('open:other', 1, 5);
  // What is in the log only later is not purged.
  await until(async () => {
    const [[left]] = await own.does('root', {
      text: 'SELECT count(*) FROM pgpush.outbox' });
    return left === 0;
  });
  await until(async () => {
    await own.does('root', { text: "SELECT pgpush.purge('0 s', 1000)" });
    const [[left]] = await own.sql(
      "SELECT count(*) FROM pgpush.log WHERE room LIKE 'open:%%'");
    return left === 0;
  });
  await own.does('restart');
  through.refusing = false;
  await until(() => heard.resets.length > 0 && heardOther.resets.length > 0);
  await own.count('open:purged', 11, 12);
  await until(() => heard.n.length === 7);
  assert.deepEqual(heard.n, [1, 2, 3, 4, 5, 11, 12]);
  assert.equal(heard.resets.length, 1);
  assert.ok(heard.resets[0].id > heard.ids[4]);
  through.stop();
});

test('reset when a backup with smaller ids was restored', async () => {
  const own = await makeWorld();
  const through = await Proxy.start(own.port);
  const client = own.client('ann', { to: through });
  const rooms = ['open:r1', 'open:r2'].map((name) => client.room(name).join());
  const heard = rooms.map(record);
  const given = [];
  client.on('n', (data, meta) => {
    if (meta.room === 'user:ann') given.push(data.n);
  });
  await Promise.all(rooms.map(isIn));
  await own.count('open:r1', 1, 50);
  await own.count('user:ann', 1, 1);
  await until(() => heard[0].n.length === 50 && given.length === 1);
  await own.does('stop');
  await own.does('root', { text: 'DELETE FROM pgpush.log' });
  await own.does('root', { text: "SELECT setval('pgpush.log_id_seq', 5)" });
  // Of the terms that the clients know it knows nothing.
  await own.does('root', { text: 'DELETE FROM pgpush.terms' });
  await own.does('start');
  await until(() => heard.every((h) => h.resets.length === 1));
  const { epoch } = heard[0].resets[0];
  for (const h of heard) assert.equal(h.resets[0].epoch, epoch);
  assert.ok(heard[0].resets[0].id < heard[0].ids.at(-1));
  await own.count('open:r1', 51, 52);
  await own.count('open:r2', 1, 2);
  await own.count('user:ann', 2, 3);
  await until(() => heard[0].n.length === 52 && given.length === 3);
  await until(() => heard[1].n.length === 2);
  // Once more, to see that the new positions are those that count.
  through.cut();
  await own.count('open:r1', 53, 54);
  await until(() => heard[0].n.length === 54);
  assert.deepEqual(heard[0].n, range(1, 54));
  assert.deepEqual(given, [1, 2, 3]);
  assert.ok(heard.every((h) => h.resets.length === 1));
  through.stop();
});

test('reset in another epoch, wherever the answer is cut', async () => {
  const own = await makeWorld();
  const through = await Proxy.start(own.port);
  const client = own.client('ann', { to: through });
  const rooms = ['user:ann', 'open:r'].map((name) => client.room(name));
  const heard = rooms.map(record);
  await Promise.all(rooms.map(isIn));
  for (const room of rooms) await own.count(room.name, 1, 20);
  await until(() => heard.every((h) => h.n.length === 20));
  through.refusing = true;
  through.cut();
  for (let round = 0; round < 3; round++) {
    await own.does('stop');
    await own.does('root', { text: 'DELETE FROM pgpush.terms' });
    await own.does('start');
    const before = heard.map((h) => h.resets.length);
    for (let bytes = 150 + round; bytes < 800; bytes += 12) {
      const seen = through.connections;
      through.cutAfter = bytes;
      through.refusing = false;
      await until(
        () =>
          through.connections > seen + 1 ||
          (through.cutAfter > 0 && client.status === 'online' &&
            heard.every((h, i) => h.resets.length > before[i])),
      );
    }
    through.cutAfter = Infinity;
    await until(() => heard.every((h, i) => h.resets.length > before[i]));
    const [[tag]] = await own.does('root', { text: 'SELECT tag FROM pgpush.terms' });
    assert.ok(heard.every((h) => h.resets.at(-1).epoch === tag));
  }
  for (const room of rooms) await own.count(room.name, 21, 22);
  await until(() => heard.every((h) => h.n.at(-1) === 22));
  for (const h of heard) assert.deepEqual(h.n, range(1, 22));
  through.stop();
});

test('reset of who stays connected when the epoch changes', async () => {
  const own = await makeWorld({ own: true });
  const client = own.client('ann');
  const room = client.room('open:live').join();
  const heard = record(room);
  await isIn(room);
  const once = `SELECT pgpush.emit('open:live', 'once', '{}', dup => 'same')`;
  await own.count('open:live', 1, 3);
  await own.sql(once);
  await own.sql(once);
  await until(() => heard.all.length === 4);
  await own.does('root', { text: "UPDATE pgpush.epoch SET timeline = 'old'" });
  await own.does('pg_stop');
  await own.does('pg_start');
  await until(() => heard.resets.length > 0);
  // What was told in an epoch may be told again in the next.
  await own.sql(once);
  await own.count('open:live', 4, 6);
  await until(() => heard.n.length === 6);
  assert.deepEqual(heard.n, range(1, 6));
  assert.equal(heard.all.filter((event) => event === 'once').length, 2);
  assert.equal(heard.resets.length, 1);
  assert.notEqual(heard.resets[0].epoch, undefined);
});

/** One happening in both rooms, i from … to, in one transaction each. */
const happen = (from, to) =>
  w.sql(
    `SELECT pgpush.emit(room, 'n', jsonb_build_object('n', i),
                        dup => 'happening ' || i)
       FROM generate_series(%s, %s) i, unnest(ARRAY['open:x', 'open:y']) room`,
    from,
    to,
  );

test('one happening in two rooms is told once, over cuts, too', async () => {
  const random = makeRandom(2);
  const { received, WebSocket } = listenIn();
  const client = w.client('ann', { to: proxy, WebSocket });
  const told = [];
  client.on('n', ({ n }) => told.push(n));
  const rooms = ['open:x', 'open:y'].map((name) => client.room(name).join());
  for (let i = 0; i < 40; i++) {
    await Promise.all(rooms.map(isIn));
    const seen = proxy.connections;
    // Often between the two.
    proxy.cutAfter = 100 + Math.floor(random() * 300);
    await happen(5 * i + 1, 5 * i + 5);
    await until(() => proxy.connections > seen);
  }
  proxy.cutAfter = Infinity;
  await until(() => told.length >= 200, () => `${told.length} of 200`);
  await happen(201, 201);
  await until(() => told.includes(201));
  assert.deepEqual(told, range(1, 201));
  // There were some to be dropped.
  assert.ok(received.filter((f) => f.dup).length > 201);
});

test('what comes after a leave is not told, and a rejoin begins anew', async () => {
  const client = w.client('ann', { to: proxy });
  const room = client.room('open:door').join();
  const heard = record(room);
  await isIn(room);
  await w.count('open:door', 1, 2);
  await until(() => heard.n.length === 2);
  room.leave();
  await until(() => room.state === 'left');
  await w.count('open:door', 3, 4);
  const witness = client.room('open:witness').join();
  const seen = record(witness);
  await isIn(witness);
  await w.count('open:witness', 1, 1);
  await until(() => seen.n.length === 1);
  assert.deepEqual(heard.n, [1, 2]);
  room.join();
  await isIn(room);
  await w.count('open:door', 5, 6);
  await until(() => heard.n.at(-1) === 6);
  assert.equal(new Set(heard.n).size, heard.n.length);
  assert.equal(heard.joined.length, 2);
});

test('rooms are counted: the last leave leaves', async () => {
  const { sent, WebSocket } = listenIn();
  const client = w.client('ann', { WebSocket });
  const a = client.room('open:counted').join();
  const b = client.room('open:counted').join();
  const heard = record(a);
  await isIn(b);
  a.leave();
  await w.count('open:counted', 1, 1);
  await until(() => heard.n.length === 1);
  b.leave();
  // As React does when it renders anew: nothing is left or joined.
  b.join();
  b.leave();
  b.join();
  await w.count('open:counted', 2, 2);
  await until(() => heard.n.length === 2);
  assert.equal(heard.joined.length, 1);
  assert.deepEqual(sent.map((f) => f.type), ['auth', 'join']);
  for (const off of heard.off) off();
  b.leave();
  b.leave();
  await until(() => a.state === 'left');
  assert.deepEqual(sent.map((f) => f.type), ['auth', 'join', 'leave']);
});

test('handlers alone keep a room, the last one leaves it', async () => {
  const client = w.client('ann');
  const frames = [];
  client.on('event', (e) => frames.push(e));
  const seen = [];
  const off = client.room('open:auto').on('n', ({ n }) => seen.push(n));
  await isIn(client.room('open:auto'));
  await w.count('open:auto', 1, 1);
  await until(() => seen.length === 1);
  off();
  off();
  await until(() => client.room('open:auto').state === 'left');
  await w.count('open:auto', 2, 2);
  const witness = record(client.room('open:auto2').join());
  await isIn(client.room('open:auto2'));
  await w.count('open:auto2', 1, 1);
  await until(() => witness.n.length === 1);
  assert.deepEqual(seen, [1]);
  assert.deepEqual(frames.map((e) => [e.room, e.data.n]), [
    ['open:auto', 1],
    ['open:auto2', 1],
  ]);
  assert.ok(frames.every((e) => e.id > 0 && Math.abs(Date.now() - e.at) < 6e4));
});

test('a room that is forbidden says so, and opens after a join', async () => {
  const client = w.client('ann');
  const room = client.room('closed:1').join();
  const errors = [];
  room.on('error', (err) => errors.push(err.code));
  await until(() => room.state === 'error');
  assert.deepEqual(errors, ['forbidden']);
  await w.sql("INSERT INTO app.members VALUES ('closed:1', 'ann')");
  room.join();
  await isIn(room);
  const left = new Promise((resolve) => {
    room.on('left', resolve);
  });
  await w.sql("SELECT pgpush.revoke('closed:1', 'ann')");
  assert.deepEqual(await left, { reason: 'revoked' });
  assert.equal(room.state, 'left');
});

test('a room by a handler, and back into it after a cut', async () => {
  const client = w.client('ann', { to: proxy });
  const room = client
    .room('open:byhand')
    .join({ event: 'enter', data: { rooms: ['open:byhand', 'open:side'] } });
  const heard = record(room);
  const side = [];
  client.on('n', (data, meta) => {
    if (meta.room === 'open:side') side.push(data.n);
  });
  await isIn(room);
  await w.count('open:byhand', 1, 2);
  await w.count('open:side', 1, 2);
  await until(() => heard.n.length === 2 && side.length === 2);
  proxy.refusing = true;
  proxy.cut();
  await w.count('open:byhand', 3, 4);
  await w.count('open:side', 3, 4);
  proxy.refusing = false;
  await until(() => heard.n.length === 4 && side.length === 4);
  assert.deepEqual(heard.n, [1, 2, 3, 4]);
  assert.deepEqual(side, [1, 2, 3, 4]);
  assert.deepEqual(heard.resets, []);

  const wrong = client.room('open:wrong').join({
    event: 'enter',
    data: { rooms: ['open:elsewhere'] },
  });
  await until(() => wrong.state === 'error');
});

for (const transport of ['websocket', 'sse'])
  test(`left while it is entered, and joined again: ${transport}`, async () => {
    const { received, WebSocket } = listenIn();
    const client = w.client('ann', {
      to: proxy, WebSocket, transports: [transport],
    });
    await until(() => /online|fallback/.test(client.status));
    proxy.delay = 10;
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    // Before it is left, and before it is joined again: in all the states of
    // what is under way, and it does not matter which is met.
    const waits = [
      turn,
      () => new Promise((resolve) => setTimeout(resolve, 12)),
      () => new Promise((resolve) => setTimeout(resolve, 25)),
      () => new Promise((resolve) => setTimeout(resolve, 60)),
    ];
    const door = (name) => ({ event: 'enter', data: { rooms: [name] } });
    const names = [];
    for (const [how, join] of [
      ['door', (room) => room.join(door(room.name))],
      ['join', (room) => room.join()],
    ])
      for (const [i, before] of waits.entries())
        for (const [j, after] of waits.entries()) {
          // Nobody else holds it, so it is forgotten in between.
          const room = client.room(`open:${transport}-${how}-${i}-${j}`);
          join(room);
          await before();
          room.leave();
          await after();
          assert.equal(room.state, 'left');
          join(room);
          const heard = record(room);
          await isIn(room);
          await w.count(room.name, 1, 2);
          await until(
            () => heard.n.length === 2,
            () => `${room.name} is deaf: ${JSON.stringify(received.slice(-9))}`,
          );
          assert.deepEqual(heard.n, [1, 2]);
          room.leave();
          for (const off of heard.off) off();
          names.push(room.name);
        }
    // What is left is left at the daemon, too: nothing of it comes here.
    const witness = record(client.room(`open:${transport}-witness`).join());
    await isIn(client.room(`open:${transport}-witness`));
    for (const name of names) await w.count(name, 3, 3);
    await w.count(`open:${transport}-witness`, 4, 4);
    await until(() => witness.n.length === 1);
    assert.deepEqual(
      received.filter((f) => f.type === 'event' && f.data.n === 3), []);
  });

test('only a handler lets in: who was away is told to fetch', async () => {
  const client = w.client('ann', { to: proxy });
  // No rule lets anybody join it by himself.
  const room = client
    .room('hidden:1')
    .join({ event: 'enter', data: { rooms: ['hidden:1'] } });
  const heard = record(room);
  await isIn(room);
  await w.count('hidden:1', 1, 2);
  await until(() => heard.n.length === 2);
  proxy.refusing = true;
  proxy.cut();
  await w.count('hidden:1', 3, 4);
  proxy.refusing = false;
  await until(() => heard.resets.length === 1);
  await w.count('hidden:1', 5, 5);
  await until(() => heard.n.at(-1) === 5);
  assert.deepEqual(heard.n, [1, 2, 5]);
  assert.equal(room.state, 'joined');
});

test('too large an event asks the page to fetch', async () => {
  const own = await makeWorld({ settings: { max_event: '2048' } });
  const client = own.client('ann');
  const room = client.room('open:big').join();
  const heard = record(room);
  await isIn(room);
  await own.emit('open:big', 'big', { text: 'x'.repeat(5000) });
  await own.count('open:big', 1, 1);
  await until(() => heard.n.length === 1);
  assert.deepEqual(heard.all, ['resync', 'n']);
  assert.equal(heard.resets.length, 1);
  assert.equal(heard.resets[0].id, heard.ids[0]);
});

test('a handler that throws disturbs nobody, one that leaves is obeyed', async (t) => {
  const reported = t.mock.method(console, 'error', () => {});
  const client = w.client('ann');
  const room = client.room('open:throw').join();
  const seen = [];
  room.on('n', () => {
    throw new Error('on purpose');
  });
  room.on('n', ({ n }) => {
    seen.push(n);
    if (n === 3) room.leave();
  });
  client.on('n', () => {
    throw new Error('on purpose, too');
  });
  await isIn(room);
  await w.count('open:throw', 1, 5);
  await until(() => room.state === 'left');
  const witness = record(client.room('open:throw2').join());
  await isIn(client.room('open:throw2'));
  await w.count('open:throw2', 1, 1);
  await until(() => witness.n.length === 1);
  assert.deepEqual(seen.slice(0, 3), [1, 2, 3]);
  assert.ok(reported.mock.callCount() >= 6);
});
