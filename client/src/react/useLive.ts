// SPDX-License-Identifier: ISC

import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { live, type Live, type LiveOptions, type LiveState } from '../live.js';
import { useLatest } from './latest.js';
import { usePush } from './provider.js';

export type UseLive<Row> = LiveState<Row> &
  Pick<
    Live<Row>,
    | 'add' | 'change' | 'discard' | 'each' | 'loadMore' | 'put' | 'reload'
    | 'remove' | 'retry'
  >;

/**
 * The rows of a room: fetched after the join, changed by its events. The
 * newest options are used; another room, or another user, is another list.
 * null: no room, and no rows.
 */
export function useLive<Row>(
  room: string | null | undefined,
  options: LiveOptions<Row>,
): UseLive<Row> {
  const client = usePush();
  const latest = useLatest(options);
  const list = useMemo(
    () => live(client, room ?? 'none', () => latest.current),
    [client, room, latest],
  );
  useEffect(() => (room ? list.start() : undefined), [list, room]);
  const state = useSyncExternalStore(
    list.subscribe, list.snapshot, list.snapshot);
  return useMemo(() => {
    const {
      add, change, discard, each, loadMore, put, reload, remove, retry,
    } = list;
    return {
      ...state, add, change, discard, each, loadMore, put, reload, remove, retry,
    };
  }, [list, state]);
}
