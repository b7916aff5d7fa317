// SPDX-License-Identifier: ISC
// The words of the page; those of the chats and the bell are the package's.

import { createContext, useContext } from 'react';

const en = {
  title: 'pgpush demo',
  tagline: 'A small marketplace. Everything you see is a row of PostgreSQL, pushed when it is committed.',
  pick: 'Who are you?',
  pickHint: 'Take one user here and another one beside, or in a second window.',
  sideBySide: 'Client and performer side by side',
  noUsers: 'The server does not answer:',
  roles: { client: 'client', performer: 'performer', admin: 'moderator' },
  twoPanes: 'Two users',
  panes: 'Users on this page',
  paneOf: (name, n) => name ?? `User ${n}`,
  language: 'Language',
  inspector: 'Events',
  logOut: 'Log out',
  connect: 'Connect',
  disconnect: 'Disconnect, and see later what you missed',
  connection: {
    idle: 'not connected',
    connecting: 'connecting',
    online: 'live',
    reconnecting: 'reconnecting',
    fallback: 'live (fallback)',
    polling: 'not live',
    offline: 'no network',
    closed: 'not connected',
  },
  back: 'Back to the list',
  conversations: 'Conversations',
  orders: 'Orders',
  allOrders: 'All orders',
  noOrders: 'No orders yet.',
  noOrdersHint: 'A conversation appears here as soon as there is an order.',
  me: 'You',
  unread: 'unread',
  attachment: 'attachment',
  deletedMessage: 'deleted',
  disputes: 'Disputes',
  loading: 'Loading…',
  nobodyYet: 'nobody yet',
  choose: 'Choose a conversation',
  chooseHint: 'Messages, typing, receipts and presence show as they happen.',
  gone: 'There is no such conversation, or it is not yours.',
  toList: 'To the list',
  price: (n, locale) =>
    new Intl.NumberFormat(locale, {
      style: 'currency',
      currency: 'UAH',
      currencyDisplay: 'narrowSymbol',
      maximumFractionDigits: 0,
    }).format(n),
  orderStatus: 'Order status',
  statuses: {
    open: 'open',
    in_progress: 'in progress',
    completed: 'completed',
    cancelled: 'cancelled',
    in_review: 'in review',
    resolved: 'resolved',
  },
  views: 'Chats of this order',
  orderChat: 'Order chat',
  dispute: 'Dispute',
  openDispute: 'Open a dispute',
  disputeHint: 'A moderator joins the conversation and decides.',
  reason: 'What went wrong?',
  cancel: 'Cancel',
  close: 'Close',
  disputeOpened: (title) => `A dispute was opened: ${title}`,
  goToDispute: 'Go to the dispute',
  calls: (name, title) => `${name} is calling: ${title}`,
  goToCall: 'Go to the call',
  noPerformer: 'The order has no performer yet.',
  openedAt: (when) => `opened ${when}`,
  moderatedBy: (name) => `Moderator: ${name}`,
  noModerator: 'No moderator yet',
  moderation: 'Moderation',
  moderationHint: 'New disputes appear here the moment they are opened.',
  columns: { open: 'Open', in_review: 'In review', resolved: 'Resolved' },
  nothingHere: 'Nothing here',
  review: 'Take into review',
  resolve: 'Resolve',
  look: 'Open chat',
  ins: {
    title: 'Event inspector',
    hint: 'Every event as it came over the wire, the newest first. Latency is from the time in the row to the screen.',
    filter: 'Filter events',
    filterHint: 'room, event, id, text…',
    pause: 'Pause',
    resume: (n) => (n > 0 ? `Resume (${n} new)` : 'Resume'),
    clear: 'Clear',
    close: 'Close the inspector',
    none: 'No events yet. Write a message and see it come.',
    noMatch: 'No event matches the filter.',
    time: 'Time',
    user: 'User',
    room: 'Room',
    event: 'Event',
    id: 'Id',
    size: 'Size',
    latency: 'Latency',
    ephemeral: 'ephemeral',
    own: 'this connection',
    bytes: (n) => (n < 10_000 ? `${n} B` : `${Math.round(n / 1024)} KB`),
    ms: (n) => `${n} ms`,
    median: (n) => `median latency ${n} ms`,
    count: (n) => `${n} ${n === 1 ? 'event' : 'events'}`,
  },
};

const uk = {
  title: 'pgpush demo',
  tagline: 'Невеликий маркетплейс. Усе, що ви бачите, — це рядки PostgreSQL, надіслані в мить їх фіксації.',
  pick: 'Хто ви?',
  pickHint: 'Оберіть одного користувача тут, а іншого поруч або в другому вікні.',
  sideBySide: 'Замовник і виконавець поруч',
  noUsers: 'Сервер не відповідає:',
  roles: { client: 'замовник', performer: 'виконавець', admin: 'модератор' },
  twoPanes: 'Два користувачі',
  panes: 'Користувачі на цій сторінці',
  paneOf: (name, n) => name ?? `Користувач ${n}`,
  language: 'Мова',
  inspector: 'Події',
  logOut: 'Вийти',
  connect: 'З’єднати',
  disconnect: 'Роз’єднати, щоб потім побачити пропущене',
  connection: {
    idle: 'не з’єднано',
    connecting: 'з’єднання',
    online: 'наживо',
    reconnecting: 'повторне з’єднання',
    fallback: 'наживо (запасний шлях)',
    polling: 'не наживо',
    offline: 'немає мережі',
    closed: 'не з’єднано',
  },
  back: 'Назад до списку',
  conversations: 'Розмови',
  orders: 'Замовлення',
  allOrders: 'Усі замовлення',
  noOrders: 'Замовлень ще немає.',
  noOrdersHint: 'Розмова з’явиться тут, щойно буде замовлення.',
  me: 'Ви',
  unread: 'непрочитаних',
  attachment: 'вкладення',
  deletedMessage: 'видалено',
  disputes: 'Спори',
  loading: 'Завантаження…',
  nobodyYet: 'ще нікого',
  choose: 'Оберіть розмову',
  chooseHint: 'Повідомлення, набір тексту, прочитання й присутність видно відразу.',
  gone: 'Такої розмови немає, або вона не ваша.',
  toList: 'До списку',
  price: en.price,
  orderStatus: 'Статус замовлення',
  statuses: {
    open: 'відкрито',
    in_progress: 'у роботі',
    completed: 'виконано',
    cancelled: 'скасовано',
    in_review: 'на розгляді',
    resolved: 'вирішено',
  },
  views: 'Чати цього замовлення',
  orderChat: 'Чат замовлення',
  dispute: 'Спір',
  openDispute: 'Відкрити спір',
  disputeHint: 'Модератор долучиться до розмови й вирішить.',
  reason: 'Що пішло не так?',
  cancel: 'Скасувати',
  close: 'Закрити',
  disputeOpened: (title) => `Відкрито спір: ${title}`,
  goToDispute: 'Перейти до спору',
  calls: (name, title) => `Дзвонить ${name}: ${title}`,
  goToCall: 'Перейти до дзвінка',
  noPerformer: 'Замовлення ще не має виконавця.',
  openedAt: (when) => `відкрито ${when}`,
  moderatedBy: (name) => `Модератор: ${name}`,
  noModerator: 'Модератора ще немає',
  moderation: 'Модерація',
  moderationHint: 'Нові спори з’являються тут, щойно їх відкрито.',
  columns: { open: 'Відкриті', in_review: 'На розгляді', resolved: 'Вирішені' },
  nothingHere: 'Тут порожньо',
  review: 'Взяти на розгляд',
  resolve: 'Вирішити',
  look: 'Відкрити чат',
  ins: {
    title: 'Інспектор подій',
    hint: 'Кожна подія так, як вона надійшла, найновіші вгорі. Затримка — від часу в рядку до екрана.',
    filter: 'Фільтр подій',
    filterHint: 'кімната, подія, номер, текст…',
    pause: 'Пауза',
    resume: (n) => (n > 0 ? `Продовжити (нових: ${n})` : 'Продовжити'),
    clear: 'Очистити',
    close: 'Закрити інспектор',
    none: 'Подій ще немає. Напишіть повідомлення, і воно з’явиться тут.',
    noMatch: 'Жодна подія не відповідає фільтру.',
    time: 'Час',
    user: 'Хто',
    room: 'Кімната',
    event: 'Подія',
    id: 'Номер',
    size: 'Розмір',
    latency: 'Затримка',
    ephemeral: 'миттєва',
    own: 'це з’єднання',
    bytes: (n) => (n < 10_000 ? `${n} Б` : `${Math.round(n / 1024)} КБ`),
    ms: (n) => `${n} мс`,
    median: (n) => `медіана затримки ${n} мс`,
    count: (n) => `подій: ${n}`,
  },
};

const ALL = { en, uk };
const KEY = 'pgpush-demo.locale';

export const LOCALES = [
  ['en', 'English'],
  ['uk', 'Українська'],
];

export function firstLocale() {
  const kept = localStorage.getItem(KEY);
  if (Object.hasOwn(ALL, kept ?? '')) return kept;
  return navigator.language.startsWith('uk') ? 'uk' : 'en';
}

export const keepLocale = (locale) => localStorage.setItem(KEY, locale);

export const LocaleContext = createContext('en');

/** The words, and locale: their language. */
export function useTexts() {
  const locale = useContext(LocaleContext);
  return { ...ALL[locale], locale };
}

/** How the reader writes times in that language: as in en-GB, perhaps. */
const variant = (locale) =>
  navigator.languages.find((l) => l.split('-')[0] === locale) ?? locale;

export const moment = (locale, time) =>
  new Intl.DateTimeFormat(variant(locale), {
    dateStyle: 'medium',
    timeStyle: 'short',
  }).format(new Date(time));

/** Of a list: the time of today, else the day. */
export const shortTime = (locale, time) => {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(
    variant(locale),
    isToday
      ? { hour: '2-digit', minute: '2-digit' }
      : { day: 'numeric', month: 'short' },
  ).format(date);
};
