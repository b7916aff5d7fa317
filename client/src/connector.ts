// SPDX-License-Identifier: ISC
// Keeps a connection: asks for the token, chooses the transport, waits between
// tries, watches the pulse, refreshes the token.
//
// What always holds: at most one link is current and only its frames are passed
// on; while we are active and there is none, a token is being asked for or a
// timer runs.

import { backoff } from './backoff.js';
import {
  beside,
  FORBIDDEN,
  LOST,
  UNAUTHORIZED,
  type Hello,
  type Link,
} from './link.js';
import { isOffline } from './page.js';
import { Poller } from './poll.js';
import { Pulse } from './pulse.js';
import { openSocket } from './socket.js';
import { openStream } from './sse.js';
import { later, type Timer } from './timer.js';
import type { Frame, Options, Status, TransportName } from './types.js';

/** From the opening of a link to its welcome. */
const WELCOME_MS = 10_000;
/** A link that lived so long was a good one: the waits begin anew. */
const STABLE_MS = 5000;
/** Tries of the transport that has worked before others are tried again. */
const LOYAL_TRIES = 3;
/** Failed tries after which the application's lists are polled. */
const POLL_TRIES = 4;
/** From the fallback the way back is tried after so long, then twice that. */
const UPGRADE_MS = 30_000;
const UPGRADE_MAX_MS = 600_000;

export interface ConnectorEvents {
  status(status: Status): void;
  /** Where to go on; all: also the rooms that were asked for. */
  hello(all: boolean): Omit<Hello, 'token'>;
  /** Every frame of the current link, the welcome first. */
  frame(frame: Frame): void;
  /** The link is gone, and what was asked on it is not answered any more. */
  down(code: number): void;
  /** Coming back makes no sense. */
  fatal(code: string, message: string): void;
  /** There has been no link for a while: the lists are to be fetched. */
  poll(): Promise<void> | undefined;
}

export class Connector {
  #options: Options;
  #on: ConnectorEvents;
  #transports: TransportName[];
  #link: Link | null = null;
  /** When the current link was let in; 0: not yet. */
  #since = 0;
  #active = false;
  /** Grows with each try, so that a token that comes too late is known. */
  #tries = 0;
  #failures = 0;
  #waits = 0;
  #waitTimer: Timer;
  #deadline: Timer;
  #refreshTimer: Timer;
  /** The daemon has said when to come back. */
  #told = false;
  /** The last token was refused. */
  #refused = false;
  #worked: TransportName | null = null;
  #better: Link | null = null;
  #betterTimer: Timer;
  #betterMs = UPGRADE_MS;
  #pulse: Pulse;
  #poller: Poller | null;

  constructor(options: Options, on: ConnectorEvents) {
    this.#options = options;
    this.#on = on;
    this.#transports = (options.transports ?? ['websocket', 'sse']).filter(
      (name) => name === 'sse' || (options.WebSocket ?? globalThis.WebSocket),
    );
    beside(options.url, '', 'ws'); // a bad address throws here and now
    this.#pulse = new Pulse(
      () => this.send({ type: 'ping' }),
      () => this.#lost(LOST, ''),
    );
    this.#poller = options.poll
      ? new Poller(() => on.poll(), options.poll.interval)
      : null;
  }

  get up(): boolean {
    return this.#since > 0;
  }

  get name(): TransportName | undefined {
    return this.#link?.name;
  }

  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#refused = false;
    this.#failures = this.#waits = 0;
    void this.#dial();
  }

  stop(): void {
    this.#active = false;
    this.#tries++;
    clearTimeout(this.#waitTimer);
    this.#waitTimer = undefined;
    this.#poller?.stop();
    this.#drop(LOST);
  }

  send(frame: Frame): void {
    this.#link?.send(frame);
  }

  /** Somebody looks at the page, or the network is back. */
  wake(): void {
    if (this.#waitTimer !== undefined && !this.#told) void this.#dial();
    else this.doubt();
  }

  /** The network may be gone. */
  doubt(): void {
    if (!this.up) {
      if (this.#active) this.#tell();
      // What proves a stream is what comes on it, and that cannot be asked for:
      // but a POST that fails ends it.
    } else if (this.name === 'sse') this.send({ type: 'ping' });
    else this.#pulse.doubt();
  }

  // --- trying

  async #dial(): Promise<void> {
    clearTimeout(this.#waitTimer);
    this.#waitTimer = undefined;
    this.#told = false;
    this.#tell();
    const mine = ++this.#tries;
    let token: string | null;
    try {
      token = await this.#options.getToken();
    } catch {
      // Its server may be away as well; this is no failure of a transport.
      if (mine === this.#tries) this.#wait();
      return;
    }
    if (mine !== this.#tries) return;
    if (token === null) {
      this.#fatal('unauthorized', 'no token');
      return;
    }
    try {
      this.#link = this.#open(this.#choose(), token);
    } catch {
      // A page under https may not open ws:, for example.
      this.#lost(LOST, '');
      return;
    }
    this.#deadline = later(WELCOME_MS, () => this.#lost(LOST, ''));
  }

  #choose(): TransportName {
    const { length } = this.#transports;
    return this.#worked && this.#failures < LOYAL_TRIES
      ? this.#worked
      : this.#transports[this.#failures % length]!;
  }

  #open(name: TransportName, token: string): Link {
    const { url } = this.#options;
    const hello = { token, ...this.#on.hello(name === 'sse') };
    const on = {
      frame: (frame: Frame) => this.#frame(link, frame),
      heard: () => {
        if (link === this.#link) this.#pulse.heard();
      },
      end: (code: number, reason: string) => this.#end(link, code, reason),
    };
    const link: Link =
      name === 'sse'
        ? openStream(this.#options.fetch ?? fetch, url, hello, on)
        : openSocket(this.#options.WebSocket ?? WebSocket, url, hello, on);
    return link;
  }

  /** Come back after so many ms; without them, after a random time. */
  #wait(ms?: number): void {
    const { base = 500, cap = 30_000 } = this.#options.backoff ?? {};
    if (this.#failures >= POLL_TRIES) this.#poller?.start();
    this.#tell();
    clearTimeout(this.#waitTimer);
    // This one keeps a node process alive: a connection is wanted.
    this.#waitTimer = setTimeout(
      () => this.#dial(),
      ms ?? backoff(this.#waits++, base, cap),
    );
  }

  /** What there is instead of a connection. */
  #tell(): void {
    let status: Status = this.#worked ? 'reconnecting' : 'connecting';
    if (this.#poller?.on) status = 'polling';
    if (isOffline()) status = 'offline';
    this.#on.status(status);
  }

  // --- the current link

  #frame(link: Link, frame: Frame): void {
    if (link === this.#better && frame.type === 'welcome') {
      this.#better = null;
      this.#drop(LOST);
      this.#link = link;
    }
    if (link !== this.#link) return;
    if (frame.type === 'welcome') this.#welcome(link, frame);
    else if (frame.type === 'expiring') this.#planRefresh(link, frame.in);
    // The status may have moved somebody to disconnect.
    if (link === this.#link) this.#on.frame(frame);
  }

  #welcome(link: Link, { ping }: Frame): void {
    clearTimeout(this.#deadline);
    this.#since = Date.now();
    this.#worked = link.name;
    this.#refused = false;
    this.#failures = 0;
    this.#poller?.stop();
    const { pingInterval = ping * 1000 } = this.#options;
    if (link.name === 'sse') {
      // Only the daemon can break the silence of a stream.
      this.#pulse.start(Math.max(pingInterval, ping * 1000));
      this.#planBetter(link);
    } else this.#pulse.start(pingInterval);
    this.#on.status(link.name === 'sse' ? 'fallback' : 'online');
  }

  /**
   * The token ends in so many seconds. Halfway, since tokens that live shorter
   * than the daemon's notice would else be refreshed without a pause.
   */
  #planRefresh(link: Link, seconds: number): void {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = later(seconds * 500, async () => {
      try {
        const token = await this.#options.getToken();
        if (link === this.#link && token !== null)
          link.send({ type: 'auth', token });
      } catch {
        // The last resort is to be cut off with the old one.
        if (link === this.#link && seconds > 2)
          this.#planRefresh(link, seconds / 2);
      }
    });
  }

  #end(link: Link, code: number, reason: string): void {
    if (link === this.#link) this.#lost(code, reason);
    else if (link === this.#better) this.#noBetter();
  }

  #lost(code: number, reason: string): void {
    const wasUp = this.up;
    if (wasUp && Date.now() - this.#since >= STABLE_MS) this.#waits = 0;
    this.#drop(code);
    if (code === FORBIDDEN) {
      this.#fatal('forbidden', reason);
    } else if (code === UNAUTHORIZED) {
      if (this.#refused) {
        this.#fatal('unauthorized', reason);
        return;
      }
      this.#refused = true;
      void this.#dial();
    } else {
      const told = /^retry=(\d+)$/.exec(reason);
      this.#told = told !== null;
      if (!wasUp) this.#failures++;
      // Never let in yet: the other transport is tried at once.
      const next = !this.#worked && this.#failures % this.#transports.length;
      this.#wait(told ? Number(told[1]) : next ? 0 : undefined);
    }
  }

  #drop(code: number): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#betterTimer);
    this.#better?.close();
    this.#better = null;
    this.#pulse.stop();
    if (!this.#link) return;
    this.#link.close();
    this.#link = null;
    this.#since = 0;
    this.#on.down(code);
  }

  #fatal(code: string, message: string): void {
    this.stop();
    this.#on.fatal(code, message);
  }

  // --- from the fallback back to the first choice, without a gap

  #planBetter(link: Link): void {
    const { length } = this.#transports;
    if (length < 2 || this.#transports[0] === link.name) return;
    this.#betterTimer = later(this.#betterMs, async () => {
      this.#betterMs = Math.min(2 * this.#betterMs, UPGRADE_MAX_MS);
      try {
        const token = await this.#options.getToken();
        if (link !== this.#link || token === null) return;
        this.#better = this.#open(this.#transports[0]!, token);
        this.#betterTimer = later(WELCOME_MS, () => this.#noBetter());
      } catch {
        if (link === this.#link) this.#planBetter(link);
      }
    });
  }

  #noBetter(): void {
    clearTimeout(this.#betterTimer);
    this.#better?.close();
    this.#better = null;
    if (this.#link) this.#planBetter(this.#link);
  }
}
