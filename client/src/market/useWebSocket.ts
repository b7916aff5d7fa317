// SPDX-License-Identifier: ISC
// The hook that the marketplace's components were written for, by its old
// names: they need no change but of the import, and share one connection. What
// an instance has joined or listens to ends with its component.
//
// These components leave when they see that the connection is cut, and join when
// it is back. So a leave without a connection is not done at once: the room goes
// on from its position, and what it tells until the component has joined again
// is told then.

import { useEffect, useMemo } from 'react';
import { PushError, type Client, type Handler, type Room } from '../types.js';
import { useLatest } from '../react/latest.js';
import { isUp, usePush, useStatus } from '../react/provider.js';

type Callback = (data: any) => void;
/** Gives back what takes the callback off again. */
type On = (callback: Callback) => () => void;
/** Without a callback: all that this component has put on. */
type Off = (callback?: Callback) => void;
type Send = (
  id: string,
  content: string,
  attachments?: unknown[],
) => Promise<unknown>;

/** Messages are rows that the application's API writes. */
export interface WebSocketOptions {
  sendOrderMessage?: Send;
  sendDisputeMessage?: Send;
}

const EVENTS = {
  OrderMessage: 'order_message',
  MessageEdit: 'message_edit',
  MessageDelete: 'message_delete',
  MessagesRead: 'messages_read',
  OrderTyping: 'order_typing',
  OrderStatusUpdate: 'order_status_update',
  DisputeMessage: 'dispute_message',
  DisputeTyping: 'dispute_typing',
  DisputeStatusUpdate: 'dispute_status_update',
  DisputeOpened: 'dispute_opened',
  Notification: 'notification',
  UserPresence: 'user_presence',
} as const;

type Name = keyof typeof EVENTS;
type Listening = { [K in Name as `on${K}`]: On } & {
  [K in Name as `off${K}`]: Off;
};

export interface WebSocketActions extends Listening {
  connect: () => void;
  /** Unless another component wants the connection. */
  disconnect: () => void;
  joinOrderChat: (orderId: string) => void;
  leaveOrderChat: (orderId: string) => void;
  sendOrderMessage: Send;
  setOrderTyping: (orderId: string, isTyping: boolean) => void;
  markOrderMessagesRead: (orderId: string) => Promise<unknown>;
  joinDisputeChat: (disputeId: string) => void;
  leaveDisputeChat: (disputeId: string) => void;
  sendDisputeMessage: Send;
  setDisputeTyping: (disputeId: string, isTyping: boolean) => void;
}

/** What is used of a Socket of socket.io-client. */
export interface OldSocket {
  readonly connected: boolean;
  readonly id: string | undefined;
  on(event: string, callback: Callback): OldSocket;
  off(event: string, callback?: Callback): OldSocket;
  emit(event: string, data?: unknown, answered?: Callback): OldSocket;
  connect(): OldSocket;
  disconnect(): OldSocket;
}

export interface OldWebSocket extends WebSocketActions {
  isConnected: boolean;
  socket: OldSocket;
}

/** ms with a connection after which a room that was left without one is left. */
const LIMBO_MS = 5000;

interface Joined {
  room: Room;
  /** Left without a connection; null: it was not. */
  limbo: { events: [event: string, data: unknown][]; end: () => void } | null;
}

/** Who has called connect() and not disconnect(). */
const wanting = new WeakMap<Client, Set<object>>();

class Instance {
  #client: Client;
  #rooms = new Map<string, Joined>();
  #offs = new Map<string, Map<Callback, () => void>>();

  constructor(client: Client) {
    this.#client = client;
  }

  on(event: string, callback: Callback): () => void {
    const offs = this.#offs.get(event) ?? new Map<Callback, () => void>();
    this.#offs.set(event, offs);
    // As one has it from addEventListener: the same again is not another.
    if (!offs.has(callback)) {
      const call: Handler = (data, { room }) => {
        if (!room || !this.#rooms.get(room)?.limbo) callback(data);
      };
      offs.set(callback, this.#client.on(event, call));
    }
    return () => this.off(event, callback);
  }

  off(event: string, callback?: Callback): void {
    const offs = this.#offs.get(event);
    for (const [known, off] of offs ?? [])
      if (callback === undefined || known === callback) {
        off();
        offs!.delete(known);
      }
  }

  join(kind: string, id: string): void {
    const name = `${kind}:${id}`;
    const known = this.#rooms.get(name);
    if (known?.limbo) this.#return(known);
    if (known) return;
    const door = { event: `join_${kind}_chat`, data: { [`${kind}Id`]: id } };
    const room = this.#client.room(name).join(door);
    this.#rooms.set(name, { room, limbo: null });
  }

  leave(kind: string, id: string): void {
    const name = `${kind}:${id}`;
    const known = this.#rooms.get(name);
    if (!known || known.limbo) return;
    if (isUp(this.#client.status)) this.#leave(name, known);
    else this.#wait(name, known);
  }

  #leave(name: string, { room, limbo }: Joined): void {
    limbo?.end();
    room.leave();
    this.#rooms.delete(name);
  }

  /** What the room tells is kept until its component is there again. */
  #wait(name: string, joined: Joined): void {
    const events: [string, unknown][] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const offs = [
      joined.room.on('*', (data, { event }) => void events.push([event, data])),
      this.#client.on('status', (status) => {
        if (isUp(status))
          timer ??= setTimeout(() => this.#leave(name, joined), LIMBO_MS);
      }),
    ];
    const end = () => {
      for (const off of offs) off();
      clearTimeout(timer);
    };
    joined.limbo = { events, end };
  }

  /** Its callbacks are put on in this same turn, before the join or after. */
  #return(joined: Joined): void {
    queueMicrotask(() => {
      const { limbo } = joined;
      if (!limbo) return;
      limbo.end();
      joined.limbo = null;
      for (const [event, data] of limbo.events)
        for (const callback of [...(this.#offs.get(event)?.keys() ?? [])])
          callback(data);
    });
  }

  connect(): void {
    const all = wanting.get(this.#client) ?? new Set();
    wanting.set(this.#client, all.add(this));
    this.#client.connect();
  }

  disconnect(): void {
    const all = wanting.get(this.#client);
    all?.delete(this);
    // An effect that is run anew connects again in this same turn.
    queueMicrotask(() => {
      if (!wanting.get(this.#client)?.size) this.#client.disconnect();
    });
  }

  end(): void {
    for (const [name, joined] of [...this.#rooms]) this.#leave(name, joined);
    for (const event of this.#offs.keys()) this.off(event);
    wanting.get(this.#client)?.delete(this);
  }
}

export function useWebSocket(options: WebSocketOptions = {}): OldWebSocket {
  const client = usePush();
  const latest = useLatest(options);
  const isConnected = isUp(useStatus());

  const [instance, actions, socket] = useMemo(() => {
    const instance = new Instance(client);
    const listening: Record<string, On | Off> = {};
    for (const [name, event] of Object.entries(EVENTS)) {
      listening[`on${name}`] = (callback: Callback) =>
        instance.on(event, callback);
      listening[`off${name}`] = (callback?: Callback) =>
        instance.off(event, callback);
    }
    const typing = (kind: string) => (id: string, isTyping: boolean) => {
      // Later it would not be true any more.
      if (!isUp(client.status)) return;
      client
        .send(`${kind}_typing`, { [`${kind}Id`]: id, isTyping }, { key: false })
        .catch(() => {});
    };
    const sender = (which: keyof WebSocketOptions): Send =>
      async (...args) => {
        const send = latest.current[which];
        if (!send)
          throw new PushError('no_api', `useWebSocket has no ${which}`);
        return send(...args);
      };
    const actions: WebSocketActions = {
      ...(listening as Listening),
      connect: () => instance.connect(),
      disconnect: () => instance.disconnect(),
      joinOrderChat: (id) => instance.join('order', id),
      leaveOrderChat: (id) => instance.leave('order', id),
      sendOrderMessage: sender('sendOrderMessage'),
      setOrderTyping: typing('order'),
      markOrderMessagesRead: (orderId) => {
        const answer = client.send('mark_messages_read', { orderId });
        // The old one gave nothing to wait for.
        answer.catch(() => {});
        return answer;
      },
      joinDisputeChat: (id) => instance.join('dispute', id),
      leaveDisputeChat: (id) => instance.leave('dispute', id),
      sendDisputeMessage: sender('sendDisputeMessage'),
      setDisputeTyping: typing('dispute'),
    };
    return [instance, actions, socketOf(client, instance)] as const;
  }, [client, latest]);

  useEffect(() => () => instance.end(), [instance]);
  return useMemo(
    () => ({ ...actions, isConnected, socket }),
    [actions, isConnected, socket],
  );
}

function socketOf(client: Client, instance: Instance): OldSocket {
  const socket: OldSocket = {
    get connected() {
      return isUp(client.status);
    },
    get id() {
      return client.session ?? undefined;
    },
    on(event, callback) {
      instance.on(event, callback);
      return socket;
    },
    off(event, callback) {
      instance.off(event, callback);
      return socket;
    },
    emit(event, data, answered) {
      const [, kind, what] = /^(join|leave)_(order|dispute)_chat$/.exec(event) ?? [];
      const id = (data as Record<string, string> | undefined)?.[`${what}Id`] ?? data;
      if (kind) instance[kind as 'join' | 'leave'](what!, String(id));
      else client.send(event, data).then(answered, () => {});
      return socket;
    },
    connect() {
      instance.connect();
      return socket;
    },
    disconnect() {
      instance.disconnect();
      return socket;
    },
  };
  return socket;
}
