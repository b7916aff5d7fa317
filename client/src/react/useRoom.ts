// SPDX-License-Identifier: ISC

import { useEffect, useState } from 'react';
import type {
  Handler,
  JoinOptions,
  PushError,
  RoomState,
} from '../types.js';
import { useLatest } from './latest.js';
import { usePush } from './provider.js';

/** By event, "*" for all; a room's own are joined, left, reset and error. */
export type RoomHandlers = Record<string, Handler | undefined>;

export interface UseRoomOptions {
  /** Enter by a handler, as room.join() does. */
  join?: JoinOptions;
}

export interface RoomInfo {
  state: RoomState;
  /** Why we may not be in it. It is asked for again by itself. */
  error: PushError | null;
  /** Why we are in it no more: revoked, deleted, kicked, left. */
  reason: string | null;
}

const OWN = ['joined', 'left', 'reset', 'error'];
const OUT: RoomInfo = { state: 'left', error: null, reason: null };

/**
 * In this room for as long as the component is there; null: in none. Handlers
 * may change with each render, the newest are called.
 */
export function useRoom(
  name: string | null | undefined,
  handlers: RoomHandlers = {},
  options: UseRoomOptions = {},
): RoomInfo {
  const client = usePush();
  const latest = useLatest(handlers);
  const [info, setInfo] = useState(OUT);
  const door = options.join ? JSON.stringify(options.join) : null;

  useEffect(() => {
    if (!name) return;
    const room = client.room(name);
    const look = (
      error: PushError | null = null,
      reason: string | null = null,
    ) => {
      const { state } = room;
      setInfo((was) =>
        was.state === state && !error && !reason
          ? was
          : { state, error, reason },
      );
    };
    const offs = [
      client.on('status', () => look()),
      room.on('*', (data, meta) => {
        // Not the room's own, only called like one of them.
        if (!OWN.includes(meta.event)) latest.current[meta.event]?.(data, meta);
        latest.current['*']?.(data, meta);
      }),
      ...OWN.map((event) =>
        room.on(event, (data, meta) => {
          if (event === 'error') look(data as PushError);
          else look(null, event === 'left' ? data.reason : null);
          latest.current[event]?.(data, meta);
        }),
      ),
    ];
    room.join(door === null ? {} : (JSON.parse(door) as JoinOptions));
    look();
    return () => {
      for (const off of offs) off();
      room.leave();
      setInfo(OUT);
    };
  }, [client, name, door, latest]);
  return name ? info : OUT;
}
