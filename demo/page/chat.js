// SPDX-License-Identifier: ISC
// One conversation on the screen: its messages, who is typing, and where one
// writes. It knows no order and no dispute; `source` tells it what it can do:
//   me, nameOf(id), roleOf(id)
//   list(), post(message), edit(id, content) and remove(id) or null
//   typing(isTyping), markRead() or null, closed: why one cannot write

import { upload } from './api.js';
import { clock, day, el, glyph, toast } from './dom.js';
import { MessageStore } from './messages.js';

const TYPING_REPEAT_MS = 2000;
const TYPING_IDLE_MS = 3000;
const TYPING_SHOWN_MS = 6000;
const NEAR_END_PX = 80;
const CLIP =
  'M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.2 17a1.7 1.7 0 0 1-2.4-2.4L15 6.5';
const SHEET = 'M6 3h8l4 4v14H6zM14 3v4h4';
const IMAGE = /\.(png|jpe?g|gif|webp)$/i;

export class Chat {
  constructor(source) {
    this.source = source;
    this.store = new MessageStore();
    this.rows = new Map(); // message id → element
    this.typists = new Map(); // user id → timer
    this.files = [];
    this.editing = null;
    this.lastTyped = 0;
    this.loaded = false;
    this.build();
  }

  // --- what happened elsewhere

  async load() {
    try {
      for (const message of await this.source.list()) this.store.put(message);
    } catch (err) {
      this.log.replaceChildren(
        el('p', { class: 'note', role: 'alert' }, err.message),
      );
      return;
    }
    const atEnd = !this.loaded || this.atEnd();
    this.loaded = true;
    this.render();
    if (atEnd) this.toEnd();
    this.maybeRead();
  }

  received(message) {
    const atEnd = this.atEnd();
    const isNew = this.store.put(message);
    if (isNew) this.setTyping(message.senderId, false);
    this.render();
    if (isNew && (atEnd || message.senderId === this.source.me)) this.toEnd();
    this.maybeRead();
  }

  /** id and the fields that are different now. */
  changed(fields) {
    this.store.change(fields);
    if (fields.deleted && this.editing === fields.id) this.stopEditing();
    this.render();
  }

  read(readBy, readAt) {
    this.store.markRead(readBy, readAt);
    this.render();
  }

  setTyping(userId, isTyping) {
    if (userId === this.source.me) return;
    clearTimeout(this.typists.get(userId));
    this.typists.delete(userId);
    if (isTyping)
      this.typists.set(
        userId,
        setTimeout(() => this.setTyping(userId, false), TYPING_SHOWN_MS),
      );
    const names = [...this.typists.keys()].map(this.source.nameOf);
    this.typingLine.textContent =
      names.length === 0
        ? ''
        : `${names.join(', ')} ${names.length > 1 ? 'are' : 'is'} typing…`;
  }

  setClosed(reason) {
    this.form.hidden = reason !== null;
    this.closedNote.hidden = reason === null;
    this.closedNote.textContent = reason ?? '';
  }

  /** Called when the page is looked at again, too. */
  maybeRead() {
    if (!this.source.markRead || document.visibilityState === 'hidden') return;
    const unread = this.store
      .list()
      .some(
        (m) => m.receiverId === this.source.me && m.readAt === null && !m.deleted,
      );
    if (!unread || this.marking) return;
    this.marking = true;
    this.source
      .markRead()
      .then(() => {
        this.read(this.source.me, new Date().toISOString());
      })
      .catch(() => {})
      .finally(() => {
        this.marking = false;
      });
  }

  destroy() {
    this.stopTyping();
    for (const timer of this.typists.values()) clearTimeout(timer);
    for (const { preview } of this.files) URL.revokeObjectURL(preview);
  }

  // --- the elements

  build() {
    this.log = el('div', {
      class: 'messages',
      role: 'log',
      tabIndex: 0,
      'aria-label': 'Messages',
      'aria-live': 'polite',
    });
    this.typingLine = el('p', { class: 'typing', 'aria-live': 'polite' });
    this.input = el('textarea', {
      id: 'text',
      rows: 1,
      maxLength: 10000,
      placeholder: 'Write a message',
      'aria-label': 'Message',
      oninput: () => this.typed(),
      onblur: () => this.stopTyping(),
      onkeydown: (e) => this.key(e),
    });
    this.picker = el('input', {
      type: 'file',
      multiple: true,
      class: 'visually-hidden',
      id: 'files',
      'aria-label': 'Attach files',
      onchange: () => this.pick(),
    });
    this.chips = el('ul', { class: 'chips', 'aria-label': 'Files to send' });
    this.editNote = el(
      'div',
      { class: 'edit-note', hidden: true },
      el('span', {}, 'Editing a message'),
      el(
        'button',
        { type: 'button', class: 'link', onclick: () => this.stopEditing() },
        'Cancel',
      ),
    );
    this.sendButton = el('button', { type: 'submit', class: 'primary' }, 'Send');
    this.form = el(
      'form',
      {
        class: 'composer',
        onsubmit: (e) => {
          e.preventDefault();
          this.submit();
        },
      },
      this.editNote,
      this.chips,
      el(
        'div',
        { class: 'composer-row' },
        el(
          'label',
          { class: 'attach', htmlFor: 'files', title: 'Attach files' },
          glyph(CLIP),
          this.picker,
        ),
        this.input,
        this.sendButton,
      ),
    );
    this.closedNote = el('p', { class: 'note', hidden: true });
    this.element = el(
      'div',
      { class: 'chat' },
      this.log,
      this.typingLine,
      this.form,
      this.closedNote,
    );
    this.setClosed(this.source.closed ?? null);
  }

  atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Elements of messages that did not change are kept as they are. */
  render() {
    if (!this.loaded) return;
    const nodes = [];
    let lastDay = null;
    for (const message of this.store.list()) {
      const messageDay = day(message.createdAt);
      if (messageDay !== lastDay)
        nodes.push(el('p', { class: 'day' }, messageDay));
      lastDay = messageDay;
      nodes.push(this.row(message));
    }
    if (nodes.length === 0)
      nodes.push(el('p', { class: 'note' }, 'No messages yet.'));
    this.log.replaceChildren(...nodes);
  }

  row(message) {
    const known = this.rows.get(message.id);
    if (known?.message === message) return known.node;
    const node = this.buildRow(message);
    this.rows.set(message.id, { message, node });
    return node;
  }

  buildRow(message) {
    const mine = message.senderId === this.source.me;
    const role = this.source.roleOf(message.senderId);
    const row = el('article', {
      class: `message ${mine ? 'mine' : 'theirs'}`,
      'data-id': message.id,
    });
    row.append(
      el(
        'header',
        {},
        el('strong', {}, this.source.nameOf(message.senderId)),
        roleBadge(role),
      ),
    );
    if (message.deleted) {
      row.classList.add('deleted');
      row.append(el('p', { class: 'content' }, 'Message deleted'));
      return row;
    }
    if (message.content)
      row.append(el('p', { class: 'content' }, message.content));
    if (message.attachments.length > 0)
      row.append(
        el('div', { class: 'files' }, message.attachments.map(attachment)),
      );
    row.append(this.footer(message, mine));
    return row;
  }

  footer(message, mine) {
    const footer = el(
      'footer',
      {},
      message.edited ? el('span', { class: 'edited' }, 'edited') : null,
      el('time', { dateTime: message.createdAt }, clock(message.createdAt)),
    );
    if (!mine || !this.source.edit) return footer;
    const read = message.readAt !== null;
    footer.append(
      el(
        'span',
        {
          class: `ticks ${read ? 'read' : ''}`,
          role: 'img',
          'aria-label': read ? 'Read' : 'Sent',
        },
        read ? '✓✓' : '✓',
      ),
      el(
        'button',
        {
          type: 'button',
          class: 'link',
          'aria-label': 'Edit message',
          onclick: () => this.startEditing(message),
        },
        'Edit',
      ),
      el(
        'button',
        {
          type: 'button',
          class: 'link',
          'aria-label': 'Delete message',
          onclick: () => this.remove(message.id),
        },
        'Delete',
      ),
    );
    return footer;
  }

  // --- what the user does

  key(event) {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === 'Escape' && this.editing !== null) {
      this.stopEditing();
    }
  }

  typed() {
    this.input.style.height = 'auto';
    this.input.style.height = `${Math.min(this.input.scrollHeight, 160)}px`;
    if (this.editing !== null) return;
    clearTimeout(this.typingTimer);
    if (this.input.value === '') {
      this.stopTyping();
      return;
    }
    this.typingTimer = setTimeout(() => this.stopTyping(), TYPING_IDLE_MS);
    const now = Date.now();
    if (now - this.lastTyped < TYPING_REPEAT_MS) return;
    this.lastTyped = now;
    this.source.typing(true);
  }

  stopTyping() {
    clearTimeout(this.typingTimer);
    if (this.lastTyped === 0) return;
    this.lastTyped = 0;
    this.source.typing(false);
  }

  pick() {
    for (const file of this.picker.files)
      this.files.push({ file, preview: URL.createObjectURL(file) });
    this.picker.value = '';
    this.renderChips();
  }

  renderChips() {
    this.chips.replaceChildren(
      ...this.files.map((item) =>
        el(
          'li',
          {},
          item.file.type.startsWith('image/')
            ? el('img', { src: item.preview, alt: '' })
            : null,
          el('span', {}, item.file.name),
          el(
            'button',
            {
              type: 'button',
              class: 'link',
              'aria-label': `Remove ${item.file.name}`,
              onclick: () => {
                URL.revokeObjectURL(item.preview);
                this.files = this.files.filter((f) => f !== item);
                this.renderChips();
              },
            },
            '×',
          ),
        ),
      ),
    );
  }

  async submit() {
    const content = this.input.value.trim();
    if (this.busy || (content === '' && this.files.length === 0)) return;
    this.busy = true;
    this.sendButton.disabled = true;
    try {
      if (this.editing !== null) await this.submitEdit(content);
      else await this.submitNew(content);
    } catch (err) {
      toast(err.message);
    } finally {
      this.busy = false;
      this.sendButton.disabled = false;
    }
  }

  async submitNew(content) {
    this.stopTyping();
    const attachments = await Promise.all(
      this.files.map(({ file }) => upload(file)),
    );
    const message = await this.source.post({ content, attachments });
    for (const { preview } of this.files) URL.revokeObjectURL(preview);
    this.files = [];
    this.renderChips();
    // What was typed while the request was under way stays.
    if (this.input.value.trim() === content) this.clearInput();
    this.received(message);
  }

  async submitEdit(content) {
    if (content === '') return;
    const message = await this.source.edit(this.editing, content);
    this.stopEditing();
    this.changed(message);
  }

  clearInput() {
    this.input.value = '';
    this.typed();
  }

  startEditing(message) {
    this.editing = message.id;
    this.editNote.hidden = false;
    this.sendButton.textContent = 'Save';
    this.input.value = message.content;
    this.input.focus();
    this.typed();
  }

  stopEditing() {
    this.editing = null;
    this.editNote.hidden = true;
    this.sendButton.textContent = 'Send';
    this.clearInput();
  }

  async remove(id) {
    try {
      await this.source.remove(id);
      this.changed({ id, deleted: true });
    } catch (err) {
      toast(err.message);
    }
  }
}

export const roleBadge = (role) =>
  el(
    'span',
    { class: `badge role-${role}` },
    role === 'admin' ? 'moderator' : role,
  );

function attachment(file) {
  if (IMAGE.test(file.fileUrl))
    return el(
      'a',
      { href: file.fileUrl, target: '_blank', rel: 'noopener' },
      el('img', { src: file.fileUrl, alt: file.fileName, loading: 'lazy' }),
    );
  return el(
    'a',
    { class: 'file', href: file.fileUrl, download: file.fileName },
    glyph(SHEET),
    file.fileName,
  );
}
