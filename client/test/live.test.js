// SPDX-License-Identifier: ISC
// A list and its events in one, on real rows: app.notes, which a trigger tells.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { live } from '../dist/live.js';
import {
  closeClients, cut, finishWorlds, isIn, makeRandom, makeWorld, until,
} from './lib.js';
import { Proxy } from './proxy.js';

let w;
let proxy;
let stops = [];
before(async () => {
  w = await makeWorld();
  proxy = await Proxy.start(w.port);
  // The application's own: each change of a row tells the whole row.
  await w.sql(`CREATE TABLE app.items (id bigserial PRIMARY KEY, room text,
    body text, version int NOT NULL DEFAULT 1)`);
});
after(async () => {
  proxy?.stop();
  await finishWorlds();
});
afterEach(() => {
  for (const stop of stops) stop();
  stops = [];
  closeClients();
  proxy.cut();
  proxy.refusing = proxy.silent = false;
});

const put = async (room, body) =>
  (await w.sql(
    `WITH n AS (INSERT INTO app.items (room, body) VALUES (%s, %s) RETURNING *)
     SELECT n.id, pgpush.emit(n.room, 'put', to_jsonb(n)) FROM n`, room, body))[0][0];
const edit = (id, body) =>
  w.sql(
    `WITH n AS (UPDATE app.items SET body = %s, version = version + 1
                 WHERE id = %s RETURNING *)
     SELECT pgpush.emit(n.room, 'put', to_jsonb(n)) FROM n`, body, id);
const drop = (id) =>
  w.sql(
    `WITH n AS (DELETE FROM app.items WHERE id = %s RETURNING *)
     SELECT pgpush.emit(n.room, 'gone', jsonb_build_object('id', n.id)) FROM n`, id);
/** So many rows, which nobody is told of. */
const fill = (room, from, to) =>
  w.sql(
    `INSERT INTO app.items (room, body) SELECT %s, 'r' || n
       FROM generate_series(%s, %s) n RETURNING 1`, room, from, to);

/** What an API does: the newest, or those before one; oldest first. */
const fetchItems = async (room, { before, limit }) =>
  (await w.sql(
    `SELECT to_jsonb(i) FROM (SELECT * FROM app.items
        WHERE room = %s AND id < coalesce(%s::bigint, 1000000000)
        ORDER BY id DESC LIMIT %s) i ORDER BY id`,
    room, before?.id ?? null, limit)).map(([row]) => row);

function open(client, room, options = {}) {
  const list = live(client, room, {
    load: (page) => fetchItems(room, page),
    key: ({ id }) => String(id),
    compare: (a, b) => a.id - b.id,
    on: {
      put: (row) => row,
      gone: ({ id }, { remove }) => remove(String(id)),
    },
    ...options,
  });
  stops.push(list.start());
  return list;
}

const bodies = (list) => list.snapshot().rows.map((row) => row.body);
const isLoaded = (list) => until(() => list.snapshot().loaded && !list.snapshot().loading);

test('what is written while the list is on its way is in it, once', async () => {
  const room = 'open:slow';
  await put(room, 'before');
  const steps = [];
  let release;
  const list = open(w.client('ann'), room, {
    // The rows are read at once, and come late; or are read late.
    load: async (page) => {
      const early = await fetchItems(room, page);
      steps.push('asked');
      await new Promise((resolve) => (release = resolve));
      return steps.includes('late') ? fetchItems(room, page) : early;
    },
  });
  await until(() => release);
  for (const n of [1, 2, 3]) await put(room, `during ${n}`);
  await until(() => bodies(list).length === 3);
  release();
  await isLoaded(list);
  assert.deepEqual(bodies(list), ['before', 'during 1', 'during 2', 'during 3']);

  steps.push('late');
  release = null;
  void list.reload();
  await until(() => release);
  const id = await put(room, 'during 4');
  await drop(id);
  await edit(list.snapshot().rows[1].id, 'edited');
  await until(() => bodies(list).includes('edited'));
  release();
  await isLoaded(list);
  assert.deepEqual(bodies(list), ['before', 'edited', 'during 2', 'during 3']);
});

test('without handlers of its own nothing is lost over cuts and a slow API', async () => {
  const room = 'open:storm';
  const random = makeRandom(7);
  const client = w.client('ann', { to: proxy });
  const list = open(client, room, {
    load: async (page) => {
      const rows = await fetchItems(room, { ...page, limit: 1000 });
      await new Promise((resolve) => setTimeout(resolve, 40 * random()));
      return { rows, more: false };
    },
  });
  await isLoaded(list);
  const ids = [];
  for (let n = 0; n < 120; n++) {
    const what = random();
    if (what < 0.6 || ids.length === 0) ids.push(await put(room, `m${n}`));
    else if (what < 0.8) await edit(ids[Math.floor(random() * ids.length)], `e${n}`);
    else await drop(ids.splice(Math.floor(random() * ids.length), 1)[0]);
    if (random() < 0.1) proxy.cut();
    if (random() < 0.1) void list.reload();
  }
  const expected = (await fetchItems(room, { limit: 1000 })).map((r) => r.body);
  await until(
    () => JSON.stringify(bodies(list)) === JSON.stringify(expected),
    () => `${bodies(list)} is ${expected}`,
  );
});

test('a reset loads anew, and what is not in the list any more goes', async () => {
  const room = 'open:vanish';
  await fill(room, 1, 3);
  const list = open(w.client('ann'), room);
  await isLoaded(list);
  await w.sql("DELETE FROM app.items WHERE room = %s AND body = 'r2' RETURNING 1", room);
  await w.emit(room, 'resync', { bytes: 1 });
  await until(() => bodies(list).join() === 'r1,r3');
});

test('pages backwards: the newest first, to the first row of all', async () => {
  const room = 'open:pages';
  await fill(room, 1, 25);
  const list = open(w.client('ann'), room, { limit: 10 });
  await isLoaded(list);
  assert.deepEqual([bodies(list)[0], bodies(list).length], ['r16', 10]);
  await list.loadMore();
  assert.deepEqual([bodies(list)[0], bodies(list).length], ['r6', 20]);
  const id = await put(room, 'new');
  await until(() => bodies(list).at(-1) === 'new');
  await list.loadMore();
  assert.equal(list.snapshot().more, false);
  assert.deepEqual(bodies(list), [...Array.from({ length: 25 }, (_, i) => `r${i + 1}`), 'new']);
  // A reload keeps what was fetched.
  await drop(id);
  await list.reload();
  assert.equal(bodies(list).length, 25);
});

test('a row that is removed while its page comes does not come back', async () => {
  const room = 'open:late';
  await fill(room, 1, 15);
  let release;
  let held = false;
  const list = open(w.client('ann'), room, {
    limit: 10,
    load: async (page) => {
      const rows = await fetchItems(room, page);
      if (held) await new Promise((resolve) => (release = resolve));
      return rows;
    },
  });
  await isLoaded(list);
  const [{ id }] = await fetchItems(room, { limit: 15 });
  held = true;
  const more = list.loadMore();
  await until(() => release);
  await drop(id);
  await put(room, 'witness');
  await until(() => bodies(list).includes('witness'));
  release();
  await more;
  assert.deepEqual(bodies(list).slice(0, 2), ['r2', 'r3']);
});

test('an API that fails is asked again, and says why until then', async () => {
  const room = 'open:fails';
  await fill(room, 1, 1);
  let fails = 2;
  const list = open(w.client('ann'), room, {
    load: (page) => {
      if (fails-- > 0) throw new Error('away');
      return fetchItems(room, page);
    },
  });
  await until(() => list.snapshot().error?.message === 'away');
  await until(() => list.snapshot().loaded);
  assert.equal(list.snapshot().error, null);
  assert.deepEqual(bodies(list), ['r1']);
});

/** An API that writes, by client id once; it may lose the answer, or fail. */
function makeApi(room) {
  const api = { lose: false, refuse: null, calls: [], hold: null };
  api.write = async (row, id) => {
    api.calls.push(id);
    if (api.refuse) throw Object.assign(new Error('no'), api.refuse);
    const number = await put(room, row.body);
    await api.hold;
    if (api.lose) throw new TypeError('Failed to fetch');
    return { id: number, room, body: row.body };
  };
  return api;
}
const same = (draft, row) => draft.body === row.body;

test('a row that is added here shows at once, and once, by one name', async () => {
  const room = 'open:added';
  const api = makeApi(room);
  const list = open(w.client('ann'), room, { write: api.write, same });
  await isLoaded(list);
  const seen = [];
  list.subscribe(() => seen.push(list.snapshot().items.map((i) => i.row.body).join()));
  let release;
  api.hold = new Promise((resolve) => (release = resolve));
  const added = list.add({ id: 0, body: 'mine' });
  const [{ id, state }] = list.snapshot().items;
  assert.equal(state, 'sending');
  await until(() => list.snapshot().items[0].state === 'saved', 'the event came');
  release();
  await added;
  assert.deepEqual(list.snapshot().items.map((i) => [i.id, i.state]), [[id, 'saved']]);
  assert.ok(seen.every((text) => text === 'mine'), seen.join(' | '));
  // The same words again are another row.
  api.hold = null;
  await list.add({ id: 0, body: 'mine' });
  assert.equal(list.snapshot().items.length, 2);
});

test('what is refused stays as failed, may be tried again, or dropped', async () => {
  const room = 'open:refused';
  const api = makeApi(room);
  const list = open(w.client('ann'), room, { write: api.write, same, keep: 'refused' });
  await isLoaded(list);
  api.refuse = { status: 403 };
  await list.add({ id: 0, body: 'bad' });
  await list.add({ id: 0, body: 'worse' });
  const [one, two] = list.snapshot().items;
  assert.deepEqual([one.state, one.error.message], ['failed', 'no']);
  list.discard(two.id);
  api.refuse = null;
  await list.retry(one.id);
  assert.deepEqual(list.snapshot().items.map((i) => [i.row.body, i.state]), [['bad', 'saved']]);
  assert.equal(api.calls[0], api.calls[2]);
});

test('what was written offline is sent when the connection is back, once', async () => {
  const room = 'open:offline';
  const api = makeApi(room);
  const client = w.client('ann', { to: proxy });
  const list = open(client, room, { write: api.write, same, keep: 'offline' });
  await isLoaded(list);
  proxy.refusing = true;
  await cut(proxy, client);
  // The one is not written, of the other only the answer is lost.
  api.refuse = { status: 0 };
  await list.add({ id: 0, body: 'one' });
  api.refuse = null;
  api.lose = true;
  await list.add({ id: 0, body: 'two' });
  assert.deepEqual(list.snapshot().items.map((i) => i.state), ['failed', 'failed']);
  api.lose = false;
  proxy.refusing = false;
  await until(() => list.snapshot().items.every((i) => i.state === 'saved'));
  await isIn(client.room(room));
  assert.deepEqual(bodies(list).sort(), ['one', 'two']);
  assert.deepEqual((await fetchItems(room, { limit: 9 })).length, 2);
});

test('the same rows are the same objects', async () => {
  const room = 'open:same';
  await fill(room, 1, 3);
  const list = open(w.client('ann'), room);
  await isLoaded(list);
  const { items } = list.snapshot();
  await put(room, 'new');
  await until(() => bodies(list).length === 4);
  items.forEach((item, i) => assert.equal(list.snapshot().items[i], item));
});
