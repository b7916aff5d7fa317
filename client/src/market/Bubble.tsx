// SPDX-License-Identifier: ISC
// One message.

import { memo, useRef, useState, type ReactNode } from 'react';
import type { Attachment, Role } from './api.js';
import { Icon } from './icons.js';
import { useEarlyEffect } from '../react/latest.js';
import type { Bubble as Shown } from './store.js';
import { clock, textsOf, wordsOf, type Locale } from './texts.js';
import { useAway } from './useAway.js';
import { useObjectUrl } from './useObjectUrl.js';

export type Tick = 'sent' | 'delivered' | 'read';

export interface BubbleActions {
  edit: (id: string) => void;
  remove: (id: string) => void;
  /** Another's. */
  moderate: (id: string) => void;
  react: (id: string, emoji: string) => void;
  retry: (localId: string) => void;
  discard: (localId: string) => void;
  /** A picture has come and made it higher. */
  grown: () => void;
}

export interface BubbleProps {
  bubble: Shown;
  me: string;
  name: string;
  role: Role | null;
  /** The one before is of the same sender. */
  follows: boolean;
  /** In the field below. */
  isEdited: boolean;
  locale: Locale;
  tick: Tick;
  emojis: readonly string[];
  editable: boolean;
  reactable: boolean;
  removable: boolean;
  actions: BubbleActions;
}

export const Bubble = memo(function Bubble(props: BubbleProps): ReactNode {
  const { bubble, me, name, role, locale, actions } = props;
  const { message, draft } = bubble;
  const t = textsOf(locale);
  const mine = message.senderId === me;
  const classes = [
    'pgpush-message',
    mine ? 'pgpush-mine' : 'pgpush-theirs',
    message.deleted && 'pgpush-deleted',
    props.follows && 'pgpush-follows',
    props.isEdited && 'pgpush-in-field',
    draft && `pgpush-${draft.state}`,
  ];
  return (
    <article
      className={classes.filter(Boolean).join(' ')}
      data-id={draft ? undefined : message.id}
      aria-label={`${name}, ${clock(locale, message.createdAt)}`}
      aria-busy={draft?.state === 'sending' || undefined}
    >
      {!props.follows && (
        <header>
          <strong dir="auto">{name}</strong>
          {role && (
            <span className={`pgpush-role pgpush-role-${role}`}>
              {t.role[role]}
            </span>
          )}
        </header>
      )}
      {message.deleted ? (
        <p className="pgpush-content">{t.deleted}</p>
      ) : (
        <>
          {message.content && (
            <p className="pgpush-content" dir="auto">
              {linked(message.content)}
            </p>
          )}
          <div className="pgpush-files">
            {message.attachments.map((file) => (
              <Attached key={file.id ?? file.fileUrl} file={file} {...actions} />
            ))}
            {draft?.files.map((file, i) => (
              <Unsent key={i} file={file} {...actions} />
            ))}
          </div>
          {draft && draft.state === 'sending' && draft.files.length > 0 && (
            <progress max={1} value={draft.progress} aria-label={t.uploading} />
          )}
        </>
      )}
      {!draft && !message.deleted && <Reactions {...props} />}
      <Footer {...props} mine={mine} />
      {draft?.state === 'failed' && (
        <p className="pgpush-failure" role="alert">
          <span>{t.failed}: {wordsOf(locale, draft.error)}</span>
          <button type="button" onClick={() => actions.retry(draft.localId)}>
            {t.retry}
          </button>
          <button type="button" onClick={() => actions.discard(draft.localId)}>
            {t.discard}
          </button>
        </p>
      )}
    </article>
  );
});

const ADDRESS = /(https?:\/\/[^\s<>"]*[^\s<>".,:;!?'()[\]{}])/;

/** Addresses in a text can be followed; every second part is one. */
function linked(text: string): ReactNode {
  return text.split(ADDRESS).map((part, i) =>
    i % 2 === 0 ? part : (
      <a key={i} href={part} target="_blank" rel="noopener noreferrer nofollow">
        {part}
      </a>
    ));
}

const TICKS = {
  sending: 'clock',
  sent: 'check',
  delivered: 'checks',
  read: 'checks',
} as const;

function Footer(props: BubbleProps & { mine: boolean }): ReactNode {
  const { bubble, locale, tick, mine } = props;
  const { message, draft } = bubble;
  const t = textsOf(locale);
  const state = draft ? 'sending' : tick;
  return (
    <footer>
      {!draft && !message.deleted && <Tools {...props} mine={mine} />}
      {message.edited && !message.deleted && <span>{t.edited}</span>}
      <time dateTime={message.createdAt}>{clock(locale, message.createdAt)}</time>
      {mine && !message.deleted && draft?.state !== 'failed' && (
        <span
          className={`pgpush-ticks pgpush-tick-${state}`}
          role="img"
          aria-label={t[state]}
        >
          <Icon name={TICKS[state]} size={15} />
        </span>
      )}
    </footer>
  );
}

function Reactions(props: BubbleProps): ReactNode {
  const { bubble, me, locale, actions, reactable } = props;
  const { id, reactions } = bubble.message;
  const t = textsOf(locale);
  if (reactions.length === 0) return null;
  return (
    <div className="pgpush-reactions">
      {reactions.map(({ emoji, count, userIds }) => (
        <button
          key={emoji}
          type="button"
          disabled={!reactable}
          aria-pressed={userIds.includes(me)}
          aria-label={t.reaction(emoji, count)}
          onClick={() => actions.react(id, emoji)}
        >
          {emoji} {count}
        </button>
      ))}
    </div>
  );
}

/** What may be done with it: seen when one points at it, or comes by keys. */
function Tools(props: BubbleProps & { mine: boolean }): ReactNode {
  const { bubble, locale, mine, editable, actions } = props;
  const { id } = bubble.message;
  const t = textsOf(locale);
  return (
    <div className="pgpush-tools">
      {props.reactable && <Picker {...props} />}
      {mine && editable && (
        <button
          type="button"
          aria-label={t.edit}
          title={t.edit}
          onClick={() => actions.edit(id)}
        >
          <Icon name="pen" size={16} />
        </button>
      )}
      {(mine ? editable : props.removable) && (
        <button
          type="button"
          aria-label={t.remove}
          title={t.remove}
          onClick={() => (mine ? actions.remove : actions.moderate)(id)}
        >
          <Icon name="trash" size={16} />
        </button>
      )}
    </div>
  );
}

function Picker({ bubble, locale, emojis, actions }: BubbleProps): ReactNode {
  const t = textsOf(locale);
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useAway(root, isOpen, () => setOpen(false));
  return (
    <span
      className="pgpush-picker"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        setOpen(false);
        button.current?.focus();
      }}
    >
      <button
        ref={button}
        type="button"
        aria-label={t.react}
        title={t.react}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="smile" size={16} />
      </button>
      {isOpen && (
        <span role="group" aria-label={t.react}>
          {emojis.map((emoji) => (
            <button
              key={emoji}
              type="button"
              aria-label={emoji}
              onClick={() => {
                setOpen(false);
                actions.react(bubble.message.id, emoji);
              }}
            >
              {emoji}
            </button>
          ))}
        </span>
      )}
    </span>
  );
}

/** By its type where that is known, else by its name. */
const KINDS: [string, RegExp][] = [
  ['image', /\.(png|jpe?g|gif|webp)$/i],
  ['video', /\.(mp4|webm)$/i],
  ['audio', /\.(mp3|ogg)$/i],
];

interface UnsentProps {
  file: File;
  grown: () => void;
}

/** As it will look when it is there. */
function Unsent({ file, grown }: UnsentProps): ReactNode {
  const { name, size, type } = file;
  const url = useObjectUrl(file);
  useEarlyEffect(grown, [url, grown]);
  if (!url) return null;
  return (
    <Attached
      file={{ fileUrl: url, fileName: name, fileSize: size, mimeType: type }}
      grown={grown}
    />
  );
}

interface AttachedProps {
  file: Attachment;
  grown: () => void;
}

function Attached({ file, grown }: AttachedProps): ReactNode {
  const { fileUrl, fileName, mimeType, fileType } = file;
  const type = (mimeType ?? fileType)?.split('/')[0];
  const kind = KINDS.find(([name, names]) =>
    type ? type === name : names.test(fileUrl))?.[0];
  if (kind === 'image')
    return (
      <a href={fileUrl} target="_blank" rel="noopener">
        <img src={fileUrl} alt={fileName} onLoad={grown} />
      </a>
    );
  if (kind === 'video')
    return (
      <video
        src={fileUrl} controls preload="metadata" aria-label={fileName}
        onLoadedMetadata={grown}
      />
    );
  if (kind === 'audio')
    return <audio src={fileUrl} controls preload="none" aria-label={fileName} />;
  return (
    <a className="pgpush-file" href={fileUrl} download={fileName}>
      <Icon name="file" />
      <span>{fileName}</span>
      {file.fileSize !== undefined && <small>{size(file.fileSize)}</small>}
    </a>
  );
}

function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  const i = Math.min(3, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  return `${Math.ceil(bytes / 1024 ** i)} ${units[i]}`;
}
