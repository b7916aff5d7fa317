// SPDX-License-Identifier: ISC
// The messages of one conversation. They come from events, from the answer to
// our own POST and from the list, in any order and more than once; the key is
// the message's id, so none is there twice. What only ever goes one way (read,
// deleted, one more attachment) is not taken back by an older copy, and what
// is told of a message before it is here is kept for it.
//
// One that we are sending has no id yet. If it comes by an event before its
// POST is answered, or after that has failed, it takes the place of ours.

import { Outbox } from '../outbox.js';
import { makeKey } from '../sends.js';
import type { Attachment, Message, Reaction } from './api.js';

export interface Stored extends Message {
  updatedAt: string;
  edited: boolean;
  deleted: boolean;
  readAt: string | null;
  attachments: Attachment[];
  reactions: Reaction[];
}

export interface Draft {
  localId: string;
  content: string;
  files: File[];
  createdAt: string;
  state: 'sending' | 'failed';
  /** Of its files, from 0 to 1. */
  progress: number;
  error: unknown;
  /** What came after this may be it. */
  since: number;
  /** Of an earlier page: what was written after this may be it. */
  after: string | null;
}

/** What is kept of one that has no files. */
interface Kept {
  content: string;
  createdAt: string;
  after: string;
}

export interface Bubble {
  key: string;
  message: Stored;
  /** Ours, and not known to be written. */
  draft: Draft | null;
}

export type Change = Partial<Message> & { id: string };

export class MessageStore {
  #me: string;
  #byId = new Map<string, Stored>();
  #arrived = new Map<string, number>();
  #early = new Map<string, Change>();
  #reads = new Map<string, string>();
  #drafts: Draft[] = [];
  /** Of messages that were drafts: what they were shown as. */
  #keys = new Map<string, string>();
  #count = 0;
  #listeners = new Set<() => void>();
  #bubbles: readonly Bubble[] = [];
  loaded = false;
  /** There may be older ones than those that are here. */
  more = false;
  readonly #outbox: Outbox<Kept>;

  /** keep: the name by which drafts outlive the page. */
  constructor(me: string, keep: string) {
    this.#me = me;
    this.#outbox = new Outbox<Kept>(keep);
    for (const { id, data } of this.#outbox.list())
      this.#drafts.push({
        ...data, localId: id, files: [], state: 'failed', progress: 0,
        error: null, since: 0,
      });
    this.#tell();
  }

  subscribe = (tell: () => void): (() => void) => {
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  };

  /** Oldest first; the same array until something changes. */
  bubbles = (): readonly Bubble[] => this.#bubbles;

  get(id: string): Stored | undefined {
    return this.#byId.get(id);
  }

  // --- what is told

  /** What is asked for now does not have what comes from here on. */
  get mark(): number {
    return this.#count;
  }

  /**
   * The newest ones, asked for at that mark. Of those that were known then,
   * what is not among them is gone, unless it may be further back.
   */
  load(messages: Message[], mark = this.#count, more = false): void {
    const ids = new Set(messages.map((m) => m.id));
    const oldest = messages[0]?.createdAt ?? '';
    for (const [id, { createdAt }] of this.#byId)
      if (
        !ids.has(id) &&
        this.#arrived.get(id)! <= mark &&
        (createdAt > oldest || !more)
      )
        this.#drop(id);
    for (const message of messages) this.#put(message, this.loaded);
    if (!this.loaded || this.#byId.size <= messages.length) this.more = more;
    this.loaded = true;
    this.#tell();
  }

  /** Those before the oldest one. */
  loadOlder(messages: Message[], more: boolean): void {
    for (const message of messages) this.#put(message, false);
    this.more = more;
    this.#tell();
  }

  #drop(id: string): void {
    this.#byId.delete(id);
    this.#arrived.delete(id);
    this.#keys.delete(id);
  }

  put(message: Message): void {
    this.#put(message, true);
    this.#tell();
  }

  change(change: Change): void {
    const { id } = change;
    if (this.#byId.has(id)) this.#merge(change);
    else this.#early.set(id, { ...this.#early.get(id), ...change });
    this.#tell();
  }

  /** All that others than the reader have written up to then. */
  markRead(readBy: string, readAt: string): void {
    this.#reads.set(readBy, readAt);
    for (const id of this.#byId.keys()) this.#readUp(id);
    this.#tell();
  }

  #put(message: Message, isNew: boolean): void {
    if (this.#byId.has(message.id)) {
      this.#merge(message);
      return;
    }
    const { id } = message;
    this.#arrived.set(id, isNew ? ++this.#count : 0);
    this.#byId.set(id, {
      ...message,
      updatedAt: message.updatedAt ?? message.createdAt,
      edited: message.edited ?? false,
      deleted: message.deleted ?? false,
      readAt: message.readAt ?? null,
      attachments: message.attachments ?? [],
      reactions: message.reactions ?? [],
    });
    const early = this.#early.get(id);
    this.#early.delete(id);
    if (early) this.#merge(early);
    this.#readUp(id);
  }

  #merge(change: Change): void {
    const old = this.#byId.get(change.id)!;
    const newer = (change.updatedAt ?? '') >= old.updatedAt;
    const next: Stored = {
      ...old,
      senderName: old.senderName ?? change.senderName,
      senderRole: old.senderRole ?? change.senderRole,
      content: newer ? (change.content ?? old.content) : old.content,
      updatedAt: newer ? change.updatedAt! : old.updatedAt,
      edited: old.edited || Boolean(change.edited),
      deleted: old.deleted || Boolean(change.deleted),
      readAt: old.readAt ?? change.readAt ?? null,
      attachments: mergeFiles(old.attachments, change.attachments ?? []),
      reactions: change.reactions ?? old.reactions,
    };
    if (JSON.stringify(next) !== JSON.stringify(old)) this.#byId.set(old.id, next);
  }

  #readUp(id: string): void {
    const message = this.#byId.get(id)!;
    if (message.readAt !== null) return;
    for (const [readBy, readAt] of this.#reads)
      if (message.senderId !== readBy && message.createdAt <= readAt)
        this.#byId.set(id, { ...message, readAt });
  }

  // --- what we send

  draft(content: string, files: File[]): Draft {
    const newest = this.#bubbles.findLast((b) => !b.draft)?.message.createdAt;
    const draft: Draft = {
      localId: makeKey(),
      content,
      files,
      createdAt: new Date().toISOString(),
      state: 'sending',
      progress: 0,
      error: null,
      since: this.#count,
      after: null,
    };
    this.#drafts = [...this.#drafts, draft];
    const { createdAt } = draft;
    if (files.length === 0)
      this.#outbox.keep({
        id: draft.localId,
        data: { content, createdAt, after: newest ?? '' },
        twins: [],
      });
    this.#tell();
    return draft;
  }

  updateDraft(localId: string, change: Partial<Draft>): void {
    this.#drafts = this.#drafts.map((d) =>
      d.localId === localId ? { ...d, ...change } : d,
    );
    this.#tell();
  }

  /** Those that have failed; some of them may have been sent elsewhere. */
  failed(): Draft[] {
    return this.#drafts.filter((d) => d.state === 'failed');
  }

  /** Whether it is still to be sent: another tab may have done it. */
  isKept({ localId, files }: Draft): boolean {
    return files.length > 0 || this.#outbox.has(localId);
  }

  /** It is not to be sent by itself. */
  giveUp(localId: string): void {
    this.#outbox.drop(localId);
  }

  findDraft(localId: string): Draft | undefined {
    return this.#drafts.find((d) => d.localId === localId);
  }

  /** The answer to its POST, or null: it is given up. */
  settle(localId: string, message: Message | null): void {
    this.#drafts = this.#drafts.filter((d) => d.localId !== localId);
    this.#outbox.drop(localId);
    if (message) {
      this.#keys.set(message.id, localId);
      this.#put(message, true);
    }
    this.#tell();
  }

  /** Messages that are drafts, as far as one can tell. */
  #claim(): Map<string, Draft> {
    const claimed = new Map<string, Draft>();
    if (this.#drafts.length === 0) return claimed;
    const fresh = [...this.#byId.values()]
      .filter((m) => m.senderId === this.#me && !this.#keys.has(m.id))
      .sort((a, b) => this.#arrived.get(a.id)! - this.#arrived.get(b.id)!);
    for (const draft of this.#drafts) {
      const its = fresh.find(
        (m) =>
          !claimed.has(m.id) &&
          (draft.after === null
            ? this.#arrived.get(m.id)! > draft.since
            : m.createdAt > draft.after) &&
          m.content === draft.content,
      );
      if (its) claimed.set(its.id, draft);
    }
    return claimed;
  }

  #tell(): void {
    const claimed = this.#claim();
    for (const [id, draft] of claimed)
      if (draft.state === 'failed') {
        // It was written, only the answer was lost.
        this.#keys.set(id, draft.localId);
        this.#drafts = this.#drafts.filter((d) => d !== draft);
        this.#outbox.drop(draft.localId);
      }
    const taken = new Set(claimed.values());
    // Of one millisecond as they came: the list and the log have finer clocks.
    const known = [...this.#byId.values()].sort((a, b) =>
      a.createdAt.localeCompare(b.createdAt),
    );
    const before = new Map(this.#bubbles.map((b) => [b.key, b]));
    const bubbles: Bubble[] = known.map((message) => {
      const { id } = message;
      const key = this.#keys.get(id) ?? claimed.get(id)?.localId ?? id;
      const was = before.get(key);
      // The same object while nothing of it changes: memo() looks at that.
      return was?.message === message && !was.draft
        ? was
        : { key, message, draft: null };
    });
    for (const draft of this.#drafts)
      if (!taken.has(draft)) {
        const was = before.get(draft.localId);
        bubbles.push(was?.draft === draft ? was : this.#unwritten(draft));
      }
    this.#bubbles = bubbles;
    for (const tell of [...this.#listeners]) tell();
  }

  #unwritten(draft: Draft): Bubble {
    const { localId, content, createdAt } = draft;
    return {
      key: localId,
      draft,
      message: {
        id: localId,
        senderId: this.#me,
        content,
        createdAt,
        updatedAt: createdAt,
        edited: false,
        deleted: false,
        readAt: null,
        attachments: [],
        reactions: [],
      },
    };
  }
}

function mergeFiles(old: Attachment[], more: Attachment[]): Attachment[] {
  if (more.length === 0) return old;
  const merged = new Map(old.map((a) => [a.id ?? a.fileUrl, a]));
  for (const a of more) {
    const key = a.id ?? a.fileUrl;
    merged.set(key, { ...merged.get(key), ...a });
  }
  return [...merged.values()];
}
