// SPDX-License-Identifier: ISC
// The package's bell. What tells of the chat that is being looked at is read
// already: it is marked so, and the bell is told to fetch its list anew.

import { useEffect, useState } from 'react';
import { NotificationBell, usePush } from 'pgpush/react';
import { usePane } from './Pane.jsx';
import { useTexts } from './texts.js';

export function Bell() {
  const { locale } = useTexts();
  const { api, go, market, route } = usePane();
  const client = usePush();
  const [version, setVersion] = useState(0);
  const looking = route.kind === 'order' ? route.id : null;

  useEffect(
    () =>
      client.on('notification', ({ id, type, relatedId }) => {
        if (type !== 'message' || relatedId !== looking) return;
        if (document.visibilityState === 'hidden') return;
        api.readNotifications(id).then(
          () => setVersion((was) => was + 1),
          () => {
            // It stays unread.
          },
        );
      }),
    [client, api, looking],
  );

  function open({ type, relatedId }) {
    if (relatedId === null) return;
    const dispute = type === 'dispute' && market.disputeOf(relatedId);
    go(dispute ? `dispute/${dispute.id}` : `order/${relatedId}`);
  }
  return (
    <NotificationBell key={version} api={api} locale={locale} onOpen={open} />
  );
}
