// SPDX-License-Identifier: ISC

import { useCallback, useEffect, useRef, useState } from 'react';
import { isUp, usePush } from './provider.js';
import { useRoom, type UseRoomOptions } from './useRoom.js';

export interface TypingOptions extends UseRoomOptions {
  /** ms after which somebody who says no more is taken to have stopped. */
  expiry?: number;
  /** ms between two times that we say so while we go on typing. */
  repeat?: number;
  /** ms without a key after which we have stopped. */
  idle?: number;
  /**
   * The event that is sent and heard, {userId, isTyping}: by default
   * "<kind>_typing" in a room "<kind>:<id>".
   */
  event?: string;
  /** What is sent beside isTyping: by default {<kind>Id: <id>}. */
  data?: object;
}

export interface Typing {
  /** Who is typing, we ourselves left out, in the order of their beginning. */
  userIds: readonly string[];
  /** With every key: true. false: at once. Always the same function. */
  setTyping: (isTyping: boolean) => void;
}

interface TypingData {
  userId: string;
  isTyping: boolean;
}

const NOBODY: readonly string[] = [];

export function useTyping(
  name: string | null | undefined,
  options: TypingOptions = {},
): Typing {
  const client = usePush();
  const { expiry = 6000, repeat = 2000, idle = 3000 } = options;
  const [userIds, setUserIds] = useState(NOBODY);
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  const [kind, id] = split(name);
  const event = options.event ?? `${kind}_typing`;
  const data = JSON.stringify(options.data ?? { [`${kind}Id`]: id });

  const note = useCallback((userId: string, isTyping: boolean) => {
    clearTimeout(timers.current.get(userId));
    timers.current.delete(userId);
    if (isTyping)
      timers.current.set(
        userId,
        setTimeout(() => note(userId, false), expiry),
      );
    setUserIds((was) => {
      if (was.includes(userId) === isTyping) return was;
      return isTyping ? [...was, userId] : was.filter((u) => u !== userId);
    });
  }, [expiry]);

  useEffect(() => {
    const running = timers.current;
    return () => {
      for (const timer of running.values()) clearTimeout(timer);
      running.clear();
      setUserIds(NOBODY);
    };
  }, [client, name]);

  useRoom(name, {
    [event]: ({ userId, isTyping }: TypingData) => {
      if (userId !== client.user) note(userId, Boolean(isTyping));
    },
    // Who has sent it has done with typing.
    [`${kind}_message`]: ({ senderId }: { senderId: string }) =>
      note(senderId, false),
  }, options);

  const mine = useRef<{ set: (isTyping: boolean) => void }>(null);
  useEffect(() => {
    if (!name) return;
    let said = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const say = (isTyping: boolean) => {
      // Later it would not be true any more.
      if (!isUp(client.status)) return;
      client
        .send(
          event,
          { ...(JSON.parse(data) as object), isTyping },
          { key: false, room: name },
        )
        .catch(() => {});
    };
    const set = (isTyping: boolean) => {
      clearTimeout(timer);
      if (isTyping) {
        timer = setTimeout(() => set(false), idle);
        if (said !== 0 && Date.now() - said < repeat) return;
        said = Date.now();
        say(true);
      } else if (said !== 0) {
        said = 0;
        say(false);
      }
    };
    mine.current = { set };
    return () => {
      mine.current = null;
      set(false);
    };
  }, [client, name, event, data, idle, repeat]);

  const setTyping = useCallback(
    (isTyping: boolean) => mine.current?.set(isTyping),
    [],
  );
  return { userIds, setTyping };
}

function split(name: string | null | undefined): [string, string] {
  const colon = name?.indexOf(':') ?? -1;
  return colon < 0
    ? ['', '']
    : [name!.slice(0, colon), name!.slice(colon + 1)];
}
