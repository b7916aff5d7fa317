// SPDX-License-Identifier: ISC
// What an application sees of the package, and what goes over the wire.

/**
 * idle: not connected, by disconnect() or not yet; connecting: for the first
 * time; fallback: connected, by server-sent events; polling: not connected,
 * the application's own lists are fetched; offline: the browser says that it
 * has no network; closed: for good, or until connect() after an "error".
 */
export type Status =
  | 'idle'
  | 'connecting'
  | 'online'
  | 'reconnecting'
  | 'fallback'
  | 'polling'
  | 'offline'
  | 'closed';

export type TransportName = 'websocket' | 'sse';

export interface Options {
  /** Of the daemon's /ws: "wss://host/ws", "https://host/ws" or "/ws". */
  url: string;
  /**
   * Asked before every connection, and when the token is about to expire.
   * null: nobody is logged in; the client stops with an "error". If it
   * rejects, or does not settle within `tokenTimeout`, it is asked again
   * later, and a "problem" says so.
   */
  getToken: () => string | null | Promise<string | null>;
  /** ms that getToken may take, 20000 by default. */
  tokenTimeout?: number;
  /** Writes down in the console what happens. */
  debug?: boolean;
  /** The n-th wait is random between 0 and min(cap, base * 2^n) ms. */
  backoff?: { base?: number; cap?: number };
  /**
   * A room that we may not enter, or not any more, is asked for again after
   * so many ms, and then less and less often: 5000 and 300000 by default.
   */
  regain?: { base?: number; cap?: number };
  /** ms of silence after which the link is tried; the daemon's by default. */
  pingInterval?: number;
  /** Sends that may wait for a connection, 100 by default. */
  queue?: number;
  /** ms after which a send without an answer is given up, 30000 by default. */
  sendTimeout?: number;
  /** In the order in which they are tried; both by default. */
  transports?: TransportName[];
  /**
   * One connection for all tabs of this origin and user. By default only of
   * streams, of which a browser has no more than six without HTTP/2. Of events
   * that exclude the sender all tabs are excluded, then.
   */
  share?: boolean;
  /**
   * When nothing connects: `stale` is told now and then, and what these rooms
   * show may be fetched here.
   */
  poll?: {
    interval?: number;
    fetch?: (rooms: string[]) => Promise<void>;
  };
  /** In place of the global ones. */
  WebSocket?: typeof WebSocket;
  fetch?: typeof fetch;
}

/**
 * What an application says of its events, by name: their data. Written by hand
 * or printed from the database; without it every name and all data will do.
 */
export type AnyEvents = Record<string, any>;

/** What it says of its sends, by name: what goes there and what is answered. */
export type AnySends = Record<string, { data?: any; reply?: any }>;

/** Where an event comes from. Without an id it is ephemeral. */
export interface Meta {
  event: string;
  room?: string;
  id?: number;
}

export type Handler<T = any> = (data: T, meta: Meta) => void;

/** What the "event" handlers of a client get: every event, as it came. */
export interface Inspected {
  room?: string;
  event: string;
  id?: number;
  data: unknown;
  /** Date.now() when it came. */
  at: number;
}

export interface Welcome {
  session: string;
  user: string;
  rooms: string[];
  id: number;
  epoch: string;
  ping: number;
}

export interface SendOptions {
  room?: string;
  /** With a key a send runs once, however often it is repeated. Made up by
   * default; false: send it at most once. */
  key?: string | false;
}

export type RoomState = 'joining' | 'joined' | 'left' | 'error';

export interface JoinOptions {
  /** Join by this handler, which must put us into the room. */
  event?: string;
  data?: unknown;
}

/** What a room says of itself. */
export interface RoomEvents {
  joined: { id: number; resumed: boolean };
  left: { reason: 'revoked' | 'deleted' | 'kicked' | 'left' };
  reset: { id: number; epoch: string };
  error: PushError;
}

/** What may stand for data: nothing, if that is what it is. */
type Given<T> = undefined extends T ? [data?: T] : [data: T];

export interface Room<Events extends object = AnyEvents> {
  readonly name: string;
  readonly state: RoomState;
  /**
   * Handles are counted one by one: each keeps the room for as long as it has
   * joined it, or has only listened to it.
   *
   * "*" hears every event. The room's own are "joined" {id, resumed}, "left"
   * {reason}, "reset" {id, epoch} and "error" {code, message}. A room that
   * nobody has joined is joined for as long as it has handlers.
   */
  on<K extends keyof RoomEvents>(
    event: K,
    handler: Handler<RoomEvents[K]>,
  ): () => void;
  on(event: '*', handler: Handler): () => void;
  on<K extends keyof Events & string>(
    event: K,
    handler: Handler<Events[K]>,
  ): () => void;
  join(options?: JoinOptions): Room<Events>;
  leave(): void;
}

export interface Client<
  Events extends object = AnyEvents,
  Sends extends object = AnySends,
> {
  readonly status: Status;
  readonly user: string | null;
  readonly session: string | null;
  room(name: string): Room<Events>;
  /** Resolves to the handler's answer; rejects with a PushError. */
  send<K extends keyof Sends & string>(
    event: K,
    ...rest: [
      ...Given<Sends[K] extends { data: infer D } ? D : any>,
      options?: SendOptions,
    ]
  ): Promise<Sends[K] extends { reply: infer R } ? R : unknown>;
  on(event: 'status', handler: Handler<Status>): () => void;
  on(event: 'welcome', handler: Handler<Welcome>): () => void;
  /** The client has stopped; connect() begins again. */
  on(event: 'error', handler: Handler<PushError>): () => void;
  /** Something is wrong, and is tried again: its message names the mistake. */
  on(event: 'problem', handler: Handler<PushError>): () => void;
  /** Who the user is has changed; null: nobody, until the next welcome. */
  on(event: 'identity', handler: Handler<string | null>): () => void;
  on(event: 'event', handler: Handler<Inspected>): () => void;
  /** Nothing comes by itself: fetch what is shown. With the rooms' names. */
  on(event: 'stale', handler: Handler<string[]>): () => void;
  /** An event by its name, in whatever room or in none. */
  on<K extends keyof Events & string>(
    event: K,
    handler: Handler<Events[K]>,
  ): () => void;
  /** On a live client: the token is asked for, and who it is noticed. */
  connect(): void;
  /**
   * Somebody else logs in, or out. What was the user's before is gone at once:
   * the connection, what waits to be sent, what was known of the rooms. Then
   * the token is asked for anew.
   */
  reauthenticate(): void;
  /** Rooms, positions and sends that wait are kept for connect(). */
  disconnect(): void;
  /** The end. */
  close(): void;
  /** For developers. */
  readonly tools: Tools;
}

export interface Tools {
  /** Every frame; out: from here to the daemon. A token is left out. */
  watch(see: (seen: { out: boolean; frame: Frame }) => void): () => void;
  rooms(): { name: string; state: RoomState; id: number | null }[];
  /** As if the network had cut the connection. */
  cut(): void;
  /** What comes comes so many ms later. */
  slow(ms: number): void;
}

/** code is one of the daemon's words or of a handler's, or of our own:
 * timeout, too_many, lost (sent without a key, then cut), closed,
 * and of problems token, address, unreachable. */
export class PushError extends Error {
  readonly code: string;

  constructor(code: string, message?: string) {
    super(message ?? code);
    this.name = 'PushError';
    this.code = code;
  }
}

/** A frame of pgpush-protocol(7). */
export interface Frame {
  type: string;
  [member: string]: any;
}
