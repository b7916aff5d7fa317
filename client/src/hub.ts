// SPDX-License-Identifier: ISC
// A small daemon in the tab that leads: several tabs on one link. A room is
// joined once and left with the last tab in it. The newest events are kept, so
// that a tab that comes with a position goes on from there; one that has been
// away for longer is reset.

import type { Hello, Link } from './link.js';
import type { Frame, TransportName } from './types.js';

// As in link.ts, which is not fetched for them.
const LOST = 1006;
const TOO_BIG = 1009;
const BAD_FRAME = 4400;
const BAD_SHARED = 4499;

/** Events that are kept for tabs that come. */
const KEPT = 1000;

export interface Port {
  id: string;
  isLocal: boolean;
  send(frame: Frame): void;
  end(code: number, reason: string): void;
}

interface Shared {
  in: boolean;
  greeted: boolean;
  ports: Set<Port>;
  /** Joins that wait for the answer to the first of them. */
  waiting: [Port, Frame][];
  /** Events that are larger are kept, */
  floor: number;
  /** and this is the last one of the room. */
  last: number;
}

interface Asked {
  port: Port | null;
  length: number;
  isSend: boolean;
  reply(frame: Frame): void;
}

export class Hub {
  #ports = new Map<string, Port>();
  #rooms = new Map<string, Shared>();
  #asked = new Map<number, Asked>();
  #ref = 0;
  #recent: Frame[] = [];
  #welcome: Frame;
  #token: string;
  #local: Port | null = null;
  #open = true;

  constructor(
    readonly real: Link,
    readonly name: TransportName,
    welcome: Frame,
    { token, rooms }: Hello,
  ) {
    this.#welcome = welcome;
    this.#token = token;
    for (const room of welcome.rooms as string[]) {
      const s = this.#find(room);
      s.in = true;
      s.greeted = !rooms.includes(room);
      s.floor = s.last = welcome.id;
    }
  }

  // --- tabs

  has(id: string): boolean {
    return this.#ports.has(id);
  }

  /** The first one, and without a hello: the link was opened with it. */
  attach(port: Port, hello?: Omit<Hello, 'token'>): void {
    this.detach(port.id);
    this.#ports.set(port.id, port);
    if (!hello) {
      this.#local = port;
      for (const s of this.#rooms.values()) s.ports.add(port);
      return;
    }
    const greeted = [...this.#rooms].filter(([, s]) => s.greeted);
    const id = Math.min(
      this.#welcome.id === undefined ? 0 : Infinity,
      ...greeted.map(([, s]) => s.last),
    );
    port.send({
      ...this.#welcome,
      rooms: greeted.map(([name]) => name),
      id: Number.isFinite(id) ? id : this.#welcome.id,
    });
    for (const [name, s] of greeted) {
      s.ports.add(port);
      if (hello.since !== undefined)
        this.#catchUp(port, name, s, hello.since, hello.epoch);
    }
  }

  detach(id: string): void {
    const port = this.#ports.get(id);
    if (!port) return;
    this.#ports.delete(id);
    for (const [name, s] of [...this.#rooms]) this.#out(port, name, s);
    for (const asked of this.#asked.values())
      if (asked.port === port) asked.port = null;
  }

  /** What a tab says. */
  receive(id: string, frame: Frame): void {
    const port = this.#ports.get(id);
    if (!port) return;
    const { type, ref } = frame;
    if (type === 'join') this.#join(port, frame);
    else if (type === 'leave') {
      const s = this.#rooms.get(frame.room);
      if (s) this.#out(port, frame.room, s);
      port.send({ type: 'reply', ref, ok: true, room: frame.room });
    } else if (type === 'auth' && !port.isLocal) this.#show(port, frame);
    else {
      if (type === 'auth') this.#token = frame.token;
      this.#ask(port, frame, (reply) => port.send({ ...reply, ref }));
    }
  }

  /** A token that the daemon has not seen: the tab shows it itself. */
  #show(port: Port, { token, ref }: Frame): void {
    if (token === this.#token) port.send({ type: 'reply', ref, ok: true });
    else {
      this.detach(port.id);
      port.end(LOST, '');
    }
  }

  #ask(port: Port | null, frame: Frame, reply: (reply: Frame) => void): void {
    const ref = ++this.#ref;
    const length = port ? JSON.stringify(frame).length : 0;
    this.#asked.set(ref, { port, length, isSend: frame.type === 'send', reply });
    this.real.send({ ...frame, ref });
  }

  // --- rooms

  #find(name: string): Shared {
    let s = this.#rooms.get(name);
    if (!s)
      this.#rooms.set(name, (s = {
        in: false, greeted: false, ports: new Set(), waiting: [],
        floor: 0, last: 0,
      }));
    return s;
  }

  #join(port: Port, frame: Frame): void {
    const { room, since, epoch } = frame;
    const s = this.#find(room);
    if (s.in) {
      this.#admit(port, s, frame);
      return;
    }
    s.waiting.push([port, frame]);
    if (s.waiting.length > 1) return;
    this.#ask(port, { type: 'join', room, since, epoch }, (reply) => {
      const { waiting } = s;
      s.waiting = [];
      if (reply.ok) {
        s.in = true;
        s.floor = s.last = reply.id;
      } else if (this.#rooms.get(room) === s && !s.in) this.#rooms.delete(room);
      for (const [i, [one, its]] of waiting.entries())
        if (!this.#ports.has(one.id)) continue;
        else if (!reply.ok || i === 0) {
          if (reply.ok) s.ports.add(one);
          one.send({ ...reply, ref: its.ref });
        } else this.#admit(one, s, its);
      if (s.in) this.#leaveIfEmpty(room, s);
    });
  }

  #admit(port: Port, s: Shared, { room, since, epoch, ref }: Frame): void {
    s.ports.add(port);
    const isKept =
      since === undefined || (epoch === this.#welcome.epoch && since >= s.floor);
    const id = since !== undefined && isKept ? since : s.last;
    port.send({ type: 'reply', ref, ok: true, room, id });
    if (since !== undefined) this.#catchUp(port, room, s, since, epoch);
  }

  #catchUp(
    port: Port, room: string, s: Shared, since: number, epoch?: string,
  ): void {
    const { epoch: present } = this.#welcome;
    if (epoch === present && since >= s.floor) {
      for (const frame of this.#recent)
        if (frame.room === room && frame.id > since) port.send(frame);
    } else if (this.name === 'websocket' || s.greeted)
      // On a stream a tab sees it from the position itself.
      port.send({ type: 'reset', room, id: s.last, epoch: present });
  }

  #out(port: Port, name: string, s: Shared): void {
    s.ports.delete(port);
    s.waiting = s.waiting.filter(([one], i) => i === 0 || one !== port);
    this.#leaveIfEmpty(name, s);
  }

  #leaveIfEmpty(name: string, s: Shared): void {
    if (!this.#open || !s.in || s.greeted || s.ports.size > 0) return;
    this.#rooms.delete(name);
    this.#ask(null, { type: 'leave', room: name }, () => {});
  }

  // --- what the daemon says

  frame(frame: Frame): void {
    switch (frame.type) {
      case 'reply': {
        const asked = this.#asked.get(frame.ref);
        this.#asked.delete(frame.ref);
        asked?.reply(frame);
        break;
      }
      case 'welcome':
        this.#local?.send(frame);
        break;
      case 'event':
        this.#event(frame);
        break;
      case 'joined':
        this.#joined(frame);
        break;
      case 'left':
        this.#left(frame);
        break;
      case 'reset':
        this.#reset(frame);
        break;
      default:
        if (frame.type === 'at') {
          const { epoch = this.#welcome.epoch } = frame;
          this.#welcome = { ...this.#welcome, epoch };
          for (const s of this.#rooms.values())
            s.last = Math.max(s.last, frame.id);
        }
        this.#tell(this.#ports.values(), frame);
    }
  }

  #tell(ports: Iterable<Port>, frame: Frame): void {
    for (const port of [...ports]) port.send(frame);
  }

  /** Tabs whose send may have caused what comes. */
  #senders(): Port[] {
    const all = [...this.#asked.values()].filter((a) => a.isSend && a.port);
    return [...new Set(all.map((a) => a.port!))];
  }

  #event(frame: Frame): void {
    const { room, id } = frame;
    if (room === undefined) {
      this.#tell(this.#senders(), frame);
      return;
    }
    const s = this.#rooms.get(room);
    if (!s) return;
    if (id !== undefined) {
      s.last = Math.max(s.last, id);
      this.#recent.push(frame);
      if (this.#recent.length > KEPT) {
        const old = this.#recent.shift()!;
        const its = this.#rooms.get(old.room);
        if (its) its.floor = Math.max(its.floor, old.id);
      }
    }
    this.#tell(s.ports, frame);
  }

  #joined(frame: Frame): void {
    const s = this.#find(frame.room);
    if (!s.in) s.floor = s.last = frame.id;
    s.in = true;
    const senders = this.#senders();
    for (const port of senders) s.ports.add(port);
    this.#tell(senders, frame);
  }

  #left(frame: Frame): void {
    const { room, reason } = frame;
    const s = this.#rooms.get(room);
    if (!s) return;
    this.#rooms.delete(room);
    const senders = reason === 'left' ? this.#senders() : [...s.ports];
    this.#tell(senders.filter((port) => s.ports.delete(port)), frame);
    // A send of one tab has put out the others: they come back.
    for (const port of s.ports)
      this.#join(port, {
        type: 'join', room, since: s.last, epoch: this.#welcome.epoch, ref: 0,
      });
  }

  #reset(frame: Frame): void {
    const { room, id, epoch } = frame;
    if (epoch !== this.#welcome.epoch) {
      this.#welcome = { ...this.#welcome, epoch };
      this.#recent = [];
    }
    const s = this.#rooms.get(room);
    if (!s) return;
    s.floor = s.last = id;
    this.#recent = this.#recent.filter((one) => one.room !== room);
    this.#tell(s.ports, frame);
  }

  // --- the end

  /** A tab that leads has ended, or its link has: each is told what concerns it. */
  end(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    const guilty = this.#senders();
    let longest: Asked | null = null;
    for (const asked of this.#asked.values())
      if (asked.port && asked.length > (longest?.length ?? 0)) longest = asked;
    for (const port of this.#ports.values()) {
      let its = port.isLocal || code === 1012 || code === 1013 ? code : LOST;
      if (code === BAD_FRAME)
        its = !guilty.includes(port) ? LOST : guilty.length > 1 ? BAD_SHARED : code;
      else if (code === TOO_BIG) its = longest?.port === port ? code : LOST;
      port.end(its, its === LOST ? '' : reason);
    }
  }
}
