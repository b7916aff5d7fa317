// SPDX-License-Identifier: ISC
// The messages of one conversation. They come from a push, from the answer to
// our own POST and from the list, in any order and more than once; the key is
// the message's id, so none is there twice. What only ever goes one way (read,
// deleted, one more attachment) is never taken back by an older copy, and what
// is told of a message before the list brought it is kept for it.

export class MessageStore {
  constructor() {
    this.byId = new Map();
    this.early = new Map(); // id → what is known of a message not yet here
    this.reads = new Map(); // reader → read up to
  }

  get size() {
    return this.byId.size;
  }

  /** Oldest first. */
  list() {
    return [...this.byId.values()].sort(
      (a, b) =>
        a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id),
    );
  }

  /** Returns true when the message was not known before. */
  put(message) {
    const old = this.byId.get(message.id);
    if (old === undefined) {
      this.byId.set(message.id, {
        edited: false,
        deleted: false,
        readAt: null,
        updatedAt: message.createdAt,
        ...message,
        attachments: message.attachments ?? [],
      });
      this.catchUp(message.id);
      return true;
    }
    const newer = (message.updatedAt ?? '') >= old.updatedAt;
    this.byId.set(message.id, {
      ...old,
      content: newer ? (message.content ?? old.content) : old.content,
      updatedAt: newer ? message.updatedAt : old.updatedAt,
      edited: old.edited || Boolean(message.edited),
      deleted: old.deleted || Boolean(message.deleted),
      readAt: old.readAt ?? message.readAt ?? null,
      attachments: mergeById(old.attachments, message.attachments ?? []),
    });
    return false;
  }

  /** A change of a message: id and some of its fields. */
  change(fields) {
    if (this.byId.has(fields.id)) this.put(fields);
    else this.early.set(fields.id, { ...this.early.get(fields.id), ...fields });
  }

  /** All that was written by others than the reader is now read. */
  markRead(readBy, readAt) {
    this.reads.set(readBy, readAt);
    for (const [id, message] of this.byId)
      if (message.senderId !== readBy && message.readAt === null)
        this.byId.set(id, { ...message, readAt });
  }

  catchUp(id) {
    const early = this.early.get(id);
    this.early.delete(id);
    if (early) this.put(early);
    const message = this.byId.get(id);
    for (const [readBy, readAt] of this.reads)
      if (
        message.readAt === null &&
        message.senderId !== readBy &&
        message.createdAt <= readAt
      )
        this.byId.set(id, { ...message, readAt });
  }
}

function mergeById(old, more) {
  const merged = new Map(old.map((a) => [a.id, a]));
  for (const a of more) merged.set(a.id, { ...merged.get(a.id), ...a });
  return [...merged.values()];
}
