// SPDX-License-Identifier: ISC
// What an application holds: it joins the connection, the rooms and the sends.

import { Connector } from './connector.js';
import { Emitter } from './emitter.js';
import { TOO_BIG } from './link.js';
import { watchPage } from './page.js';
import { makeRoom } from './room.js';
import { Directory } from './rooms.js';
import { Sends } from './sends.js';
import { later, type Timer } from './timer.js';
import {
  PushError,
  type Client,
  type Frame,
  type Handler,
  type Options,
  type Room,
  type SendOptions,
  type Status,
} from './types.js';

/** What the daemon could not do now is asked again after so long or twice. */
const AGAIN_MS = 500;

/** Said by the client itself; an event of the daemon does not use them. */
const OWN = new Set(['status', 'welcome', 'error', 'event', 'stale']);

export class PushClient implements Client {
  status: Status = 'idle';
  user: string | null = null;
  session: string | null = null;

  #handlers = new Emitter();
  #connector: Connector;
  #rooms: Directory;
  #sends: Sends;
  #ref = 0;
  /** Who waits for which reply on this link. */
  #asked = new Map<number, (reply: Frame) => void>();
  #againTimer: Timer;
  #ended = false;
  #unwatch: () => void;

  constructor(options: Options) {
    const connector = new Connector(options, {
      status: (status) => this.#turn(status),
      hello: (all) => this.#rooms.hello(all),
      frame: (frame) => this.#frame(frame),
      down: (code) => this.#down(code),
      fatal: (code, message) => this.#fatal(new PushError(code, message)),
      poll: () => {
        const rooms = this.#rooms.wanted();
        this.#handlers.emit('stale', rooms);
        return options.poll?.fetch?.(rooms);
      },
    });
    this.#connector = connector;
    this.#rooms = new Directory({
      get up() {
        return connector.up;
      },
      get ordered() {
        return connector.name === 'websocket';
      },
      ask: (frame, reply) => {
        const ref = ++this.#ref;
        this.#asked.set(ref, reply);
        connector.send({ ...frame, ref });
      },
      again: () => this.#again(),
    });
    this.#sends = new Sends(
      options.queue ?? 100,
      options.sendTimeout ?? 30_000,
      () => ++this.#ref,
    );
    this.#unwatch = watchPage(
      () => connector.wake(),
      () => connector.doubt(),
    );
  }

  room(name: string): Room {
    return makeRoom(name, this.#rooms);
  }

  on(event: string, handler: Handler): () => void {
    return this.#handlers.on(event, handler);
  }

  send(event: string, data?: unknown, options: SendOptions = {}) {
    if (this.status === 'closed')
      return Promise.reject(new PushError('closed', 'the client is closed'));
    const answer = this.#sends.add(event, data, options);
    this.#flush();
    return answer;
  }

  connect(): void {
    if (!this.#ended) this.#connector.start();
  }

  disconnect(): void {
    this.#connector.stop();
    if (this.status !== 'closed') this.#turn('idle');
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unwatch();
    this.#connector.stop();
    this.#turn('closed');
    this.#sends.failAll('closed', 'the client is closed');
  }

  // --- what the connection says

  #turn(status: Status): void {
    if (status === this.status) return;
    this.status = status;
    this.#handlers.emit('status', status);
  }

  #down(code: number): void {
    if (code === TOO_BIG) this.#sends.failLongest();
    clearTimeout(this.#againTimer);
    this.#againTimer = undefined;
    this.session = null;
    this.#asked.clear();
    this.#rooms.down();
    this.#sends.cut();
  }

  #fatal(err: PushError): void {
    this.#turn('closed');
    this.#sends.failAll(err.code, err.message);
    this.#handlers.emit('error', err);
  }

  /** Late enough to help, and not at the same moment as everybody else. */
  #again(): void {
    this.#againTimer ??= later(AGAIN_MS * (1 + Math.random()), () => {
      this.#againTimer = undefined;
      this.#rooms.retry();
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#connector.up && this.#againTimer === undefined)
      this.#sends.flush((frame) => this.#connector.send(frame));
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
      case 'welcome':
        this.#welcome(frame);
        break;
      case 'event':
        this.#event(frame);
        break;
      case 'reply':
        this.#reply(frame);
        break;
      case 'at':
        this.#rooms.at(frame.id);
        break;
      case 'joined':
      case 'left':
      case 'reset':
        this.#rooms[frame.type](frame);
    }
  }

  #welcome(frame: Frame): void {
    const { user, session } = frame;
    if (this.user !== null && this.user !== user) {
      this.#rooms.startAnew();
      this.#sends.failAll('forbidden', 'another user');
    }
    this.user = user;
    this.session = session;
    this.#handlers.emit('welcome', frame);
    // A handler may have had enough.
    if (!this.#connector.up) return;
    this.#rooms.welcome(frame);
    // After the joins: many handlers want the sender to be in the room.
    this.#flush();
  }

  #event(frame: Frame): void {
    const { room, event, id, data } = frame;
    if (!this.#rooms.event(frame)) return;
    const inspected = { room, event, id, data, at: Date.now() };
    this.#handlers.emit('event', inspected);
    if (!OWN.has(event))
      this.#handlers.emit(event, data, { event, room, id });
  }

  #reply(frame: Frame): void {
    const reply = this.#asked.get(frame.ref);
    if (reply) {
      this.#asked.delete(frame.ref);
      reply(frame);
    } else if (this.#sends.answered(frame) === 'again') this.#again();
    // A ping's: it says what `at` says.
    else if (frame.ok && frame.room === undefined && frame.id !== undefined)
      this.#rooms.at(frame.id);
  }
}
