// SPDX-License-Identifier: ISC
// A dispute: its chat, which tells why it is and how it stands.

import { DisputeChat } from 'pgpush/market';
import { Title, Views } from './OrderView.jsx';
import { usePane } from './Pane.jsx';
import { useTexts } from './texts.js';

export function DisputeView({ disputeId }) {
  const t = useTexts();
  const { me, api, market } = usePane();
  // One that was opened just now is not in the list yet.
  const dispute = market.disputes.find(({ id }) => id === disputeId);
  return (
    <>
      <Title title={dispute?.orderTitle ?? t.dispute} />
      {dispute && <Views dispute={dispute} current="dispute" />}
      <DisputeChat
        disputeId={disputeId}
        me={me.id}
        api={api}
        locale={t.locale}
        moderates={me.role === 'admin' || dispute?.moderator?.id === me.id}
        emojis={market.emojis}
      />
    </>
  );
}
