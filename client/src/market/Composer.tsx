// SPDX-License-Identifier: ISC
// Where one writes: a text, files, or a change of a message.

import {
  useEffect,
  useId,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import { Icon } from './icons.js';
import { useEarlyEffect, useLatest } from '../react/latest.js';
import { textsOf, type Locale } from './texts.js';
import { useObjectUrl } from './useObjectUrl.js';

export interface ComposerProps {
  locale: Locale;
  /** Where a text stays that was not sent. */
  keepAs: string;
  /** The message that is edited. */
  editing: { id: string; content: string } | null;
  onSend: (content: string, files: File[]) => void;
  onEdit: (id: string, content: string) => void;
  onCancel: () => void;
  /** The arrow up in an empty field: edit the last one. */
  onEditLast: () => void;
  onTyping: (isTyping: boolean) => void;
}

export function Composer(props: ComposerProps): ReactNode {
  const { locale, editing, onSend, onEdit, onCancel, onTyping } = props;
  const t = textsOf(locale);
  const [text, setText] = useState(editing?.content ?? recall(props.keepAs));
  const [files, setFiles] = useState<File[]>([]);
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useId();

  // With the field that it is for, not after it: the next key may be there
  // already. What others change in it meanwhile does not touch the field.
  const id = editing?.id ?? null;
  const [textOf, setTextOf] = useState(id);
  if (textOf !== id) {
    setTextOf(id);
    setText(editing?.content ?? recall(props.keepAs));
  }
  useEarlyEffect(() => {
    if (id !== null) field.current?.focus();
  }, [id]);

  function submit() {
    const content = text.trim();
    if (editing) {
      if (content !== '') onEdit(editing.id, content);
      return;
    }
    if (content === '' && files.length === 0) return;
    onTyping(false);
    onSend(content, files);
    setText('');
    remember(props.keepAs, '');
    setFiles([]);
  }

  /** From the clipboard, or dropped somewhere in the chat. */
  function take(event: Event | ClipboardEvent, from: DataTransfer | null) {
    if (editing || !from || from.files.length === 0) return;
    event.preventDefault();
    setFiles([...files, ...from.files]);
  }
  const latest = useLatest(take);
  useEffect(() => {
    const chat = form.current!.closest<HTMLElement>('.pgpush-chat')!;
    const over = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
    };
    const drop = (event: DragEvent) =>
      latest.current(event, event.dataTransfer);
    chat.addEventListener('dragover', over);
    chat.addEventListener('drop', drop);
    return () => {
      chat.removeEventListener('dragover', over);
      chat.removeEventListener('drop', drop);
    };
  }, [latest]);

  function key(event: KeyboardEvent) {
    if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && editing) onCancel();
    else if (event.key === 'ArrowUp' && text === '' && !editing)
      props.onEditLast();
  }

  return (
    <form
      className="pgpush-composer"
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {editing && (
        <p className="pgpush-editing">
          <Icon name="pen" size={14} /> {t.editing}
          <button type="button" onClick={onCancel}>{t.cancel}</button>
        </p>
      )}
      {files.length > 0 && (
        <ul className="pgpush-chips" aria-label={t.filesToSend}>
          {files.map((file, i) => (
            <Chip
              key={`${i} ${file.name}`}
              file={file}
              label={t.removeFile(file.name)}
              onRemove={() => setFiles(files.filter((f) => f !== file))}
            />
          ))}
        </ul>
      )}
      <div className="pgpush-row">
        {!editing && (
          <label className="pgpush-attach" htmlFor={picker} title={t.attach}>
            <Icon name="clip" />
            <input
              id={picker}
              type="file"
              multiple
              aria-label={t.attach}
              onChange={(event) => {
                setFiles([...files, ...(event.target.files ?? [])]);
                event.target.value = '';
              }}
            />
          </label>
        )}
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          maxLength={10000}
          value={text}
          placeholder={t.write}
          aria-label={t.message}
          onChange={(event) => {
            setText(event.target.value);
            if (editing) return;
            remember(props.keepAs, event.target.value);
            onTyping(event.target.value !== '');
          }}
          onBlur={() => onTyping(false)}
          onKeyDown={key}
          onPaste={(event) => take(event, event.clipboardData)}
        />
        <button
          type="submit"
          className="pgpush-send"
          aria-label={editing ? t.save : t.send}
          title={editing ? t.save : t.send}
          disabled={text.trim() === '' && (editing !== null || files.length === 0)}
        >
          <Icon name={editing ? 'check' : 'send'} />
        </button>
      </div>
    </form>
  );
}

interface ChipProps {
  file: File;
  label: string;
  onRemove: () => void;
}

function Chip({ file, label, onRemove }: ChipProps): ReactNode {
  const isImage = file.type.startsWith('image/');
  const preview = useObjectUrl(isImage ? file : null);
  return (
    <li>
      {preview ? <img src={preview} alt="" /> : <Icon name="file" />}
      <span>{file.name}</span>
      <button type="button" aria-label={label} onClick={onRemove}>
        <Icon name="cross" size={14} />
      </button>
    </li>
  );
}

function recall(name: string): string {
  try {
    return localStorage.getItem(name) ?? '';
  } catch {
    return '';
  }
}

function remember(name: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    // It stays for as long as the page, then.
  }
}
