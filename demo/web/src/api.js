// SPDX-License-Identifier: ISC
// What the page itself asks of the API; the chats and the bell ask by the
// package's makeApi().

import { ApiError, makeApi } from 'pgpush/react';

async function call(token, method, path, body) {
  const response = await fetch(`/api${path}`, {
    method,
    headers: {
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body && { 'Content-Type': 'application/json' }),
    },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (!response.ok)
    throw new ApiError(
      response.status,
      answer?.error ?? `The server answered ${response.status}`,
    );
  return answer;
}

export const demoUsers = () => call(null, 'GET', '/demo-users');
export const login = (email) => call(null, 'POST', '/login', { email });

/** Everything a user who is logged in asks for. */
export function apiOf(getToken) {
  const ask = (...args) => call(getToken(), ...args);
  return {
    ...makeApi({ getToken }),
    orders: () => ask('GET', '/orders'),
    setOrderStatus: (id, status) =>
      ask('PATCH', `/orders/${id}/status`, { status }),
    orderHistory: (id) => ask('GET', `/orders/${id}/history`),
    disputes: () => ask('GET', '/disputes'),
    openDispute: (orderId, reason) =>
      ask('POST', `/orders/${orderId}/disputes`, { reason }),
    setDisputeStatus: (id, status) =>
      ask('PATCH', `/disputes/${id}/status`, { status }),
    emojis: () => ask('GET', '/reactions'),
  };
}
