// SPDX-License-Identifier: ISC
// The native protocol over WebSocket.

import { beside, LOST, type Hello, type Link, type LinkEvents } from './link.js';
import type { Frame } from './types.js';

const PROTOCOL = 'pgpush.v1';

export function openSocket(
  WebSocketClass: typeof WebSocket,
  url: string,
  { token, since, epoch }: Hello,
  on: LinkEvents,
): Link {
  const socket = new WebSocketClass(beside(url, '', 'ws'), PROTOCOL);
  let open = true;
  const send = (frame: Frame): void => {
    if (socket.readyState === 1) socket.send(JSON.stringify(frame));
  };
  const detach = (): void => {
    open = false;
    socket.onopen = socket.onmessage = socket.onclose = null;
  };

  socket.onopen = () => send({ type: 'auth', token, since, epoch });
  socket.onmessage = ({ data }) => {
    on.heard();
    if (open) on.frame(JSON.parse(data as string) as Frame);
  };
  socket.onclose = ({ code, reason }) => {
    detach();
    on.end(code || LOST, reason);
  };
  // The close that follows says all there is to know; node wants a listener.
  socket.onerror = () => {};

  return {
    name: 'websocket',
    send,
    // A dead link would not answer the closing handshake: do not wait for it.
    close: () => {
      detach();
      socket.close(1000);
    },
  };
}
