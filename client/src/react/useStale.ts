// SPDX-License-Identifier: ISC

import { useEffect } from 'react';
import { useLatest } from './latest.js';
import { usePush } from './provider.js';

/** Fetches now and then while nothing connects, if the client polls. */
export function useStale(load: () => Promise<void>): void {
  const client = usePush();
  const latest = useLatest(load);
  useEffect(
    () => client.on('stale', () => void latest.current()),
    [client, latest],
  );
}
