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
   * rejects, it is asked again later.
   */
  getToken: () => string | null | Promise<string | null>;
  /** The n-th wait is random between 0 and min(cap, base * 2^n) ms. */
  backoff?: { base?: number; cap?: number };
  /** ms of silence after which the link is tried; the daemon's by default. */
  pingInterval?: number;
  /** Sends that may wait for a connection, 100 by default. */
  queue?: number;
  /** ms after which a send without an answer is given up, 30000 by default. */
  sendTimeout?: number;
  /** In the order in which they are tried; both by default. */
  transports?: TransportName[];
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

export interface Room {
  readonly name: string;
  readonly state: RoomState;
  /**
   * "*" hears every event. The room's own are "joined" {id, resumed}, "left"
   * {reason}, "reset" {id, epoch} and "error" {code, message}. A room that
   * nobody has joined is joined for as long as it has handlers.
   */
  on(event: string, handler: Handler): () => void;
  join(options?: JoinOptions): Room;
  leave(): void;
}

export interface Client {
  readonly status: Status;
  readonly user: string | null;
  readonly session: string | null;
  room(name: string): Room;
  /** Resolves to the handler's answer; rejects with a PushError. */
  send(event: string, data?: unknown, options?: SendOptions): Promise<unknown>;
  on(event: 'status', handler: Handler<Status>): () => void;
  on(event: 'welcome', handler: Handler<Welcome>): () => void;
  on(event: 'error', handler: Handler<PushError>): () => void;
  on(event: 'event', handler: Handler<Inspected>): () => void;
  /** Nothing comes by itself: fetch what is shown. With the rooms' names. */
  on(event: 'stale', handler: Handler<string[]>): () => void;
  /** An event by its name, in whatever room or in none. */
  on(event: string, handler: Handler): () => void;
  connect(): void;
  /** Rooms, positions and sends that wait are kept for connect(). */
  disconnect(): void;
  /** The end. */
  close(): void;
}

/** code is one of the daemon's words or of a handler's, or of our own:
 * timeout, too_many, lost (sent without a key, then cut), closed. */
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
