// SPDX-License-Identifier: ISC
// What the package's makeApi() does not know.

import { ApiError, makeApi } from 'pgpush/market';

async function ask(path, { token, body } = {}) {
  const response = await fetch(`/api${path}`, {
    method: body ? 'POST' : 'GET',
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

export const demoUsers = () => ask('/demo-users');
export const login = (email) => ask('/login', { body: { email } });

/** Everything a user who is logged in asks for. */
export const apiOf = (getToken) => ({
  ...makeApi({ getToken }),
  emojis: () => ask('/reactions', { token: getToken() }),
});
