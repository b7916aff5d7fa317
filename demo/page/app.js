// SPDX-License-Identifier: ISC
// The page of a user who is logged in: the list of conversations, one of them
// open, the bell. Everything shown is first read from the API and then kept up
// to date by events.

import * as api from './api.js';
import { Bell } from './bell.js';
import { Chat, roleBadge } from './chat.js';
import { byId, el, moment, toast, words } from './dom.js';
import { Push } from './push.js';

const ORDER_STATUSES = ['open', 'in_progress', 'completed', 'cancelled'];
const DISPUTE_STATUSES = ['open', 'in_review', 'resolved'];
const MODERATORS_ROOM = 'admin:notifications';

const orderRoom = (id) => `order:${id}`;
const disputeRoom = (id) => `dispute:${id}`;

export class App {
  constructor(me, token, newToken) {
    this.me = me;
    this.orders = new Map();
    this.disputes = new Map();
    this.names = new Map([[me.id, me.name]]);
    this.roles = new Map([[me.id, me.role]]);
    this.presence = new Map(); // user id → { isOnline, lastSeen }
    this.wasOnline = false;
    this.open = null; // { kind, id, chat, room }
    this.bell = new Bell({
      isSeen: (n) => this.isSeen(n),
      go: (n) => this.go(n),
    });
    this.push = new Push({
      url: `${location.protocol.replace('http', 'ws')}//${location.host}/ws`,
      getToken: async (fresh) => (fresh ? newToken() : token),
      on: {
        status: (status) => this.showStatus(status),
        event: (event) => this.event(event),
        reset: (room) => this.refetch(room),
        entered: (room) => this.entered(room),
        admitted: () => this.askPresence(),
        left: (room) => this.left(room),
      },
    });
  }

  async start() {
    byId('me').textContent = this.me.name;
    byId('me').className = `me badge role-${this.me.role}`;
    addEventListener('hashchange', () => this.route());
    document.addEventListener('visibilitychange', () =>
      this.open?.chat.maybeRead(),
    );
    byId('back').addEventListener('click', () => {
      location.hash = '';
    });
    this.push.connect();
    await this.fetchAll();
    this.route();
  }

  stop() {
    this.push.close();
  }

  // --- from the API

  async fetchAll() {
    await Promise.all([this.fetchLists(), this.bell.fetch()]);
  }

  async fetchLists() {
    try {
      const [orders, disputes] = await Promise.all([
        api.orders(),
        api.disputes(),
      ]);
      this.orders = new Map(orders.map((o) => [o.id, o]));
      this.disputes = new Map(disputes.map((d) => [d.id, d]));
    } catch (err) {
      toast(err.message);
      return;
    }
    for (const { client, performer } of this.orders.values())
      this.knowParties(client, performer);
    for (const { client, performer, moderator } of this.disputes.values())
      this.knowParties(client, performer, moderator);
    this.render();
    this.askPresence();
  }

  knowParties(client, performer, moderator) {
    for (const [user, role] of [
      [client, 'client'],
      [performer, 'performer'],
      [moderator, 'admin'],
    ]) {
      if (!user) continue;
      this.names.set(user.id, user.name);
      this.roles.set(user.id, role);
    }
  }

  /** Events of this room are missing: what they would have told is fetched. */
  async refetch(room) {
    await this.fetchAll();
    if (this.open?.room === room) await this.open.chat.load();
  }

  // --- from the push server

  /** What was fetched before may lack what came just before the entry. */
  entered(room) {
    if (!this.open?.room === room) return;
    const { chat } = this.open;
    chat.load().then(() => {
      chat.element.dataset.live = '';
    });
  }

  /** Events tell of changes only; an answer older than one is dropped. */
  async askPresence() {
    const userIds = [...document.querySelectorAll('[data-presence]')].map(
      (node) => node.dataset.presence,
    );
    if (userIds.length === 0) return;
    const before = new Map(this.presence);
    try {
      const { users } = await this.push.send('get_presence', { userIds });
      for (const user of users)
        if (this.presence.get(user.userId) === before.get(user.userId))
          this.presence.set(user.userId, user);
      this.renderPresence();
    } catch {
      // Unknown, then.
    }
  }

  showStatus(status) {
    const badge = byId('connection');
    badge.textContent = {
      online: 'online',
      connecting: 'reconnecting',
      offline: 'offline',
      refused: 'refused',
    }[status];
    badge.dataset.status = status;
    if (status === 'online' && !this.wasOnline) {
      // As with a room: the first fetch may have been too early.
      this.wasOnline = true;
      this.fetchAll();
    }
    if (status !== 'online') {
      this.presence.clear();
      this.renderPresence();
    }
  }

  event({ event, data }) {
    const handler = handlers[event];
    if (handler) handler.call(this, data);
  }

  left(room) {
    if (!this.open?.room === room) return;
    toast('You have no access to this conversation any more');
    location.hash = '';
    this.fetchLists();
  }

  chatOf(kind, id) {
    return this.open?.kind === kind && this.open.id === id
      ? this.open.chat
      : null;
  }

  isSeen(notification) {
    return (
      notification.type === 'message' &&
      this.chatOf('order', notification.relatedId) !== null &&
      document.visibilityState === 'visible'
    );
  }

  go({ relatedId }) {
    if (this.orders.has(relatedId)) location.hash = `order/${relatedId}`;
  }

  // --- which conversation is open

  route() {
    const [, kind, id] = /^#(order|dispute)\/(.+)$/.exec(location.hash) ?? [];
    if (this.open?.kind === kind && this.open?.id === id) return;
    this.close();
    const known = kind === 'order' ? this.orders : this.disputes;
    if (kind && known.has(id)) this.show(kind, id);
    this.render();
  }

  close() {
    if (this.open === null) return;
    const { kind, id, chat, room } = this.open;
    chat.destroy();
    this.push.leave(room, {
      event: `leave_${kind}_chat`,
      data: { [`${kind}Id`]: id },
    });
    this.open = null;
  }

  show(kind, id) {
    const room = kind === 'order' ? orderRoom(id) : disputeRoom(id);
    const chat = new Chat(
      kind === 'order' ? this.orderSource(id) : this.disputeSource(id),
    );
    this.open = { kind, id, chat, room };
    this.push.join(room, {
      event: `join_${kind}_chat`,
      data: { [`${kind}Id`]: id },
    });
    this.head = el('div', { class: 'head' });
    byId('view').replaceChildren(this.head, chat.element);
    chat.load();
  }

  source(kind, id) {
    return {
      me: this.me.id,
      nameOf: (userId) => this.names.get(userId) ?? 'Moderator',
      roleOf: (userId) => this.roles.get(userId) ?? 'admin',
      typing: (isTyping) =>
        this.push
          .send(`${kind}_typing`, { [`${kind}Id`]: id, isTyping })
          .catch(() => {}),
    };
  }

  orderSource(id) {
    const order = this.orders.get(id);
    return {
      ...this.source('order', id),
      closed: order.performer ? null : 'The order has no performer yet.',
      list: () => api.orderMessages(id),
      post: (message) => api.postOrderMessage(id, message),
      edit: (messageId, content) => api.editMessage(messageId, content),
      remove: (messageId) => api.deleteMessage(messageId),
      // The connection is the short way; without it, the API does the same.
      markRead: () =>
        this.push
          .send('mark_messages_read', { orderId: id })
          .catch(() => api.markOrderRead(id)),
    };
  }

  disputeSource(id) {
    return {
      ...this.source('dispute', id),
      closed:
        this.disputes.get(id).status === 'resolved'
          ? 'The dispute is resolved.'
          : null,
      list: async () => {
        const messages = await api.disputeMessages(id);
        for (const m of messages) {
          this.names.set(m.senderId, m.senderName);
          this.roles.set(m.senderId, m.senderRole);
        }
        return messages;
      },
      post: (message) => api.postDisputeMessage(id, message),
      edit: null,
      remove: null,
      markRead: null,
    };
  }

  // --- the screen

  render() {
    document.body.classList.toggle('conversation', this.open !== null);
    this.renderList();
    if (this.open === null)
      byId('view').replaceChildren(
        el('p', { class: 'note empty' }, 'Pick a conversation.'),
      );
    else this.renderHead();
    this.renderPresence();
  }

  renderList() {
    const orders = [...this.orders.values()];
    const disputes = [...this.disputes.values()];
    byId('list').replaceChildren(
      el('h2', {}, this.me.role === 'admin' ? 'All orders' : 'Orders'),
      orders.length === 0
        ? el('p', { class: 'note' }, 'No orders.')
        : el(
            'ul',
            {},
            orders.map((o) =>
              this.listItem('order', o.id, o.title, o.status, [
                o.client,
                o.performer,
              ]),
            ),
          ),
      el('h2', {}, 'Disputes'),
      disputes.length === 0
        ? el('p', { class: 'note' }, 'No disputes.')
        : el(
            'ul',
            {},
            disputes.map((d) =>
              this.listItem('dispute', d.id, d.orderTitle, d.status, [
                d.client,
                d.performer,
              ]),
            ),
          ),
    );
  }

  listItem(kind, id, title, status, parties) {
    const others = parties.filter((p) => p && p.id !== this.me.id);
    const current = this.open?.kind === kind && this.open.id === id;
    return el(
      'li',
      {},
      el(
        'a',
        {
          href: `#${kind}/${id}`,
          'data-kind': kind,
          'aria-current': current ? 'page' : undefined,
        },
        el('span', { class: 'title' }, title),
        el('span', { class: `badge status-${status}` }, words(status)),
        el(
          'span',
          { class: 'with' },
          others.map((p) => p.name).join(', ') || 'nobody yet',
        ),
      ),
    );
  }

  renderHead() {
    if (this.open.kind === 'order') this.renderOrderHead();
    else this.renderDisputeHead();
  }

  renderOrderHead() {
    const order = this.orders.get(this.open.id);
    if (!order) return;
    const dispute = [...this.disputes.values()].find(
      (d) => d.orderId === order.id && d.status !== 'resolved',
    );
    const isParty = [order.client.id, order.performer?.id].includes(this.me.id);
    this.head.replaceChildren(
      el('h1', {}, order.title),
      this.parties([order.client, 'client'], [order.performer, 'performer']),
      el(
        'div',
        { class: 'actions' },
        statusSelect('Order status', ORDER_STATUSES, order.status, (status) =>
          api.setOrderStatus(order.id, status),
        ),
        dispute
          ? el(
              'a',
              { class: 'warning', href: `#dispute/${dispute.id}` },
              `Dispute ${words(dispute.status)} – open it`,
            )
          : null,
        !dispute && isParty && order.performer
          ? el(
              'button',
              { type: 'button', onclick: () => this.openDispute(order.id) },
              'Open a dispute',
            )
          : null,
      ),
    );
    this.renderPresence();
  }

  renderDisputeHead() {
    const dispute = this.disputes.get(this.open.id);
    if (!dispute) return;
    this.head.replaceChildren(
      el('h1', {}, `Dispute: ${dispute.orderTitle}`),
      this.parties(
        [dispute.client, 'client'],
        [dispute.performer, 'performer'],
        [dispute.moderator, 'admin'],
      ),
      el('p', { class: 'warning reason' }, dispute.reason),
      el(
        'div',
        { class: 'actions' },
        this.me.role === 'admin'
          ? statusSelect(
              'Dispute status',
              DISPUTE_STATUSES,
              dispute.status,
              (status) => api.setDisputeStatus(dispute.id, status),
            )
          : el(
              'span',
              { class: `badge status-${dispute.status}`, id: 'dispute-status' },
              words(dispute.status),
            ),
        el('a', { href: `#order/${dispute.orderId}` }, 'The order’s chat'),
      ),
    );
    this.open.chat.setClosed(
      dispute.status === 'resolved' ? 'The dispute is resolved.' : null,
    );
    this.renderPresence();
  }

  parties(...parties) {
    return el(
      'ul',
      { class: 'parties', 'aria-label': 'Parties' },
      parties.map(([user, role]) =>
        el(
          'li',
          {},
          user ? user.name : 'nobody yet',
          user?.id === this.me.id ? ' (you)' : null,
          roleBadge(role),
          user && user.id !== this.me.id
            ? el('span', { class: 'presence', 'data-presence': user.id })
            : null,
        ),
      ),
    );
  }

  renderPresence() {
    for (const node of document.querySelectorAll('[data-presence]')) {
      const known = this.presence.get(node.dataset.presence);
      const state =
        known === undefined ? 'unknown' : known.isOnline ? 'online' : 'offline';
      node.dataset.state = state;
      node.textContent = state === 'unknown' ? '' : state;
      node.title =
        state === 'offline' && known.lastSeen
          ? `last seen ${moment(known.lastSeen)}`
          : '';
    }
  }

  openDispute(orderId) {
    const dialog = byId('dispute-dialog');
    const reason = byId('reason');
    reason.value = '';
    dialog.returnValue = '';
    dialog.onclose = async () => {
      if (dialog.returnValue !== 'open') return;
      try {
        const dispute = await api.openDispute(orderId, reason.value);
        await this.fetchLists();
        location.hash = `dispute/${dispute.id}`;
      } catch (err) {
        toast(err.message);
      }
    };
    dialog.showModal();
  }
}

/** What each event of the marketplace changes here. */
const handlers = {
  order_message({ messageId, ...message }) {
    this.chatOf('order', message.orderId)?.received({
      id: messageId,
      ...message,
    });
  },
  message_edit({ messageId, ...message }) {
    this.chatOf('order', message.orderId)?.changed({
      id: messageId,
      ...message,
    });
  },
  message_delete({ orderId, messageId }) {
    this.chatOf('order', orderId)?.changed({ id: messageId, deleted: true });
  },
  messages_read({ orderId, readBy, readAt }) {
    this.chatOf('order', orderId)?.read(readBy, readAt);
  },
  order_typing({ orderId, userId, isTyping }) {
    this.chatOf('order', orderId)?.setTyping(userId, isTyping);
  },
  order_status_update({ orderId, status, updatedAt }) {
    const order = this.orders.get(orderId);
    if (!order) return;
    this.orders.set(orderId, { ...order, status, updatedAt });
    this.render();
  },
  dispute_opened() {
    this.fetchLists();
  },
  dispute_message({ messageId, ...message }) {
    this.chatOf('dispute', message.disputeId)?.received({
      id: messageId,
      ...message,
    });
  },
  dispute_typing({ disputeId, userId, isTyping }) {
    this.chatOf('dispute', disputeId)?.setTyping(userId, isTyping);
  },
  dispute_status_update({ disputeId, status, updatedAt }) {
    const dispute = this.disputes.get(disputeId);
    if (dispute) {
      this.disputes.set(disputeId, { ...dispute, status, updatedAt });
      this.render();
    }
    // The moderator may be new, too.
    this.fetchLists();
  },
  notification(notification) {
    this.bell.received(notification);
    // A dispute can be opened or settled while its room is not open here.
    if (notification.type !== 'message') this.fetchLists();
  },
  user_presence({ userId, isOnline, lastSeen }) {
    this.presence.set(userId, { isOnline, lastSeen });
    this.renderPresence();
  },
  error({ message }) {
    toast(message);
  },
};

function statusSelect(label, values, current, change) {
  const select = el(
    'select',
    {
      'aria-label': label,
      onchange: async () => {
        try {
          await change(select.value);
        } catch (err) {
          select.value = current;
          toast(err.message);
        }
      },
    },
    values.map((v) =>
      el('option', { value: v, selected: v === current }, words(v)),
    ),
  );
  return el('label', {}, `${label} `, select);
}
