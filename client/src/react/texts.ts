// SPDX-License-Identifier: ISC

export type Locale = 'en' | 'uk';

/** "one", "few", "many" or "other" as the language counts. */
const plural = (locale: Locale, n: number, forms: Record<string, string>) =>
  forms[new Intl.PluralRules(locale).select(n)] ?? forms.other!;

const en = {
  messages: 'Messages',
  message: 'Message',
  write: 'Write a message',
  send: 'Send',
  save: 'Save',
  cancel: 'Cancel',
  attach: 'Attach files',
  filesToSend: 'Files to send',
  removeFile: (name: string) => `Remove ${name}`,
  uploading: 'Uploading',
  edit: 'Edit message',
  remove: 'Delete message',
  editing: 'Editing a message',
  edited: 'edited',
  deleted: 'Message deleted',
  none: 'No messages yet.',
  loading: 'Loading…',
  sending: 'Sending',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
  failed: 'Not sent',
  retry: 'Try again',
  discard: 'Discard',
  unread: 'New messages',
  newBelow: (n: number) =>
    `${n} ${plural('en', n, { one: 'new message', other: 'new messages' })}`,
  typing: (names: string) => `${names} is typing…`,
  typingMany: (names: string) => `${names} are typing…`,
  online: 'online',
  offline: 'offline',
  lastSeen: (when: string) => `last seen ${when}`,
  react: 'React',
  reaction: (emoji: string, n: number) => `${emoji}, ${n}`,
  you: 'You',
  someone: 'Moderator',
  today: 'Today',
  yesterday: 'Yesterday',
  left: 'You have no access to this conversation any more.',
  forbidden: 'You have no access to this conversation.',
  muted: 'You are muted in this chat.',
  mutedUntil: (when: string) => `You are muted in this chat until: ${when}.`,
  notifications: 'Notifications',
  noNotifications: 'No notifications yet.',
  readAll: 'Mark all as read',
  bell: (n: number) => (n === 0 ? 'Notifications' : `Notifications, ${n} unread`),
  role: { client: 'client', performer: 'performer', admin: 'moderator' },
  status: {
    idle: 'not connected',
    connecting: 'connecting',
    online: 'online',
    reconnecting: 'reconnecting',
    fallback: 'online (fallback)',
    polling: 'not live',
    offline: 'no network',
    closed: 'not connected',
  },
};

export type Texts = typeof en;

const uk: Texts = {
  messages: 'Повідомлення',
  message: 'Повідомлення',
  write: 'Напишіть повідомлення',
  send: 'Надіслати',
  save: 'Зберегти',
  cancel: 'Скасувати',
  attach: 'Додати файли',
  filesToSend: 'Файли для надсилання',
  removeFile: (name) => `Прибрати ${name}`,
  uploading: 'Завантаження',
  edit: 'Редагувати повідомлення',
  remove: 'Видалити повідомлення',
  editing: 'Редагування повідомлення',
  edited: 'змінено',
  deleted: 'Повідомлення видалено',
  none: 'Повідомлень ще немає.',
  loading: 'Завантаження…',
  sending: 'Надсилається',
  sent: 'Надіслано',
  delivered: 'Доставлено',
  read: 'Прочитано',
  failed: 'Не надіслано',
  retry: 'Спробувати ще раз',
  discard: 'Відкинути',
  unread: 'Нові повідомлення',
  newBelow: (n) =>
    `${n} ${plural('uk', n, {
      one: 'нове повідомлення',
      few: 'нові повідомлення',
      other: 'нових повідомлень',
    })}`,
  typing: (names) => `${names} друкує…`,
  typingMany: (names) => `${names} друкують…`,
  online: 'у мережі',
  offline: 'не в мережі',
  lastSeen: (when) => `остання активність: ${when}`,
  react: 'Реакція',
  reaction: (emoji, n) => `${emoji}, ${n}`,
  you: 'Ви',
  someone: 'Модератор',
  today: 'Сьогодні',
  yesterday: 'Учора',
  left: 'Ви більше не маєте доступу до цієї розмови.',
  forbidden: 'Ви не маєте доступу до цієї розмови.',
  muted: 'Вам заборонено писати в цьому чаті.',
  mutedUntil: (when) => `Вам заборонено писати в цьому чаті до: ${when}.`,
  notifications: 'Сповіщення',
  noNotifications: 'Сповіщень ще немає.',
  readAll: 'Позначити всі як прочитані',
  bell: (n) => (n === 0 ? 'Сповіщення' : `Сповіщення, непрочитаних: ${n}`),
  role: { client: 'замовник', performer: 'виконавець', admin: 'модератор' },
  status: {
    idle: 'не з’єднано',
    connecting: 'з’єднання',
    online: 'у мережі',
    reconnecting: 'повторне з’єднання',
    fallback: 'у мережі (запасний шлях)',
    polling: 'не наживо',
    offline: 'немає мережі',
    closed: 'не з’єднано',
  },
};

const ALL: Record<Locale, Texts> = { en, uk };

export const textsOf = (locale: Locale): Texts => ALL[locale];

export const clock = (locale: Locale, time: string): string =>
  new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' })
    .format(new Date(time));

export function day(locale: Locale, time: string, now = new Date()): string {
  const date = new Date(time);
  const ago = (days: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  if (date >= ago(0)) return textsOf(locale).today;
  if (date >= ago(1)) return textsOf(locale).yesterday;
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long' }).format(date);
}
