// SPDX-License-Identifier: ISC
// Who is online, as far as some component wants to know: one book per client,
// so that twenty components ask once.

import type { Client } from '../types.js';

export interface Presence {
  userId: string;
  isOnline: boolean;
  /** Of who is offline, if he ever was online. */
  lastSeen?: string | null;
}

/** The rooms of one connection come in one after the other: ask for all. */
const GATHER_MS = 20;
const MAX_ASKED = 100;

export class PresenceBook {
  #client: Client;
  #known = new Map<string, Presence>();
  #watched = new Map<string, { count: number; stop: () => void }>();
  #listeners = new Set<() => void>();
  #ask = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stop: (() => void) | null = null;

  constructor(client: Client) {
    this.#client = client;
  }

  get(id: string): Presence | undefined {
    return this.#known.get(id);
  }

  /** tell is called when something is known anew of whomever. */
  watch(ids: string[], tell: () => void): () => void {
    this.#listeners.add(tell);
    this.#stop ??= this.#listen();
    for (const id of ids) this.#add(id);
    return () => {
      this.#listeners.delete(tell);
      for (const id of ids) this.#remove(id);
      if (this.#watched.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#ask.clear();
      this.#stop?.();
      this.#stop = null;
    };
  }

  #listen(): () => void {
    // Of whatever room: what two rooms tell comes in one of them.
    const offs = [
      this.#client.on('user_presence', (data: Presence) => this.#learn(data)),
      this.#client.on('status', (status) => {
        if (status === 'online' || status === 'fallback') return;
        // What changes now we shall not hear.
        this.#known.clear();
        this.#tell();
      }),
      this.#client.on('identity', () => this.#known.clear()),
    ];
    return () => offs.forEach((off) => off());
  }

  #add(id: string): void {
    const known = this.#watched.get(id);
    if (known) {
      known.count++;
      return;
    }
    const room = this.#client.room(`peer:${id}`);
    const off = room.on('joined', () => this.#wonder(id));
    room.join();
    if (room.state === 'joined') this.#wonder(id);
    const stop = () => {
      off();
      room.leave();
    };
    this.#watched.set(id, { count: 1, stop });
  }

  #remove(id: string): void {
    const known = this.#watched.get(id);
    if (!known || --known.count > 0) return;
    known.stop();
    this.#watched.delete(id);
    this.#known.delete(id);
    this.#ask.delete(id);
  }

  #learn(data: Presence): void {
    if (!this.#watched.has(data.userId)) return;
    this.#known.set(data.userId, data);
    this.#tell();
  }

  #tell(): void {
    for (const tell of [...this.#listeners]) tell();
  }

  #wonder(id: string): void {
    this.#ask.add(id);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const ids = [...this.#ask];
      this.#ask.clear();
      for (let i = 0; i < ids.length; i += MAX_ASKED)
        void this.#question(ids.slice(i, i + MAX_ASKED));
    }, GATHER_MS);
  }

  /** Events tell of changes only. An answer older than one is dropped. */
  async #question(userIds: string[]): Promise<void> {
    const before = new Map(this.#known);
    try {
      const { users } = (await this.#client.send('get_presence', {
        userIds,
      })) as { users: Presence[] };
      for (const user of users)
        if (this.#known.get(user.userId) === before.get(user.userId))
          this.#learn(user);
    } catch {
      // Unknown, then.
    }
  }
}

const books = new WeakMap<Client, PresenceBook>();

export function presenceOf(client: Client): PresenceBook {
  let book = books.get(client);
  if (!book) books.set(client, (book = new PresenceBook(client)));
  return book;
}
