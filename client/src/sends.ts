// SPDX-License-Identifier: ISC
// The sends that have no answer yet, in the order of the calls. One with a key
// outlives its connection: it is written again on the next one, and the key
// makes the daemon run it once. One without a key is written once at most.
//
// A link that ends because of a frame that the daemon cannot read does not say
// which one. So those that had no answer then are suspects: they are written
// one by one, and the one with which a link ends again is given up.

import { later, type Timer } from './timer.js';
import { PushError, type Frame, type SendOptions } from './types.js';

interface Entry {
  frame: Frame;
  written: boolean;
  suspect: boolean;
  timer: Timer;
  resolve: (data: unknown) => void;
  reject: (err: PushError) => void;
}

let made = 0;

/** randomUUID is missing on plain http:// pages and in node 18. */
export const makeKey = (): string =>
  globalThis.crypto?.randomUUID?.() ??
  [Date.now(), ++made, Math.random(), Math.random()]
    .map((n) => n.toString(36))
    .join('-');

export class Sends {
  #entries = new Map<number, Entry>();

  constructor(
    readonly limit: number,
    readonly timeout: number,
    readonly nextRef: () => number,
  ) {}

  /** How many wait to be written. */
  get waiting(): number {
    let n = 0;
    for (const entry of this.#entries.values()) if (!entry.written) n++;
    return n;
  }

  add(event: string, data: unknown, options: SendOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.waiting >= this.limit) {
        reject(new PushError('too_many', 'too many sends are waiting'));
        return;
      }
      const ref = this.nextRef();
      const { room, key } = options;
      const frame: Frame = { type: 'send', event, room, data, ref };
      if (key !== false) frame.key = key ?? makeKey();
      // What cannot be written as JSON is the caller's error, now.
      JSON.stringify(frame);
      const timer = later(this.timeout, () =>
        this.#fail(ref, 'timeout', 'no answer in time'),
      );
      this.#entries.set(ref, {
        frame, written: false, suspect: false, timer, resolve, reject,
      });
    });
  }

  /** Write what was not written yet: of suspects one, and nothing beside. */
  flush(write: (frame: Frame) => void): void {
    const all = [...this.#entries.values()];
    const suspect = all.find((entry) => entry.suspect);
    if (suspect?.written) return;
    for (const entry of suspect ? [suspect] : all) {
      if (entry.written) continue;
      entry.written = true;
      write(entry.frame);
    }
  }

  /**
   * A reply came. False if it is not one to a send; "again" if the send waits
   * once more, because the daemon could not say whether it has run.
   */
  answered(reply: Frame): boolean | 'again' {
    const entry = this.#entries.get(reply.ref);
    if (!entry) return false;
    if (reply.ok) {
      this.#take(reply.ref)?.resolve(reply.data);
      return true;
    }
    const { code, message } = reply.error ?? {};
    if (code === 'unavailable' && entry.frame.key) {
      entry.written = false;
      return 'again';
    }
    this.#fail(reply.ref, code ?? 'internal', message);
    return true;
  }

  /** The connection is gone: what can be repeated waits for the next. */
  cut(isBad = false, isOurs = isBad): void {
    const written = [...this.#entries].filter(([, entry]) => entry.written);
    for (const [ref, entry] of written) {
      if (isOurs && written.length === 1)
        this.#fail(ref, 'bad_request', 'the daemon could not read it');
      else if (entry.frame.key) {
        entry.written = false;
        entry.suspect ||= isBad;
      }
      else this.#fail(ref, 'lost', 'cut off before the answer');
    }
  }

  /** The daemon took a frame for too big: it can only be the longest. */
  failLongest(): void {
    let ref = 0;
    let most = 0;
    for (const [r, entry] of this.#entries) {
      const length = JSON.stringify(entry.frame).length;
      if (entry.written && length > most) [ref, most] = [r, length];
    }
    this.#fail(ref, 'too_big', 'the message is too big');
  }

  failAll(code: string, message?: string): void {
    for (const ref of [...this.#entries.keys()]) this.#fail(ref, code, message);
  }

  #take(ref: number): Entry | undefined {
    const entry = this.#entries.get(ref);
    this.#entries.delete(ref);
    clearTimeout(entry?.timer);
    return entry;
  }

  #fail(ref: number, code: string, message?: string): void {
    this.#take(ref)?.reject(new PushError(code, message));
  }
}
