// SPDX-License-Identifier: ISC
// Who may not write in a chat, as its moderator and everybody in it see it.

import { useCallback, useMemo, useRef, useState } from 'react';
import type { Mute } from './api.js';
import { usePush } from '../react/provider.js';

export interface Mutes {
  of: (userId: string) => Mute | null;
  add: (mute: Mute) => void;
  drop: (mute: { userId: string }) => void;
  refresh: (list: () => Promise<Mute[]>) => Promise<void>;
  /** minutes null: for good. */
  mute: (userId: string, minutes: number | null, reason: string) => void;
  unmute: (userId: string) => void;
  /** Why the last of these two failed, or null. */
  error: unknown;
}

export function useMutes(room: string): Mutes {
  const client = usePush();
  const [known, setKnown] = useState<readonly Mute[]>([]);
  const [error, setError] = useState<unknown>(null);
  const changes = useRef(0);

  const drop = useCallback(({ userId }: { userId: string }) => {
    changes.current++;
    setKnown((was) => was.filter((m) => m.userId !== userId));
  }, []);
  const add = useCallback((mute: Mute) => {
    drop(mute);
    setKnown((was) => [...was, mute]);
  }, [drop]);
  const refresh = useCallback(async (list: () => Promise<Mute[]>) => {
    let before: number;
    let mutes: Mute[];
    do {
      // A list that is older than an event is not taken.
      before = changes.current;
      mutes = await list();
    } while (before !== changes.current);
    setKnown(mutes);
  }, []);

  const actions = useMemo(() => {
    const ask = async (event: string, data: object, then: (mute: Mute) => void) => {
      setError(null);
      try {
        then((await client.send(event, { room, ...data })) as Mute);
      } catch (err) {
        setError(err);
      }
    };
    return {
      mute: (userId: string, minutes: number | null, reason: string) =>
        void ask('mute_user', { userId, minutes, reason }, add),
      unmute: (userId: string) => void ask('unmute_user', { userId }, drop),
    };
  }, [client, room, add, drop]);

  const of = (userId: string) => known.find((m) => m.userId === userId) ?? null;
  return { of, add, drop, refresh, error, ...actions };
}
