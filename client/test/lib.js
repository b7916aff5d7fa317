// SPDX-License-Identifier: ISC
// What the tests share: worlds (a real daemon on a real PostgreSQL), clients
// that write down what they hear, and ways to wait.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { connect } from '../dist/index.js';

export const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const KEEPER = fileURLToPath(new URL('keeper.py', import.meta.url));

let keeper;
let orders = 0;
const waiting = new Map();

function startKeeper() {
  keeper = spawn(PYTHON, [KEEPER], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface(keeper.stdout).on('line', (line) => {
    const { id, ok, value } = JSON.parse(line);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    idle();
    if (ok) resolve(value);
    else reject(new Error(value));
  });
  keeper.unref();
  keeper.stdin.unref();
}

/** The keeper holds node only while it owes an answer. */
function idle() {
  if (waiting.size > 0) keeper.stdout.ref();
  else keeper.stdout.unref();
}

function order(world, what, args = {}) {
  if (!keeper) startKeeper();
  const id = ++orders;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    idle();
    keeper.stdin.write(`${JSON.stringify({ ...args, id, do: what, world })}\n`);
  });
}

const worlds = new Map();
const clients = new Set();

/** A database, a daemon on it; own: a PostgreSQL of its own, to be stopped. */
export async function makeWorld(options = {}) {
  const name = `w${worlds.size + 1}`;
  const does = (what, args) => order(name, what, args);
  const port = await does('make', options);
  const world = {
    name,
    port,
    url: `ws://127.0.0.1:${port}/ws`,
    does,
    sql: (text, ...args) => does('sql', { text, args }),
    emit: (room, event, data = {}) =>
      does('sql', {
        text: 'SELECT pgpush.emit(%s, %s, %s::jsonb)',
        args: [room, event, JSON.stringify(data)],
      }),
    /** Events n {n: from} … {n: to}, one transaction each or all in one. */
    count: (room, from, to) =>
      does('sql', {
        text: `SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', n))
                 FROM generate_series(%s, %s) n`,
        args: [room, from, to],
      }),
    signal: (room, event, data = {}) =>
      does('sql', {
        text: 'SELECT pgpush.signal(%s::text, %s, %s::jsonb)',
        args: [room, event, JSON.stringify(data)],
      }),
    token: (user, exp, claims) => does('token', { user, exp, claims }),
    /** A client of this world; options.to is the proxy it goes through. */
    client: (user, { to, ...options } = {}) => {
      const client = connect({
        url: to ? `ws://127.0.0.1:${to.port}/ws` : world.url,
        getToken: () => world.token(user),
        WebSocket,
        transports: ['websocket'],
        backoff: { base: 20, cap: 200 },
        ...options,
      });
      clients.add(client);
      return client;
    },
  };
  worlds.set(name, world);
  return world;
}

/** After each test: no client stays. */
export function closeClients() {
  for (const client of clients) client.close();
  clients.clear();
}

/** At the end of a file. Fails if a daemon did not end as it should. */
export async function finishWorlds() {
  closeClients();
  for (const world of worlds.values()) {
    const trouble = await world.does('finish');
    if (trouble.length > 0) throw new Error(trouble.join('\n'));
  }
  worlds.clear();
  keeper?.stdin.end();
}

/** Machines of the tests are slow and busy. */
export const LIMIT_MS = 60_000;

/** Resolves when check() is true; fails after ms. */
export async function until(check, what = check.toString(), ms = LIMIT_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end)
      throw new Error(`never happened: ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Cut it off and wait until it has noticed; it may be back by then. */
export async function cut(proxy, client) {
  const noticed = new Promise((resolve) => {
    const off = client.on('status', (status) => {
      if (status === 'online' || status === 'fallback') return;
      off();
      resolve();
    });
  });
  proxy.cut();
  await noticed;
}

export const online = (client) =>
  until(() => client.status === 'online', () => `online (${client.status})`);

export const isIn = (room) =>
  until(() => room.state === 'joined', () => `in ${room.name} (${room.state})`);

/** Write down what a room says: the numbers of its n events, and its own. */
export function record(room) {
  const heard = { n: [], ids: [], all: [], resets: [], joined: [], left: [] };
  heard.off = [
    room.on('*', (data, meta) => {
      heard.all.push(meta.event);
      if (meta.id !== undefined) heard.ids.push(meta.id);
      if (meta.event === 'n') heard.n.push(data.n);
    }),
    room.on('reset', (data) => heard.resets.push(data)),
    room.on('joined', (data) => heard.joined.push(data)),
    room.on('left', (data) => heard.left.push(data)),
  ];
  return heard;
}

/** A WebSocket that also shows the frames that go over it. */
export function listenIn() {
  const sent = [];
  const received = [];
  class Listening extends WebSocket {
    constructor(...args) {
      super(...args);
      this.on('message', (text) => received.push(JSON.parse(text)));
    }
    send(text) {
      sent.push(JSON.parse(text));
      super.send(text);
    }
  }
  return { sent, received, WebSocket: Listening };
}

export const range = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** A seeded random number, so that a failure can be had again. */
export function makeRandom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
