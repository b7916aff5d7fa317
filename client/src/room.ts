// SPDX-License-Identifier: ISC
// What the client knows of one room. An application has handles, which find it
// by its name: a room that nobody uses any more is forgotten, and a handle that
// was kept may be used again at any time.

import { Emitter } from './emitter.js';
import type { Position } from './positions.js';
import type { Handler, JoinOptions, Room, RoomState } from './types.js';

/** Names that are the room's own; an event of the log does not use them. */
const OWN = new Set(['joined', 'left', 'reset', 'error']);

/** What the daemon was asked for, and has not answered. */
export interface Asked {
  leave: boolean;
  /** How far we had come; null: we begin anew. */
  from: Position | null;
  door: JoinOptions | null;
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
  joins = 0;
  door: JoinOptions | null = null;
  /** Nobody is let in but by the door. */
  shut = false;
  /** Nobody has called join(): handlers alone keep us in. */
  byHandlers = true;
  /** Put out by the daemon: not to be entered again before the next join(). */
  barred = false;

  constructor(readonly name: string) {}

  get wanted(): boolean {
    return this.joins > 0 || (this.byHandlers && !this.handlers.empty);
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

export function makeRoom(name: string, rooms: Rooms): Room {
  const room: Room = {
    name,
    get state() {
      return rooms.get(name)?.state ?? 'left';
    },
    on(event: string, handler: Handler) {
      const s = rooms.find(name);
      const off = s.handlers.on(event, handler);
      rooms.settle(s);
      return () => {
        off();
        rooms.settle(s);
      };
    },
    join(options: JoinOptions = {}) {
      const s = rooms.find(name);
      s.joins++;
      s.byHandlers = s.barred = false;
      if (s.state !== 'joined') s.state = 'joining';
      if (options.event !== undefined) s.door = options;
      rooms.settle(s);
      return room;
    },
    leave() {
      const s = rooms.find(name);
      if (s.joins > 0) s.joins--;
      s.byHandlers = false;
      rooms.settle(s);
    },
  };
  return room;
}
