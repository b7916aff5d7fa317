// SPDX-License-Identifier: ISC
// The notification bell: how many are unread, and the latest of them.

import * as api from './api.js';
import { byId, el, moment, toast } from './dom.js';

const SHOWN = 30;

export class Bell {
  /** isSeen(n): whether the user is looking at what n tells; go(n): opens it */
  constructor({ isSeen, go }) {
    this.isSeen = isSeen;
    this.go = go;
    this.items = new Map(); // by id
    this.unread = 0;
    this.button = byId('bell');
    this.panel = byId('notifications');
    this.button.addEventListener('click', () => this.toggle());
    document.addEventListener('click', (e) => {
      if (!e.target.closest('.bell')) this.toggle(false);
    });
    document.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') this.toggle(false);
    });
  }

  async fetch() {
    try {
      const { unread, items } = await api.notifications();
      // What was pushed while the answer was under way it may not count yet.
      const newest = items[0]?.createdAt ?? '';
      const later = [...this.items.values()].filter(
        (n) => !n.read && n.createdAt > newest,
      );
      for (const item of items) this.items.set(item.id, item);
      this.unread = unread + later.length;
      this.render();
    } catch (err) {
      toast(err.message);
    }
  }

  received(notification) {
    if (this.items.has(notification.id)) return;
    const seen = this.isSeen(notification);
    this.items.set(notification.id, { ...notification, read: seen });
    if (seen) api.readNotification(notification.id).catch(() => {});
    else this.unread++;
    this.render();
  }

  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
  }

  async pick(item) {
    this.toggle(false);
    this.go(item);
    if (item.read) return;
    this.items.set(item.id, { ...item, read: true });
    this.unread = Math.max(0, this.unread - 1);
    this.render();
    await api.readNotification(item.id).catch(() => {});
  }

  async readAll() {
    try {
      await api.readNotifications();
    } catch (err) {
      toast(err.message);
      return;
    }
    for (const [id, item] of this.items)
      this.items.set(id, { ...item, read: true });
    this.unread = 0;
    this.render();
  }

  render() {
    const count = byId('unread');
    count.textContent = this.unread > 99 ? '99+' : String(this.unread);
    count.hidden = this.unread === 0;
    this.button.setAttribute(
      'aria-label',
      `Notifications, ${this.unread} unread`,
    );
    const latest = [...this.items.values()]
      .sort((a, b) => b.createdAt.localeCompare(a.createdAt))
      .slice(0, SHOWN);
    this.panel.replaceChildren(
      el(
        'div',
        { class: 'panel-head' },
        el('h2', {}, 'Notifications'),
        el(
          'button',
          { type: 'button', class: 'link', onclick: () => this.readAll() },
          'Mark all read',
        ),
      ),
      latest.length === 0
        ? el('p', { class: 'note' }, 'Nothing yet.')
        : el(
            'ul',
            {},
            latest.map((item) =>
              el(
                'li',
                { class: item.read ? '' : 'unread' },
                el(
                  'button',
                  { type: 'button', onclick: () => this.pick(item) },
                  el('span', {}, item.content),
                  el(
                    'time',
                    { dateTime: item.createdAt },
                    moment(item.createdAt),
                  ),
                ),
              ),
            ),
          ),
    );
  }
}
