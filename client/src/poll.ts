// SPDX-License-Identifier: ISC
// The last resort: the application is told to fetch its own lists, now and then.
// One fetch at a time, and none while the browser has no network.

import { isOffline } from './page.js';
import { later, type Timer } from './timer.js';

const INTERVAL_MS = 15_000;

export class Poller {
  on = false;
  #fetching = false;
  #timer: Timer;

  constructor(
    readonly fetch: () => Promise<void> | undefined,
    readonly interval = INTERVAL_MS,
  ) {}

  start(): void {
    if (this.on) return;
    this.on = true;
    void this.#run();
  }

  stop(): void {
    this.on = false;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    if (!this.#fetching && !isOffline()) {
      this.#fetching = true;
      try {
        await this.fetch();
      } catch {
        // It is tried again anyway, and the status says polling.
      }
      this.#fetching = false;
    }
    clearTimeout(this.#timer);
    if (this.on) this.#timer = later(this.interval, () => this.#run());
  }
}
