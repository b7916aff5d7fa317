// SPDX-License-Identifier: ISC
// All rooms: who is in which, and how far each has come.
//
// What always holds: a position is moved before handlers are called, and an
// event whose id is not beyond it is dropped. So each is handed out once and in
// order, whatever handlers do and however often links are cut.
//
// Of one room the daemon is asked for one thing at a time, to be let in or out.
// What is wanted meanwhile is done when that is answered, and until then the
// room is not forgotten.

import { Seen, type Position } from './positions.js';
import { Subscription, type Asked, type Rooms } from './room.js';
import { later } from './timer.js';
import { PushError, type Frame, type RoomState } from './types.js';

/** How rooms talk to the daemon; only while the link is up. */
export interface Wire {
  readonly up: boolean;
  /** Whether all frames come in one order, or replies may overtake. */
  readonly ordered: boolean;
  ask(frame: Frame, reply: (reply: Frame) => void): void;
  /** The daemon could not say: call retry() a little later. */
  again(): void;
}

/** May be refused for good, or only until somebody is made a member. */
const REGAIN_MS = 5000;
const REGAIN_MAX_MS = 300_000;

export class Directory implements Rooms {
  #rooms = new Map<string, Subscription>();
  #unsettled = new Set<Subscription>();
  #seen = new Seen();
  #epoch = '';
  /** By the last hello(). */
  #requested = new Set<string>();
  #closed = false;

  constructor(
    readonly wire: Wire,
    readonly regain: { base?: number; cap?: number } = {},
  ) {}

  // --- what the application wants

  get(name: string): Subscription | undefined {
    return this.#rooms.get(name);
  }

  find(name: string): Subscription {
    let s = this.#rooms.get(name);
    if (!s) this.#rooms.set(name, (s = new Subscription(name)));
    return s;
  }

  /**
   * At the end of this turn, so that a leave and a join in one turn are
   * nothing: React does that when it renders anew.
   */
  settle(s: Subscription): void {
    if (this.#unsettled.add(s).size > 1) return;
    queueMicrotask(() => {
      const all = [...this.#unsettled];
      this.#unsettled.clear();
      for (const one of all)
        if (this.#rooms.get(one.name) === one)
          if (one.wanted) this.#want(one);
          else this.#unwant(one);
    });
  }

  list(): { name: string; state: RoomState; id: number | null }[] {
    return [...this.#rooms.values()].map(({ name, state, position }) => ({
      name, state, id: position?.id ?? null,
    }));
  }

  /** The names of the rooms that the application wants. */
  wanted(): string[] {
    return [...this.#rooms.values()].filter((s) => s.wanted).map((s) => s.name);
  }

  /** The client has ended: nobody is let in any more. */
  close(): void {
    this.#closed = true;
  }

  #want(s: Subscription): void {
    if (s.barred) return;
    if (this.#closed) {
      this.#fail(s, 'closed', 'the client is closed');
      return;
    }
    if (s.live) {
      // The daemon had put us there before it was wanted here.
      if (s.state !== 'joined') this.#joined(s, s.position?.id ?? 0, false);
      return;
    }
    s.state = 'joining';
    if (s.asked) s.asked.quiet = false;
    else if (this.wire.up) this.#enter([s]);
  }

  #unwant(s: Subscription): void {
    const wasIn = s.state === 'joined';
    s.state = 'left';
    s.door = null;
    s.barred = false;
    clearTimeout(s.regain);
    if (!s.given) {
      s.position = null;
      if (s.asked) s.asked.from = null;
      else if (s.live) this.#leave(s);
    }
    // Who has only listened on, after a leave of its own, may not know.
    if (wasIn) s.emit('left', { reason: 'left' });
    this.#forget(s);
  }

  #leave(s: Subscription): void {
    const asked: Asked = { leave: true, from: null, door: null };
    s.live = false;
    s.asked = asked;
    this.wire.ask({ type: 'leave', room: s.name }, () => {
      if (s.asked !== asked) return;
      s.asked = null;
      if (s.wanted) this.#want(s);
      else this.#forget(s);
    });
  }

  #out(s: Subscription): void {
    s.live = false;
    s.asked = s.position = null;
    this.#forget(s);
  }

  #forget(s: Subscription): void {
    const used = s.wanted || s.given || s.live || s.asked || !s.handlers.empty;
    if (!used && this.get(s.name) === s) this.#rooms.delete(s.name);
  }

  // --- entering

  /** Joins first: the daemon does a send after the joins before it. */
  #enter(some: Subscription[], quiet = false): void {
    for (const s of some) {
      const { position: from, door } = s;
      s.asked = { leave: false, from, door, quiet };
      clearTimeout(s.regain);
      if (s.wanted && !quiet) s.state = 'joining';
      // A door would begin at the present; a position goes on from there.
      if (from || !door) this.#join(s, s.asked);
    }
    for (const s of some) if (s.asked?.door) this.#knock(s, s.asked);
  }

  #join(s: Subscription, asked: Asked): void {
    const { id: since, epoch } = asked.from ?? {};
    this.wire.ask({ type: 'join', room: s.name, since, epoch }, (reply) => {
      if (s.asked !== asked) return;
      // A stream begins every room at the present.
      if (reply.ok)
        this.#in(s, reply.id as number, asked.from, this.wire.ordered);
      else if (asked.door) s.shut = true;
      else this.#refused(s, reply);
    });
  }

  #knock(s: Subscription, asked: Asked): void {
    const { event, data } = asked.door!;
    this.wire.ask({ type: 'send', event, data }, (reply) => {
      if (s.asked !== asked) return;
      if (!reply.ok) this.#refused(s, reply);
      else if (this.wire.ordered)
        this.#refused(s, {
          type: 'reply',
          error: { code: 'not_joined', message: `${event} did not join it` },
        });
    });
  }

  /**
   * We are in, at id, and had come as far as from when it was asked for. told:
   * if something was missed in between, a reset follows; else it is for us to
   * notice.
   */
  #in(s: Subscription, id: number, from: Position | null, told: boolean): void {
    const gap =
      from !== null && !told && (from.epoch !== this.#epoch || from.id < id);
    s.asked = null;
    s.live = true;
    s.barred = false;
    s.refusals = 0;
    // An event on a stream may have overtaken the reply of a POST.
    const { position } = s;
    if (
      !position ||
      (gap && (position.epoch !== this.#epoch || position.id < id))
    )
      s.position = { id, epoch: this.#epoch };
    if (s.wanted) this.#joined(s, id, from !== null && !gap);
    // It has been left since it was asked for.
    else if (!s.given) this.settle(s);
    if (gap) s.emit('reset', { id, epoch: this.#epoch });
  }

  #joined(s: Subscription, id: number, resumed: boolean): void {
    s.state = 'joined';
    s.emit('joined', { id, resumed });
  }

  #refused(s: Subscription, { error }: Frame): void {
    const { door, quiet } = s.asked!;
    s.asked = null;
    if (quiet) {
      this.#plan(s);
      return;
    }
    if (s.wanted && s.door && s.door !== door) {
      // Another way in has been shown meanwhile.
      this.#want(s);
      return;
    }
    const isWanted = s.wanted || s.given;
    if (isWanted && /^(unavailable|rate_limited)$/.test(error.code)) {
      this.wire.again();
      return;
    }
    s.given = s.greeted = false;
    this.#out(s);
    if (s.wanted) this.#fail(s, error.code, error.message);
    if (error.code === 'forbidden') this.#plan(s);
  }

  /** Access that was refused or lost may be granted again; nobody tells us. */
  #plan(s: Subscription): void {
    if (!s.wanted || this.#closed) return;
    const { base = REGAIN_MS, cap = REGAIN_MAX_MS } = this.regain;
    const most = Math.min(cap, base * 2 ** s.refusals++);
    clearTimeout(s.regain);
    s.regain = later(most * (0.5 + Math.random() / 2), () => {
      if (!s.wanted || s.live || s.asked) return;
      if (this.wire.up) this.#enter([s], true);
      else this.#plan(s);
    });
  }

  #fail(s: Subscription, code: string, message: string): void {
    s.state = 'error';
    s.emit('error', new PushError(code, message));
  }

  // --- the connection

  /**
   * The position for the rooms that the daemon gives with its welcome; all: for
   * those that are asked for with it, too.
   */
  hello(all: boolean): { since?: number; epoch?: string; rooms: string[] } {
    const resumed = [...this.#rooms.values()].filter(
      (s) =>
        s.position && (s.greeted || (all && (s.wanted || s.given) && !s.shut)),
    );
    const rooms = resumed.filter((s) => !s.greeted).map((s) => s.name);
    this.#requested = new Set(rooms);
    const positions = resumed.map((s) => s.position!);
    // One of an earlier epoch is further back, or it brings the resets due.
    const foreign = positions.filter((p) => p.epoch !== this.#epoch);
    const some = foreign.length > 0 ? foreign : positions;
    const [first] = some;
    if (!first) return { rooms };
    const oldest = some.reduce((a, b) => (b.id < a.id ? b : a), first);
    return { since: oldest.id, epoch: oldest.epoch, rooms };
  }

  welcome({ rooms, id, epoch }: Frame): void {
    // Another leader, most times, of the same history.
    this.#epoch = epoch;
    const greeted = new Set<string>(rooms);
    for (const s of this.#rooms.values())
      if (s.greeted && !greeted.has(s.name)) {
        s.given = s.greeted = false;
        this.#forget(s);
      }
    for (const name of greeted) {
      const s = this.find(name);
      const requested = this.#requested.has(name);
      const told = requested || s.greeted;
      if (!requested) s.given = s.greeted = true;
      s.barred = false;
      this.#in(s, id, s.position, told);
    }
    this.retry(true);
  }

  /** Enter what should be entered: on a new link all, else what was put off. */
  retry(all = false): void {
    const rooms = [...this.#rooms.values()].filter(
      (s) =>
        !s.live && !s.asked && !s.barred && (s.wanted || s.given) &&
        (all || s.state !== 'error'),
    );
    // There may be more than the daemon allows: what is wanted comes first.
    this.#enter([
      ...rooms.filter((s) => s.wanted),
      ...rooms.filter((s) => !s.wanted),
    ]);
  }

  down(): void {
    for (const s of this.#rooms.values()) {
      s.live = false;
      if (s.asked?.quiet) this.#plan(s);
      s.asked = null;
      if (s.state === 'joined') s.state = 'joining';
      this.#forget(s);
    }
  }

  /** Another user: what was told to the one before is not his. */
  startAnew(): void {
    for (const s of [...this.#rooms.values()]) {
      s.given = s.greeted = s.barred = false;
      this.#out(s);
    }
  }

  // --- frames

  /** False: it is not to be told. */
  event({ room, event, id, data, dup }: Frame): boolean {
    if (room === undefined) return true;
    const s = this.#rooms.get(room);
    // Left meanwhile.
    if (!s || s.asked?.leave || !(s.wanted || s.given)) return false;
    if (id !== undefined) {
      // Of another epoch it is of the same history: a reset has come, else.
      if (s.position && id <= s.position.id) return false;
      s.position = { id, epoch: this.#epoch };
      if (dup !== undefined && !this.#seen.add(dup)) return false;
    }
    s.tell(event, data, id);
    // It stands for events that were too many or too large to be told.
    if (event === 'resync') s.emit('reset', { id, epoch: this.#epoch });
    return true;
  }

  /** A handler has put us into a room, or found us there. */
  joined({ room, id }: Frame): void {
    const s = this.find(room);
    // What we have asked for after it is to leave.
    if (s.live || s.asked?.leave) return;
    if (!s.wanted && !s.asked) s.given = true;
    this.#in(s, id, s.position, false);
  }

  left({ room, reason }: Frame): void {
    const s = this.#rooms.get(room);
    if (!s) return;
    s.given = s.greeted = false;
    this.#out(s);
    if (!s.wanted) return;
    s.state = 'left';
    // After a kick all of them may come back, if the connection may.
    s.barred = reason !== 'kicked';
    s.emit('left', { reason });
    if (reason === 'revoked') this.#plan(s);
  }

  reset({ room, id, epoch }: Frame): void {
    this.#epoch = epoch;
    // What was told in another history may be told again in this one.
    this.#seen.clear();
    const s = this.#rooms.get(room);
    if (!s) return;
    s.position = { id, epoch };
    s.emit('reset', { id, epoch });
  }

  /**
   * All rooms of this connection are complete up to here; epoch, if it is
   * said, is that of all positions from now on.
   */
  at(id: number, epoch?: string): void {
    // The same history goes on: what was told of it is still known.
    if (epoch !== undefined) this.#epoch = epoch;
    for (const s of this.#rooms.values()) {
      const { live, position } = s;
      if (live && position && (epoch !== undefined || position.epoch === this.#epoch))
        s.position = { id: Math.max(id, position.id), epoch: this.#epoch };
    }
  }
}
