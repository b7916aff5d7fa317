// SPDX-License-Identifier: ISC
// What the client knows of one room. An application has handles, which find it
// by its name: a room that nobody uses any more is forgotten, and a handle that
// was kept may be used again at any time.

import { Emitter } from './emitter.js';
import type { Position } from './positions.js';
import type { Timer } from './timer.js';
import {
  PushError,
  type Handler,
  type JoinOptions,
  type Room,
  type RoomState,
} from './types.js';

/** Names that are the room's own; an event of the log does not use them. */
const OWN = new Set(['joined', 'left', 'reset', 'error']);

/** What the daemon was asked for, and has not answered. */
export interface Asked {
  leave: boolean;
  /** How far we had come; null: we begin anew. */
  from: Position | null;
  door: JoinOptions | null;
  /** Nobody is told if it is refused: it was so before. */
  quiet?: boolean;
}

/** What a handle has done; it wants the room if it is among the claims. */
interface Claim {
  joins: number;
  handlers: number;
  /** It has never joined: its handlers alone keep us in. */
  listens: boolean;
}

export class Subscription {
  readonly handlers = new Emitter();
  state: RoomState = 'left';
  /** How far we have come; null: the room starts anew. */
  position: Position | null = null;
  /** In the room, on this connection. */
  live = false;
  /** One thing at a time: else a late answer could be taken for another's. */
  asked: Asked | null = null;
  /** The daemon put us there: greeted with it, or by a handler. */
  given = false;
  greeted = false;
  /** Of the handles, those that want it, and how often. */
  readonly claims = new Set<Claim>();
  door: JoinOptions | null = null;
  /** Nobody is let in but by the door. */
  shut = false;
  /** Put out by the daemon: not to be entered again before the next join(). */
  barred = false;
  /** Asked for again by itself, and how often it was. */
  regain: Timer;
  refusals = 0;

  constructor(readonly name: string) {}

  get wanted(): boolean {
    return this.claims.size > 0;
  }

  emit(event: string, data: unknown): void {
    this.handlers.emit(event, data, { event, room: this.name });
  }

  /** An event of the daemon. */
  tell(event: string, data: unknown, id?: number): void {
    const meta = { event, room: this.name, id };
    if (!OWN.has(event)) this.handlers.emit(event, data, meta);
    this.handlers.emit('*', data, meta);
  }
}

export interface Rooms {
  get(name: string): Subscription | undefined;
  /** Made if it is not there. */
  find(name: string): Subscription;
  /** What is wanted has changed. May be called often, acts once. */
  settle(s: Subscription): void;
}

/** As the daemon has it: text of 1 to 200 bytes without control characters. */
export function checkName(name: unknown): asserts name is string {
  const isGood =
    typeof name === 'string' &&
    /^[^\0-\x1f\x7f\p{Cs}]+$/u.test(name) &&
    new TextEncoder().encode(name).length <= 200;
  if (!isGood)
    throw new PushError('bad_request', `no room: ${name}`);
}

export function makeRoom(name: string, rooms: Rooms): Room {
  checkName(name);
  const claim: Claim = { joins: 0, handlers: 0, listens: true };
  const settle = (s: Subscription): void => {
    const { joins, handlers, listens } = claim;
    if (joins > 0 || (listens && handlers > 0)) s.claims.add(claim);
    else s.claims.delete(claim);
    if (joins + handlers === 0) claim.listens = true;
    rooms.settle(s);
  };
  const room: Room = {
    name,
    get state() {
      return rooms.get(name)?.state ?? 'left';
    },
    on(event: string, handler: Handler) {
      const s = rooms.find(name);
      const off = s.handlers.on(event, handler);
      let isOn = true;
      claim.handlers++;
      settle(s);
      return () => {
        off();
        if (isOn) claim.handlers--;
        isOn = false;
        settle(s);
      };
    },
    join(options: JoinOptions = {}) {
      const s = rooms.find(name);
      claim.joins++;
      s.refusals = 0;
      claim.listens = s.barred = false;
      if (s.state !== 'joined') s.state = 'joining';
      if (options.event !== undefined) s.door = options;
      settle(s);
      return room;
    },
    leave() {
      const s = rooms.find(name);
      if (claim.joins > 0) claim.joins--;
      claim.listens = false;
      settle(s);
    },
  };
  return room;
}
