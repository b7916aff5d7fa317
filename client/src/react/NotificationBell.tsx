// SPDX-License-Identifier: ISC
// A bell with the number of unread notifications, and their list.

import { useEffect, useId, useRef, useState, type ReactNode } from 'react';
import type { NotificationApi } from './api.js';
import { clock, day, textsOf, type Locale } from './texts.js';
import { useNotifications, type Notification } from './useNotifications.js';

export interface NotificationBellProps {
  api: NotificationApi;
  locale?: Locale;
  /** One was chosen: show what it is about. */
  onOpen?: (notification: Notification) => void;
}

const BELL = 'M6 9a6 6 0 0 1 12 0c0 6 2 7 2 7H4s2-1 2-7zM10 20h4';

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
  });
  const read = (id?: string) => {
    markRead(id).catch(() => {
      // The next list says how it is.
    });
  };

  useEffect(() => {
    if (!isOpen) return;
    const away = ({ target }: Event) => {
      if (!root.current?.contains(target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [isOpen]);

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
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
          <path d={BELL} fill="none" stroke="currentColor" strokeWidth="2" />
        </svg>
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
          {items.map((n) => (
            <li key={n.id} className={n.read ? '' : 'pgpush-new'}>
              <button
                type="button"
                onClick={() => {
                  if (!n.read) read(n.id);
                  setOpen(false);
                  onOpen?.(n);
                }}
              >
                {n.content}
                <time dateTime={n.createdAt}>
                  {day(locale, n.createdAt)}, {clock(locale, n.createdAt)}
                </time>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
