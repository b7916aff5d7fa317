// SPDX-License-Identifier: ISC
// What the components want from the application's own API, and how the demo's
// API does it.

import type { Notification } from './useNotifications.js';

export interface Attachment {
  id?: string;
  fileUrl: string;
  fileName: string;
  fileSize?: number;
  fileType?: string;
  mimeType?: string;
}

export interface Reaction {
  emoji: string;
  count: number;
  userIds: string[];
}

/** A message as the lists of the API have it. */
export interface Message {
  id: string;
  senderId: string;
  receiverId?: string;
  content: string;
  createdAt: string;
  updatedAt?: string;
  edited?: boolean;
  deleted?: boolean;
  readAt?: string | null;
  attachments?: Attachment[];
  reactions?: Reaction[];
}

export interface NewMessage {
  content: string;
  attachments: Attachment[];
}

/** progress goes from 0 to 1. */
export type Upload = (
  file: File,
  progress: (done: number) => void,
) => Promise<Attachment>;

/** Who may not write in a chat; until null: for good. */
export interface Mute {
  room: string;
  userId: string;
  until: string | null;
  by: string | null;
  reason: string | null;
}

export interface OrderApi {
  orderMessages(orderId: string): Promise<Message[]>;
  postOrderMessage(orderId: string, message: NewMessage): Promise<Message>;
  editMessage(id: string, content: string): Promise<Message>;
  deleteMessage(id: string): Promise<unknown>;
  /** Used when the connection cannot. */
  markOrderRead(orderId: string): Promise<unknown>;
  upload: Upload;
  /** Who is muted now. */
  orderMutes?(orderId: string): Promise<Mute[]>;
}

export interface NotificationApi {
  notifications(): Promise<{ unread: number; items: Notification[] }>;
  readNotifications(id?: string): Promise<unknown>;
}

export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface ApiOptions {
  /** "/api" by default. */
  base?: string;
  getToken: () => string | null | Promise<string | null>;
}

export function makeApi(options: ApiOptions): OrderApi & NotificationApi {
  const { base = '/api', getToken } = options;

  async function call<T>(method: string, path: string, body?: unknown) {
    const token = await getToken();
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer: any = await response.json().catch(() => null);
    if (!response.ok)
      throw new ApiError(
        response.status,
        answer?.error ?? `The server answered ${response.status}`,
      );
    return answer as T;
  }

  // fetch does not tell how far an upload has come.
  const upload: Upload = async (file, progress) => {
    const token = await getToken();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const name = encodeURIComponent(file.name);
      request.open('POST', `${base}/attachments?name=${name}`);
      request.responseType = 'json';
      request.setRequestHeader(
        'Content-Type',
        file.type || 'application/octet-stream',
      );
      if (token) request.setRequestHeader('Authorization', `Bearer ${token}`);
      request.upload.onprogress = ({ loaded, total }) =>
        progress(total > 0 ? loaded / total : 0);
      request.onload = () => {
        const { status, response } = request;
        if (status === 201) resolve(response as Attachment);
        else
          reject(
            new ApiError(
              status,
              response?.error ?? `The server answered ${status}`,
            ),
          );
      };
      request.onerror = () => reject(new ApiError(0, 'The upload failed'));
      request.send(file);
    });
  };

  return {
    orderMessages: (id) => call('GET', `/orders/${id}/messages`),
    postOrderMessage: (id, message) =>
      call('POST', `/orders/${id}/messages`, message),
    editMessage: (id, content) => call('PUT', `/messages/${id}`, { content }),
    deleteMessage: (id) => call('DELETE', `/messages/${id}`),
    markOrderRead: (id) => call('POST', `/orders/${id}/messages/read`, {}),
    upload,
    orderMutes: (id) => call('GET', `/orders/${id}/mutes`),
    notifications: () => call('GET', '/notifications'),
    readNotifications: (id) =>
      call('POST', `/notifications/${id === undefined ? '' : `${id}/`}read`, {}),
  };
}
