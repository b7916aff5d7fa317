// SPDX-License-Identifier: ISC
// The conversation of the two parties of an order.

import {
  Fragment,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import type { Attachment, Mute, OrderApi } from './api.js';
import { Bubble, type BubbleActions, type Tick } from './Bubble.js';
import { Composer } from './Composer.js';
import { useLatest } from './latest.js';
import { isUp, usePush, useStatus } from './provider.js';
import { MessageStore, type Stored } from './store.js';
import { clock, day, textsOf, type Locale } from './texts.js';
import { usePresence } from './usePresence.js';
import { useRoom } from './useRoom.js';
import { useStick } from './useStick.js';
import { useTyping } from './useTyping.js';

export interface Person {
  id: string;
  name: string;
  role?: 'client' | 'performer' | 'admin';
}

export interface OrderChatProps {
  orderId: string;
  /** Who is looking. */
  me: string;
  /** The parties, and whoever else has written. */
  people: readonly Person[];
  api: OrderApi;
  locale?: Locale;
  /** Why one cannot write, or null. */
  closed?: string | null;
  emojis?: readonly string[];
  /** An admin, or the moderator of its dispute: may remove messages. */
  moderates?: boolean;
}

const EMOJIS = ['👍', '❤️', '😂', '😮', '😢', '🎉', '🙏', '👎'];

const words = (err: unknown): string =>
  err instanceof Error ? err.message : String(err);

/** What an event says of a message, as the list would. */
const fromEvent = ({ messageId, ...rest }: any) => ({ ...rest, id: messageId });

export function OrderChat(props: OrderChatProps): ReactNode {
  // Another order is another conversation from the beginning.
  return <Chat key={`${props.orderId} ${props.me}`} {...props} />;
}

function Chat(props: OrderChatProps): ReactNode {
  const { orderId, me, people, api, locale = 'en', closed = null } = props;
  const t = textsOf(locale);
  const status = useStatus();
  const latest = useLatest(api);
  const [store] = useState(() => new MessageStore(me));
  const bubbles = useSyncExternalStore(
    store.subscribe, store.bubbles, store.bubbles);
  const [problem, setProblem] = useState<string | null>(null);
  const [isPutOut, setPutOut] = useState(false);
  const [mute, setMute] = useState<Mute | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const stick = useStick(bubbles);
  const room = `order:${orderId}`;
  const join = { event: 'join_order_chat', data: { orderId } };

  // --- what is told

  const load = useCallback(async () => {
    try {
      const api = latest.current;
      store.load(await api.orderMessages(orderId));
      setProblem(null);
      const mutes = (await api.orderMutes?.(orderId)) ?? [];
      setMute(mutes.find((m) => m.userId === me) ?? null);
    } catch (err) {
      setProblem(words(err));
    }
  }, [store, latest, orderId, me]);
  useEffect(() => void load(), [load]);

  const info = useRoom(room, {
    order_message: (data) => store.put(fromEvent(data)),
    message_edit: (data) => store.change(fromEvent(data)),
    message_delete: ({ messageId }) =>
      store.change({ id: messageId, deleted: true }),
    message_reaction: ({ messageId, reactions }) =>
      store.change({ id: messageId, reactions }),
    messages_read: ({ readBy, readAt }) => store.markRead(readBy, readAt),
    user_muted: (data: Mute) => data.userId === me && setMute(data),
    user_unmuted: ({ userId }) => userId === me && setMute(null),
    joined: ({ resumed }) => resumed || void load(),
    reset: () => void load(),
    left: () => setPutOut(true),
  }, { join });
  const { userIds, setTyping } = useTyping(room, { join });

  const names = new Map(people.map((p) => [p.id, p]));
  const nameOf = (id: string) => names.get(id)?.name ?? t.someone;
  const others = people.filter((p) => p.id !== me && p.role !== 'admin');
  const presence = usePresence(others.map((p) => p.id));
  const { unread, firstUnread } = useReading(
    props, store, bubbles, stick.atEnd, isUp(status));

  // --- what one does

  const actions = useActions(props, store, load, stick.grown, setEditing);
  const send = (content: string, files: File[]) => {
    stick.toEnd();
    void actions.post(store.draft(content, files).localId);
  };
  const edit = async (id: string, content: string) => {
    setEditing(null);
    try {
      store.change(await latest.current.editMessage(id, content));
    } catch (err) {
      actions.fail(err);
    }
  };
  const editLast = () => {
    const own = bubbles.filter(
      (b) => b.message.senderId === me && !b.draft && !b.message.deleted);
    if (own.length > 0) setEditing(own.at(-1)!.message.id);
  };

  const tickOf = (m: Stored): Tick => {
    if (m.readAt !== null) return 'read';
    const there = others.some(({ id }) => {
      const p = presence[id];
      return p && (p.isOnline || (p.lastSeen ?? '') >= m.createdAt);
    });
    return there ? 'delivered' : 'sent';
  };
  const barred =
    info.state === 'error' ? t.forbidden
    : isPutOut ? t.left
    : mute ? mutedUntil(mute)
    : null;
  let lastDay = '';

  return (
    <section className="pgpush-chat" lang={locale} aria-label={t.messages}>
      <div className="pgpush-head">
        <ul className="pgpush-people">
          {others.map((p) => (
            <li key={p.id} data-user={p.id}>
              <span
                className={`pgpush-dot ${presence[p.id]?.isOnline ? 'pgpush-on' : ''}`}
                aria-hidden="true"
              />
              <strong>{p.name}</strong>{' '}
              <span className="pgpush-seen">
                {seen(locale, presence[p.id])}
              </span>
            </li>
          ))}
        </ul>
        <span
          className={`pgpush-connection pgpush-is-${status}`}
          role="status"
        >
          {t.status[status]}
        </span>
      </div>
      <div
        className="pgpush-log"
        role="log"
        aria-label={t.messages}
        aria-live="polite"
        tabIndex={0}
        ref={stick.ref}
        onScroll={stick.onScroll}
      >
        {problem && <p className="pgpush-note" role="alert">{problem}</p>}
        {bubbles.length === 0 && !problem && (
          <p className="pgpush-note">{store.loaded ? t.none : t.loading}</p>
        )}
        {bubbles.map((bubble) => {
          const { message } = bubble;
          const today = day(locale, message.createdAt);
          const isNewDay = today !== lastDay;
          lastDay = today;
          return (
            <Fragment key={bubble.key}>
              {isNewDay && <p className="pgpush-day">{today}</p>}
              {message.id === firstUnread && (
                <p className="pgpush-unread" role="separator">{t.unread}</p>
              )}
              <Bubble
                bubble={bubble}
                me={me}
                name={nameOf(message.senderId)}
                role={names.get(message.senderId)?.role ?? null}
                locale={locale}
                tick={tickOf(message)}
                emojis={props.emojis ?? EMOJIS}
                editable={closed === null}
                removable={props.moderates ?? false}
                actions={actions.bubble}
              />
            </Fragment>
          );
        })}
      </div>
      {!stick.atEnd && unread > 0 && (
        <button type="button" className="pgpush-below" onClick={stick.toEnd}>
          {t.newBelow(unread)} ↓
        </button>
      )}
      <p className="pgpush-typing" aria-live="polite">
        {userIds.length > 0 &&
          (userIds.length === 1 ? t.typing : t.typingMany)(
            userIds.map(nameOf).join(', '))}
      </p>
      {actions.error && (
        <p className="pgpush-note" role="alert">{actions.error}</p>
      )}
      {(closed ?? barred) !== null ? (
        <p className="pgpush-note">{closed ?? barred}</p>
      ) : (
        <Composer
          locale={locale}
          editing={editing === null ? null : (store.get(editing) ?? null)}
          onSend={send}
          onEdit={(id, content) => void edit(id, content)}
          onCancel={() => setEditing(null)}
          onEditLast={editLast}
          onTyping={setTyping}
        />
      )}
    </section>
  );

  function mutedUntil({ until, reason }: Mute): string {
    const when = until && `${day(locale, until)}, ${clock(locale, until)}`;
    return [when ? t.mutedUntil(when) : t.muted, reason].filter(Boolean).join(' ');
  }

  function seen(locale: Locale, p: (typeof presence)[string]): string {
    if (!p) return '';
    if (p.isOnline) return t.online;
    if (!p.lastSeen) return t.offline;
    const when = `${day(locale, p.lastSeen)}, ${clock(locale, p.lastSeen)}`;
    return t.lastSeen(when);
  }
}

/** Marks what is looked at as read; where the unread began stays shown. */
function useReading(
  { orderId, me, api }: OrderChatProps,
  store: MessageStore,
  bubbles: ReturnType<MessageStore['bubbles']>,
  atEnd: boolean,
  up: boolean,
) {
  const client = usePush();
  const latest = useLatest(api);
  const [visible, setVisible] = useState(true);
  const first = useRef<string | null>(null);
  const busy = useRef(false);
  const isLoaded = useRef(false);

  useEffect(() => {
    const look = () => setVisible(document.visibilityState === 'visible');
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  const waiting = bubbles.filter(
    ({ message: m }) => m.senderId !== me && m.readAt === null && !m.deleted,
  );
  const isReader = waiting.some(({ message: m }) => m.receiverId === me);
  const newest = waiting.at(-1)?.message.createdAt;
  const isAway = !isLoaded.current || !visible || !atEnd;
  if (store.loaded) {
    const isOver = !waiting.some((b) => b.message.id === first.current);
    if (isAway && isOver && waiting.length > 0)
      first.current = waiting[0]!.message.id;
  }
  useEffect(() => {
    isLoaded.current = store.loaded;
  }, [store.loaded]);

  useEffect(() => {
    if (!store.loaded || !isReader || !visible || !atEnd || busy.current) return;
    busy.current = true;
    // The connection is the short way; without it the API does the same.
    const mark = up
      ? client.send('mark_messages_read', { orderId })
      : Promise.reject(new Error('not connected'));
    mark
      .catch(() => latest.current.markOrderRead(orderId))
      .then(() => {
        busy.current = false;
        // Not by our own clock.
        store.markRead(me, newest!);
      })
      .catch(() => {
        // The next message, or looking here again, tries anew.
        busy.current = false;
      });
  }, [bubbles, isReader, visible, atEnd, up]);
  return { unread: waiting.length, firstUnread: first.current };
}

function useActions(
  { orderId, api }: OrderChatProps,
  store: MessageStore,
  load: () => Promise<void>,
  grown: () => void,
  setEditing: (id: string) => void,
) {
  const client = usePush();
  const latest = useLatest(api);
  const [error, setError] = useState<string | null>(null);

  const made = useMemo(() => {
    const uploaded = new WeakMap<File, Attachment>();
    const fail = (err: unknown) => setError(words(err));

    const post = async (localId: string) => {
      const draft = store.findDraft(localId);
      if (!draft) return;
      const { content, files } = draft;
      setError(null);
      const done = files.map((f) => Number(uploaded.has(f)));
      try {
        const attachments = await Promise.all(
          files.map(async (file, i) => {
            const progress = (part: number) => {
              done[i] = part;
              const sum = done.reduce((a, b) => a + b, 0);
              store.updateDraft(localId, { progress: sum / files.length });
            };
            // What is up already is not sent again with a retry.
            const known = uploaded.get(file);
            if (known) return known;
            const stored = await latest.current.upload(file, progress);
            uploaded.set(file, stored);
            return stored;
          }),
        );
        store.settle(
          localId,
          await latest.current.postOrderMessage(orderId, {
            content,
            attachments,
          }),
        );
      } catch (err) {
        store.updateDraft(localId, { state: 'failed', error: words(err) });
      }
    };

    const bubble: BubbleActions = {
      edit: setEditing,
      remove: (id) => {
        latest.current.deleteMessage(id).then(
          () => store.change({ id, deleted: true }),
          fail,
        );
      },
      moderate: (messageId) => {
        setError(null);
        client.send('remove_message', { messageId }).catch(fail);
      },
      react: (messageId, emoji) => {
        setError(null);
        client.send('toggle_reaction', { messageId, emoji }).catch(fail);
      },
      retry: (localId) => {
        // It may have been written, and only the answer been lost: then the
        // list has it, and the draft is gone.
        void load().then(() => {
          store.updateDraft(localId, { state: 'sending', error: null });
          return post(localId);
        });
      },
      discard: (localId) => store.settle(localId, null),
      grown,
    };
    return { post, fail, bubble };
  }, [client, latest, store, load, grown, orderId, setEditing]);
  return { ...made, error };
}
