// SPDX-License-Identifier: ISC
// Connecting, staying connected, and coming back.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  closeClients,
  cut,
  finishWorlds,
  isIn,
  listenIn,
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
});

/**
 * For a client whose answers to a ping are due after ms: they have all the time
 * they need, up to ten seconds, so that a slow machine is no dead link.
 */
function waitForAnswers(t, received, ms) {
  const real = globalThis.setTimeout;
  t.mock.method(globalThis, 'setTimeout', (run, after, ...rest) => {
    if (after !== ms) return real(run, after, ...rest);
    const [seen, end] = [received.length, Date.now() + 10_000];
    const timer = real(() => {
      if (received.length > seen || Date.now() > end) run();
      else timer.refresh();
    }, 1);
    return timer;
  });
}

const statusesOf = (client) => {
  const all = [client.status];
  client.on('status', (status) => all.push(status));
  return all;
};

test('the status tells the truth, from the first try to the end', async () => {
  proxy.refusing = true;
  const client = w.client('ann', { to: proxy });
  const statuses = statusesOf(client);
  await until(() => proxy.connections > 2);
  proxy.refusing = false;
  await online(client);
  await cut(proxy, client);
  await online(client);
  client.disconnect();
  assert.equal(client.status, 'idle');
  client.connect();
  await online(client);
  client.close();
  client.connect();
  assert.deepEqual(statuses, [
    'connecting', 'online', 'reconnecting', 'online', 'idle', 'reconnecting',
    'online', 'closed',
  ]);
  assert.equal(client.session, null);
});

test('disconnect keeps rooms, positions and sends for connect', async () => {
  const client = w.client('ann');
  const room = client.room('open:kept').join();
  const heard = record(room);
  await isIn(room);
  await w.count('open:kept', 1, 2);
  await until(() => heard.n.length === 2);
  client.disconnect();
  assert.equal(room.state, 'joining');
  const answer = client.send('echo', { n: 1 });
  const other = client.room('open:meanwhile').join();
  await w.count('open:kept', 3, 4);
  client.connect();
  assert.equal((await answer).data.n, 1);
  await until(() => heard.n.length === 4);
  await isIn(other);
  assert.deepEqual(heard.n, [1, 2, 3, 4]);
  assert.deepEqual(heard.resets, []);
});

test('a daemon that is killed and started again', async () => {
  const client = w.client('ann');
  const room = client.room('open:killed').join();
  const heard = record(room);
  await isIn(room);
  for (let i = 0; i < 3; i++) {
    await w.count('open:killed', 10 * i + 1, 10 * i + 5);
    await w.does('kill');
    await w.count('open:killed', 10 * i + 6, 10 * i + 10);
    await until(() => client.status === 'reconnecting');
    await w.does('start');
    await until(() => heard.n.length === 10 * i + 10);
  }
  assert.deepEqual(heard.n, range(1, 30));
  assert.deepEqual(heard.resets, []);
});

test('PostgreSQL stopped and started while messages flow', async () => {
  const client = w.client('ann');
  const room = client.room('open:pg').join();
  const heard = record(room);
  await isIn(room);
  await w.count('open:pg', 1, 10);
  await w.does('pg_stop');
  await w.does('pg_start');
  await w.count('open:pg', 11, 20);
  await until(() => heard.n.length >= 20);
  assert.deepEqual(heard.n, range(1, 20));
  assert.deepEqual(heard.resets, []);
});

test('a daemon that stops tells when to come back', async () => {
  const closes = [];
  const { WebSocket } = listenIn();
  class Closing extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener('close', ({ code, reason }) =>
        closes.push({ code, reason, at: Date.now() }),
      );
    }
  }
  const client = w.client('ann', { WebSocket: Closing });
  const room = client.room('open:drain').join();
  const heard = record(room);
  await isIn(room);
  await w.count('open:drain', 1, 3);
  await until(() => heard.n.length === 3);
  await w.does('stop');
  await w.does('start');
  await w.count('open:drain', 4, 6);
  await until(() => heard.n.length === 6);
  const back = Date.now();
  const { code, reason, at } = closes.find((c) => c.code === 1012);
  assert.equal(code, 1012);
  assert.match(reason, /^retry=\d+$/);
  // Not earlier than it was told, although its own waits are 20 ms and more.
  assert.ok(back - at >= Number(reason.slice(6)) - 20);
  assert.deepEqual(heard.n, range(1, 6));
});

test('a link that goes silent is found dead and replaced', async () => {
  const client = w.client('ann', { to: proxy, pingInterval: 200 });
  const room = client.room('open:silent').join();
  const heard = record(room);
  await isIn(room);
  proxy.silent = true;
  await w.count('open:silent', 1, 3);
  await until(() => client.status === 'reconnecting');
  proxy.silent = false;
  await until(() => heard.n.length === 3);
  assert.deepEqual(heard.n, [1, 2, 3]);
});

test('a link that is only quiet stays', async (t) => {
  const { sent, received, WebSocket } = listenIn();
  waitForAnswers(t, received, 25);
  const client = w.client('ann', { pingInterval: 50, WebSocket });
  const statuses = statusesOf(client);
  const room = client.room('open:quiet').join();
  await isIn(room);
  await until(() => sent.filter((f) => f.type === 'ping').length >= 5);
  assert.deepEqual(statuses.slice(-1), ['online']);
  assert.equal(sent.filter((f) => f.type === 'auth').length, 1);
});

test('what a ping answers is a position: a quiet room needs no reset', async (t) => {
  const own = await makeWorld();
  const through = await Proxy.start(own.port);
  const { received, WebSocket } = listenIn();
  waitForAnswers(t, received, 25);
  const client = own.client('ann', { to: through, pingInterval: 50, WebSocket });
  const quiet = client.room('open:quiet').join();
  const busy = client.room('open:busy').join();
  const [heard, heardBusy] = [record(quiet), record(busy)];
  await Promise.all([isIn(quiet), isIn(busy)]);
  await own.count('open:busy', 1, 20);
  await until(() => heardBusy.n.length === 20);
  const last = heardBusy.ids.at(-1);
  await until(() =>
    received.some((f) => f.type === 'reply' && !f.room && f.id >= last));
  through.refusing = true;
  through.cut();
  await until(async () => {
    await own.does('root', { text: "SELECT pgpush.purge('0 s', 1000)" });
    const [[left]] = await own.sql('SELECT count(*) FROM pgpush.log');
    return left === 0;
  });
  await own.does('restart');
  through.refusing = false;
  await until(() => heard.joined.length === 2);
  await own.count('open:quiet', 1, 1);
  await until(() => heard.n.length === 1);
  assert.deepEqual(heard.resets, []);
  through.stop();
});

test('no welcome in time is a failed try', async (t) => {
  const real = globalThis.setTimeout;
  // Ten seconds are a hundredth of it here.
  t.mock.method(globalThis, 'setTimeout', (run, ms, ...rest) =>
    real(run, ms === 10_000 ? 100 : ms, ...rest),
  );
  proxy.silent = true;
  const client = w.client('ann', { to: proxy });
  const seen = proxy.connections;
  await until(() => proxy.connections >= seen + 3);
  assert.equal(client.status, 'connecting');
  t.mock.restoreAll();
  proxy.silent = false;
  await online(client);
});

const TOKEN_MS = 20_000;

test('the waits are random, grow, and are capped', async (t) => {
  const randoms = [];
  t.mock.method(Math, 'random', () => {
    const value = [0, 0.5, 0.999][randoms.length % 3];
    randoms.push(value);
    return value;
  });
  const waits = [];
  const real = globalThis.setTimeout;
  t.mock.method(globalThis, 'setTimeout', (run, ms, ...rest) => {
    waits.push(ms);
    // What getToken may take is no wait.
    return real(run, ms === TOKEN_MS ? ms : Math.min(ms, 1), ...rest);
  });
  proxy.refusing = true;
  const seen = proxy.connections;
  const client = w.client('ann', { to: proxy, backoff: { base: 100, cap: 800 } });
  await until(() => proxy.connections >= seen + 8);
  client.close();
  t.mock.restoreAll();
  const delays = waits.filter((ms) => ![10_000, 5, TOKEN_MS].includes(ms));
  const expected = [0, 100, 399.6, 0, 400, 799.2, 0, 400].slice(0, 7);
  assert.deepEqual(
    delays.slice(0, 7).map((ms) => Math.round(ms * 10) / 10),
    expected,
  );
});

test('polling when nothing connects, until something does', async () => {
  proxy.refusing = true;
  const asked = [];
  const client = w.client('ann', {
    to: proxy,
    backoff: { base: 1, cap: 5 },
    poll: {
      interval: 10,
      fetch: async (rooms) => {
        asked.push(rooms);
        if (asked.length === 2) throw new Error('the API is away, too');
      },
    },
  });
  const stale = [];
  client.on('stale', (rooms) => stale.push(rooms));
  const room = client.room('open:polled').join();
  const heard = record(room);
  await until(() => client.status === 'polling' && asked.length >= 4);
  assert.deepEqual(asked.at(-1), ['open:polled']);
  assert.deepEqual(stale, asked);
  await w.count('open:polled', 1, 1);
  proxy.refusing = false;
  await online(client);
  await isIn(room);
  const polls = asked.length;
  await w.count('open:polled', 2, 3);
  // The first is told, too, if it reaches the log after we have joined.
  await until(() => heard.n.at(-1) === 3, () => `3 in ${heard.n}`);
  assert.deepEqual(heard.n.slice(-2), [2, 3]);
  assert.ok(asked.length <= polls);
});

test('node ends when the client is closed, and while it is idle', async () => {
  const index = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const token = await w.token('ann');
  for (const end of ['close', 'disconnect']) {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import WebSocket from 'ws';
         import { connect } from '${index}';
         const client = connect({ url: '${w.url}', getToken: () => '${token}',
           WebSocket, transports: ['websocket'] });
         const room = client.room('open:end').join();
         room.on('joined', () => {
           client.${end}();
           client.send('echo').catch(() => {});
           console.log('done');
         });`,
      ],
      { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: 'pipe' },
    );
    const out = [];
    child.stdout.on('data', (bytes) => out.push(String(bytes)));
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    assert.equal(out.join(''), 'done\n');
  }
});

test('a thousand clients’ lives leave no timers and no memory', async () => {
  const live = () => process.getActiveResourcesInfo().length;
  const life = async (i) => {
    const client = w.client('ann', { to: proxy });
    const room = client.room(`open:life${i % 7}`).join();
    record(room);
    if (i % 5 === 0) await isIn(room);
    client.send('echo', {}).catch(() => {});
    client.close();
  };
  for (let i = 0; i < 50; i++) await life(i);
  closeClients();
  await until(() => proxy.pairs.size === 0);
  globalThis.gc();
  const [resources, memory] = [live(), process.memoryUsage().heapUsed];
  for (let i = 0; i < 1000; i++) await life(i);
  closeClients();
  await until(() => proxy.pairs.size === 0);
  await until(() => live() <= resources + 2, () => `${live()} of ${resources}`);
  globalThis.gc();
  assert.ok(process.memoryUsage().heapUsed - memory < 5e6);
});

test('rooms that are left are forgotten', async () => {
  const client = w.client('ann');
  await online(client);
  globalThis.gc();
  const memory = process.memoryUsage().heapUsed;
  for (let i = 0; i < 20_000; i++) {
    const room = client.room(`open:${i}`);
    const off = room.on('n', () => {});
    room.join();
    off();
    room.leave();
    if (i % 100 === 0) await Promise.resolve();
  }
  await Promise.resolve();
  globalThis.gc();
  assert.ok(process.memoryUsage().heapUsed - memory < 2e6);
});

test('a bad address is told at once', () => {
  assert.throws(() => w.client('ann', { to: { port: 'x' } }), TypeError);
});
