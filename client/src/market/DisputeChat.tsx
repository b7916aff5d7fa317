// SPDX-License-Identifier: ISC
// The conversation of the two parties of a dispute and who moderates it.

import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import type {
  Dispute, DisputeApi, DisputeStatus, Message, MessagePage,
} from './api.js';
import { Chat } from './Chat.js';
import { useLatest } from '../react/latest.js';
import { textsOf, wordsOf, type Locale } from './texts.js';
import { useRoom } from '../react/useRoom.js';
import { doorOf } from './door.js';
import { useStale } from '../react/useStale.js';

export interface DisputeChatProps {
  disputeId: string;
  /** Who is looking. */
  me: string;
  api: DisputeApi;
  locale?: Locale;
  /** An admin; its moderator by default. */
  moderates?: boolean;
  emojis?: readonly string[];
  /** With every status that it comes to know, the first one, too. */
  onStatus?: (status: DisputeStatus) => void;
}

export function DisputeChat(props: DisputeChatProps): ReactNode {
  // Another dispute is another conversation from the beginning.
  return <Loaded key={`${props.disputeId} ${props.me}`} {...props} />;
}

function Loaded(props: DisputeChatProps): ReactNode {
  const { disputeId, me, api, locale = 'en', emojis } = props;
  const t = textsOf(locale);
  const { dispute, error, load, learn } = useDispute(props);
  /** What was there when one came counts as seen: the rows do not know. */
  const before = useRef<ReadonlySet<string> | null>(null);

  if (!dispute)
    return (
      <section className="pgpush-chat pgpush-dispute" lang={locale}>
        <p className="pgpush-note" role={error === null ? 'status' : 'alert'}>
          {error === null ? t.loading : wordsOf(locale, error)}{' '}
          {error !== null && (
            <button type="button" onClick={() => void load()}>{t.retry}</button>
          )}
        </p>
      </section>
    );

  const moderates = props.moderates ?? dispute.moderator?.id === me;
  const list = async (page: MessagePage): Promise<Message[]> => {
    const messages = await api.disputeMessages(disputeId, page);
    before.current ??= new Set(messages.map((m) => m.id));
    return messages.map((m) =>
      m.senderId !== me && (page.before || before.current!.has(m.id))
        ? { ...m, readAt: m.createdAt }
        : m,
    );
  };
  const { client, performer, moderator } = dispute;
  return (
    <Chat
      source={{
        kind: 'dispute',
        id: disputeId,
        list,
        post: (message) => api.postDisputeMessage(disputeId, message),
        upload: (file, progress) => api.upload(file, progress),
        mutes: async () => (await api.disputeMutes?.(disputeId)) ?? [],
      }}
      me={me}
      people={[
        { ...client, role: 'client' },
        { ...performer, role: 'performer' },
        ...(moderator ? [{ ...moderator, role: 'admin' as const }] : []),
      ]}
      locale={locale}
      closed={dispute.status === 'resolved' ? t.disputeClosed : null}
      emojis={emojis}
      moderates={moderates}
      banner={
        <Banner
          dispute={dispute}
          locale={locale}
          moderates={moderates}
          setStatus={async (status) =>
            learn(await api.setDisputeStatus(disputeId, status))}
        />
      }
    />
  );
}

function useDispute({ disputeId, api, onStatus }: DisputeChatProps) {
  const latest = useLatest({ api, onStatus });
  const [dispute, setDispute] = useState<Dispute | null>(null);
  const [error, setError] = useState<unknown>(null);

  const learn = useCallback((told: Dispute) => {
    // Answers may overtake each other.
    setDispute((was) =>
      was && was.updatedAt > told.updatedAt ? was : told);
    setError(null);
  }, []);
  const load = useCallback(async () => {
    try {
      learn(await latest.current.api.dispute(disputeId));
    } catch (err) {
      setError(err);
    }
  }, [disputeId, latest, learn]);
  useEffect(() => void load(), [load]);
  useStale(load);

  useRoom(`dispute:${disputeId}`, {
    dispute_status_update: ({ status, updatedAt }) => {
      setDispute((was) =>
        was && was.updatedAt <= updatedAt ? { ...was, status, updatedAt } : was);
      // Who moderates it is not in the event.
      void load();
    },
    joined: ({ resumed }) => resumed || void load(),
    reset: () => void load(),
  }, { join: doorOf('dispute', disputeId) });

  const status = dispute?.status;
  useEffect(() => {
    if (status) latest.current.onStatus?.(status);
  }, [status, latest]);
  return { dispute, error, load, learn };
}

interface BannerProps {
  dispute: Dispute;
  locale: Locale;
  moderates: boolean;
  setStatus: (status: DisputeStatus) => Promise<void>;
}

function Banner(props: BannerProps): ReactNode {
  const { dispute, locale, moderates } = props;
  const { status } = dispute;
  const t = textsOf(locale);
  // On a small phone the messages need the room; one press shows it.
  const [isTall] = useState(() => matchMedia('(min-height: 600px)').matches);
  return (
    <div className="pgpush-banner">
      <div className="pgpush-case">
        <span
          className={`pgpush-status pgpush-status-${status}`}
          role="status"
          aria-label={t.disputeStatusLabel}
        >
          {t.disputeStatus[status]}
        </span>
        <p className="pgpush-case-reason">
          {dispute.orderTitle && <strong>{dispute.orderTitle}</strong>}
          <span>{t.reason}: {dispute.reason}</span>
        </p>
        {moderates && status !== 'resolved' && <Controls {...props} />}
      </div>
      {status !== 'resolved' && (
        <details className="pgpush-warnings" open={!moderates && isTall}>
          <summary>{t.warningsTitle}</summary>
          <ul>
            {t.warnings.map((text) => <li key={text}>{text}</li>)}
          </ul>
        </details>
      )}
    </div>
  );
}

function Controls({ dispute, locale, setStatus }: BannerProps): ReactNode {
  const t = textsOf(locale);
  const [isSure, setSure] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const set = async (status: DisputeStatus) => {
    setBusy(true);
    setError(null);
    setSure(false);
    try {
      await setStatus(status);
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  };
  return (
    <div className="pgpush-controls" role="group" aria-label={t.decide}>
      {isSure ? (
        <>
          <span>{t.resolveSure}</span>
          <button
            type="button"
            className="pgpush-primary"
            autoFocus
            onClick={() => void set('resolved')}
          >
            {t.resolve}
          </button>
          <button type="button" onClick={() => setSure(false)}>{t.cancel}</button>
        </>
      ) : (
        <>
          {dispute.status === 'open' && (
            <button
              type="button"
              disabled={isBusy}
              onClick={() => void set('in_review')}
            >
              {t.takeUp}
            </button>
          )}
          <button
            type="button"
            className="pgpush-primary"
            disabled={isBusy}
            onClick={() => setSure(true)}
          >
            {t.resolve}…
          </button>
        </>
      )}
      {error !== null && <span role="alert">{wordsOf(locale, error)}</span>}
    </div>
  );
}
