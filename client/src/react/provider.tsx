// SPDX-License-Identifier: ISC
// One client for all components below it.

import {
  createContext,
  Fragment,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import type { Client, Options, PushError, Status } from '../types.js';
import { LazyClient } from './lazy.js';
import { useEarlyEffect, useLatest } from './latest.js';

export interface PushProviderProps {
  /** A client of one's own: it is used, and neither connected nor closed. */
  client?: Client;
  /**
   * Or what connect() gets. Another url is another connection; functions may
   * change with each render, the rest is as it was at first.
   */
  options?: Options;
  /**
   * Who is logged in: any text that is another for another user, or null for
   * nobody. With another one the connection and everything below begin anew:
   * nothing of the former user stays. Say it wherever users change without a
   * reload of the page.
   */
  user?: string | null;
  /** The client has stopped: nobody is logged in, or he may not come. */
  onError?: (error: PushError) => void;
  children?: ReactNode;
}

const Context = createContext<Client | null>(null);

export function PushProvider(props: PushProviderProps): ReactNode {
  const { client: given, options, user, onError, children } = props;
  const latest = useLatest({ options, onError });
  const url = options?.url;

  const made = useMemo(() => {
    if (given) return null;
    const first = options;
    if (!first) throw new Error('PushProvider needs a client or options');
    return new LazyClient({
      ...first,
      getToken: () => (latest.current.options ?? first).getToken(),
      poll: first.poll && {
        ...first.poll,
        fetch: async (rooms) =>
          (latest.current.options?.poll ?? first.poll!).fetch?.(rooms),
      },
    }, user === null);
    // What may change does so through latest.
  }, [given, url, user]);

  useEarlyEffect(() => made?.hold(), [made]);
  const client = given ?? made!;
  useEffect(
    () => client.on('error', (err) => latest.current.onError?.(err)),
    [client, latest],
  );

  const known = useRef(user);
  useEffect(() => {
    if (given && known.current !== user) given.reauthenticate();
    known.current = user;
  }, [given, user]);
  const others = useOthers(client);
  return (
    <Context.Provider value={client}>
      <Fragment key={`${user} ${others}`}>{children}</Fragment>
    </Context.Provider>
  );
}

/** How often a user has taken the place of another, as the daemon saw it. */
function useOthers(client: Client): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    let was = client.user;
    return client.on('identity', (user: string | null) => {
      if (was !== null && was !== user) setCount((n) => n + 1);
      was = user;
    });
  }, [client]);
  return count;
}

/** The client of the provider above; always the same one. */
export function usePush(): Client {
  const client = useContext(Context);
  if (!client) throw new Error('there is no PushProvider above');
  return client;
}

/** "online", "reconnecting", "fallback" … */
export function useStatus(): Status {
  const client = usePush();
  const subscribe = useMemo(
    () => (tell: () => void) => client.on('status', tell),
    [client],
  );
  return useSyncExternalStore(
    subscribe,
    () => client.status,
    () => 'connecting' as const,
  );
}

/** Whether events come, and sends go, right now. */
export const isUp = (status: Status): boolean =>
  status === 'online' || status === 'fallback';
