// SPDX-License-Identifier: ISC
// The page of chat.test.js: window.start() shows an OrderChat, and with
// `bell` a NotificationBell, in StrictMode.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { NotificationBell, OrderChat, PushProvider, makeApi } from 'pgpush/react';
import 'pgpush/react/style.css';

window.opened = [];
window.start = ({ url, bell, ...props }) => {
  const getToken = () => window.getToken();
  const options = { url, getToken, backoff: { base: 20, cap: 200 } };
  const api = makeApi({ getToken });
  createRoot(document.getElementById('root')).render(
    <StrictMode>
      <div style={{ height: 'calc(100vh - 16px)' }}>
        <PushProvider options={options}>
          {bell && (
            <div style={{ textAlign: 'end' }}>
              <NotificationBell
                api={api}
                locale={props.locale}
                onOpen={(n) => window.opened.push(n.relatedId)}
              />
            </div>
          )}
          <OrderChat {...props} api={api} />
        </PushProvider>
      </div>
    </StrictMode>,
  );
};
