// SPDX-License-Identifier: ISC
// Tokens: asked for, refreshed, refused.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  closeClients,
  cut,
  finishWorlds,
  isIn,
  listenIn,
  makeWorld,
  online,
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
  proxy.refusing = false;
});

const errorOf = (client) =>
  new Promise((resolve) => {
    client.on('error', resolve);
  });

test('the token is asked for before every connection', async () => {
  let asked = 0;
  const client = w.client('ann', {
    to: proxy,
    getToken: () => {
      asked++;
      return w.token('ann');
    },
  });
  await online(client);
  assert.equal(asked, 1);
  await cut(proxy, client);
  await online(client);
  assert.equal(asked, 2);
});

test('it is refreshed before it ends, on the same connection', async () => {
  const { sent, WebSocket } = listenIn();
  const lives = [8, 3600];
  let asked = 0;
  const client = w.client('ann', {
    WebSocket,
    // It is said at once if there are fewer than 60 seconds left.
    getToken: () => w.token('ann', lives[asked++] ?? 3600),
  });
  const statuses = [];
  client.on('status', (status) => statuses.push(status));
  const room = client.room('open:fresh').join();
  const heard = record(room);
  await isIn(room);
  const session = client.session;
  await until(() => sent.filter((f) => f.type === 'auth').length === 2);
  // Past the end of the first one.
  const ends = Date.now() + 9500;
  let n = 0;
  while (Date.now() < ends) {
    n++;
    await w.count('open:fresh', n, n);
    await until(() => heard.n.length === n);
  }
  assert.equal(client.session, session);
  assert.equal(asked, 2);
  assert.deepEqual(statuses, ['online']);
});

test('tokens that live shorter than the notice are no storm', async () => {
  let asked = 0;
  const began = Date.now();
  const client = w.client('ann', {
    getToken: () => {
      asked++;
      return w.token('ann', 8);
    },
  });
  await online(client);
  const session = client.session;
  await until(() => asked === 3);
  assert.equal(client.session, session);
  const room = client.room('open:storm').join();
  const heard = record(room);
  await isIn(room);
  for (let n = 1; n <= 50; n++) await w.count('open:storm', n, n);
  await until(() => heard.n.length === 50);
  // Each comes halfway through the one before.
  assert.ok(asked <= 1 + (Date.now() - began) / 3000, `${asked} times`);
});

test('one that ended is replaced after the close', async () => {
  let asked = 0;
  const client = w.client('ann', {
    getToken: () => {
      asked++;
      // The refresh does not work: its server is away.
      if (asked === 2) return Promise.reject(new Error('no server'));
      return w.token('ann', asked === 1 ? 2 : 3600);
    },
  });
  const errors = [];
  client.on('error', (err) => errors.push(err));
  await until(() => asked === 3);
  await online(client);
  assert.deepEqual(errors, []);
});

test('a refused token is asked for once more', async () => {
  let asked = 0;
  const client = w.client('ann', {
    getToken: async () =>
      ++asked === 1 ? w.does('bad_token', { user: 'ann' }) : w.token('ann'),
  });
  await online(client);
  assert.equal(asked, 2);
});

test('refused again, it is an error, and the client stops', async () => {
  let asked = 0;
  let good = false;
  const client = w.client('ann', {
    getToken: () => {
      asked++;
      return good ? w.token('ann') : w.does('bad_token', { user: 'ann' });
    },
  });
  const waits = client.send('echo', {});
  const err = await errorOf(client);
  assert.equal(err.code, 'unauthorized');
  assert.equal(client.status, 'closed');
  assert.equal(asked, 2);
  await assert.rejects(waits, { code: 'unauthorized' });
  // After a log in it can go on.
  good = true;
  client.connect();
  await online(client);
});

test('nobody logged in: no connection is tried', async () => {
  const seen = proxy.connections;
  const client = w.client('ann', { to: proxy, getToken: () => null });
  const err = await errorOf(client);
  assert.equal(err.code, 'unauthorized');
  assert.equal(proxy.connections, seen);
});

test('getToken that fails is asked again', async () => {
  let asked = 0;
  const client = w.client('ann', {
    getToken: () => {
      if (++asked < 4) throw new Error('not yet');
      return w.token('ann');
    },
  });
  await online(client);
  assert.equal(asked, 4);
});

test('4403: who does not exist does not come back', async () => {
  const seen = proxy.connections;
  const client = w.client('nobody', { to: proxy });
  const err = await errorOf(client);
  assert.equal(err.code, 'forbidden');
  assert.equal(err.message, 'user not found');
  assert.equal(client.status, 'closed');
  assert.equal(proxy.connections, seen + 1);
});

test('a kick ends it, and its rooms come back with connect', async () => {
  const client = w.client('kicked');
  const room = client.room('open:kick').join();
  const heard = record(room);
  await isIn(room);
  const failed = errorOf(client);
  await w.sql("SELECT pgpush.kick('kicked')");
  assert.equal((await failed).code, 'forbidden');
  assert.deepEqual(heard.left, [{ reason: 'kicked' }]);
  client.connect();
  await isIn(room);
});

test('another user begins anew, and nothing is sent in his name', async () => {
  let user = 'first';
  const client = w.client('', { to: proxy, getToken: () => w.token(user) });
  const room = client.room('open:users').join();
  const heard = record(room);
  await isIn(room);
  proxy.refusing = true;
  proxy.cut();
  await until(() => client.status === 'reconnecting');
  const waits = client.send('echo', {});
  user = 'second';
  // The next try may be one for which the first was asked.
  const seen = proxy.connections;
  await until(() => proxy.connections > seen + 1);
  proxy.refusing = false;
  await assert.rejects(waits, { code: 'forbidden' });
  await until(() => heard.joined.length === 2);
  assert.equal(client.user, 'second');
  assert.equal(heard.joined[1].resumed, false);
  const calls = await w.sql("SELECT 1 FROM app.calls WHERE event = 'echo'");
  assert.deepEqual(calls, []);
});
