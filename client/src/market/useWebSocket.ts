// SPDX-License-Identifier: ISC
// The hook that the marketplace's components were written for, by its old
// names: they need no change, and share one connection. What an instance has
// joined or listens to ends with its component.

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

export interface OldWebSocket extends WebSocketActions {
  isConnected: boolean;
}

/** Who has called connect() and not disconnect(). */
const wanting = new WeakMap<Client, Set<object>>();

class Instance {
  #client: Client;
  #rooms = new Map<string, Room>();
  #offs = new Map<string, Map<Callback, () => void>>();

  constructor(client: Client) {
    this.#client = client;
  }

  on(event: string, callback: Callback): () => void {
    const offs = this.#offs.get(event) ?? new Map<Callback, () => void>();
    this.#offs.set(event, offs);
    // As one has it from addEventListener: the same again is not another.
    if (!offs.has(callback)) {
      const call: Handler = (data) => callback(data);
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
    if (this.#rooms.has(name)) return;
    const door = { event: `join_${kind}_chat`, data: { [`${kind}Id`]: id } };
    this.#rooms.set(name, this.#client.room(name).join(door));
  }

  leave(kind: string, id: string): void {
    const name = `${kind}:${id}`;
    this.#rooms.get(name)?.leave();
    this.#rooms.delete(name);
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
    for (const room of this.#rooms.values()) room.leave();
    this.#rooms.clear();
    for (const event of this.#offs.keys()) this.off(event);
    wanting.get(this.#client)?.delete(this);
  }
}

export function useWebSocket(options: WebSocketOptions = {}): OldWebSocket {
  const client = usePush();
  const latest = useLatest(options);
  const isConnected = isUp(useStatus());

  const [instance, actions] = useMemo(() => {
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
    return [instance, actions] as const;
  }, [client, latest]);

  useEffect(() => () => instance.end(), [instance]);
  return useMemo(() => ({ ...actions, isConnected }), [actions, isConnected]);
}
