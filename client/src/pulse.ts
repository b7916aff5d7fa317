// SPDX-License-Identifier: ISC
// Whether the link still lives. After a silence of one interval it is pinged,
// and if half an interval later nothing has come it is dead. A page that slept
// finds its timers late: nothing is dead without a ping that had its time.

import { later, type Timer } from './timer.js';

/** For a link that is doubted: the network changed, the page woke up. */
const DOUBT_MS = 5000;

export class Pulse {
  #interval = 0;
  #heard = 0;
  #timer: Timer;

  constructor(
    readonly ping: () => void,
    readonly dead: () => void,
  ) {}

  start(interval: number): void {
    this.#interval = interval;
    this.#heard = Date.now();
    this.#wait(interval);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#interval = 0;
  }

  /** Something came. A timer per frame would cost more than the frame. */
  heard(): void {
    this.#heard = Date.now();
  }

  /** Ask now, and do not wait long for the answer. */
  doubt(): void {
    if (this.#interval > 0) this.#ask(Math.min(this.#interval / 2, DOUBT_MS));
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = later(ms, () => {
      const silent = Date.now() - this.#heard;
      if (silent < 0) this.#heard = Date.now(); // the clock was set back
      if (silent < this.#interval) this.#wait(this.#interval - silent);
      else this.#ask(this.#interval / 2);
    });
  }

  #ask(ms: number): void {
    const asked = Date.now();
    clearTimeout(this.#timer);
    this.ping();
    this.#timer = later(ms, () => {
      if (this.#heard >= asked) this.#wait(this.#interval);
      else if (Date.now() - asked > 2 * ms + 1000) this.#ask(ms);
      else this.dead();
    });
  }
}
