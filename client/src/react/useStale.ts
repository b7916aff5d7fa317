// SPDX-License-Identifier: ISC

import { useEffect } from 'react';
import { useLatest } from './latest.js';
import { usePush } from './provider.js';

/**
 * Fetches now and then while nothing connects, if the client polls: not again
 * before the last one is there, or a slow API would never be heard.
 */
export function useStale(load: () => Promise<unknown>): void {
  const client = usePush();
  const latest = useLatest(load);
  useEffect(() => {
    let isBusy = false;
    return client.on('stale', async () => {
      if (isBusy) return;
      isBusy = true;
      try {
        await latest.current();
      } catch {
        // The next time, then.
      }
      isBusy = false;
    });
  }, [client, latest]);
}
