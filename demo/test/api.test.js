// SPDX-License-Identifier: ISC

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { transaction } from '../api/db.js';
import { makeWorld, openPool, PNG, request, tokenOf } from './lib.js';

const pool = openPool();
let w;

before(async () => {
  w = await makeWorld(pool);
});
after(() => pool.end());

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

async function expectStatus(status, ...args) {
  const answer = await request(...args);
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  if (status >= 400) assert.equal(typeof answer.body.error, 'string');
  return answer.body;
}

const post = (user, content, more = {}) =>
  expectStatus(201, user, 'POST', `/api/orders/${w.order.id}/messages`, {
    content,
    ...more,
  });

test('login gives a token that works', async () => {
  const { token, user } = await expectStatus(200, null, 'POST', '/api/login', {
    email: w.client.email.toUpperCase(),
  });
  assert.equal(user.id, w.client.id);
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.deepEqual(Object.keys(claims).sort(), ['exp', 'iat', 'id', 'role']);
  const me = await expectStatus(200, token, 'GET', '/api/users/me');
  assert.equal(me.email, w.client.email);
  await expectStatus(404, null, 'POST', '/api/login', { email: 'no@one.test' });
  await expectStatus(400, null, 'POST', '/api/login', { email: 7 });
  await expectStatus(400, null, 'POST', '/api/login', '{');
});

test('pages of this machine may ask from their own port, others may not', async () => {
  for (const [origin, allowed] of [
    ['http://localhost:5173', true],
    ['http://127.0.0.1', true],
    ['http://localhost.example.org', false],
    ['https://example.org', false],
    ['null', false],
  ]) {
    const asked = await request(null, 'OPTIONS', '/api/login', undefined, {
      Origin: origin,
      'Access-Control-Request-Method': 'POST',
    });
    const got = await request(null, 'GET', '/api/demo-users', undefined, {
      Origin: origin,
    });
    for (const { headers } of [asked, got]) {
      const answer = headers.get('access-control-allow-origin');
      assert.equal(answer, allowed ? origin : null);
    }
    assert.equal(asked.status === 204, allowed);
  }
});

test('without a good token there is nothing', async () => {
  const header = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  const unsigned = `${header}.${tokenOf(w.client).split('.')[1]}.`;
  for (const token of [
    null,
    'x',
    tokenOf(w.client, { expiresIn: -10 }),
    tokenOf({ id: randomUUID(), role: 'admin' }),
    tokenOf({ id: 'not a uuid', role: 'admin' }),
    unsigned,
  ])
    await expectStatus(401, token, 'GET', '/api/orders');
});

test('orders are seen by their parties and by admins', async () => {
  for (const who of ['client', 'performer', 'admin']) {
    const list = await expectStatus(200, w[who], 'GET', '/api/orders');
    const found = list.find((o) => o.id === w.order.id);
    assert.equal(found.performer.name, w.performer.name);
    assert.equal(found.price, 100);
    assert.match(found.updatedAt, ISO);
    await expectStatus(200, w[who], 'GET', `/api/orders/${w.order.id}`);
  }
  const list = await expectStatus(200, w.stranger, 'GET', '/api/orders');
  assert.deepEqual(list, []);
  for (const path of ['', '/messages', '/history'])
    await expectStatus(403, w.stranger, 'GET', `/api/orders/${w.order.id}${path}`);
  await expectStatus(404, w.client, 'GET', `/api/orders/${randomUUID()}`);
  await expectStatus(404, w.client, 'GET', '/api/orders/x');
  await expectStatus(404, w.client, 'GET', '/api/nothing');
});

test('a status change leaves a line in the history', async () => {
  const path = `/api/orders/${w.order.id}/status`;
  const order = await expectStatus(200, w.performer, 'PATCH', path, {
    status: 'completed',
  });
  assert.equal(order.status, 'completed');
  await expectStatus(409, w.client, 'PATCH', path, { status: 'completed' });
  await expectStatus(400, w.client, 'PATCH', path, { status: 'eaten' });
  await expectStatus(400, w.client, 'PATCH', path);
  await expectStatus(403, w.stranger, 'PATCH', path, { status: 'open' });
  const history = await expectStatus(
    200,
    w.client,
    'GET',
    `/api/orders/${w.order.id}/history`,
  );
  assert.deepEqual(
    history.map((h) => [h.status, h.changedBy]),
    [['completed', w.performer.id]],
  );
});

test('a message is written, read, edited and deleted', async () => {
  const sent = await post(w.client, '  hello  ');
  assert.equal(sent.content, 'hello');
  assert.equal(sent.receiverId, w.performer.id);
  assert.equal(sent.readAt, null);
  assert.match(sent.createdAt, ISO);

  const messages = `/api/orders/${w.order.id}/messages`;
  const read = await expectStatus(200, w.performer, 'POST', `${messages}/read`);
  assert.ok(read.updated >= 1);
  const again = await expectStatus(200, w.performer, 'POST', `${messages}/read`);
  assert.equal(again.updated, 0);

  const path = `/api/messages/${sent.id}`;
  await expectStatus(403, w.performer, 'PUT', path, { content: 'x' });
  await expectStatus(400, w.client, 'PUT', path, { content: ' ' });
  const edited = await expectStatus(200, w.client, 'PUT', path, {
    content: 'bye',
  });
  assert.equal(edited.content, 'bye');
  assert.equal(edited.edited, true);
  assert.match(edited.readAt, ISO);

  await expectStatus(403, w.performer, 'DELETE', path);
  await expectStatus(204, w.client, 'DELETE', path);
  await expectStatus(404, w.client, 'DELETE', path);
  await expectStatus(404, w.client, 'PUT', path, { content: 'x' });
  await expectStatus(404, w.client, 'PUT', '/api/messages/1', { content: 'x' });
  const list = await expectStatus(200, w.client, 'GET', messages);
  const last = list.find((m) => m.id === sent.id);
  assert.equal(last.deleted, true);
  assert.equal(last.content, '');
});

test('what is no message is refused', async () => {
  const path = `/api/orders/${w.order.id}/messages`;
  for (const body of [
    undefined,
    {},
    [],
    { content: '   ' },
    { content: 7 },
    { content: 'x'.repeat(10001) },
    { content: 'nul \0' },
    { content: 'x', attachments: 'no' },
    { content: 'x', attachments: [{ fileUrl: 'http://evil.test/x.png' }] },
    { content: 'x', attachments: [{ fileUrl: '/api/files/../jwt.secret' }] },
  ])
    await expectStatus(400, w.client, 'POST', path, body);
  await expectStatus(403, w.stranger, 'POST', path, { content: 'x' });
});

test('an admin says whom he writes to', async () => {
  const path = `/api/orders/${w.order.id}/messages`;
  const one = await post(w.admin, 'to whom?');
  assert.equal(one.receiverId, w.client.id);
  const other = await post(w.admin, 'you', { receiverId: w.performer.id });
  assert.equal(other.receiverId, w.performer.id);
  await expectStatus(400, w.admin, 'POST', path, {
    content: 'x',
    receiverId: w.stranger.id,
  });
});

test('an order without a performer has no chat', async () => {
  const { rows } = await pool.query(
    `INSERT INTO orders (client_id, title) VALUES ($1, 'alone') RETURNING id`,
    [w.client.id],
  );
  const path = `/api/orders/${rows[0].id}`;
  await expectStatus(409, w.client, 'POST', `${path}/messages`, { content: 'x' });
  await expectStatus(409, w.client, 'POST', `${path}/disputes`, { reason: 'x' });
});

test('a message names its attachments, which are served back', async () => {
  const raw = await expectStatus(
    201,
    w.client,
    'POST',
    '/api/attachments?name=dot.png',
    PNG,
    { 'Content-Type': 'image/png' },
  );
  assert.equal(raw.fileSize, PNG.length);
  const json = await expectStatus(201, w.client, 'POST', '/api/attachments', {
    fileName: '../../evil.html',
    fileType: 'text/html',
    data: Buffer.from('<script>').toString('base64'),
  });
  assert.equal(json.fileName, 'evil.html');
  assert.equal(json.fileType, 'application/octet-stream');

  const sent = await post(w.client, '', { attachments: [raw, json] });
  assert.deepEqual(
    sent.attachments.map((a) => a.fileName),
    ['dot.png', 'evil.html'],
  );
  const image = await fetch(
    `${process.env.PUSH_DEMO_URL}${sent.attachments[0].fileUrl}`,
  );
  assert.equal(image.headers.get('content-type'), 'image/png');
  assert.deepEqual(Buffer.from(await image.arrayBuffer()), PNG);
  const html = await request(null, 'GET', sent.attachments[1].fileUrl);
  assert.equal(html.headers.get('content-disposition'), 'attachment');
  assert.equal(html.headers.get('x-content-type-options'), 'nosniff');

  await expectStatus(404, null, 'GET', `/api/files/${randomUUID()}.png`);
  await expectStatus(404, null, 'GET', '/api/files/..%2Fjwt.secret');
  await expectStatus(401, null, 'POST', '/api/attachments', PNG);
  await expectStatus(400, w.client, 'POST', '/api/attachments', {
    data: 'not base64!',
  });
  await expectStatus(
    413,
    w.client,
    'POST',
    '/api/attachments',
    new Uint8Array(11 * 1024 * 1024),
    { 'Content-Type': 'image/png' },
  );
});

test('a notification goes with every message', async () => {
  const before = await expectStatus(200, w.performer, 'GET', '/api/notifications');
  await post(w.client, 'ping');
  const now = await expectStatus(200, w.performer, 'GET', '/api/notifications');
  assert.equal(now.unread, before.unread + 1);
  const [newest] = now.items;
  assert.equal(newest.type, 'message');
  assert.equal(newest.relatedId, w.order.id);

  const path = `/api/notifications/${newest.id}/read`;
  await expectStatus(404, w.client, 'POST', path);
  const read = await expectStatus(200, w.performer, 'POST', path);
  assert.equal(read.read, true);
  await expectStatus(200, w.performer, 'POST', '/api/notifications/read');
  const { unread } = await expectStatus(
    200,
    w.performer,
    'GET',
    '/api/notifications',
  );
  assert.equal(unread, 0);
});

test('a dispute is opened, discussed and resolved', async () => {
  const path = `/api/orders/${w.order.id}/disputes`;
  await expectStatus(403, w.admin, 'POST', path, { reason: 'x' });
  await expectStatus(403, w.stranger, 'POST', path, { reason: 'x' });
  await expectStatus(400, w.client, 'POST', path, { reason: '' });
  const opened = await expectStatus(201, w.client, 'POST', path, {
    reason: 'late',
  });
  assert.equal(opened.status, 'open');
  assert.equal(opened.moderator, null);
  await expectStatus(409, w.performer, 'POST', path, { reason: 'too' });

  const dispute = `/api/disputes/${opened.id}`;
  for (const who of ['client', 'performer', 'admin']) {
    const list = await expectStatus(200, w[who], 'GET', '/api/disputes');
    assert.ok(list.some((d) => d.id === opened.id));
    await expectStatus(201, w[who], 'POST', `${dispute}/messages`, {
      content: `says ${who}`,
    });
  }
  await expectStatus(403, w.stranger, 'GET', dispute);
  await expectStatus(403, w.stranger, 'GET', `${dispute}/messages`);
  await expectStatus(403, w.stranger, 'POST', `${dispute}/messages`, {
    content: 'x',
  });
  await expectStatus(404, w.client, 'GET', `/api/disputes/${randomUUID()}`);

  const file = await expectStatus(
    201,
    w.client,
    'POST',
    '/api/attachments?name=proof.png',
    PNG,
    { 'Content-Type': 'image/png' },
  );
  const proof = await expectStatus(201, w.client, 'POST', `${dispute}/messages`, {
    attachments: [file],
  });
  assert.equal(proof.attachments[0].mimeType, 'image/png');
  const said = await expectStatus(200, w.admin, 'GET', `${dispute}/messages`);
  assert.deepEqual(
    said.map((m) => m.senderRole),
    ['client', 'performer', 'admin', 'client'],
  );

  await expectStatus(403, w.client, 'PATCH', `${dispute}/status`, {
    status: 'resolved',
  });
  await expectStatus(400, w.admin, 'PATCH', `${dispute}/status`, {
    status: 'lost',
  });
  const review = await expectStatus(200, w.admin, 'PATCH', `${dispute}/status`, {
    status: 'in_review',
  });
  assert.equal(review.moderator.id, w.admin.id);
  await expectStatus(200, w.admin, 'PATCH', `${dispute}/status`, {
    status: 'resolved',
  });
  await expectStatus(400, w.client, 'POST', `${dispute}/messages`, {
    content: 'but',
  });
  await expectStatus(201, w.client, 'POST', path, { reason: 'again' });
});

test('a connection that ends in a transaction is an error, and no more', async () => {
  await assert.rejects(
    transaction(pool, async (client) => {
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      const gone = new Promise((resolve) => {
        client.once('end', resolve);
      });
      await pool.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
      await gone;
      await client.query('SELECT 1');
    }),
  );
  const { rows } = await pool.query('SELECT 1 AS one');
  assert.equal(rows[0].one, 1);
});

test('the page is served, and the daemon behind the same port', async () => {
  const page = await request(null, 'GET', '/');
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>/);
  assert.equal((await request(null, 'GET', '/readyz')).status, 200);
  assert.equal((await request(null, 'GET', '/nothing')).status, 404);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.match(
    page.headers.get('content-security-policy'),
    /^default-src 'self';(?!.*unsafe)/,
  );

  // What the page is made of has names that change with it.
  const [, script] = /<script [^>]*src="(\/assets\/[^"]+)"/.exec(page.body);
  const asset = await request(null, 'GET', script);
  assert.equal(asset.status, 200);
  assert.match(asset.headers.get('content-type'), /javascript/);
  assert.match(asset.headers.get('cache-control'), /immutable/);
});
