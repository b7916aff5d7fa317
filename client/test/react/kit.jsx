// SPDX-License-Identifier: ISC
// The page of kit.test.js: what a stranger builds from the README, and the
// old components of the first user's kind. In StrictMode.

import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import {
  Chat, PushProvider, useLive, useNotifications, useRoom, useStatus, useUser,
} from 'pgpush/react';
import { useWebSocket } from 'pgpush/market';
import { PushDevtools } from 'pgpush/devtools';

const Lines = ({ label, lines }) => (
  <ul aria-label={label}>{lines.map((line, i) => <li key={i}>{line}</li>)}</ul>
);

/** The README's list. */
function List({ orderId }) {
  const { rows, loaded } = useLive(`order:${orderId}`, {
    load: () => window.listMessages(orderId),
    key: (row) => row.id,
    on: {
      order_message: (m) => ({ id: m.messageId, content: m.content }),
      message_delete: (m, { remove }) => remove(m.messageId),
    },
  });
  return <Lines label={loaded ? 'list' : 'loading'} lines={rows.map((r) => r.content)} />;
}

/** "On joined fetch the list, on the event append": the race of the obvious. */
function Obvious({ orderId }) {
  const [lines, setLines] = useState([]);
  useRoom(`order:${orderId}`, {
    joined: async () => {
      const rows = await window.listMessages(orderId);
      setLines(rows.map((r) => r.content));
    },
    order_message: ({ content }) => setLines((was) => [...was, content]),
  });
  return <Lines label="obvious" lines={lines} />;
}

function Bell() {
  const { items } = useNotifications({});
  return <Lines label="bell" lines={items.map((n) => n.content)} />;
}

function Who() {
  return <p role="status">{`${useStatus()} as ${useUser()}`}</p>;
}

/** Leaves and joins per render, tests socket, appends without looking. */
function Old({ orderId }) {
  const {
    socket, isConnected, joinOrderChat, leaveOrderChat, onOrderMessage,
    offOrderMessage,
  } = useWebSocket();
  const [messages, setMessages] = useState([]);
  useEffect(() => {
    if (!socket || !isConnected || !orderId) return;
    joinOrderChat(orderId);
    const onMessage = (m) => setMessages((was) => [...was, m.content]);
    onOrderMessage(onMessage);
    return () => {
      offOrderMessage(onMessage);
      leaveOrderChat(orderId);
    };
  });
  return <Lines label="old" lines={messages} />;
}

function Simple({ orderId, me }) {
  return (
    <div style={{ height: 300 }}>
      <Chat
        room={`order:${orderId}`}
        load={() => window.listMessages(orderId)}
        rowKey={(row) => row.id}
        on={{
          order_message: (m) => ({ id: m.messageId, content: m.content, by: m.senderId }),
        }}
        row={({ content, by }) => ({ author: by, text: content })}
        isMine={({ by }) => by === me}
        draft={(content) => ({ id: '', content, by: me })}
        write={({ content }) => window.postMessage_(content)}
        same={(draft, row) => draft.content === row.content && row.by === me}
        renderAuthor={(author) => <em>{author === me ? 'me' : 'they'}</em>}
      />
    </div>
  );
}

const KINDS = { List, Obvious, Bell, Who, Old, Simple };

function App({ url, ...first }) {
  const [props, setProps] = useState(first);
  window.set = (props) => flushSync(() => setProps(props));
  return (
    <PushProvider
      options={{
        url,
        getToken: () => window.getToken(),
        backoff: { base: 20, cap: 200 },
      }}
      user={props.user}
      onError={({ code }) => (window.error = code)}
    >
      {props.show.map((kind) => {
        const Kind = KINDS[kind];
        return <Kind key={kind} {...props} />;
      })}
      {props.dev && <PushDevtools startOpen />}
    </PushProvider>
  );
}

window.start = (props) =>
  createRoot(document.getElementById('root')).render(
    <StrictMode><App {...props} /></StrictMode>,
  );
