// SPDX-License-Identifier: ISC
// A dispute: its chat, which tells why it is and how it stands.

import { useSyncExternalStore } from 'react';
import { DisputeChat } from 'pgpush/market';
import { OrderConversation, Title, Views } from './OrderView.jsx';
import { usePane } from './desk.js';
import { useTexts } from './texts.js';

export function DisputeView({ disputeId }) {
  const t = useTexts();
  const { me, api, market } = usePane();
  // One that was opened just now is not in the list yet.
  const dispute = market.disputes.find(({ id }) => id === disputeId);
  const isWide = useWide();
  const order =
    dispute && market.orders.find(({ id }) => id === dispute.orderId);
  // Who decides wants to read what was agreed on.
  const isBeside = me.role === 'admin' && isWide && order;
  const chat = (
    <DisputeChat
      disputeId={disputeId}
      me={me.id}
      api={api}
      locale={t.locale}
      moderates={me.role === 'admin' || dispute?.moderator?.id === me.id}
      emojis={market.emojis}
    />
  );
  return (
    <>
      <Title title={dispute?.orderTitle ?? t.dispute} />
      {dispute && <Views dispute={dispute} current="dispute" />}
      {isBeside ? (
        <div className="beside">
          {chat}
          <OrderConversation order={order} dispute={dispute} />
        </div>
      ) : (
        chat
      )}
    </>
  );
}

const WIDE = matchMedia('(min-width: 1500px)');

const useWide = () =>
  useSyncExternalStore(
    (tell) => {
      WIDE.addEventListener('change', tell);
      return () => WIDE.removeEventListener('change', tell);
    },
    () => WIDE.matches,
  );
