// SPDX-License-Identifier: ISC

import {
  useCallback,
  useRef,
  useSyncExternalStore,
  type RefObject,
} from 'react';

/**
 * Whether somebody can see it: not in a tab or a part of the page that is
 * hidden, nor scrolled away. Rendered at once, before anything else that comes
 * can be taken for seen.
 */
export function useVisible(ref: RefObject<Element | null>): boolean {
  const isShown = useRef(true);
  const watch = useCallback((tell: () => void) => {
    const observer = new IntersectionObserver((entries) => {
      isShown.current = entries.at(-1)!.isIntersecting;
      tell();
    });
    observer.observe(ref.current!);
    document.addEventListener('visibilitychange', tell);
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', tell);
    };
  }, [ref]);
  return useSyncExternalStore(
    watch,
    () => document.visibilityState === 'visible' && isShown.current,
    () => true,
  );
}
