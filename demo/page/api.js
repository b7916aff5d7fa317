// SPDX-License-Identifier: ISC
// The marketplace's API as the page uses it.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = null;

export function setToken(value) {
  token = value;
}

async function call(method, path, body, headers = {}) {
  const request = { method, headers: { ...headers } };
  if (token !== null) request.headers.Authorization = `Bearer ${token}`;
  if (body instanceof Blob) {
    request.body = body;
  } else if (body !== undefined) {
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  const response = await fetch(`/api${path}`, request);
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (!response.ok)
    throw new ApiError(
      response.status,
      answer?.error ?? `The server answered ${response.status}`,
    );
  return answer;
}

export const demoUsers = () => call('GET', '/demo-users');
export const login = (email) => call('POST', '/login', { email });

export const orders = () => call('GET', '/orders');
export const setOrderStatus = (id, status) =>
  call('PATCH', `/orders/${id}/status`, { status });

export const orderMessages = (id) => call('GET', `/orders/${id}/messages`);
export const postOrderMessage = (id, message) =>
  call('POST', `/orders/${id}/messages`, message);
export const markOrderRead = (id) =>
  call('POST', `/orders/${id}/messages/read`, {});
export const editMessage = (id, content) =>
  call('PUT', `/messages/${id}`, { content });
export const deleteMessage = (id) => call('DELETE', `/messages/${id}`);

export const disputes = () => call('GET', '/disputes');
export const openDispute = (orderId, reason) =>
  call('POST', `/orders/${orderId}/disputes`, { reason });
export const setDisputeStatus = (id, status) =>
  call('PATCH', `/disputes/${id}/status`, { status });
export const disputeMessages = (id) => call('GET', `/disputes/${id}/messages`);
export const postDisputeMessage = (id, message) =>
  call('POST', `/disputes/${id}/messages`, message);

export const notifications = () => call('GET', '/notifications');
export const readNotification = (id) =>
  call('POST', `/notifications/${id}/read`, {});
export const readNotifications = () => call('POST', '/notifications/read', {});

export const upload = (file) =>
  call('POST', `/attachments?name=${encodeURIComponent(file.name)}`, file, {
    'Content-Type': file.type || 'application/octet-stream',
  });
