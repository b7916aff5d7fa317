// SPDX-License-Identifier: ISC
// What the browser knows of the network and of who looks at the page.

export const isOffline = (): boolean => globalThis.navigator?.onLine === false;

/**
 * wake: now is a good moment to connect; doubt: the network may be gone.
 * Returns how to stop. Outside a browser nothing is watched.
 */
export function watchPage(wake: () => void, doubt: () => void): () => void {
  const page = globalThis.document;
  if (!page) return () => {};
  const visible = (): void => {
    if (page.visibilityState === 'visible') wake();
  };
  const all: [EventTarget, string, () => void][] = [
    [globalThis, 'online', wake],
    [globalThis, 'offline', doubt],
    [globalThis, 'pageshow', visible],
    [page, 'visibilitychange', visible],
  ];
  for (const [target, name, run] of all) target.addEventListener(name, run);
  return () => {
    for (const [target, name, run] of all)
      target.removeEventListener(name, run);
  };
}
