// SPDX-License-Identifier: ISC
// A bell with the number of unread notifications, and their list.

import { useId, useRef, useState, type ReactNode } from 'react';
import type { NotificationApi } from './api.js';
import { Icon } from './icons.js';
import { textsOf, whenText, type Locale } from './texts.js';
import { useAway } from './useAway.js';
import { useNotifications, type Notification } from '../react/useNotifications.js';

export interface NotificationBellProps {
  api: NotificationApi;
  locale?: Locale;
  /** One that comes is of what is being looked at: it is marked as read. */
  isSeen?: (notification: Notification) => boolean;
  /** Those of one kind about one thing are one entry, with their number. */
  grouped?: boolean;
  /** What a notification is about: the title of an order, for example. */
  titleOf?: (notification: Notification) => string | null | undefined;
  /** One was chosen: show what it is about. */
  onOpen?: (notification: Notification) => void;
}

export function NotificationBell(props: NotificationBellProps): ReactNode {
  const { api, locale = 'en', onOpen } = props;
  const t = textsOf(locale);
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useId();
  const { items, unread, markRead } = useNotifications({
    list: api.notifications,
    markRead: api.readNotifications,
    isSeen: props.isSeen,
  });
  const read = (id?: string) => {
    markRead(id).catch(() => {
      // The next list says how it is.
    });
  };

  useAway(root, isOpen, () => setOpen(false));

  return (
    <div
      className="pgpush-bell"
      ref={root}
      lang={locale}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        setOpen(false);
        button.current?.focus();
      }}
    >
      <button
        ref={button}
        type="button"
        aria-expanded={isOpen}
        aria-controls={list}
        aria-label={t.bell(unread)}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="bell" size={22} />
        {unread > 0 && (
          <span className="pgpush-count" aria-hidden="true">
            {unread > 99 ? '99+' : unread}
          </span>
        )}
      </button>
      <span className="pgpush-hidden" role="status">
        {unread > 0 ? t.bell(unread) : ''}
      </span>
      <div id={list} className="pgpush-bell-list" hidden={!isOpen}>
        <p>
          <strong>{t.notifications}</strong>
          {unread > 0 && (
            <button type="button" onClick={() => read()}>{t.readAll}</button>
          )}
        </p>
        {items.length === 0 && <p>{t.noNotifications}</p>}
        <ul aria-label={t.notifications}>
          {groupsOf(items, props.grouped).map(([n, ...others]) => (
            <li key={n.id} className={n.read ? '' : 'pgpush-new'}>
              <button
                type="button"
                onClick={() => {
                  for (const one of [n, ...others]) if (!one.read) read(one.id);
                  setOpen(false);
                  onOpen?.(n);
                }}
              >
                {props.titleOf?.(n) && <strong>{props.titleOf(n)}</strong>}
                {n.content}
                {others.length > 0 && (
                  <span className="pgpush-more">
                    {t.andMore(others.length)}
                  </span>
                )}
                <time dateTime={n.createdAt}>
                  {whenText(locale, n.createdAt)}
                </time>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

type Group = [Notification, ...Notification[]];

/** The newest of each first; read ones and unread ones are apart. */
function groupsOf(
  items: readonly Notification[],
  grouped = false,
): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const n of items) {
    const { type, relatedId, read } = n;
    const key = grouped && relatedId ? `${type} ${relatedId} ${!read}` : n.id;
    const group = groups.get(key);
    if (group) group.push(n);
    else groups.set(key, [n]);
  }
  return [...groups.values()];
}
