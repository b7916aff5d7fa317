// SPDX-License-Identifier: ISC

import {
  useEffect,
  useInsertionEffect,
  useLayoutEffect,
  useRef,
  type RefObject,
} from 'react';

/** What the newest render was given, for what is called between renders. */
export function useLatest<T>(value: T): RefObject<T> {
  const ref = useRef(value);
  useInsertionEffect(() => {
    ref.current = value;
  });
  return ref;
}

/** On a server there is no layout, and React says so. */
export const useEarlyEffect =
  typeof document === 'undefined' ? useEffect : useLayoutEffect;
