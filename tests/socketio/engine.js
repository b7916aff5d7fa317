// SPDX-License-Identifier: ISC
// Engine.IO, version 4, point by point: what a server at base must do with a
// ping interval of 300 ms, a ping timeout of 200 ms and payloads of 1,000,000.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, Poller, openLine, request } from './peer.js';

const BAD = [
  ['another protocol version', 'EIO=abc&transport=', 5, 'Unsupported protocol version'],
  ['an unknown transport', 'EIO=4&transport=x', 0, 'Transport unknown'],
];

function checkHello(hello, upgrades) {
  assert.equal(typeof hello.sid, 'string');
  assert.ok(hello.sid.length >= 16);
  assert.deepEqual({ ...hello, sid: '' }, {
    sid: '',
    upgrades,
    pingInterval: 300,
    pingTimeout: 200,
    maxPayload: 1000000,
  });
}

async function isUnknown(poller) {
  const { status, body } = await poller.get();
  assert.deepEqual([status, JSON.parse(body)], [400, { code: 1, message: 'Session ID unknown' }]);
}

export function handshakes(peer, base) {
  test('polling: a session opens', async () => {
    const poller = new Poller(peer().port, base);
    const { status, headers, body } = await poller.get({ origin: 'http://a.test' });
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.equal(body[0], '0');
    checkHello(JSON.parse(body.slice(1)), ['websocket']);
  });

  for (const [what, query, code, message] of BAD)
    test(`polling: ${what} is refused`, async () => {
      const how = query.endsWith('=') ? `${query}polling` : query;
      const { status, headers, body } = await request(peer().port, 'GET', `${base}/?${how}`);
      assert.equal(status, 400);
      assert.equal(headers['content-type'], 'application/json');
      assert.deepEqual(JSON.parse(body), { code, message });
    });

  test('polling: a handshake by another method than GET is refused', async () => {
    for (const method of ['POST', 'PUT']) {
      const { status, body } = await request(
        peer().port, method, `${base}/?EIO=4&transport=polling`, '4x');
      assert.equal(status, 400);
      assert.deepEqual(JSON.parse(body), { code: 2, message: 'Bad handshake method' });
    }
  });

  test('websocket: a session opens', async () => {
    const line = await openLine(peer().port, base);
    checkHello(line.hello, []);
    line.end();
  });

  for (const [what, query, , message] of BAD)
    test(`websocket: ${what} is refused`, async () => {
      const how = query.endsWith('=') ? `${query}websocket` : query;
      const line = new Line(peer().port, `${base}/?${how}`);
      const refused = new Promise((resolve) =>
        line.ws.on('unexpected-response', (req, res) => {
          const parts = [];
          res.on('data', (part) => parts.push(part));
          res.on('end', () => resolve([res.statusCode, Buffer.concat(parts).toString()]));
        }));
      const outcome = await Promise.race([refused, line.closed]);
      if (typeof outcome === 'number') return; // closed at once is as good
      assert.deepEqual(outcome, [400, message]);
    });
}

export function messages(peer, base) {
  const echo = async (...sent) => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    const { status, headers, body } = await poller.post(sent.join('\x1e'));
    assert.deepEqual([status, headers['content-type'], body], [200, 'text/html', 'ok']);
    assert.deepEqual(await poller.packets(sent.length), sent);
  };

  test('polling: one packet comes back', () => echo('4hello'));
  test('polling: several packets come back in order', () =>
    echo('4test1', '4test2', '4тест€3', '4test4'));
  test('polling: binary packets are base64', () => echo('4hello', 'bAQIDBA==', '4bye'));

  test('polling: what is no packet ends the session', async () => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    await poller.post('abc');
    await isUnknown(poller);
  });

  test('polling: a second GET ends the first, itself and the session', async () => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    const answers = await Promise.all([poller.get(), poller.get()]);
    const byStatus = answers.sort((a, b) => a.status - b.status);
    assert.deepEqual([byStatus[0].status, byStatus[0].body], [200, '1']);
    assert.equal(byStatus[1].status, 400);
    await isUnknown(poller);
  });

  test('websocket: text comes back', async () => {
    const line = await openLine(peer().port, base);
    line.send('4hello');
    assert.equal(await line.past(), '4hello');
    line.end();
  });

  test('websocket: binary comes back', async () => {
    const line = await openLine(peer().port, base);
    line.send(Buffer.from([1, 2, 3, 4]));
    assert.deepEqual(await line.past(), Buffer.from([1, 2, 3, 4]));
    line.end();
  });

  test('websocket: what is no packet ends the session', async () => {
    const line = await openLine(peer().port, base);
    line.send('abc');
    assert.equal(await line.past(), null);
  });
}

export function heartbeats(peer, base) {
  test('polling: pings come and pongs keep the session', async () => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    for (let i = 0; i < 3; i++) {
      const { status, body } = await poller.get();
      assert.deepEqual([status, body], [200, '2']);
      assert.equal((await poller.post('3')).body, 'ok');
    }
  });

  test('polling: a session without pongs ends', async () => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    assert.equal((await poller.get()).body, '2');
    const { status, body } = await poller.get();
    // Cut off by the end of the session, or too late for it.
    if (status === 200) assert.ok(['1', '6'].includes(body), body);
    else assert.equal(status, 400);
    await isUnknown(poller);
  });

  test('websocket: pings come and pongs keep the session', async () => {
    const line = await openLine(peer().port, base);
    for (let i = 0; i < 3; i++) {
      assert.equal(await line.next(), '2');
      line.send('3');
    }
    line.end();
  });

  test('websocket: a session without pongs is closed', async () => {
    const line = await openLine(peer().port, base);
    assert.equal(await line.next(), '2');
    assert.equal(await line.next(), null);
  });
}

export function closes(peer, base) {
  test('polling: a close packet ends the session and the waiting GET', async () => {
    const poller = new Poller(peer().port, base);
    await poller.open();
    const waiting = poller.get();
    await new Promise((resolve) => setImmediate(resolve));
    const [got, posted] = await Promise.all([waiting, poller.post('1')]);
    assert.deepEqual([got.status, got.body], [200, '6']);
    assert.deepEqual([posted.status, posted.body], [200, 'ok']);
    await isUnknown(poller);
  });

  test('websocket: a close packet closes the connection', async () => {
    const line = await openLine(peer().port, base);
    line.send('1');
    // The reference goes by the missing pong; at once is better.
    let heard = await line.next();
    if (heard === '2') heard = await line.next();
    assert.equal(heard, null);
  });
}

async function upgrade(peer, base) {
  const poller = new Poller(peer().port, base);
  await poller.open();
  const line = new Line(peer().port, `${base}/?EIO=4&transport=websocket&sid=${poller.sid}`);
  await line.opened();
  line.send('2probe');
  assert.equal(await line.next(), '3probe');
  const { status, body } = await poller.get();
  assert.deepEqual([status, body], [200, '6']);
  line.send('5');
  return { poller, line };
}

export function upgrades(peer, base, ask, answer) {
  test('a polling session upgrades to a websocket', async () => {
    const { line } = await upgrade(peer, base);
    line.send(ask);
    assert.equal(await line.past(), answer);
    line.end();
  });

  test('after the upgrade requests of that session are refused', async () => {
    const { poller, line } = await upgrade(peer, base);
    line.send(ask);
    assert.equal(await line.past(), answer);
    const { status, body } = await poller.get();
    assert.deepEqual([status, JSON.parse(body)], [400, { code: 3, message: 'Bad request' }]);
    line.send(ask);
    assert.equal(await line.past(), answer);
    line.end();
  });

  test('after the upgrade a second websocket of that session is closed', async () => {
    const { poller, line } = await upgrade(peer, base);
    line.send(ask);
    assert.equal(await line.past(), answer);
    const second = new Line(
      peer().port, `${base}/?EIO=4&transport=websocket&sid=${poller.sid}`);
    await second.closed;
    line.send(ask);
    assert.equal(await line.past(), answer);
    line.end();
  });
}
