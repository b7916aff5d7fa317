// SPDX-License-Identifier: ISC

import {
  useCallback,
  useEffect,
  useRef,
  useState,
  type RefObject,
} from 'react';
import { useEarlyEffect } from '../react/latest.js';

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
  /** Where its end was for the last time. */
  const end = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  const onScroll = useCallback(() => {
    const { scrollHeight, scrollTop, clientHeight } = ref.current!;
    const gap = scrollHeight - scrollTop - clientHeight;
    const isNear = gap < NEAR_END_PX;
    // It may have grown before we are told that we scrolled it ourselves.
    if (!isNear && stuck.current && end.current - scrollTop < NEAR_END_PX) return;
    stuck.current = isNear;
    if (isNear) end.current = scrollTop + gap;
    setAtEnd(isNear);
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
  }, [onScroll, toEnd]);
  useEarlyEffect(grown, [content, grown]);
  // Something else has come above it, or the keys of a phone below.
  useEffect(() => {
    const observer = new ResizeObserver(grown);
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, [grown]);
  return { ref, onScroll, atEnd, stuck, toEnd, grown };
}
