// SPDX-License-Identifier: ISC
// The package's bell: what tells of the chat that is being looked at is read.

import { NotificationBell } from 'pgpush/market';
import { usePane } from './desk.js';
import { useTexts } from './texts.js';

export function Bell() {
  const { locale } = useTexts();
  const { api, go, market, route } = usePane();
  const looking = route.kind === 'order' ? route.id : null;

  const isSeen = ({ type, relatedId }) =>
    type === 'message' &&
    relatedId === looking &&
    document.visibilityState === 'visible';
  function open({ type, relatedId }) {
    if (relatedId === null) return;
    const dispute = type === 'dispute' && market.disputeOf(relatedId);
    go(dispute ? `dispute/${dispute.id}` : `order/${relatedId}`);
  }
  const titleOf = ({ relatedId }) =>
    market.orders.find(({ id }) => id === relatedId)?.title;
  return (
    <NotificationBell
      api={api}
      locale={locale}
      grouped
      titleOf={titleOf}
      isSeen={isSeen}
      onOpen={open}
    />
  );
}
