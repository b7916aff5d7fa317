// SPDX-License-Identifier: ISC
// The push server's native protocol, for this page.
//
// What always holds: a handler sees the numbered events of a room once and in
// order, also across lost connections, or is told by `reset` that it must fetch.
// Rooms that are wanted are entered again after every reconnect, from the last
// number seen. A send is tried once; what must not be lost goes through the API.

const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 15_000;
const REPLY_MS = 10_000;
const PROTOCOL = 'pgpush.v1';
const TOKEN_BAD = 4401;
const FORBIDDEN = 4403;

export class PushError extends Error {
  constructor({ code, message }) {
    super(message ?? code);
    this.code = code;
  }
}

/** Somewhere between nothing and the doubled delay ("full jitter"). */
const backoff = (attempt) =>
  Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** attempt);

export class Push {
  /**
   * url: of the daemon's /ws
   * getToken: async (fresh) => token; fresh when the last one was refused
   * on: { status(text), event({room, event, id, data}), reset(room),
   *       entered(room), admitted(room), left(room, reason) }; what happened
   *       before a room was entered (once) is to be fetched; admitted follows
   *       after each connection
   */
  constructor({ url, getToken, on }) {
    this.url = url;
    this.getToken = getToken;
    this.on = on;
    this.status = 'offline';
    this.socket = null;
    this.attempt = 0;
    this.retryTimer = null;
    this.closed = false;
    this.tokenRefused = false;

    // room → { last, epoch, enter, live }; last is the newest number seen,
    // live whether this connection is in it. Rooms without enter are given by
    // the server.
    this.rooms = new Map();
    this.greeted = { since: null, epoch: null };
    this.at = 0;
    this.epoch = null;

    this.nextRef = 1;
    this.waiting = new Map(); // ref → { resolve, reject, timer }
    this.pingTimer = null;

    this.wake = () => this.checkNow();
    addEventListener('online', this.wake);
    document.addEventListener('visibilitychange', this.wake);
  }

  connect() {
    this.closed = false;
    if (this.socket === null) this.open();
  }

  close() {
    this.closed = true;
    removeEventListener('online', this.wake);
    document.removeEventListener('visibilitychange', this.wake);
    clearTimeout(this.retryTimer);
    this.drop(1000);
    this.setStatus('offline');
  }

  /**
   * Be in a room from now on. enter = { event, data } is the send by which the
   * server lets us in.
   */
  join(room, enter) {
    const known = this.rooms.get(room);
    if (known?.enter) return;
    this.rooms.set(room, {
      last: known?.last ?? null,
      epoch: known?.epoch ?? null,
      live: false,
      enter,
    });
    if (this.status === 'online') this.enter(room);
  }

  /** exit = { event, data }, the send by which the server lets us out. */
  leave(room, exit) {
    if (!this.rooms.delete(room) || this.status !== 'online') return;
    this.write({ type: 'send', event: exit.event, data: exit.data });
  }

  /** Resolves to the handler's answer; rejects with a PushError. */
  send(event, data, room) {
    return this.request({ type: 'send', event, data, room }).then(
      (reply) => reply.data,
    );
  }

  // --- the connection

  async open() {
    clearTimeout(this.retryTimer);
    this.retryTimer = null;
    this.setStatus('connecting');
    let socket;
    try {
      const token = await this.getToken(this.tokenRefused);
      if (this.closed || this.socket !== null) return;
      socket = new WebSocket(this.url, PROTOCOL);
      socket.onopen = () => this.authenticate(token);
    } catch {
      this.retry();
      return;
    }
    this.socket = socket;
    this.tokenRefused = false;
    socket.onmessage = ({ data }) => {
      if (socket === this.socket) this.receive(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.lost(code, reason);
    };
  }

  /** One number for the rooms we get without asking: the least they need. */
  authenticate(token) {
    const lasts = [...this.rooms.values()]
      .filter((r) => !r.enter && r.last !== null)
      .map((r) => Math.max(r.last, this.at));
    const since = lasts.length > 0 ? Math.min(...lasts) : undefined;
    this.write({
      type: 'auth',
      token,
      since,
      epoch: since === undefined ? undefined : this.epoch,
      ref: 0,
    });
    this.deadline(REPLY_MS);
  }

  lost(code, reason) {
    this.drop();
    for (const room of this.rooms.values()) {
      // What the last `at` said holds for every room of that connection.
      if (room.live && room.last !== null)
        room.last = Math.max(room.last, this.at);
      room.live = false;
    }
    if (this.closed) return;
    if (code === FORBIDDEN) {
      this.setStatus('refused');
      return;
    }
    if (code === TOKEN_BAD) this.tokenRefused = true;
    const asked = /^retry=(\d+)$/.exec(reason ?? '');
    this.retry(asked ? Number(asked[1]) : undefined);
  }

  retry(delay = backoff(this.attempt++)) {
    if (this.closed) return;
    this.setStatus('connecting');
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.open(), delay);
  }

  /** Forget the socket: nothing it still says is heard. */
  drop(code) {
    const socket = this.socket;
    this.socket = null;
    clearTimeout(this.pingTimer);
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(code);
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer);
      reject(new PushError({ code: 'offline', message: 'connection lost' }));
    }
    this.waiting.clear();
  }

  /** The network came back, or the page is looked at again: do not wait. */
  checkNow() {
    if (this.closed || document.visibilityState === 'hidden') return;
    if (this.retryTimer !== null) this.open();
    else if (this.status === 'online') this.ping();
  }

  setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.on.status?.(status);
  }

  // --- pings: every frame proves the link, silence is asked about

  schedulePing() {
    clearTimeout(this.pingTimer);
    this.pingTimer = setTimeout(() => this.ping(), this.pingMs);
  }

  ping() {
    this.write({ type: 'ping', ref: this.nextRef++ });
    this.deadline(REPLY_MS);
  }

  deadline(ms) {
    clearTimeout(this.pingTimer);
    this.pingTimer = setTimeout(() => {
      this.lost(0, '');
    }, ms);
  }

  // --- frames out

  write(frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  request(frame) {
    const ref = this.nextRef++;
    return new Promise((resolve, reject) => {
      if (this.status !== 'online' || !this.write({ ...frame, ref })) {
        reject(new PushError({ code: 'offline', message: 'not connected' }));
        return;
      }
      const timer = setTimeout(() => {
        this.waiting.delete(ref);
        reject(new PushError({ code: 'timeout', message: 'no reply' }));
      }, REPLY_MS);
      this.waiting.set(ref, { resolve, reject, timer });
    });
  }

  /** First where we were, then by the door: that also brings its side rooms. */
  enter(name) {
    const room = this.rooms.get(name);
    if (room.last !== null) {
      this.request({
        type: 'join',
        room: name,
        since: room.last,
        epoch: room.epoch,
      }).then(
        () => {
          room.live = true;
        },
        () => {},
      );
    }
    const { event, data } = room.enter;
    this.request({ type: 'send', event, data }).then(
      () => this.on.admitted?.(name),
      () => {},
    );
  }

  // --- frames in

  receive(frame) {
    if (this.status === 'online') this.schedulePing();
    switch (frame.type) {
      case 'welcome':
        this.welcome(frame);
        break;
      case 'reply':
        this.reply(frame);
        break;
      case 'event':
        this.event(frame);
        break;
      case 'joined':
        this.joined(frame);
        break;
      case 'reset':
        this.reset(frame);
        break;
      case 'at':
        this.at = Math.max(this.at, frame.id);
        break;
      case 'left':
        this.left(frame);
        break;
      case 'expiring':
        this.refresh();
        break;
    }
  }

  welcome({ rooms, id, epoch, ping }) {
    const first = this.epoch === null;
    const renewed = !first && this.epoch !== epoch;
    this.pingMs = ping * 1000;
    this.attempt = 0;
    this.epoch = epoch;
    if (renewed) this.at = 0;
    for (const name of rooms) {
      const room = this.rooms.get(name) ?? { last: id, epoch };
      room.live = true;
      this.rooms.set(name, room);
    }
    this.setStatus('online');
    this.schedulePing();
    for (const [name, room] of this.rooms) if (room.enter) this.enter(name);
  }

  reply({ ref, ok, error, ...rest }) {
    if (rest.id !== undefined && rest.room === undefined)
      this.at = Math.max(this.at, rest.id);
    const waiter = this.waiting.get(ref);
    if (waiter === undefined) return;
    this.waiting.delete(ref);
    clearTimeout(waiter.timer);
    if (ok) waiter.resolve(rest);
    else waiter.reject(new PushError(error));
  }

  event({ room: name, event, id, data }) {
    const room = this.rooms.get(name);
    if (id !== undefined && room !== undefined) {
      if (room.last !== null && id <= room.last) return;
      room.last = id;
    }
    if (event === 'resync') this.on.reset?.(name);
    else this.on.event?.({ room: name, event, id, data });
  }

  /** A handler put us into a room; what came before its id we have not. */
  joined({ room: name, id }) {
    const room = this.rooms.get(name);
    if (room === undefined || room.live) return;
    const first = room.last === null;
    const missed = !first && room.last < id;
    room.live = true;
    room.last = Math.max(room.last ?? 0, id);
    room.epoch = this.epoch;
    if (first) this.on.entered?.(name);
    else if (missed) this.on.reset?.(name);
  }

  reset({ room: name, id, epoch }) {
    const room = this.rooms.get(name);
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.at = 0;
    }
    if (room === undefined) return;
    room.last = id;
    room.epoch = epoch;
    this.on.reset?.(name);
  }

  left({ room: name, reason }) {
    if (reason === 'left') return;
    this.rooms.delete(name);
    this.on.left?.(name, reason);
  }

  async refresh() {
    try {
      const token = await this.getToken(true);
      await this.request({ type: 'auth', token });
    } catch {
      // The server closes the connection when the old token ends, and the
      // next connection asks for a token again.
    }
  }
}
