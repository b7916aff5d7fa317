// SPDX-License-Identifier: ISC
// One link for all tabs of an origin and a user. A tab opens a link of its own,
// so that the daemon looks at its token; then it either leads, and its link is
// everybody's, or it attaches to the one that leads, and closes its own.
//
// The Web Lock of a name is held by the tab that leads. A tab that ends gives
// it back, whatever ended it; then the others dial anew, and one of them leads.
// A leader that a visible tab gets no answer from is frozen: the lock is taken
// from it. Messages go over a BroadcastChannel of the same name.
//
// What always holds: a tab gets frames of rooms that it has joined itself, and
// nothing before its own token was good for the same user.

import { Hub, type Port } from './hub.js';
import type { Hello, Link, LinkEvents } from './link.js';
import type { Timer } from './timer.js';
import type { Frame, TransportName } from './types.js';

/** As in link.ts, which is not fetched for it. */
const LOST = 1006;
/** In which a leader that is not frozen answers. */
const ANSWER_MS = 4000;
/** A visible tab looks so often whether its leader lives. */
const LOOK_MS = 5000;

/** Between tabs; to: a tab, or "hub". */
interface Message {
  to: string;
  from: string;
  attach?: Omit<Hello, 'token'>;
  /** The leader has begun: whoever follows another one dials anew. */
  leads?: boolean;
  alive?: boolean;
  frame?: Frame;
  end?: { code: number; reason: string };
}

type Open = (hello: Hello, on: LinkEvents) => Link;

export function openShared(
  name: TransportName,
  url: string,
  hello: Hello,
  on: LinkEvents,
  open: Open,
): Link {
  const tab = new Tab(name, new URL(url, location.href).href, hello, on);
  tab.real = open(hello, {
    frame: (frame) => tab.frame(frame),
    heard: () => tab.heard(),
    end: (code, reason) => tab.lost(code, reason),
  });
  return {
    name,
    send: (frame) => tab.send(frame),
    close: () => tab.close(),
  };
}

class Tab {
  real!: Link;
  #id = Math.random().toString(36).slice(2) + Date.now().toString(36);
  #key = '';
  #open = true;
  /** What came after the welcome, until it is known who leads. */
  #held: Frame[] | null = null;
  #hub: Hub | null = null;
  #leader: string | null = null;
  #channel: BroadcastChannel | null = null;
  #release: () => void = () => {};
  #waits = new AbortController();
  #timer: Timer;
  #looks: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly name: TransportName,
    readonly url: string,
    readonly hello: Hello,
    readonly on: LinkEvents,
  ) {}

  // --- the link of our own

  frame(frame: Frame): void {
    if (this.#hub) this.#hub.frame(frame);
    else if (this.#held) this.#held.push(frame);
    else if (frame.type === 'welcome') {
      this.#held = [frame];
      void this.#choose(frame.user);
    } else this.on.frame(frame);
  }

  heard(): void {
    if (this.#leader === null) this.on.heard();
  }

  lost(code: number, reason: string): void {
    if (this.#leader !== null) return;
    if (this.#hub) this.#hub.end(code, reason);
    this.#end(code, reason);
  }

  // --- who leads

  async #choose(user: string): Promise<void> {
    this.#key = `pgpush ${this.name} ${this.url} ${user}`;
    this.#channel = new BroadcastChannel(this.#key);
    this.#channel.onmessage = ({ data }) => this.#hear(data as Message);
    if (await this.#take({ ifAvailable: true })) this.#lead();
    else if (this.#open) void this.#ask();
  }

  /** Resolves when it is known whether the lock is ours; it stays so. */
  #take(options: LockOptions): Promise<boolean> {
    return new Promise((resolve) => {
      navigator.locks
        .request(this.#key, options, (lock) => {
          if (!lock || !this.#open) {
            resolve(false);
            return undefined;
          }
          return new Promise<void>((release) => {
            this.#keep(release);
            resolve(true);
          });
        })
        // It was taken from us: we were frozen, and somebody else leads.
        .catch(() => {
          resolve(false);
          if (this.#hub) this.lost(LOST, '');
        });
    });
  }

  /** A lock is held until its promise is resolved. */
  #keep(release: () => void): void {
    const before = this.#release;
    this.#release = () => {
      before();
      release();
    };
  }

  #lead(): void {
    const held = this.#held!;
    this.#hub = new Hub(this.real, this.name, held[0]!, this.hello);
    this.#hub.attach({
      id: this.#id,
      isLocal: true,
      send: (frame) => this.on.frame(frame),
      end: (code, reason) => this.#end(code, reason),
    });
    this.#held = null;
    for (const frame of held) this.#hub.frame(frame);
    this.#post({ to: '*', leads: true });
  }

  /** One link each: nobody leads who answers, and nobody looks at this page. */
  #alone(): void {
    const held = this.#held!;
    this.#held = null;
    this.#channel!.close();
    this.#channel = null;
    for (const frame of held) this.on.frame(frame);
  }

  async #ask(): Promise<void> {
    const { since, epoch, rooms } = this.hello;
    // The leader waits for this lock: it is given back when this tab ends.
    const isHeld = await new Promise((resolve) => {
      navigator.locks
        .request(`${this.#key} ${this.#id}`, () => {
          resolve(true);
          return new Promise<void>((release) => this.#keep(release));
        })
        .catch(() => resolve(false));
    });
    if (!this.#open || !isHeld) {
      this.#release();
      return;
    }
    this.#post({ to: 'hub', attach: { since, epoch, rooms } });
    this.#timer = setTimeout(async () => {
      if (document.visibilityState !== 'visible') this.#alone();
      else if (await this.#take({ steal: true })) this.#lead();
    }, ANSWER_MS);
  }

  // --- behind somebody who leads

  #follow(leader: string): void {
    clearTimeout(this.#timer);
    this.#leader = leader;
    this.#held = null;
    this.real.close();
    const { signal } = this.#waits;
    // And we wait for the leader's.
    navigator.locks
      .request(this.#key, { signal }, () => this.#end(LOST, ''))
      .catch(() => {});
    document.addEventListener('visibilitychange', this.#look);
    this.#looks = setInterval(this.#look, LOOK_MS);
  }

  #look = (): void => {
    if (document.visibilityState !== 'visible' || this.#timer !== undefined)
      return;
    this.#post({ to: 'hub', alive: true });
    this.#timer = setTimeout(() => this.#end(LOST, ''), ANSWER_MS);
  };

  // --- messages of other tabs

  #post(message: Omit<Message, 'from'>): void {
    this.#channel?.postMessage({ ...message, from: this.#id });
  }

  #hear(message: Message): void {
    const { to, from, leads, frame, end } = message;
    if (leads && this.#leader !== null && from !== this.#leader)
      this.#end(LOST, '');
    if (this.#hub && to === 'hub') this.#serve(message);
    if (to !== this.#id) return;
    if (this.#leader === null && this.#held && frame?.type === 'welcome')
      this.#follow(from);
    if (from !== this.#leader) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.on.heard();
    if (end) this.#end(end.code, end.reason);
    else if (frame) this.on.frame(frame);
  }

  /** What a tab that follows us says. */
  #serve({ from, attach, alive, frame, end }: Message): void {
    const hub = this.#hub!;
    if (alive && hub.has(from)) this.#post({ to: from, alive });
    if (frame) hub.receive(from, frame);
    if (end) hub.detach(from);
    if (!attach) return;
    const port: Port = {
      id: from,
      isLocal: false,
      send: (frame) => this.#post({ to: from, frame }),
      end: (code, reason) => this.#post({ to: from, end: { code, reason } }),
    };
    hub.attach(port, attach);
    // Whatever ends that tab: it is not to stay in its rooms.
    navigator.locks
      .request(`${this.#key} ${from}`, { signal: this.#waits.signal }, () =>
        hub.detach(from))
      .catch(() => {});
  }

  // --- what the client says

  send(frame: Frame): void {
    if (this.#hub) this.#hub.receive(this.#id, frame);
    else if (this.#leader !== null) this.#post({ to: 'hub', frame });
    else this.real.send(frame);
  }

  close(): void {
    if (!this.#open) return;
    if (this.#leader !== null)
      this.#post({ to: 'hub', end: { code: LOST, reason: '' } });
    this.#open = false;
    this.#hub?.end(LOST, '');
    this.real.close();
    clearTimeout(this.#timer);
    clearInterval(this.#looks);
    document.removeEventListener('visibilitychange', this.#look);
    this.#waits.abort();
    this.#release();
    this.#channel?.close();
    this.#channel = null;
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.close();
    this.on.end(code, reason);
  }
}
