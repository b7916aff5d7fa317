// SPDX-License-Identifier: ISC
// What the components want from the application's own API, and how the demo's
// API does it.

import type { Notification } from '../react/useNotifications.js';

export type Role = 'client' | 'performer' | 'admin';

export interface Person {
  id: string;
  name: string;
  role?: Role;
}

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
  /** Of who is not among the people of the chat. */
  senderName?: string;
  senderRole?: Role;
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
  /** The same with each try; an API that knows it writes the message once. */
  key?: string;
}

/** Of a list: the newest so many, or those before this message. */
export interface MessagePage {
  before?: string;
  limit: number;
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
  /** An API without pages gives all. */
  orderMessages(orderId: string, page?: MessagePage): Promise<Message[]>;
  postOrderMessage(orderId: string, message: NewMessage): Promise<Message>;
  editMessage(id: string, content: string): Promise<Message>;
  deleteMessage(id: string): Promise<unknown>;
  /** Used when the connection cannot. */
  markOrderRead(orderId: string): Promise<unknown>;
  upload: Upload;
  /** Who is muted now. */
  orderMutes?(orderId: string): Promise<Mute[]>;
}

export type DisputeStatus = 'open' | 'in_review' | 'resolved';

export interface Dispute {
  id: string;
  orderId: string;
  orderTitle?: string;
  client: Person;
  performer: Person;
  moderator: Person | null;
  reason: string;
  status: DisputeStatus;
  createdAt: string;
  updatedAt: string;
}

export interface DisputeApi {
  dispute(id: string): Promise<Dispute>;
  disputeMessages(id: string, page?: MessagePage): Promise<Message[]>;
  postDisputeMessage(id: string, message: NewMessage): Promise<Message>;
  /** A moderator's. */
  setDisputeStatus(id: string, status: DisputeStatus): Promise<Dispute>;
  upload: Upload;
  /** Who is muted now. */
  disputeMutes?(id: string): Promise<Mute[]>;
}

/** Of useDisputes(). */
export interface DisputesApi {
  /** The newest first: one's own, of an admin all. */
  disputes(): Promise<Dispute[]>;
  openDispute(orderId: string, reason: string): Promise<Dispute>;
}

export interface Order {
  id: string;
  title: string;
  status: string;
  price: number | null;
  updatedAt: string;
  client: Person;
  performer: Person | null;
}

export interface OrdersApi {
  orders(): Promise<Order[]>;
  order(id: string): Promise<Order>;
  setOrderStatus(id: string, status: string): Promise<Order>;
}

export interface NotificationApi {
  notifications(): Promise<{ unread: number; items: Notification[] }>;
  readNotifications(id?: string): Promise<unknown>;
}

export class ApiError extends Error {
  /** status 0: there was no answer. */
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

export type Api = OrderApi &
  OrdersApi &
  DisputeApi &
  DisputesApi &
  NotificationApi;

const queryOf = (page?: MessagePage): string =>
  page
    ? `?limit=${page.limit}${page.before ? `&before=${page.before}` : ''}`
    : '';

export function makeApi(options: ApiOptions): Api {
  const { base = '/api', getToken } = options;

  async function call<T>(
    method: string, path: string, body?: unknown, key?: string,
  ) {
    const token = await getToken();
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(key && { 'Idempotency-Key': key }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    }).catch(() => {
      // Each browser has its own words for it.
      throw new ApiError(0, 'The server cannot be reached');
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
      request.onerror = () =>
        reject(new ApiError(0, 'The server cannot be reached'));
      request.send(file);
    });
  };

  return {
    orderMessages: (id, page) =>
      call('GET', `/orders/${id}/messages${queryOf(page)}`),
    postOrderMessage: (id, { key, ...message }) =>
      call('POST', `/orders/${id}/messages`, message, key),
    editMessage: (id, content) => call('PUT', `/messages/${id}`, { content }),
    deleteMessage: (id) => call('DELETE', `/messages/${id}`),
    markOrderRead: (id) => call('POST', `/orders/${id}/messages/read`, {}),
    upload,
    orderMutes: (id) => call('GET', `/orders/${id}/mutes`),
    orders: () => call('GET', '/orders'),
    order: (id) => call('GET', `/orders/${id}`),
    setOrderStatus: (id, status) =>
      call('PATCH', `/orders/${id}/status`, { status }),
    disputes: () => call('GET', '/disputes'),
    dispute: (id) => call('GET', `/disputes/${id}`),
    openDispute: (orderId, reason) =>
      call('POST', `/orders/${orderId}/disputes`, { reason }),
    setDisputeStatus: (id, status) =>
      call('PATCH', `/disputes/${id}/status`, { status }),
    disputeMessages: (id, page) =>
      call('GET', `/disputes/${id}/messages${queryOf(page)}`),
    postDisputeMessage: (id, { key, ...message }) =>
      call('POST', `/disputes/${id}/messages`, message, key),
    disputeMutes: (id) => call('GET', `/disputes/${id}/mutes`),
    notifications: () => call('GET', '/notifications'),
    readNotifications: (id) =>
      call('POST', `/notifications/${id === undefined ? '' : `${id}/`}read`, {}),
  };
}
