// SPDX-License-Identifier: ISC

import { useCallback, useEffect, useRef, type KeyboardEvent, type RefObject } from 'react';

const STEPS: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
const INNER = 'a, button, input, audio, video, summary';

/**
 * One stop for the Tab key in a list however long it is: the arrows go from
 * item to item, Home and End to the first and the last. What is in an item
 * (its buttons, its links) is reached by Tab from there.
 */
export function useRoving(
  list: RefObject<HTMLElement | null>,
  items: string,
  content: unknown,
): (event: KeyboardEvent) => void {
  const current = useRef<HTMLElement | null>(null);

  const choose = useCallback((item: HTMLElement | null) => {
    for (const one of list.current?.querySelectorAll<HTMLElement>(items) ?? []) {
      const tab = one === item ? 0 : -1;
      one.tabIndex = tab;
      for (const inner of one.querySelectorAll<HTMLElement>(INNER))
        inner.tabIndex = tab;
    }
    current.current = item;
  }, [list, items]);

  useEffect(() => {
    const all = list.current?.querySelectorAll<HTMLElement>(items) ?? [];
    const isThere = current.current && list.current?.contains(current.current);
    const focused = document.activeElement?.closest<HTMLElement>(items);
    // The newest one, until somebody has gone elsewhere.
    choose(
      isThere && focused === current.current
        ? current.current
        : (all[all.length - 1] ?? null),
    );
  }, [content, list, items, choose]);

  useEffect(() => {
    const root = list.current;
    const focus = ({ target }: FocusEvent) => {
      const item = (target as Element).closest<HTMLElement>(items);
      if (item && item !== current.current) choose(item);
    };
    root?.addEventListener('focusin', focus);
    return () => root?.removeEventListener('focusin', focus);
  }, [list, items, choose]);

  return useCallback((event: KeyboardEvent) => {
    const target = event.target as Element;
    const item = target.closest<HTMLElement>(items);
    if (!item || target.matches('input, textarea, select, audio, video')) return;
    const all = [...list.current!.querySelectorAll<HTMLElement>(items)];
    const at = all.indexOf(item);
    const step = STEPS[event.key];
    const to =
      step !== undefined ? Math.max(0, Math.min(all.length - 1, at + step))
      : event.key === 'Home' ? 0
      : event.key === 'End' ? all.length - 1
      : -1;
    if (to < 0) return;
    event.preventDefault();
    all[to]!.focus();
  }, [list, items]);
}
