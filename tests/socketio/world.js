// SPDX-License-Identifier: ISC
// What the tests of the daemon share: worlds (a daemon on a PostgreSQL), and
// clients of the unmodified package that write down what they hear.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { io as io48 } from 'socket.io-client';
import { io as io40 } from 'socket.io-client-4.0';

const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const KEEPER = fileURLToPath(new URL('../../client/test/keeper.py', import.meta.url));
export const LIMIT_MS = 60_000;

export const CLIENT = '10000000-0000-4000-8000-000000000001';
export const PERFORMER = '10000000-0000-4000-8000-000000000002';
export const ADMIN = '10000000-0000-4000-8000-000000000003';
export const STRANGER = '10000000-0000-4000-8000-000000000004';
export const MODERATOR = '10000000-0000-4000-8000-000000000005';
export const ORDER = '20000000-0000-4000-8000-000000000001';
export const ORDER2 = '20000000-0000-4000-8000-000000000002';
export const DISPUTE = '30000000-0000-4000-8000-000000000001';

/** The packages that must work: the newest and the oldest of the line. */
export const PACKAGES = { 4.8: io48, '4.0': io40 };
export const TRANSPORTS = [['websocket'], ['polling'], ['polling', 'websocket']];

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
const sockets = new Set();

/** A database and a daemon on it. */
export async function makeWorld(options = {}) {
  const name = `w${worlds.size + 1}`;
  const does = (what, args) => order(name, what, args);
  const port = await does('make', options);
  const world = {
    name,
    port,
    url: `http://127.0.0.1:${port}`,
    does,
    sql: (text, ...args) => does('sql', { text, args }),
    api: (text, ...args) => does('api', { text, args }),
    root: (text, ...args) => does('root', { text, args }),
    emit: (room, event, data = {}) =>
      does('sql', {
        text: 'SELECT pgpush.emit(%s, %s, %s::jsonb)',
        args: [room, event, JSON.stringify(data)],
      }),
    signal: (room, event, data = {}) =>
      does('sql', {
        text: 'SELECT pgpush.signal(%s::text, %s, %s::jsonb)',
        args: [room, event, JSON.stringify(data)],
      }),
    token: (user, exp, claims) => does('token', { user, exp, claims }),
    /** A socket of this user that has connected. */
    client: async (user, options = {}) => {
      const socket = open(world, { auth: { token: await world.token(user) }, ...options });
      await heard(socket, 'connect');
      return socket;
    },
  };
  worlds.set(name, world);
  return world;
}

/** A socket of the package; everything it hears is in socket.heard. */
export function open(world, { io = io48, nsp = '', port, ...options } = {}) {
  const url = port ? `http://127.0.0.1:${port}` : world.url;
  const socket = io(`${url}${nsp}`, {
    forceNew: true,
    transports: ['websocket'],
    reconnectionDelay: 20,
    reconnectionDelayMax: 200,
    ...options,
  });
  socket.heard = [];
  for (const event of ['connect', 'connect_error', 'disconnect'])
    socket.on(event, (...args) => socket.heard.push([event, ...args]));
  socket.onAny((event, ...args) => socket.heard.push([event, ...args]));
  sockets.add(socket);
  return socket;
}

/** After each test: no client stays. */
export function closeSockets() {
  for (const socket of sockets) socket.disconnect();
  sockets.clear();
}

/** At the end of a file. Fails if a daemon did not end as it should. */
export async function finishWorlds() {
  closeSockets();
  for (const world of worlds.values()) {
    const trouble = await world.does('finish');
    if (trouble.length > 0) throw new Error(trouble.join('\n'));
  }
  worlds.clear();
  keeper?.stdin.end();
}

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

/** The arguments of the n-th event of that name, when it has come. */
export async function heard(socket, event, n = 1) {
  const find = () => socket.heard.filter(([name]) => name === event)[n - 1];
  await until(find, () => `${event} ${n}, heard ${JSON.stringify(socket.heard)}`);
  return find().slice(1);
}

/** The first argument of each event of that name that has come. */
export const all = (socket, event) =>
  socket.heard.filter(([name]) => name === event).map(([, data]) => data);

/** Emit and wait for the ack. */
export const ask = (socket, event, ...args) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ack to ${event}`)), LIMIT_MS);
    socket.emit(event, ...args, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
