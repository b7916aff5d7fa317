'use client';
// SPDX-License-Identifier: ISC
// The marketplace: chats of its orders and disputes, calls, a bell, and the
// hook of its old pages. All of pgpush/react is here, too.

export * from '../react/index.js';
export { useWebSocket } from './useWebSocket.js';
export type {
  OldWebSocket,
  WebSocketActions,
  WebSocketOptions,
} from './useWebSocket.js';
export { OrderChat } from './OrderChat.js';
export type { OrderChatProps } from './OrderChat.js';
export { DisputeChat } from './DisputeChat.js';
export type { DisputeChatProps } from './DisputeChat.js';
export { useDisputes } from './useDisputes.js';
export type {
  DisputeOpened,
  Disputes,
  DisputesOptions,
} from './useDisputes.js';
export { CallPanel } from './CallPanel.js';
export type { CallPanelProps } from './CallPanel.js';
export { useCall } from './useCall.js';
export type { CallActions, UseCall } from './useCall.js';
export type { CallEnd, CallInfo, CallOptions, CallState } from './call.js';
export { NotificationBell } from './NotificationBell.js';
export type { NotificationBellProps } from './NotificationBell.js';
export { ApiError, makeApi } from './api.js';
export type {
  Api,
  ApiOptions,
  Attachment,
  Dispute,
  DisputeApi,
  DisputesApi,
  DisputeStatus,
  Message,
  Mute,
  NewMessage,
  NotificationApi,
  Order,
  OrderApi,
  OrdersApi,
  Person,
  Reaction,
  Role,
  Upload,
} from './api.js';
export type { Locale } from './texts.js';
