// SPDX-License-Identifier: ISC
// The page of chat.test.js: window.start() shows an OrderChat in StrictMode.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { OrderChat, PushProvider, makeApi } from 'pgpush/react';
import 'pgpush/react/style.css';

window.start = ({ url, ...props }) => {
  const getToken = () => window.getToken();
  const options = { url, getToken, backoff: { base: 20, cap: 200 } };
  const api = makeApi({ getToken });
  createRoot(document.getElementById('root')).render(
    <StrictMode>
      <div style={{ height: 'calc(100vh - 16px)' }}>
        <PushProvider options={options}>
          <OrderChat {...props} api={api} />
        </PushProvider>
      </div>
    </StrictMode>,
  );
};
