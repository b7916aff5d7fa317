// SPDX-License-Identifier: ISC
// The page's rule that a message is there once, whatever came first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageStore } from '../page/messages.js';

const at = (s) => `2026-01-01T00:00:${String(s).padStart(2, '0')}.000Z`;
const pushed = {
  id: 'm1',
  senderId: 'a',
  receiverId: 'b',
  content: 'one',
  createdAt: at(1),
  attachments: [{ id: 'f1', fileUrl: 'u', fileName: 'n' }],
};
const listed = {
  ...pushed,
  updatedAt: at(1),
  readAt: null,
  edited: false,
  deleted: false,
  attachments: [{ id: 'f1', fileUrl: 'u', fileName: 'n', fileSize: 5 }],
};

test('a message that comes by push and by list is there once', () => {
  for (const order of [
    [pushed, listed],
    [listed, pushed],
    [pushed, listed, pushed],
  ]) {
    const store = new MessageStore();
    const news = order.map((m) => store.put(m));
    assert.deepEqual(news, [true, ...news.slice(1).map(() => false)]);
    assert.equal(store.list().length, 1);
    assert.equal(store.list()[0].attachments.length, 1);
    assert.equal(store.list()[0].attachments[0].fileSize, 5);
  }
});

test('an older copy takes nothing back', () => {
  const store = new MessageStore();
  store.put(listed);
  store.change({ id: 'm1', content: 'two', updatedAt: at(3), edited: true });
  store.markRead('b', at(4));
  store.put(listed);
  const [m] = store.list();
  assert.equal(m.content, 'two');
  assert.equal(m.edited, true);
  assert.equal(m.readAt, at(4));
  store.change({ id: 'm1', deleted: true });
  store.put(listed);
  assert.equal(store.list()[0].deleted, true);
  assert.equal(store.list()[0].content, 'two');
});

test('what is told before the list arrives is not lost', () => {
  const store = new MessageStore();
  store.change({ id: 'm1', content: 'two', updatedAt: at(3), edited: true });
  store.markRead('b', at(4));
  assert.equal(store.list().length, 0);
  store.put(listed);
  store.put({ ...listed, id: 'm2', createdAt: at(5), updatedAt: at(5) });
  const [first, second] = store.list();
  assert.equal(first.content, 'two');
  assert.equal(first.readAt, at(4));
  assert.equal(second.readAt, null);
});

test('the oldest comes first, whoever arrived first', () => {
  const store = new MessageStore();
  store.put({ ...pushed, id: 'm2', createdAt: at(2) });
  store.put(pushed);
  assert.deepEqual(
    store.list().map((m) => m.id),
    ['m1', 'm2'],
  );
});
