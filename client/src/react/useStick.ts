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
  toEnd: () => void;
  /** Something in the list has become higher. */
  grown: () => void;
}

/** Keeps a list at its end while it grows, unless it was scrolled up. */
export function useStick(content: unknown): Stick {
  const ref = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const lastTop = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    stuck.current = true;
    setAtEnd(true);
    const list = ref.current;
    if (list) list.scrollTop = list.scrollHeight;
  }, []);
  const grown = useCallback(() => {
    if (stuck.current) toEnd();
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
  useEarlyEffect(grown, [content, grown]);
  // Something else has come above it, or the keys of a phone below.
  useEffect(() => {
    const observer = new ResizeObserver(grown);
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, [grown]);
  return { ref, onScroll, atEnd, toEnd, grown };
}
