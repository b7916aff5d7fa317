// SPDX-License-Identifier: ISC

import {
  useCallback,
  useEffect,
  useRef,
  useState,
  type RefObject,
} from 'react';
import { useEarlyEffect } from './latest.js';

const NEAR_END_PX = 60;

export interface Stick {
  ref: RefObject<HTMLDivElement | null>;
  onScroll: () => void;
  /** False: somebody reads further up, and is left there. */
  atEnd: boolean;
  /** The same as it is now, not when it was rendered. */
  stuck: RefObject<boolean>;
  toEnd: () => void;
  /** Something in the list has become higher. */
  grown: () => void;
}

/** Keeps a list at its end while it grows, unless it was scrolled up. */
export function useStick(content: unknown): Stick {
  const ref = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
<<<<<<< HEAD
  /** Where it was at its end for the last time. */
  const end = useRef(0);
=======
  const lastTop = useRef(0);
>>>>>>> user
  const [atEnd, setAtEnd] = useState(true);

  const onScroll = useCallback(() => {
    const { scrollHeight, scrollTop, clientHeight } = ref.current!;
    const gap = scrollHeight - scrollTop - clientHeight;
    stuck.current = gap < NEAR_END_PX;
    if (stuck.current) end.current = scrollTop + gap;
    setAtEnd(stuck.current);
  }, []);
  const toEnd = useCallback(() => {
    stuck.current = true;
    setAtEnd(true);
    const list = ref.current;
    if (!list) return;
    list.scrollTop = list.scrollHeight;
    end.current = list.scrollTop;
  }, []);
  const grown = useCallback(() => {
    const list = ref.current;
    if (!list || !stuck.current) return;
    // A scroll is told with the browser's next picture: this comes before.
    if (end.current - list.scrollTop >= NEAR_END_PX) onScroll();
    if (stuck.current) toEnd();
<<<<<<< HEAD
  }, [onScroll, toEnd]);
=======
  }, [toEnd]);
  const onScroll = useCallback(() => {
    const { scrollHeight, scrollTop, clientHeight } = ref.current!;
    const isNear = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    // A list may grow before it is told of our own scrolling: who leaves its
    // end goes up.
    if (isNear || scrollTop < lastTop.current) {
      stuck.current = isNear;
      setAtEnd(isNear);
    }
    lastTop.current = scrollTop;
  }, []);
>>>>>>> user
  useEarlyEffect(grown, [content, grown]);
  // Something else has come above it, or the keys of a phone below.
  useEffect(() => {
    const observer = new ResizeObserver(grown);
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, [grown]);
  return { ref, onScroll, atEnd, stuck, toEnd, grown };
}
