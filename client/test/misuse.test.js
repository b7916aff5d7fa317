// SPDX-License-Identifier: ISC
// Mistakes of an application and bad luck of its users: each is named, and
// none of them takes the rest down.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import WebSocket from 'ws';
import { connect } from '../dist/index.js';
import {
  closeClients, finishWorlds, isIn, makeWorld, online, record, until,
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
  proxy.refusing = proxy.silent = false;
});

/** The first problem that a client names; they stop nothing. */
const problemOf = (client) =>
  new Promise((resolve) => client.on('problem', resolve));

const quiet = (t) => t.mock.method(console, 'warn', () => {});

// --- rooms that several use

test('the leave of one does not take the room from who only listens', async () => {
  const client = w.client('ann');
  const heard = record(client.room('open:shared'));
  const other = client.room('open:shared').join();
  await isIn(other);
  other.leave();
  await w.count('open:shared', 1, 1);
  await until(() => heard.n.length === 1, 'it still hears', 5000);
  assert.equal(other.state, 'joined');
});

test('a second leave takes the room from nobody else', async () => {
  const client = w.client('ann');
  const mine = client.room('open:twice').join();
  const heard = record(mine);
  const other = client.room('open:twice').join();
  await isIn(mine);
  other.leave();
  other.leave();
  await w.count('open:twice', 1, 1);
  await until(() => heard.n.length === 1, 'it still hears', 5000);
  assert.deepEqual(heard.left, []);
});

test('who listens on after the last leave is told that it was left', async () => {
  const client = w.client('ann');
  const mine = client.room('open:told').join();
  const heard = record(mine);
  const other = client.room('open:told').join();
  await isIn(mine);
  mine.leave();
  await w.count('open:told', 1, 1);
  await until(() => heard.n.length === 1);
  other.leave();
  await until(() => heard.left.length === 1, 'it is told', 5000);
  assert.deepEqual(heard.left, [{ reason: 'left' }]);
});

// --- options and tokens

test('what connect() cannot use is named at once', () => {
  const getToken = () => 'x';
  assert.throws(() => connect({ url: 'ws://a.test/ws' }), /getToken/);
  assert.throws(() => connect({ url: 'ws://a.test/ws', getToken: 'x' }), /getToken/);
  for (const url of ['localhost:8081/ws', 'ftp://a.test/ws', undefined, ''])
    assert.throws(
      () => connect({ url, getToken, WebSocket }),
      { name: 'TypeError', message: /wss:/ },
    );
});

test('a room that cannot be is named at once', async () => {
  const client = w.client('ann');
  for (const name of ['', undefined, 'a\u0000b', '\ud800', 'x'.repeat(201)])
    assert.throws(() => client.room(name), { code: 'bad_request' });
});

test('a getToken that never settles is named, and asked again', async (t) => {
  const warned = quiet(t);
  let asked = 0;
  const client = w.client('ann', {
    tokenTimeout: 50,
    getToken: () => (++asked < 3 ? new Promise(() => {}) : w.token('ann')),
  });
  const problem = await problemOf(client);
  assert.equal(problem.code, 'token');
  assert.match(problem.message, /getToken.*50 ms/);
  await online(client);
  assert.equal(asked, 3);
  assert.match(warned.mock.calls[0].arguments[0], /getToken/);
});

test('a getToken that throws is named, and asked again', async (t) => {
  quiet(t);
  let asked = 0;
  const client = w.client('ann', {
    getToken: () => {
      if (++asked < 3) throw new TypeError('session is undefined');
      return w.token('ann');
    },
  });
  const { code, message } = await problemOf(client);
  assert.equal(code, 'token');
  assert.match(message, /session is undefined/);
  await online(client);
});

test('a getToken without a token is an error that says what it gave', async () => {
  for (const [gave, text] of [[undefined, 'undefined'], [{}, 'object'], ['', "''"]]) {
    const client = w.client('ann', { getToken: async () => gave });
    const err = await new Promise((resolve) => client.on('error', resolve));
    assert.equal(err.code, 'unauthorized');
    assert.match(err.message, new RegExp(`getToken.*${text}`));
    assert.equal(client.status, 'closed');
  }
});

test('a token that is not valid yet is tried again, not given up', async (t) => {
  quiet(t);
  // The daemon allows for clocks that differ by so much.
  const soon = () => Math.floor(Date.now() / 1000);
  const start = soon();
  let asked = 0;
  const client = w.client('ann', {
    getToken: () => {
      asked++;
      return w.token('ann', 3600, { nbf: asked < 4 ? start + 120 : start });
    },
  });
  const errors = [];
  client.on('error', (err) => errors.push(err));
  const problem = await problemOf(client);
  assert.match(problem.message, /not valid yet|clock/);
  await online(client);
  assert.deepEqual(errors, []);
});

// --- addresses

const serve = async (answer) => {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return server;
};

test('a wrong path is named', async (t) => {
  quiet(t);
  for (const transports of [['websocket', 'sse'], ['sse'], ['websocket']]) {
    const server = await serve((req, res) => {
      res.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>Not here</h1>');
    });
    const url = `ws://127.0.0.1:${server.address().port}/sw`;
    const client = w.client('ann', { url, transports });
    const { code, message } = await problemOf(client);
    const isTold = transports.includes('sse');
    assert.equal(code, isTold ? 'address' : 'unreachable');
    if (isTold) assert.match(message, /404/);
    assert.match(message, /127\.0\.0\.1/);
    client.close();
    server.close();
  }
});

test('a page that is no stream is named', async (t) => {
  quiet(t);
  // What single-page servers answer to whatever they do not know.
  const server = await serve((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/html' }).end('<div id=root>');
  });
  const url = `ws://127.0.0.1:${server.address().port}/ws`;
  const client = w.client('ann', { url, transports: ['websocket', 'sse'] });
  const { code, message } = await problemOf(client);
  assert.equal(code, 'address');
  assert.match(message, /text\/html/);
  server.close();
});

test('debug: true writes down what happens', async (t) => {
  const log = t.mock.method(console, 'debug', () => {});
  const client = w.client('ann', { debug: true });
  await isIn(client.room('open:debug').join());
  const lines = log.mock.calls.map(({ arguments: a }) => a.join(' '));
  assert.ok(lines.every((line) => line.startsWith('pgpush')));
  assert.ok(lines.some((line) => line.includes('open:debug')));
  // A token is nobody's to read.
  assert.ok(!lines.some((line) => line.includes('eyJ')), 'no token in the log');
});

// --- a client that has ended

test('a join on a closed client is an error', async () => {
  const client = w.client('ann');
  await online(client);
  client.close();
  const room = client.room('open:late');
  const errors = [];
  room.on('error', (err) => errors.push(err.code));
  room.join();
  await until(() => errors.length > 0, 'the error', 5000);
  assert.deepEqual(errors, ['closed']);
  assert.equal(room.state, 'error');
  const error = new Promise((resolve) => client.on('error', resolve));
  client.connect();
  assert.equal((await error).code, 'closed');
});

// --- sends that no daemon can read

test('a send that cannot be read is given up, and the others are not', async () => {
  const client = w.client('ann', { to: proxy });
  await online(client);
  const seen = proxy.connections;
  // A NUL is no part of any text in PostgreSQL.
  const bad = client.send('echo', { text: 'a\u0000b' });
  const good = [1, 2, 3].map((n) => client.send('echo', { n }));
  await assert.rejects(bad, { code: 'bad_request' });
  const answers = await Promise.all(good);
  assert.deepEqual(answers.map((a) => a.data.n), [1, 2, 3]);
  assert.ok(proxy.connections - seen <= 5, `${proxy.connections - seen} tries`);
  const calls = await w.sql(
    `SELECT count(*)::int FROM app.calls WHERE data ? 'n'`);
  assert.deepEqual(calls, [[3]]);
});

// --- who it is

test('reauthenticate() ends what was the former user’s at once', async () => {
  let user = 'first';
  const client = w.client('', { to: proxy, getToken: () => w.token(user) });
  const told = [];
  client.on('identity', (who) => told.push(who));
  const room = client.room('open:identity').join();
  const heard = record(room);
  const own = record(client.room('user:first'));
  await isIn(room);
  await w.emit('user:first', 'n', { n: 1 });
  await until(() => own.n.length === 1);
  proxy.silent = true;
  const waits = assert.rejects(client.send('echo', {}), { code: 'forbidden' });
  user = 'second';
  client.reauthenticate();
  assert.equal(client.user, null);
  assert.notEqual(room.state, 'joined');
  await waits;
  await w.emit('user:first', 'n', { n: 2 });
  proxy.silent = false;
  await until(() => client.user === 'second');
  await until(() => heard.joined.length === 2);
  assert.equal(heard.joined[1].resumed, false);
  await w.count('open:identity', 1, 1);
  await until(() => heard.n.length === 1);
  assert.deepEqual(own.n, [1]);
  assert.deepEqual(told, ['first', null, 'second']);
});

test('connect() on a live client notices that the user is another', async () => {
  let user = 'first';
  const client = w.client('', { getToken: () => w.token(user) });
  await online(client);
  user = 'second';
  client.connect();
  await until(() => client.user === 'second', 'the second user', 10_000);
});

test('a token in time for another user makes it his connection', async () => {
  let asked = 0;
  const errors = [];
  const client = w.client('', {
    getToken: () => w.token(++asked === 1 ? 'first' : 'second', 8),
  });
  client.on('error', ({ message }) => errors.push(message));
  await until(() => client.user === 'second', 'the second user');
  assert.deepEqual(errors, []);
});

// --- access that is lost, or not given yet

test('a room comes back by itself when the user may enter again', async () => {
  const client = w.client('ann', { regain: { base: 50, cap: 200 } });
  await w.sql("INSERT INTO app.members VALUES ('closed:back', 'ann')");
  const room = client.room('closed:back').join();
  const heard = record(room);
  const errors = [];
  room.on('error', ({ code }) => errors.push(code));
  await isIn(room);
  await w.sql("DELETE FROM app.members WHERE room = 'closed:back'");
  await w.sql("SELECT pgpush.revoke('closed:back', 'ann')");
  await until(() => heard.left.length === 1);
  await w.count('closed:back', 1, 1);
  assert.equal(room.state, 'left');
  await w.sql("INSERT INTO app.members VALUES ('closed:back', 'ann')");
  await until(() => heard.joined.length === 2, 'it is back', 10_000);
  assert.equal(heard.joined[1].resumed, false);
  await w.count('closed:back', 2, 2);
  await until(() => heard.n.length === 1);
  assert.deepEqual(heard.n, [2]);
  assert.deepEqual(heard.left, [{ reason: 'revoked' }]);
  assert.deepEqual(errors, []);
});

test('a room opens by itself, and says once that it was closed', async () => {
  const client = w.client('bob', { regain: { base: 50, cap: 200 } });
  const room = client.room('closed:later').join();
  const errors = [];
  room.on('error', ({ code }) => errors.push(code));
  await until(() => room.state === 'error');
  await w.sql("INSERT INTO app.members VALUES ('closed:later', 'bob')");
  await until(() => room.state === 'joined', 'it is in', 10_000);
  assert.deepEqual(errors, ['forbidden']);
});
