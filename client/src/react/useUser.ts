// SPDX-License-Identifier: ISC

import { useMemo, useSyncExternalStore } from 'react';
import { usePush } from './provider.js';

/** The user's id as the daemon knows it; null until the first welcome. */
export function useUser(): string | null {
  const client = usePush();
  const subscribe = useMemo(
    () => (tell: () => void) => client.on('identity', tell),
    [client],
  );
  return useSyncExternalStore(subscribe, () => client.user, () => null);
}
