// SPDX-License-Identifier: ISC
// A conversation of any application: a live list, its older pages, and a field
// to write in. What a row looks like is the application's: each part can be
// rendered by a function of its own.

import {
  memo,
  useCallback,
  useRef,
  useState,
  type FormEvent,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import type { LiveItem, LiveOptions } from '../live.js';
import { useEarlyEffect, useLatest } from './latest.js';
import { useLive } from './useLive.js';
import { useRoving } from './useRoving.js';
import { useStatus } from './provider.js';

/** What is shown of a row unless there are renderers. */
export interface ChatRow {
  author: string;
  text: string;
  /** ISO-8601. */
  at?: string;
  attachments?: readonly { url: string; name: string }[];
}

export interface ChatProps<Row> extends Omit<LiveOptions<Row>, 'key'> {
  room: string;
  /** The key of a row: React keeps `key` for itself. */
  rowKey(row: Row): string;
  /** What to show of a row. */
  row(row: Row): ChatRow;
  /** Whether it is the user's own. */
  isMine?(row: Row): boolean;
  /** A row of what was written; without it there is no field. */
  draft?(text: string): Row;
  renderRow?(item: LiveItem<Row>, parts: ReactNode): ReactNode;
  renderAuthor?(author: string, row: Row): ReactNode;
  renderAttachment?(file: { url: string; name: string }, row: Row): ReactNode;
  labels?: Partial<typeof LABELS>;
  onTyping?(isTyping: boolean): void;
}

const LABELS = {
  chat: 'Messages',
  message: 'Message',
  send: 'Send',
  older: 'Older messages',
  loading: 'Loading…',
  empty: 'No messages yet.',
  failed: 'Not sent',
  retry: 'Try again',
  discard: 'Discard',
  forbidden: 'You have no access to this conversation.',
  left: 'You have no access to this conversation any more.',
};

const NEAR_PX = 60;

export function Chat<Row>(props: ChatProps<Row>): ReactNode {
  const { room, draft } = props;
  const t = { ...LABELS, ...props.labels };
  const list = useLive(room, { ...props, key: props.rowKey });
  const status = useStatus();
  const latest = useLatest(props);
  const log = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  /** From the end, so that older rows push nothing away. */
  const fromEnd = useRef(0);
  const { items, retry, discard, loadMore } = list;
  const onKeyDown = useRoving(log, '.pgpush-row', items);

  useEarlyEffect(() => {
    const el = log.current!;
    el.scrollTop = atEnd.current
      ? el.scrollHeight
      : el.scrollHeight - fromEnd.current;
  }, [items]);
  const onScroll = () => {
    const el = log.current!;
    fromEnd.current = el.scrollHeight - el.scrollTop;
    atEnd.current = fromEnd.current - el.clientHeight < NEAR_PX;
    if (el.scrollTop < NEAR_PX && list.more) void loadMore();
  };
  const barred = list.state === 'error' ? t.forbidden : t.left;
  const isOut =
    list.state === 'error' || (list.state === 'left' && list.loaded);

  return (
    <section className="pgpush-simple" aria-label={t.chat} data-status={status}>
      <div
        className="pgpush-rows" role="log" aria-label={t.chat} ref={log}
        onScroll={onScroll} onKeyDown={onKeyDown}
      >
        {list.more && (
          <button type="button" onClick={() => void loadMore()}>{t.older}</button>
        )}
        {list.error !== null && (
          <p role="alert">
            {String((list.error as Error).message ?? list.error)}{' '}
            <button type="button" onClick={() => void list.reload()}>
              {t.retry}
            </button>
          </p>
        )}
        {items.length === 0 && list.error === null && (
          <p>{list.loaded ? t.empty : t.loading}</p>
        )}
        {items.map((item) => (
          <Item key={item.id} {...{ item, latest, t, retry, discard }} />
        ))}
      </div>
      {isOut && <p role="status">{barred}</p>}
      {draft && !isOut && (
        <Field
          key={room}
          labels={t}
          onTyping={props.onTyping}
          onSend={(text) => {
            atEnd.current = true;
            void list.add(draft(text));
          }}
        />
      )}
    </section>
  );
}

interface ItemProps {
  item: LiveItem<any>;
  latest: { readonly current: ChatProps<any> };
  t: typeof LABELS;
  retry: (id: string) => Promise<void>;
  discard: (id: string) => void;
}

const isSame = (a: ItemProps, b: ItemProps): boolean => a.item === b.item;

const Item = memo(function Item(props: ItemProps): ReactNode {
  const { item, latest, t, retry, discard } = props;
  const { row, isMine, renderAuthor, renderAttachment, renderRow } =
    latest.current;
  const { author, text, at, attachments = [] } = row(item.row);
  const parts = (
    <>
      {renderAuthor?.(author, item.row) ?? <strong dir="auto">{author}</strong>}
      <p dir="auto">{text}</p>
      {attachments.map((file) => (
        <span key={file.url}>
          {renderAttachment?.(file, item.row) ?? (
            <a href={file.url} target="_blank" rel="noopener">{file.name}</a>
          )}
        </span>
      ))}
      {at && <time dateTime={at}>{new Date(at).toLocaleTimeString()}</time>}
      {item.state === 'failed' && (
        <span role="alert">
          {t.failed}
          <button type="button" onClick={() => void retry(item.id)}>
            {t.retry}
          </button>
          <button type="button" onClick={() => discard(item.id)}>
            {t.discard}
          </button>
        </span>
      )}
    </>
  );
  const mine = isMine?.(item.row) || item.state !== 'saved';
  return (
    <article
      className={`pgpush-row${mine ? ' pgpush-own' : ''}`}
      data-state={item.state}
      aria-busy={item.state === 'sending' || undefined}
    >
      {renderRow?.(item, parts) ?? parts}
    </article>
  );
}, isSame);

interface FieldProps {
  labels: typeof LABELS;
  onSend: (text: string) => void;
  onTyping?: (isTyping: boolean) => void;
}

function Field({ labels, onSend, onTyping }: FieldProps): ReactNode {
  const [text, setText] = useState('');
  const send = useCallback((event: FormEvent | KeyboardEvent) => {
    event.preventDefault();
    if (text.trim() === '') return;
    onTyping?.(false);
    onSend(text.trim());
    setText('');
  }, [text, onSend, onTyping]);
  return (
    <form onSubmit={send}>
      <textarea
        rows={1}
        dir="auto"
        value={text}
        placeholder={labels.message}
        aria-label={labels.message}
        onChange={({ target }) => {
          setText(target.value);
          onTyping?.(target.value !== '');
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey) return;
          if (!event.nativeEvent.isComposing) send(event);
        }}
      />
      <button type="submit" disabled={text.trim() === ''}>{labels.send}</button>
    </form>
  );
}
