// SPDX-License-Identifier: ISC
// What an application holds: it joins the connection, the rooms and the sends.

import { Connector } from './connector.js';
import { Emitter } from './emitter.js';
import { BAD_FRAME, BAD_SHARED, TOO_BIG } from './link.js';
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
  type Tools,
} from './types.js';

/** What the daemon could not do now is asked again after so long or twice. */
const AGAIN_MS = 500;

/** Said by the client itself; an event of the daemon does not use them. */
const OWN = new Set([
  'status', 'welcome', 'error', 'event', 'stale', 'problem', 'identity', 'frame',
]);

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
  /** There has been a welcome. */
  #met = false;
  #unwatch: () => void;

  /** Problems that were told, so that the console says each once. */
  #told = new Set<string>();

  constructor(options: Options) {
    if (options.debug)
      for (const event of ['status', 'problem', 'frame'])
        this.#handlers.on(event, (data) =>
          console.debug('pgpush', event, data.message ?? JSON.stringify(data)));
    const connector = new Connector(options, {
      status: (status) => this.#turn(status),
      hello: (all) => this.#rooms.hello(all),
      frame: (frame) => this.#frame(frame),
      down: (code) => this.#down(code),
      problem: (code, message) => this.#problem(new PushError(code, message)),
      stranger: () => this.#identify(null),
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
        this.#write({ ...frame, ref });
      },
      again: () => this.#again(),
    }, options.regain);
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

  send(event: string, data?: unknown, options: SendOptions = {}): Promise<any> {
    if (this.status === 'closed')
      return Promise.reject(new PushError('closed', 'the client is closed'));
    const answer = this.#sends.add(event, data, options);
    this.#flush();
    return answer;
  }

  connect(): void {
    if (!this.#ended) this.#connector.start();
    else
      this.#handlers.emit(
        'error', new PushError('closed', 'the client is closed'));
  }

  reauthenticate(): void {
    const { status } = this;
    this.#connector.stop();
    this.#identify(null);
    if (!this.#ended && status !== 'idle') this.#connector.start();
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
    this.#rooms.close();
    this.#sends.failAll('closed', 'the client is closed');
  }

  get tools(): Tools {
    return {
      watch: (see) => this.#handlers.on('frame', see),
      rooms: () => this.#rooms.list(),
      cut: () => this.#connector.cut(),
      slow: (ms) => this.#connector.slow(ms),
    };
  }

  // --- what the connection says

  #turn(status: Status): void {
    if (status === this.status) return;
    this.status = status;
    this.#handlers.emit('status', status);
  }

  /** What was another's is not this user's: neither to see nor to send. */
  #identify(user: string | null): void {
    const was = this.user;
    if (was === user) return;
    this.user = user;
    if (was !== null) {
      this.#rooms.startAnew();
      this.#sends.failAll('forbidden', 'another user');
    }
    this.#handlers.emit('identity', user);
  }

  #problem(err: PushError): void {
    this.#handlers.emit('problem', err);
    // Whoever has not come so far yet looks into the console.
    if (this.#met || this.#told.has(err.code) || err.code === 'unreachable')
      return;
    this.#told.add(err.code);
    console.warn(`pgpush: ${err.message}`);
  }

  #down(code: number): void {
    if (code === TOO_BIG) this.#sends.failLongest();
    clearTimeout(this.#againTimer);
    this.#againTimer = undefined;
    this.session = null;
    this.#asked.clear();
    this.#rooms.down();
    this.#sends.cut(code === BAD_FRAME || code === BAD_SHARED, code === BAD_FRAME);
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
      this.#sends.flush((frame) => this.#write(frame));
  }

  #write(frame: Frame): void {
    this.#handlers.emit('frame', { out: true, frame });
    this.#connector.send(frame);
  }

  #frame(frame: Frame): void {
    this.#handlers.emit('frame', { out: false, frame });
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
        this.#rooms.at(frame.id, frame.epoch);
        break;
      case 'joined':
      case 'left':
      case 'reset':
        this.#rooms[frame.type](frame);
    }
  }

  #welcome(frame: Frame): void {
    const { user, session } = frame;
    this.#met = true;
    this.#identify(user);
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
      return;
    }
    const answered = this.#sends.answered(frame);
    if (answered === 'again') this.#again();
    else if (answered) this.#flush();
    // A ping's: it says what `at` says.
    else if (frame.ok && frame.room === undefined && frame.id !== undefined)
      this.#rooms.at(frame.id, frame.epoch);
  }
}
