// SPDX-License-Identifier: ISC
// Who uses a pane. It is kept per tab and pane, so that two tabs, or the two
// halves of one, can be two users, and a reload keeps them.

import { useCallback, useMemo, useRef, useState } from 'react';
import { login } from './api.js';

const keyOf = (pane) => `pgpush-demo.${pane}`;

function read(pane) {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(pane)));
  } catch {
    return null;
  }
}

/** { user, logIn, logOut, getToken, newToken } */
export function useSession(pane) {
  const [session, setSession] = useState(() => read(pane));
  const newest = useRef(session);

  const keep = useCallback(
    (value) => {
      newest.current = value;
      if (value) sessionStorage.setItem(keyOf(pane), JSON.stringify(value));
      else sessionStorage.removeItem(keyOf(pane));
    },
    [pane],
  );
  const logIn = useCallback(
    async (email) => {
      const answer = await login(email);
      keep(answer);
      setSession(answer);
    },
    [keep],
  );
  const logOut = useCallback(() => {
    keep(null);
    setSession(null);
  }, [keep]);

  const getToken = useCallback(() => newest.current?.token ?? null, []);
  /** For a connection: the old one may have ended, or its secret changed. */
  const newToken = useCallback(async () => {
    const { current } = newest;
    if (!current) return null;
    const answer = await login(current.user.email).catch((err) => {
      if (err.status === 404) return null;
      throw err;
    });
    if (answer && newest.current === current) keep(answer);
    return answer && answer.token;
  }, [keep]);

  const user = session?.user ?? null;
  return useMemo(
    () => ({ user, logIn, logOut, getToken, newToken }),
    [user, logIn, logOut, getToken, newToken],
  );
}
