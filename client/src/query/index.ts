'use client';
// SPDX-License-Identifier: ISC
// For TanStack Query: an event changes what a query has cached, and what could
// not be told makes it stale. Nothing of that package is needed here but the
// object: so every version of it will do.

import type { Client, Meta } from '../types.js';

/** What is used of a QueryClient. */
export interface Cache {
  setQueryData(key: readonly unknown[], update: (old: any) => any): unknown;
  invalidateQueries(filter: { queryKey: readonly unknown[] }): unknown;
}

export interface SyncOptions<Data> {
  /** The query that shows what the room is about. */
  queryKey: readonly unknown[];
  /**
   * By event: the cached data as they are after it. Undefined, or no function
   * for an event: it changes nothing. What is not cached yet is not changed.
   */
  on: Record<string, (old: Data, data: any, meta: Meta) => Data | undefined>;
}

/**
 * From now on, until the function that it gives back is called. The query is
 * fetched anew when the room is joined without having been told everything:
 * what was fetched before the join may be too old.
 */
export function syncQuery<Data>(
  client: Client,
  cache: Cache,
  room: string,
  { queryKey, on }: SyncOptions<Data>,
): () => void {
  const handle = client.room(room);
  const anew = () => void cache.invalidateQueries({ queryKey });
  const offs = [
    handle.on('*', (data, meta) => {
      if (!Object.hasOwn(on, meta.event)) return;
      cache.setQueryData(queryKey, (old: Data | undefined) =>
        old === undefined ? old : (on[meta.event]!(old, data, meta) ?? old),
      );
    }),
    handle.on('joined', ({ resumed }) => resumed || anew()),
    handle.on('reset', anew),
    client.on('stale', anew),
  ];
  handle.join();
  if (handle.state === 'joined') anew();
  return () => {
    for (const off of offs) off();
    handle.leave();
  };
}
