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
  openLater,
  UNAUTHORIZED,
  type Hello,
  type Link,
  type LinkEvents,
} from './link.js';
import { isOffline } from './page.js';
import { Poller } from './poll.js';
import { Pulse } from './pulse.js';
import { openSocket } from './socket.js';
import { later, type Timer } from './timer.js';
import {
  PushError,
  type Frame,
  type Options,
  type Status,
  type TransportName,
} from './types.js';

/** From the opening of a link to its welcome. */
const WELCOME_MS = 10_000;
/** A link that lived so long was a good one: the waits begin anew. */
const STABLE_MS = 5000;
/** Tries of the transport that has worked before others are tried again. */
const LOYAL_TRIES = 3;
/** Failed tries after which the application's lists are polled. */
const POLL_TRIES = 4;
/** Failed first tries after which somebody should look at the address. */
const SUSPECT_TRIES = 3;
/** What getToken may take. */
const TOKEN_MS = 20_000;
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
  /** Something is wrong that may become right, or be a mistake. */
  problem(code: string, message: string): void;
  /** The token of this connection was replaced by another user's. */
  stranger(): void;
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
  #token = '';
  #slow = 0;
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
    checkOptions(options);
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
    if (this.#active) {
      // Somebody else may have logged in meanwhile.
      if (this.up) this.#refresh().catch(() => {});
      return;
    }
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

  cut(): void {
    if (this.#link) this.#lost(LOST, '');
  }

  slow(ms: number): void {
    this.#slow = ms;
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
      token = await this.#ask();
    } catch (err) {
      // Its server may be away as well; this is no failure of a transport.
      if (mine !== this.#tries) return;
      if (err instanceof PushError) this.#fatal(err.code, err.message);
      else this.#wait();
      return;
    }
    if (mine !== this.#tries) return;
    if (token === null) {
      this.#fatal('unauthorized', 'no token');
      return;
    }
    try {
      this.#link = this.#open(this.#choose(), token);
    } catch (err) {
      // A page under https may not open ws:, for example.
      this.#on.problem('address', (err as Error).message);
      this.#lost(LOST, '');
      return;
    }
    this.#deadline = later(WELCOME_MS, () => this.#lost(LOST, ''));
  }

  /** Throws a PushError if what getToken gives is no token. */
  async #ask(): Promise<string | null> {
    const { getToken, tokenTimeout = TOKEN_MS } = this.#options;
    let token: unknown;
    try {
      const given = getToken();
      token =
        typeof given === 'object' && given !== null
          ? await inTime(given, tokenTimeout)
          : given;
    } catch (err) {
      this.#on.problem('token', `getToken: ${(err as Error)?.message ?? err}`);
      throw err;
    }
    if (token === null) return null;
    if (typeof token !== 'string' || token === '')
      throw new PushError(
        'unauthorized',
        `getToken gave ${token === '' ? "''" : typeof token}, not a token`,
      );
    return (this.#token = token);
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
      frame: (frame: Frame) => {
        if (this.#slow === 0) this.#frame(link, frame);
        else setTimeout(() => this.#frame(link, frame), this.#slow);
      },
      heard: () => {
        if (link === this.#link) this.#pulse.heard();
      },
      end: (code: number, reason: string) => this.#end(link, code, reason),
    };
    const { share = name === 'sse' } = this.#options;
    const open = (hello: Hello, on: LinkEvents): Link =>
      name === 'sse'
        ? openLater(name, async () => {
            const { openStream } = await import('./sse.js');
            return openStream(this.#options.fetch ?? fetch, url, hello, on);
          }, on)
        : openSocket(this.#options.WebSocket ?? WebSocket, url, hello, on);
    const link: Link =
      share && globalThis.document && globalThis.navigator.locks
        ? openLater(name, async () => {
            const { openShared } = await import('./share.js');
            return openShared(name, url, hello, on, open);
          }, on)
        : open(hello, on);
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
        await this.#refresh();
      } catch {
        // The last resort is to be cut off with the old one.
        if (link === this.#link && seconds > 2)
          this.#planRefresh(link, seconds / 2);
      }
    });
  }

  /** A fresh token for this link; nobody is logged in any more without one. */
  async #refresh(): Promise<void> {
    const link = this.#link;
    const token = await this.#ask();
    if (link === null || link !== this.#link) return;
    if (token === null) this.#fatal('unauthorized', 'no token');
    else link.send({ type: 'auth', token });
  }

  #end(link: Link, code: number, reason: string): void {
    if (link === this.#link) this.#lost(code, reason);
    else if (link === this.#better) this.#noBetter();
  }

  #lost(code: number, reason: string): void {
    const wasUp = this.up;
    if (wasUp && Date.now() - this.#since >= STABLE_MS) this.#waits = 0;
    this.#drop(code);
    if (code === FORBIDDEN && wasUp && reason === 'another user') {
      this.#on.stranger();
      void this.#dial();
    } else if (code === FORBIDDEN) {
      this.#fatal('forbidden', reason);
    } else if (code === UNAUTHORIZED && !this.#refused) {
      this.#refused = true;
      void this.#dial();
    } else if (code === UNAUTHORIZED) {
      void this.#judge(reason);
    } else {

      const told = /^retry=(\d+)$/.exec(reason);
      this.#told = told !== null;
      if (!wasUp) this.#failures++;
      if (!this.#worked) this.#suspect(reason);
      // Never let in yet: the other transport is tried at once.
      const next = !this.#worked && this.#failures % this.#transports.length;
      this.#wait(told ? Number(told[1]) : next ? 0 : undefined);
    }
  }

  /** Refused twice: for good, or only because of a clock. */
  async #judge(reason: string): Promise<void> {
    const mine = this.#tries;
    const { isYoung } = await import('./young.js');
    if (mine !== this.#tries) return;
    if (!isYoung(this.#token)) {
      this.#fatal('unauthorized', reason);
      return;
    }
    this.#on.problem(
      'unauthorized',
      'the token is not valid yet: clocks differ',
    );
    this.#wait();
  }

  /** It has never worked: is it the address? A WebSocket says nothing. */
  #suspect(reason: string): void {
    const { url } = this.#options;
    const isAnswer = / answered /.test(reason);
    if (isAnswer || this.#failures === SUSPECT_TRIES)
      this.#on.problem(
        isAnswer ? 'address' : 'unreachable',
        `${isAnswer ? reason : `no answer from ${url}`}: is url that of pgpushd's /ws?`,
      );
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
        const token = await this.#ask();
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

/** Mistakes of those who call connect() are theirs to see, here and now. */
function checkOptions({ url, getToken }: Options): void {
  if (typeof getToken !== 'function')
    throw new TypeError('connect() needs a function getToken');
  try {
    if (!url) throw new TypeError();
    beside(url, '', 'ws');
  } catch {
    throw new TypeError(
      `url is ${url}: not ws://, wss://, http://, https:// or a path`,
    );
  }
}

/** A promise that never settles is found by this. */
function inTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = new Error(`has not settled in ${ms} ms`);
    const timer = setTimeout(() => reject(late), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
