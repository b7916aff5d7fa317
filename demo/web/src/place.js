// SPDX-License-Identifier: ISC
// Where one is, all of it in the address: ?panes=2 shows two users side by
// side, the hash has a part for each pane, such as #order/<id>;dispute/<id>.

import { useMemo, useSyncExternalStore } from 'react';

const listeners = new Set();
const tell = () => listeners.forEach((listener) => listener());
addEventListener('popstate', tell);
addEventListener('hashchange', tell);

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const parts = () => location.hash.slice(1).split(';');

/**
 * { kind: 'order' | 'dispute' | 'moderation' | '', id, hash } of a pane. The
 * whole hash, since links of one pane keep where the other one is.
 */
export function useRoute(pane) {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => {
    const [kind, id] = (parts()[pane] ?? '').split('/');
    return { kind, id, hash };
  }, [pane, hash]);
}

export function hashOf(pane, to) {
  const all = parts();
  for (let i = all.length; i < pane; i++) all.push('');
  all[pane] = to;
  return `#${all.join(';').replace(/;+$/, '')}`;
}

export function go(pane, to = '') {
  history.pushState(null, '', location.search + hashOf(pane, to));
  tell();
}

export const usePanes = () =>
  useSyncExternalStore(subscribe, () =>
    new URLSearchParams(location.search).get('panes') === '2' ? 2 : 1,
  );

export function setPanes(count) {
  const search = count === 2 ? '?panes=2' : '';
  const hash = `#${parts().slice(0, count).join(';')}`;
  history.pushState(null, '', location.pathname + search + hash);
  tell();
}
