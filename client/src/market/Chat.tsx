// SPDX-License-Identifier: ISC
// A conversation: what OrderChat and DisputeChat have in common. Where its
// messages come from and what may be done with them is the source's.

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
import { inTurn, isLost } from '../outbox.js';
import type {
  Attachment, Message, MessagePage, Mute, NewMessage, Person, Upload,
} from './api.js';
import { Bubble, type BubbleActions, type Tick } from './Bubble.js';
import { Composer } from './Composer.js';
import { Icon } from './icons.js';
import { useEarlyEffect, useLatest } from '../react/latest.js';
import { useRoving } from '../react/useRoving.js';
import { People } from './People.js';
import { isUp, usePush, useStatus } from '../react/provider.js';
import { MessageStore, type Stored } from './store.js';
import { day, muteText, textsOf, wordsOf, type Locale } from './texts.js';
import { useMutes } from './useMutes.js';
import { usePresence } from '../react/usePresence.js';
import { useRoom } from '../react/useRoom.js';
import { doorOf } from './door.js';
import { useStale } from '../react/useStale.js';
import { useStick, type Stick } from './useStick.js';
import { useTyping } from '../react/useTyping.js';
import { useVisible } from './useVisible.js';

export interface ChatSource {
  kind: 'order' | 'dispute';
  id: string;
  list(page: MessagePage): Promise<Message[]>;
  post(message: NewMessage): Promise<Message>;
  upload: Upload;
  mutes(): Promise<Mute[]>;
  /** One's own messages; without these they stay as they were sent. */
  change?: {
    edit(id: string, content: string): Promise<Message>;
    remove(id: string): Promise<unknown>;
  };
  /** Without it nobody is told what was read. */
  markRead?(up: boolean): Promise<unknown>;
}

export interface ChatProps {
  source: ChatSource;
  me: string;
  /** Whoever may have written. */
  people: readonly Person[];
  locale: Locale;
  /** Why one cannot write, or null. */
  closed: string | null;
  emojis?: readonly string[];
  moderates: boolean;
  /** Beside the people. */
  header?: ReactNode;
  /** Below them, above the messages. */
  banner?: ReactNode;
}

/** Messages of a page of the API, and as many are shown before one scrolls. */
const PAGE = 100;
const SHOWN = 60;
/** From the top, where older ones are shown. */
const NEAR_PX = 200;

const EMOJIS = ['👍', '❤️', '😂', '😮', '😢', '🎉', '🙏', '👎'];

const EVENTS = {
  order: {
    message: 'order_message',
    edit: 'message_edit',
    removed: 'message_delete',
    reaction: 'message_reaction',
  },
  dispute: {
    message: 'dispute_message',
    edit: 'dispute_message_edit',
    removed: 'dispute_message_delete',
    reaction: 'dispute_message_reaction',
  },
};

/** What an event says of a message, as the list would. */
const fromEvent = ({ messageId, ...rest }: any) => ({ ...rest, id: messageId });

export function Chat(props: ChatProps): ReactNode {
  const { source, me, people, locale, closed } = props;
  const { kind, id } = source;
  const t = textsOf(locale);
  const status = useStatus();
  const latest = useLatest(source);
  const [store] = useState(() => new MessageStore(me, `${kind}:${id}:${me}`));
  const bubbles = useSyncExternalStore(
    store.subscribe, store.bubbles, store.bubbles);
  const [problem, setProblem] = useState<unknown>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const [length, setLength] = useState(SHOWN);
  const shown = bubbles.slice(-length);
  const stick = useStick(shown);
  const onKeyDown = useRoving(stick.ref, '.pgpush-message', shown);
  /** Where one reads, when older ones come above it. */
  const fromEnd = useRef<number | null>(null);
  const first = shown[0]?.key;
  useEarlyEffect(() => {
    const log = stick.ref.current!;
    if (fromEnd.current !== null)
      log.scrollTop = log.scrollHeight - fromEnd.current;
    fromEnd.current = null;
  }, [first]);
  const room = `${kind}:${id}`;
  const join = doorOf(kind, id);
  const events = EVENTS[kind];

  // --- what is told

  const mutes = useMutes(room);
  const { refresh } = mutes;
  const load = useCallback(async () => {
    try {
      const mark = store.mark;
      const limit = Math.max(PAGE, store.bubbles().length);
      const messages = await latest.current.list({ limit });
      store.load(messages, mark, messages.length === limit);
      await refresh(() => latest.current.mutes());
      setProblem(null);
    } catch (err) {
      setProblem(err);
    }
  }, [store, latest, refresh]);
  useEffect(() => void load(), [load]);
  useStale(load);
  const loadOlder = useOlder(store, latest, setProblem);
  /** More of what is here, else more of what the API has. */
  const showOlder = () => {
    const { scrollHeight, scrollTop } = stick.ref.current!;
    fromEnd.current = scrollHeight - scrollTop;
    if (bubbles.length > length) setLength(length + SHOWN);
    else if (store.more) void loadOlder().then(() => setLength((n) => n + SHOWN));
  };

  const known = new Map<string, Person>();
  for (const { message: m } of bubbles)
    if (m.senderName)
      known.set(m.senderId, {
        id: m.senderId, name: m.senderName, role: m.senderRole,
      });
  for (const p of people) known.set(p.id, p);
  const nameOf = (id: string) =>
    id === me ? t.you : (known.get(id)?.name ?? t.someone);

  const info = useRoom(room, {
    [events.message]: (data) => {
      store.put(fromEvent(data));
      // The list has the name.
      if (kind === 'dispute' && !known.has(data.senderId)) void load();
    },
    [events.edit]: (data) => store.change(fromEvent(data)),
    [events.removed]: ({ messageId }) =>
      store.change({ id: messageId, deleted: true }),
    [events.reaction]: ({ messageId, reactions }) =>
      store.change({ id: messageId, reactions }),
    messages_read: ({ readBy, readAt }) => store.markRead(readBy, readAt),
    user_muted: mutes.add,
    user_unmuted: mutes.drop,
    joined: ({ resumed }) => resumed || void load(),
    reset: () => void load(),
  }, { join });
  const { userIds, setTyping } = useTyping(room, { join });

  // An order's parties may not see whether an admin is there.
  const others = people.filter(
    (p) => p.id !== me && (kind === 'dispute' || p.role !== 'admin'));
  const presence = usePresence(others.map((p) => p.id));
  const { unread, firstUnread } = useReading(
    source, me, store, bubbles, stick, isUp(status));

  // --- what one does

  const actions = useActions(source, store, load, stick.grown, setEditing);
  useResend(room, store, isUp(status) && store.loaded, load, actions.post);
  const send = (content: string, files: File[]) => {
    stick.toEnd();
    void actions.post(store.draft(content, files).localId);
  };
  const edit = async (id: string, content: string) => {
    setEditing(null);
    try {
      store.change(await latest.current.change!.edit(id, content));
    } catch (err) {
      actions.fail(err);
    }
  };
  const editLast = () => {
    const own = bubbles.filter(
      (b) => b.message.senderId === me && !b.draft && !b.message.deleted);
    if (source.change && own.length > 0) setEditing(own.at(-1)!.message.id);
  };

  const tickOf = (m: Stored): Tick => {
    if (m.readAt !== null) return 'read';
    const there = others.some(({ id }) => {
      const p = presence[id];
      return p && (p.isOnline || (p.lastSeen ?? '') >= m.createdAt);
    });
    return there ? 'delivered' : 'sent';
  };
  const mute = mutes.of(me);
  const barred =
    info.state === 'error' ? t.forbidden
    : info.reason ? leftText(t, info.reason)
    : (closed ?? (mute && muteText(locale, mute)));
  const isOut = info.state === 'error' || info.reason !== null;
  const hasOlder = bubbles.length > shown.length || store.more;
  const failure = actions.error ?? mutes.error;
  let lastDay = '';
  let lastSender = '';

  return (
    <section
      className={`pgpush-chat pgpush-${kind}`}
      lang={locale}
      aria-label={t[`${kind}Chat`]}
    >
      <div className="pgpush-head">
        <People
          people={others}
          presence={presence}
          mutes={mutes}
          locale={locale}
          moderates={props.moderates}
        />
        {props.header}
        <span
          className={`pgpush-connection pgpush-is-${status}`}
          role="status"
        >
          {t.status[status]}
        </span>
      </div>
      {props.banner}
      <div
        className="pgpush-log"
        role="log"
        aria-label={t.messages}
        aria-live="polite"
        tabIndex={0}
        ref={stick.ref}
        onScroll={() => {
          stick.onScroll();
          if (stick.ref.current!.scrollTop < NEAR_PX && hasOlder) showOlder();
        }}
        onKeyDown={onKeyDown}
      >
        {hasOlder && (
          <p className="pgpush-older">
            <button type="button" onClick={showOlder}>{t.older}</button>
          </p>
        )}
        {problem !== null && (
          <p className="pgpush-note" role="alert">
            {wordsOf(locale, problem)}{' '}
            <button type="button" onClick={() => void load()}>{t.retry}</button>
          </p>
        )}
        {bubbles.length === 0 && problem === null && (
          <p className="pgpush-note">{store.loaded ? t.none : t.loading}</p>
        )}
        {shown.map((bubble) => {
          const { message } = bubble;
          const today = day(locale, message.createdAt);
          const isNewDay = today !== lastDay;
          const isUnread = message.id === firstUnread;
          const follows =
            !isNewDay && !isUnread && message.senderId === lastSender;
          lastDay = today;
          lastSender = message.senderId;
          return (
            <Fragment key={bubble.key}>
              {isNewDay && <p className="pgpush-day"><span>{today}</span></p>}
              {isUnread && (
                <p className="pgpush-unread" role="separator">{t.unread}</p>
              )}
              <Bubble
                bubble={bubble}
                me={me}
                name={nameOf(message.senderId)}
                role={known.get(message.senderId)?.role ?? null}
                follows={follows}
                isEdited={message.id === editing}
                locale={locale}
                tick={tickOf(message)}
                emojis={props.emojis ?? EMOJIS}
                editable={Boolean(source.change) && barred === null}
                reactable={!isOut}
                removable={props.moderates && !isOut}
                actions={actions.bubble}
              />
            </Fragment>
          );
        })}
      </div>
      {!stick.atEnd && (
        <div className="pgpush-end">
          <button
            type="button"
            aria-label={unread > 0 ? t.newBelow(unread) : t.toEnd}
            onClick={stick.toEnd}
          >
            {unread > 0 && t.newBelow(unread)} <Icon name="down" size={16} />
          </button>
        </div>
      )}
      <p className="pgpush-typing" aria-live="polite">
        {userIds.length > 0 &&
          (userIds.length === 1 ? t.typing : t.typingMany)(
            userIds.map(nameOf).join(', '))}
      </p>
      {failure !== null && (
        <p className="pgpush-note" role="alert">{wordsOf(locale, failure)}</p>
      )}
      {barred !== null ? (
        <p className="pgpush-note pgpush-barred" role="status">{barred}</p>
      ) : (
        <Composer
          locale={locale}
          keepAs={`pgpush.text.${kind}:${id}:${me}`}
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
}

const leftText = (t: ReturnType<typeof textsOf>, reason: string): string =>
  t.left[reason as keyof typeof t.left] ?? t.left.left;

/** Fetches the page before the oldest message, one at a time. */
function useOlder(
  store: MessageStore,
  latest: { readonly current: ChatSource },
  fail: (problem: unknown) => void,
): () => Promise<void> {
  const busy = useRef(false);
  return useCallback(async () => {
    const before = store.bubbles()[0]?.message.id;
    if (busy.current || before === undefined) return;
    busy.current = true;
    try {
      const older = await latest.current.list({ limit: PAGE, before });
      const isNew = older.some(({ id }) => !store.get(id));
      store.loadOlder(older, isNew && older.length === PAGE);
    } catch (err) {
      fail(err);
    }
    busy.current = false;
  }, [store, latest, fail]);
}

/** Marks what is looked at as read; where the unread began stays shown. */
function useReading(
  source: ChatSource,
  me: string,
  store: MessageStore,
  bubbles: ReturnType<MessageStore['bubbles']>,
  { ref, atEnd, stuck }: Stick,
  up: boolean,
) {
  const latest = useLatest(source);
  const visible = useVisible(ref);
  const first = useRef<string | null>(null);
  const busy = useRef(false);
  const isLoaded = useRef(false);

  const waiting = bubbles.filter(
    ({ message: m }) => m.senderId !== me && m.readAt === null && !m.deleted,
  );
  // Who only looks on in an order reads nothing.
  const isReader = waiting.some(
    ({ message: m }) => !source.markRead || m.receiverId === me);
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
    if (!store.loaded || !isReader || !visible || !stuck.current || busy.current)
      return;
    busy.current = true;
    const { markRead } = latest.current;
    Promise.resolve(markRead?.(up))
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

/**
 * What could not be sent is sent when the connection is back, after the list
 * was fetched, which may have it: once, and by one tab.
 */
function useResend(
  room: string,
  store: MessageStore,
  isReady: boolean,
  load: () => Promise<void>,
  post: (localId: string) => Promise<void>,
): void {
  useEffect(() => {
    const waiting = () =>
      store.failed().filter((d) => d.error === null || isLost(d.error));
    if (!isReady || waiting().length === 0) return;
    void inTurn(room, async () => {
      await load();
      for (const draft of waiting())
        if (store.isKept(draft)) {
          store.updateDraft(draft.localId, { state: 'sending', error: null });
          await post(draft.localId);
        } else store.settle(draft.localId, null);
    });
  }, [room, store, isReady, load, post]);
}

function useActions(
  source: ChatSource,
  store: MessageStore,
  load: () => Promise<void>,
  grown: () => void,
  setEditing: (id: string) => void,
) {
  const client = usePush();
  const latest = useLatest(source);
  const [error, setError] = useState<unknown>(null);

  const made = useMemo(() => {
    const uploaded = new WeakMap<File, Attachment>();

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
          await latest.current.post({ content, attachments, key: localId }),
        );
      } catch (err) {
        // What is refused is for the user to change or to drop.
        if (!isLost(err)) store.giveUp(localId);
        store.updateDraft(localId, { state: 'failed', error: err });
      }
    };

    const bubble: BubbleActions = {
      edit: setEditing,
      remove: (id) => {
        setError(null);
        latest.current.change!.remove(id).then(
          () => store.change({ id, deleted: true }),
          setError,
        );
      },
      moderate: (messageId) => {
        setError(null);
        client.send('remove_message', { messageId }).catch(setError);
      },
      react: (messageId, emoji) => {
        setError(null);
        client.send('toggle_reaction', { messageId, emoji }).catch(setError);
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
    return { post, fail: setError, bubble };
  }, [client, latest, store, load, grown, setEditing]);
  return { ...made, error };
}
