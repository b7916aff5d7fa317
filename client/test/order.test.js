// SPDX-License-Identifier: ISC
// Each event once and in order, whatever happens to the connection.

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
  w = await makeWorld();
  proxy = await Proxy.start(w.port);
});
after(async () => {
  proxy?.stop();
  await finishWorlds();
});
afterEach(() => {
  closeClients();
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
