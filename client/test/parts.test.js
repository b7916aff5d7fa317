// SPDX-License-Identifier: ISC
// What needs no daemon: small parts, and the size of all together.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { backoff } from '../dist/backoff.js';
import { Emitter } from '../dist/emitter.js';
import { beside } from '../dist/link.js';
import { Seen } from '../dist/positions.js';
import { Directory } from '../dist/rooms.js';
import { openStream } from '../dist/sse.js';
import { until } from './lib.js';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Bytes, gzipped, of what a page fetches at once for these lines: what is
 * fetched later, when it is needed, is in other files.
 */
async function sizeOf(contents) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: path('..'), sourcefile: 'entry.js' },
    alias: {
      'pgpush/react': path('../dist/react/index.js'),
      pgpush: path('../dist/index.js'),
    },
    external: ['react', 'react/jsx-runtime'],
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    outdir: '/out',
    write: false,
    metafile: true,
  });
  assert.ok(
    Object.keys(metafile.inputs).every((f) => /^dist\/|entry\.js$/.test(f)),
    'nothing else is needed',
  );
  const outputs = Object.entries(metafile.outputs);
  const needed = new Set([outputs.find(([, o]) => o.entryPoint === 'entry.js')[0]]);
  for (const name of needed)
    for (const { path: to, kind } of metafile.outputs[name].imports)
      if (kind === 'import-statement' && metafile.outputs[to]) needed.add(to);
  const files = outputFiles.filter((f) =>
    [...needed].some((name) => path(`../${name}`) === f.path || f.path.endsWith(name.replace(/^.*out\//, '/out/'))));
  assert.equal(files.length, needed.size);
  return files.reduce(
    (sum, f) => sum + gzipSync(f.contents, { level: 9 }).length, 0);
}

test('the core is not more than 8 KB gzipped', async (t) => {
  const size = await sizeOf("export * from 'pgpush';");
  t.diagnostic(`${size} bytes gzipped`);
  assert.ok(size <= 8192, `${size} bytes`);
  const { dependencies } = JSON.parse(readFileSync(path('../package.json')));
  assert.equal(dependencies, undefined);
});

test('the core and the hooks are not more than 12 KB gzipped', async (t) => {
  const hooks = `export { PushProvider, usePush, useStatus, useUser, useRoom, useLive,
    usePresence, useTyping, useNotifications, useStale } from 'pgpush/react';
    export * from 'pgpush';`;
  const size = await sizeOf(hooks);
  const all = await sizeOf("export * from 'pgpush/react'; export * from 'pgpush';");
  t.diagnostic(`${size} bytes gzipped, ${all} with the Chat`);
  assert.ok(size <= 12288, `${size} bytes`);
});

test('waits are anywhere between nothing and the doubled delay', () => {
  for (let n = 0; n < 40; n++) {
    const most = Math.min(30_000, 500 * 2 ** n);
    const all = Array.from({ length: 500 }, () => backoff(n, 500, 30_000));
    assert.ok(all.every((ms) => ms >= 0 && ms < most));
    assert.ok(Math.min(...all) < most / 4 && Math.max(...all) > (most * 3) / 4);
  }
});

test('happenings are remembered, the latest ones', () => {
  const seen = new Seen(3);
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'd', 'b', 'a'].map((text) => seen.add(text)),
    [true, true, false, true, true, false, true],
  );
  seen.clear();
  assert.equal(seen.add('d'), true);
});

test('handlers: twice the same, taken off while they are called', () => {
  const emitter = new Emitter();
  const calls = [];
  const handler = (data) => calls.push(data);
  const off1 = emitter.on('a', handler);
  emitter.on('a', handler);
  emitter.on('a', () => {
    off3();
    emitter.on('a', () => calls.push('late'));
  });
  const off3 = emitter.on('a', () => calls.push('never'));
  emitter.emit('a', 1);
  assert.deepEqual(calls, [1, 1]);
  off1();
  off1();
  emitter.emit('a', 2);
  assert.deepEqual(calls.slice(2, 3), [2]);
  assert.equal(calls.filter((c) => c === 2).length, 1);
});

test('addresses beside the one that is given', () => {
  const all = (url) => [
    beside(url, '', 'ws'),
    beside(url, 'events', 'http'),
    beside(url, 'send', 'http'),
  ];
  assert.deepEqual(all('wss://a.test/ws'), [
    'wss://a.test/ws', 'https://a.test/events', 'https://a.test/send',
  ]);
  assert.deepEqual(all('http://a.test:81/x/ws'), [
    'ws://a.test:81/x/ws', 'http://a.test:81/x/events', 'http://a.test:81/x/send',
  ]);
});

/** A directory that is in these rooms, greeted with user:1, at a position. */
async function inRooms(names, id, epoch) {
  const asked = [];
  const rooms = new Directory({
    up: true, ordered: true, again() {},
    ask: (frame, reply) => asked.push([frame, reply]),
  });
  rooms.welcome({ rooms: ['user:1'], id, epoch });
  for (const name of names) {
    const s = rooms.find(name);
    s.claims.add({});
    rooms.settle(s);
  }
  await null;
  for (const [{ room }, reply] of asked.splice(0)) reply({ ok: true, room, id });
  return { rooms, asked };
}

test('an at brings the epoch of all positions from then on', async () => {
  const { rooms, asked } = await inRooms(['a', 'b'], 10, 'one');
  rooms.at(12, 'one');
  rooms.at(15, 'two');
  assert.ok(rooms.event({ room: 'a', event: 'n', id: 16 }));
  assert.ok(!rooms.event({ room: 'a', event: 'n', id: 16 }));
  rooms.down();
  const { since, epoch } = rooms.hello(false);
  assert.deepEqual({ since, epoch }, { since: 15, epoch: 'two' });
  rooms.welcome({ rooms: ['user:1'], id: 15, epoch: 'three' });
  assert.deepEqual(
    asked.map(([{ room, since, epoch }]) => [room, since, epoch]),
    [['a', 16, 'two'], ['b', 15, 'two']],
  );
});

test('of positions of earlier epochs the oldest is asked for', async () => {
  const greeted = ['user:1', 'user:2'];
  const { rooms } = await inRooms([], 10, 'one');
  rooms.welcome({ rooms: greeted, id: 10, epoch: 'one' });
  rooms.down();
  rooms.welcome({ rooms: greeted, id: 10, epoch: 'two' });
  assert.ok(rooms.event({ room: 'user:1', event: 'n', id: 21 }));
  rooms.down();
  rooms.welcome({ rooms: greeted, id: 21, epoch: 'three' });
  const { since, epoch } = rooms.hello(false);
  assert.deepEqual({ since, epoch }, { since: 10, epoch: 'one' });
});

/** What a stream in these pieces is told as. */
async function told(pieces) {
  const server = createServer(async (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (const piece of pieces) {
      res.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    res.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const frames = [];
  let end;
  openStream(fetch, `http://127.0.0.1:${server.address().port}/ws`, { token: '', rooms: [] }, {
    frame: (frame) => frames.push(frame),
    heard: () => {},
    end: (...args) => (end = args),
  });
  await until(() => end);
  server.close();
  return { frames, end };
}

test('a stream is read the same however it is cut into pieces', async () => {
  const text =
    'retry: 1000\nid: e.5\nevent: pgpush:welcome\n' +
    'data: {"type":"welcome","session":"s"}\n\n' +
    ': a comment\n\n' +
    'id: e.6\nevent: n\ndata: {"type":"event","data":"größe"}\n\n' +
    'id: e.7\n\n' +
    'event: two\ndata: {"type":\ndata: "lines"}\n\n';
  const frames = [
    { type: 'welcome', session: 's' },
    { type: 'event', data: 'größe' },
    { type: 'at', id: 7, epoch: 'e' },
    { type: 'lines' },
  ];
  const bytes = Buffer.from(text);
  const singles = [...bytes].map((_, i) => bytes.subarray(i, i + 1));
  const { frames: whole, end } = await told([bytes]);
  assert.deepEqual(whole, frames);
  assert.deepEqual(end, [1006, '']);
  assert.deepEqual((await told(singles)).frames, frames);
});

test('a stream that only says when to come again is that', async () => {
  assert.deepEqual(await told(['retry: 700\n\n']), {
    frames: [],
    end: [1012, 'retry=700'],
  });
});
