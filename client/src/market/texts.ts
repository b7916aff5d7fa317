// SPDX-License-Identifier: ISC

import { ApiError, type Mute } from './api.js';

export type Locale = 'en' | 'uk';

/** "one", "few", "many" or "other" as the language counts. */
const plural = (locale: Locale, n: number, forms: Record<string, string>) =>
  forms[new Intl.PluralRules(locale).select(n)] ?? forms.other!;

const UNITS = [
  [24 * 60, 'day'],
  [60, 'hour'],
  [1, 'minute'],
] as const;

function duration(locale: Locale, minutes: number): string {
  const [size, unit] = UNITS.find(([size]) => minutes >= size) ?? UNITS[2];
  return new Intl.NumberFormat(locale, {
    style: 'unit', unit, unitDisplay: 'long',
  }).format(minutes / size);
}

const en = {
  messages: 'Messages',
  message: 'Message',
  orderChat: 'Chat of the order',
  disputeChat: 'Chat of the dispute',
  people: 'In this chat',
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
  unreachable: 'the server cannot be reached',
  retry: 'Try again',
  discard: 'Discard',
  unread: 'New messages',
  newBelow: (n: number) =>
    `${n} ${plural('en', n, { one: 'new message', other: 'new messages' })}`,
  toEnd: 'To the newest message',
  typing: (names: string) => `${names} is typing…`,
  typingMany: (names: string) => `${names} are typing…`,
  online: 'online',
  offline: 'offline',
  lastSeen: (when: string) => `last seen ${when}`,
  react: 'React',
  reaction: (emoji: string, n: number) => `${emoji}, ${n}`,
  you: 'You',
  someone: 'Unknown sender',
  today: 'Today',
  yesterday: 'Yesterday',
  left: {
    revoked: 'Your access to this conversation was taken away.',
    deleted: 'This conversation was deleted.',
    kicked: 'You were signed out by the administrator.',
    left: 'You have left this conversation.',
  },
  older: 'Earlier messages',
  andMore: (n: number) => ` and ${n} more`,
  forbidden: 'You have no access to this conversation.',
  muted: 'You are muted in this chat.',
  mutedUntil: (when: string) => `You are muted in this chat until: ${when}.`,
  mutedShort: 'muted',
  mutedShortUntil: (when: string) => `muted until ${when}`,
  mute: (name: string) => `Mute ${name}`,
  unmute: (name: string) => `Unmute ${name}`,
  muteShort: 'Mute',
  unmuteShort: 'Unmute',
  muteFor: 'For',
  muteReason: 'Reason',
  forGood: 'for good',
  duration: (minutes: number) => duration('en', minutes),
  disputeClosed: 'The dispute is resolved: this chat is closed.',
  disputeStatusLabel: 'Status of the dispute',
  disputeStatus: { open: 'Open', in_review: 'In review', resolved: 'Resolved' },
  reason: 'Reason',
  decide: 'Decide',
  takeUp: 'Take into review',
  resolve: 'Resolve',
  resolveSure: 'The chat will be closed for all.',
  warningsTitle: 'Good to know',
  warnings: [
    'A moderator reads everything that is written here.',
    'Messages stay as evidence: they cannot be changed or taken back.',
    'When the dispute is resolved, this chat is closed.',
  ],
  call: 'Call',
  callVideo: 'Video call',
  callOf: (name: string) => `Call with ${name}`,
  callFrom: (name: string, video: boolean) =>
    `${name} is calling${video ? ' with video' : ''}`,
  accept: 'Accept',
  acceptVideo: 'Accept with video',
  decline: 'Decline',
  hangUp: 'Hang up',
  micOff: 'Mute the microphone',
  micOn: 'Unmute the microphone',
  cameraOff: 'Turn the camera off',
  cameraOn: 'Turn the camera on',
  theirMicOff: 'microphone off',
  theirVideo: (name: string) => `Video of ${name}`,
  myVideo: 'Your own video',
  callState: {
    calling: 'Ringing…',
    ringing: 'Incoming call',
    connecting: 'Connecting…',
    active: 'Connected',
    broken: 'Connection lost, trying again…',
  },
  callEnd: {
    hangup: 'The call has ended.',
    declined: 'The call was declined.',
    busy: 'Busy in another call.',
    missed: 'No answer.',
    elsewhere: 'The call goes on in another window.',
    muted: 'The call has ended: somebody is muted.',
    gone: 'The other side has gone.',
    failed: 'No connection could be made.',
    media: 'The microphone or the camera cannot be used.',
    refused: 'The call is not possible.',
  },
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
  orderChat: 'Чат замовлення',
  disputeChat: 'Чат спору',
  people: 'У цьому чаті',
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
  unreachable: 'сервер недоступний',
  retry: 'Спробувати ще раз',
  discard: 'Відкинути',
  unread: 'Нові повідомлення',
  newBelow: (n) =>
    `${n} ${plural('uk', n, {
      one: 'нове повідомлення',
      few: 'нові повідомлення',
      other: 'нових повідомлень',
    })}`,
  toEnd: 'До найновішого повідомлення',
  typing: (names) => `${names} друкує…`,
  typingMany: (names) => `${names} друкують…`,
  online: 'у мережі',
  offline: 'не в мережі',
  lastSeen: (when) => `остання активність: ${when}`,
  react: 'Реакція',
  reaction: (emoji, n) => `${emoji}, ${n}`,
  you: 'Ви',
  someone: 'Невідомий відправник',
  today: 'Сьогодні',
  yesterday: 'Учора',
  left: {
    revoked: 'Ваш доступ до цієї розмови скасовано.',
    deleted: 'Цю розмову видалено.',
    kicked: 'Адміністратор завершив ваш сеанс.',
    left: 'Ви вийшли з цієї розмови.',
  },
  older: 'Раніші повідомлення',
  andMore: (n: number) => ` і ще ${n}`,
  forbidden: 'Ви не маєте доступу до цієї розмови.',
  muted: 'Вам заборонено писати в цьому чаті.',
  mutedUntil: (when) => `Вам заборонено писати в цьому чаті до: ${when}.`,
  mutedShort: 'без права писати',
  mutedShortUntil: (when) => `без права писати до: ${when}`,
  mute: (name) => `Заборонити писати: ${name}`,
  unmute: (name) => `Дозволити писати: ${name}`,
  muteShort: 'Заборонити писати',
  unmuteShort: 'Дозволити писати',
  muteFor: 'На',
  muteReason: 'Причина',
  forGood: 'назавжди',
  duration: (minutes) => duration('uk', minutes),
  disputeClosed: 'Спір вирішено: цей чат закрито.',
  disputeStatusLabel: 'Стан спору',
  disputeStatus: {
    open: 'Відкрито', in_review: 'На розгляді', resolved: 'Вирішено',
  },
  reason: 'Причина',
  decide: 'Рішення',
  takeUp: 'Взяти на розгляд',
  resolve: 'Вирішити',
  resolveSure: 'Чат буде закрито для всіх.',
  warningsTitle: 'Варто знати',
  warnings: [
    'Модератор читає все, що тут пишуть.',
    'Повідомлення лишаються доказами: їх не можна змінити чи забрати.',
    'Коли спір буде вирішено, цей чат закриється.',
  ],
  call: 'Дзвінок',
  callVideo: 'Відеодзвінок',
  callOf: (name) => `Дзвінок: ${name}`,
  callFrom: (name, video) => `${video ? 'Відеодзвінок' : 'Дзвінок'}: ${name}`,
  accept: 'Прийняти',
  acceptVideo: 'Прийняти з відео',
  decline: 'Відхилити',
  hangUp: 'Завершити дзвінок',
  micOff: 'Вимкнути мікрофон',
  micOn: 'Увімкнути мікрофон',
  cameraOff: 'Вимкнути камеру',
  cameraOn: 'Увімкнути камеру',
  theirMicOff: 'мікрофон вимкнено',
  theirVideo: (name) => `Відео: ${name}`,
  myVideo: 'Ваше відео',
  callState: {
    calling: 'Виклик…',
    ringing: 'Вхідний дзвінок',
    connecting: 'З’єднання…',
    active: 'З’єднано',
    broken: 'Зв’язок утрачено, пробуємо ще раз…',
  },
  callEnd: {
    hangup: 'Дзвінок завершено.',
    declined: 'Дзвінок відхилено.',
    busy: 'Зайнято іншим дзвінком.',
    missed: 'Без відповіді.',
    elsewhere: 'Дзвінок триває в іншому вікні.',
    muted: 'Дзвінок завершено: комусь заборонено писати.',
    gone: 'Інша сторона зникла.',
    failed: 'Не вдалося з’єднатися.',
    media: 'Мікрофон або камера недоступні.',
    refused: 'Дзвінок неможливий.',
  },
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

/** How the reader writes times in that language: as in en-GB, perhaps. */
const variant = (locale: Locale): string =>
  globalThis.navigator?.languages?.find((l) => l.split('-')[0] === locale) ??
  locale;

export const clock = (locale: Locale, time: string): string =>
  new Intl.DateTimeFormat(variant(locale), {
    hour: '2-digit', minute: '2-digit',
  }).format(new Date(time));

export function day(locale: Locale, time: string, now = new Date()): string {
  const date = new Date(time);
  const ago = (days: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  if (date >= ago(0)) return textsOf(locale).today;
  if (date >= ago(1)) return textsOf(locale).yesterday;
  return new Intl.DateTimeFormat(variant(locale), {
    dateStyle: 'long',
  }).format(date);
}

/** Within a sentence. */
export function whenText(locale: Locale, time: string): string {
  const { today, yesterday } = textsOf(locale);
  const on = day(locale, time);
  const isWord = on === today || on === yesterday;
  return `${isWord ? on.toLocaleLowerCase(locale) : on}, ${clock(locale, time)}`;
}

/** For the muted, or short for those who see them. */
export function muteText(locale: Locale, mute: Mute, short = false): string {
  const t = textsOf(locale);
  const { until, reason } = mute;
  const when = until && whenText(locale, until);
  if (short) return when ? t.mutedShortUntil(when) : t.mutedShort;
  return [when ? t.mutedUntil(when) : t.muted, reason].filter(Boolean).join(' ');
}

export function wordsOf(locale: Locale, err: unknown): string {
  if (err instanceof ApiError && err.status === 0)
    return textsOf(locale).unreachable;
  return err instanceof Error ? err.message : String(err);
}
