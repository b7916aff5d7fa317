// SPDX-License-Identifier: ISC
// One client for all components below it.

import {
  createContext,
  useContext,
  useEffect,
  useMemo,
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
  /** The client has stopped: nobody is logged in, or he may not come. */
  onError?: (error: PushError) => void;
  children?: ReactNode;
}

const Context = createContext<Client | null>(null);

export function PushProvider(props: PushProviderProps): ReactNode {
  const { client: given, options, onError, children } = props;
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
    });
    // What may change does so through latest.
  }, [given, url]);

  useEarlyEffect(() => made?.hold(), [made]);
  const client = given ?? made!;
  useEffect(
    () => client.on('error', (err) => latest.current.onError?.(err)),
    [client, latest],
  );
  return <Context.Provider value={client}>{children}</Context.Provider>;
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
