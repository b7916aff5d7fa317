// SPDX-License-Identifier: ISC
// npm's eventsource, a client that knows nothing of pgpush, at a daemon that
// is killed and started again: nothing is missing and nothing comes twice.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { EventSource } from 'eventsource';
import { makeWorld, openPool, until } from './lib.js';
import { freePorts } from './ports.js';

const EVENTS = 300;
const pool = openPool();
let w;
let source;
let daemon;
let port;

/** One of its own beside script/server's, on the same database. */
async function startDaemon() {
  const conf = path.join(process.env.PUSH_VAR, 'pgpushd.conf');
  const program = path.join(process.env.PUSH_BUILD, 'src/pgpushd');
  daemon = spawn(
    'setpriv', // so that it ends with us, whatever ends us
    ['--pdeathsig', 'KILL', program, '-c', conf],
    {
      env: { ...process.env, PGPUSH_LISTEN: `127.0.0.1:${port}` },
      stdio: 'ignore',
    },
  );
  daemon.gone = once(daemon, 'exit');
  await until(async () => {
    assert.equal(daemon.exitCode, null, 'the daemon has ended');
    const url = `http://127.0.0.1:${port}/readyz`;
    return (await fetch(url).catch(() => null))?.ok;
  }, 'a daemon that is ready');
}

async function killDaemon() {
  daemon.kill('SIGKILL');
  await daemon.gone;
}

before(async () => {
  w = await makeWorld(pool);
  [port] = await freePorts(1);
  await startDaemon();
});
after(async () => {
  source?.close();
  if (daemon) await killDaemon();
  await pool.end();
});

test('an EventSource resumes by itself, without a gap', async () => {
  const room = `order:${w.order.id}`;
  const heard = [];
  const welcomes = [];
  const resets = [];
  source = new EventSource(
    `http://127.0.0.1:${port}/events?room=${room}&token=${w.client.token}`,
  );
  source.addEventListener('pgpush:welcome', (e) =>
    welcomes.push(JSON.parse(e.data)),
  );
  source.addEventListener('pgpush:reset', (e) => resets.push(e.data));
  source.addEventListener('order_message', (e) => {
    const frame = JSON.parse(e.data);
    assert.equal(e.lastEventId.split('.')[1], String(frame.id));
    heard.push(frame.data.content);
  });
  await until(() => welcomes.length === 1, 'the welcome');
  assert.deepEqual(welcomes[0].rooms, [`user:${w.client.id}`, room]);

  const say = (from, to) =>
    pool.query(
      `INSERT INTO messages (order_id, sender_id, receiver_id, content)
       SELECT $1, $2, $3, n::text FROM generate_series($4::int, $5::int) n`,
      [w.order.id, w.performer.id, w.client.id, from, to],
    );
  await say(1, 1);
  await until(() => heard.length > 0, 'the first message');
  let n = 1;
  for (const round of [1, 2, 3]) {
    // Killed while it tells, and while nobody listens more is written.
    for (; n < round * 80; n++) await say(n + 1, n + 1);
    await killDaemon();
    for (; n < round * 100; n++) await say(n + 1, n + 1);
    await startDaemon();
    await until(() => welcomes.length > round, `welcome ${round + 1}`);
  }
  await until(() => heard.length >= EVENTS, `all messages (${heard.length})`);

  // An end of its own, after which nothing of before can come.
  await say(EVENTS + 1, EVENTS + 1);
  await until(() => heard.includes(String(EVENTS + 1)), 'the last message');
  const want = Array.from({ length: EVENTS + 1 }, (_, i) => String(i + 1));
  assert.deepEqual(heard, want);
  assert.deepEqual(resets, []);
});

test('an EventSource gives up where there is nothing for it', async () => {
  const room = `order:${w.order.id}`;
  for (const [what, token, code] of [
    ['a stranger', w.stranger.token, 403],
    ['a bad token', 'x.y.z', 401],
  ]) {
    const refused = new EventSource(
      `http://127.0.0.1:${port}/events?room=${room}&token=${token}`,
    );
    const errors = [];
    refused.addEventListener('error', (e) => errors.push(e.code));
    await until(() => refused.readyState === EventSource.CLOSED, what);
    assert.deepEqual(errors, [code], what);
  }
});
