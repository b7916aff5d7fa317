// SPDX-License-Identifier: ISC
// The client of a provider. React may render without ever mounting, and mount
// twice; so nothing is connected before an effect uses it, and it is closed
// only if it was not mounted again within the same turn.

import { PushClient } from '../client.js';
import type {
  Client,
  Handler,
  Options,
  Room,
  SendOptions,
  Status,
  Tools,
} from '../types.js';

export class LazyClient implements Client {
  #options: Options;
  #client: Client | null = null;
  #holders = 0;
  #closed = false;

  /** isOff: nobody is logged in, and nothing is connected. */
  constructor(options: Options, readonly isOff = false) {
    this.#options = options;
  }

  /** Connected for as long as somebody holds it. */
  hold(): () => void {
    this.#holders++;
    if (this.#closed) {
      this.#closed = false;
      this.#client = null;
    }
    this.#real();
    return () => {
      this.#holders--;
      queueMicrotask(() => {
        if (this.#holders === 0) this.close();
      });
    };
  }

  #real(): Client {
    if (!this.#client) {
      this.#client = new PushClient(this.#options);
      if (!this.isOff) this.#client.connect();
    }
    return this.#client;
  }

  get status(): Status {
    return this.#client?.status ?? 'connecting';
  }

  get user(): string | null {
    return this.#client?.user ?? null;
  }

  get session(): string | null {
    return this.#client?.session ?? null;
  }

  room(name: string): Room {
    return this.#real().room(name);
  }

  send(event: string, data?: unknown, options?: SendOptions): Promise<any> {
    return this.#real().send(event, data, options);
  }

  on(event: string, handler: Handler): () => void {
    return this.#real().on(event, handler);
  }

  connect(): void {
    if (!this.isOff) this.#real().connect();
  }

  reauthenticate(): void {
    this.#client?.reauthenticate();
  }

  disconnect(): void {
    this.#client?.disconnect();
  }

  get tools(): Tools {
    return this.#real().tools;
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
  }
}
