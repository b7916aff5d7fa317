// SPDX-License-Identifier: ISC
// The page of the tests of components: window.start() shows what its props
// name, in StrictMode: an OrderChat (orderId), DisputeChats (disputeId),
// and with `bell`, `call` or `disputes` a NotificationBell, a CallPanel, the
// disputes of the order as they are opened.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import {
  CallPanel, DisputeChat, NotificationBell, OrderChat, PushProvider, makeApi,
  useDisputes,
} from 'pgpush/market';
import 'pgpush/market/style.css';

window.opened = [];
window.heard = [];
window.statuses = [];

function Disputes({ api, orderId, me, locale }) {
  const { disputes, open } = useDisputes({
    api,
    orderId,
    onOpened: ({ reason }) => window.heard.push(reason),
  });
  window.openDispute = async (reason, order) => (await open(reason, order)).id;
  return (
    <ul aria-label="disputes">
      {disputes.map((d) => (
        <li key={d.id}>
          {d.reason}: {d.status}
          <div style={{ height: 300 }}>
            <DisputeChat disputeId={d.id} me={me} api={api} locale={locale} />
          </div>
        </li>
      ))}
    </ul>
  );
}

window.start = ({
  url, bell, call, disputes, iceServers, poll, regain, ...props
}) => {
  const getToken = () => window.getToken();
  const options = {
    url, getToken, poll, regain, backoff: { base: 20, cap: 200 },
  };
  const api = makeApi({ getToken });
  const { me, orderId, disputeId, people, locale } = props;
  const peer = people.find((p) => p.id !== me);
  createRoot(document.getElementById('root')).render(
    <StrictMode>
      <div
        style={{
          height: 'calc(100vh - 16px)', display: 'flex', flexDirection: 'column',
        }}
      >
        <PushProvider options={options}>
          {bell && (
            <div style={{ textAlign: 'end' }}>
              <NotificationBell
                api={api}
                locale={locale}
                isSeen={(n) => n.content === 'message of what is seen'}
                onOpen={(n) => window.opened.push(n.relatedId)}
              />
            </div>
          )}
          {disputes && <Disputes {...props} api={api} />}
          {disputeId && (
            <DisputeChat
              {...props}
              api={api}
              onStatus={(status) => window.statuses.push(status)}
            />
          )}
          {orderId && !disputes && (
            <OrderChat
              {...props}
              api={api}
              header={
                call && (
                  <CallPanel
                    orderId={orderId} me={me} peer={peer} locale={locale}
                    iceServers={iceServers}
                  />
                )
              }
            />
          )}
        </PushProvider>
      </div>
    </StrictMode>,
  );
};
