// SPDX-License-Identifier: ISC

import { useEffect, useState, type RefObject } from 'react';

/** Whether somebody can see it: not in a tab or a part of the page that is
 *  hidden, nor scrolled away. */
export function useVisible(ref: RefObject<Element | null>): boolean {
  const [isPageSeen, setPageSeen] = useState(true);
  const [isShown, setShown] = useState(true);

  useEffect(() => {
    const look = () => setPageSeen(document.visibilityState === 'visible');
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) =>
      setShown(entries.at(-1)!.isIntersecting));
    observer.observe(ref.current!);
    return () => observer.disconnect();
  }, [ref]);
  return isPageSeen && isShown;
}
