'use client';
// SPDX-License-Identifier: ISC

export { PushProvider, usePush, useStatus } from './provider.js';
export type { PushProviderProps } from './provider.js';
export { useRoom } from './useRoom.js';
export type { RoomHandlers, RoomInfo, UseRoomOptions } from './useRoom.js';
export { usePresence } from './usePresence.js';
export type { PresenceMap } from './usePresence.js';
export type { Presence } from './presence.js';
export { useStale } from './useStale.js';
export { useTyping } from './useTyping.js';
export type { Typing, TypingOptions } from './useTyping.js';
export { useNotifications } from './useNotifications.js';
export type {
  Notification,
  NotificationOptions,
  Notifications,
  NotificationSource,
} from './useNotifications.js';
export { useLive } from './useLive.js';
export type { UseLive } from './useLive.js';
export { useUser } from './useUser.js';
export { Chat } from './Chat.js';
export type { ChatProps, ChatRow } from './Chat.js';
export type { LiveItem, LiveOptions, LiveState } from '../live.js';
