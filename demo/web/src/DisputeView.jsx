// SPDX-License-Identifier: ISC
// A dispute: its chat, which tells why it is and how it stands.

import { DisputeChat } from 'pgpush/react';
import { Title, Views } from './OrderView.jsx';
import { usePane } from './Pane.jsx';
import { useTexts } from './texts.js';

export function DisputeView({ dispute }) {
  const t = useTexts();
  const { me, api, market } = usePane();
  const order = market.orders.find((o) => o.id === dispute.orderId);
  return (
    <>
      <Title title={dispute.orderTitle} />
      {order && <Views order={order} dispute={dispute} current="dispute" />}
      <DisputeChat
        disputeId={dispute.id}
        me={me.id}
        api={api}
        locale={t.locale}
        moderates={me.role === 'admin' || dispute.moderator?.id === me.id}
        emojis={market.emojis}
      />
    </>
  );
}
