// SPDX-License-Identifier: ISC
// The page of react.test.js: window.show() renders components of the kinds
// below in StrictMode, window.heard[label] is what each has written down.

import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import {
  PushProvider,
  useNotifications,
  usePresence,
  usePush,
  useRoom,
  useStatus,
  useTyping,
  useWebSocket,
} from 'pgpush/market';

const heard = (window.heard = {});
const state = (window.state = {});
const renders = (window.renders = {});

const write = (label, line) => (heard[label] ??= []).push(line);

function Room({ label, room, join, turn }) {
  renders[label] = (renders[label] ?? 0) + 1;
  const info = useRoom(
    room,
    {
      order_message: ({ content }) => write(label, `${turn} ${content}`),
      joined: () => write(label, 'joined'),
      left: ({ reason }) => write(label, `left ${reason}`),
      error: ({ code }) => write(label, `error ${code}`),
    },
    { join },
  );
  useEffect(() => {
    state[label] = info.state;
  });
  return null;
}

function Status({ label }) {
  const client = usePush();
  const status = useStatus();
  (window.clients ??= new Set()).add(client);
  window.client = client;
  state[label] = status;
  return <p role="status">{status}</p>;
}

function Presence({ label, userIds }) {
  const presence = usePresence([...userIds]);
  useEffect(() => {
    state[label] = presence;
  });
  return null;
}

function Typing({ label, room, ...options }) {
  const typing = useTyping(room, options);
  useEffect(() => {
    write(label, typing.userIds.join());
  }, [label, typing.userIds]);
  useEffect(() => {
    state[label] = typing.userIds;
    (window.setTyping ??= {})[label] = typing.setTyping;
    (window.setTypings ??= new Set()).add(typing.setTyping);
  });
  return null;
}

function Bell({ label, list }) {
  const { items, unread, markRead } = useNotifications({
    list: list && (() => window.listNotifications()),
    markRead: (id) => write(`${label} read`, id ?? 'all'),
    onNotification: ({ content }) => write(label, content),
  });
  useEffect(() => {
    state[label] = { unread, items: items.map((n) => n.content) };
    window.markRead = markRead;
  });
  return null;
}

/** As the application's components use the old hook: all in one effect. */
function Old({ label, order, dispute, connects }) {
  const socket = useWebSocket({
    sendOrderMessage: async (...args) => write(label, args),
  });
  const {
    joinOrderChat, leaveOrderChat, onOrderMessage, offOrderMessage,
    joinDisputeChat, leaveDisputeChat, onOrderTyping, offOrderTyping,
    connect, disconnect,
  } = socket;
  (window.olds ??= {})[label] = socket;
  state[label] = socket.isConnected;
  useEffect(() => {
    (window.joins ??= new Set()).add(joinOrderChat);
  });
  useEffect(() => {
    if (!connects) return;
    connect();
    return disconnect;
  }, [connect, disconnect, connects]);
  // No list of what it depends on: it runs after every render.
  useEffect(() => {
    const onMessage = ({ content }) => write(label, content);
    const onTyping = ({ userId, isTyping }) =>
      write(label, `${userId} ${isTyping}`);
    joinOrderChat(order);
    if (dispute) joinDisputeChat(dispute);
    onOrderMessage(onMessage);
    onOrderTyping(onTyping);
    return () => {
      offOrderMessage(onMessage);
      offOrderTyping(onTyping);
      leaveOrderChat(order);
      if (dispute) leaveDisputeChat(dispute);
    };
  });
  return null;
}

const KINDS = { Room, Status, Presence, Typing, Bell, Old };

function App({ options }) {
  const [specs, setSpecs] = useState([]);
  const [turn, setTurn] = useState(0);
  window.show = (...specs) => flushSync(() => setSpecs(specs));
  window.bump = () => flushSync(() => setTurn((n) => n + 1));
  return (
    <PushProvider
      options={{ ...options, getToken: () => window.getToken() }}
      onError={(err) => write('errors', err.code)}
    >
      {specs.map(([kind, props]) => {
        const Kind = KINDS[kind];
        return <Kind key={props.label} turn={turn} {...props} />;
      })}
    </PushProvider>
  );
}

let root;
window.start = (options) => {
  root = createRoot(document.getElementById('root'));
  root.render(
    <StrictMode>
      <App options={options} />
    </StrictMode>,
  );
};
window.stop = () => root.unmount();
