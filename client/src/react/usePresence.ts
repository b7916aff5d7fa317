// SPDX-License-Identifier: ISC

import { useEffect, useState } from 'react';
import { presenceOf, type Presence } from './presence.js';
import { usePush } from './provider.js';

export type PresenceMap = Readonly<Record<string, Presence | undefined>>;

const NOBODY: PresenceMap = {};

/** By user id; who is missing is not known, or may not be followed. */
export function usePresence(
  userIds: readonly (string | null | undefined)[],
): PresenceMap {
  const client = usePush();
  const [known, setKnown] = useState(NOBODY);
  const key = JSON.stringify(
    [...new Set(userIds.filter((id): id is string => Boolean(id)))].sort(),
  );

  useEffect(() => {
    const ids = JSON.parse(key) as string[];
    if (ids.length === 0) return;
    const book = presenceOf(client);
    const look = () =>
      setKnown((was) =>
        Object.keys(was).length === ids.length &&
        ids.every((id) => id in was && was[id] === book.get(id))
          ? was
          : Object.fromEntries(ids.map((id) => [id, book.get(id)])),
      );
    const stop = book.watch(ids, look);
    look();
    return () => {
      stop();
      setKnown(NOBODY);
    };
  }, [client, key]);
  return known;
}
