// SPDX-License-Identifier: ISC
// One user: a connection of his own, his conversations, and the one he looks
// at. Two of them may be on one page.

import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { PushProvider, usePush, useStatus } from 'pgpush/market';
import { apiOf } from './api.js';
import { Bell } from './Bell.jsx';
import { Desk as DeskContext, usePane } from './desk.js';
import { DisputeView } from './DisputeView.jsx';
import { record } from './events.js';
import { List } from './List.jsx';
import { Login } from './Login.jsx';
import { useMarket } from './market.js';
import { Moderation } from './Moderation.jsx';
import { OrderView } from './OrderView.jsx';
import { Avatar, Empty, Icon, Role } from './parts.jsx';
import { go, hashOf, useRoute } from './place.js';
import { useTexts } from './texts.js';

const TOAST_MS = 8000;
const POLL_MS = 5000;

export function Pane({ pane, session, onPair }) {
  const t = useTexts();
  const { user, logIn, newToken } = session;
  const options = useMemo(
    () => ({
      url: `${location.origin.replace('http', 'ws')}/ws`,
      getToken: newToken,
      // The last resort: what is shown fetches itself again now and then.
      poll: { interval: POLL_MS },
    }),
    [newToken],
  );
  return (
    <section
      className="pane"
      data-pane={pane}
      aria-label={t.paneOf(user?.name, pane + 1)}
    >
      {user ? (
        <PushProvider options={options} user={user.id} onError={session.logOut}>
          <Desk pane={pane} session={session} />
        </PushProvider>
      ) : (
        <Login onPick={logIn} onPair={onPair} />
      )}
    </section>
  );
}

function Desk({ pane, session }) {
  const { user: me, getToken } = session;
  const t = useTexts();
  const route = useRoute(pane);
  const client = usePush();
  const root = useRef(null);
  const api = useMemo(() => apiOf(getToken), [getToken]);
  const [toast, setToast] = useState(null);
  const dismiss = useCallback(() => setToast(null), []);
  const fail = useCallback((err) => setToast({ text: err.message }), []);
  useEffect(dismiss, [dismiss, route]);

  useEffect(
    () => client.on('event', (event) => record(me.name, event)),
    [client, me.name],
  );

  const market = useMarket(api, me, route, ({ disputeId, orderId, reason }) => {
    const to = `dispute/${disputeId}`;
    const isHere = route.kind === 'order' && route.id === orderId;
    // Who is writing is not taken away from it.
    const isWriting = root.current.querySelector('.pgpush-composer textarea')?.value;
    if (isHere && !isWriting) go(pane, to);
    else if (route.id !== disputeId && !showsModeration(me, route))
      setToast({ text: t.disputeOpened(reason), to, word: t.goToDispute });
  });
  useCalls({ me, market, route, setToast });

  const context = useMemo(
    () => ({
      pane,
      me,
      api,
      market,
      route,
      fail,
      go: (to) => go(pane, to),
      hashOf: (to) => hashOf(pane, to),
    }),
    [pane, me, api, market, route, fail],
  );
  return (
    <DeskContext value={context}>
      <div
        ref={root}
        className="desk"
        data-view={route.kind ? 'conversation' : 'list'}
      >
        <Head session={session} />
        <List />
        <View />
        {toast && <Toast {...toast} onClose={dismiss} />}
      </div>
    </DeskContext>
  );
}

/** Who is called while he looks at something else is told where. */
function useCalls({ me, market, route, setToast }) {
  const t = useTexts();
  const client = usePush();
  const latest = useRef(null);
  useEffect(() => {
    latest.current = ({ orderId, from }) => {
      const order = market.orders.find(({ id }) => id === orderId);
      if (!order || from === me.id || route.id === orderId) return;
      const { name } = from === order.client.id ? order.client : order.performer;
      const to = `order/${orderId}`;
      setToast({ text: t.calls(name, order.title), to, word: t.goToCall });
    };
  });
  useEffect(() => {
    const offs = [
      client.on('call_offer', (data) => latest.current(data)),
      client.on('call_end', ({ orderId }) =>
        setToast((was) => (was?.to === `order/${orderId}` ? null : was)),
      ),
    ];
    return () => offs.forEach((off) => off());
  }, [client, setToast]);
}

/** Where nothing else is shown, an admin has it before him. */
const showsModeration = (me, { kind }) =>
  me.role === 'admin' && kind !== 'order' && kind !== 'dispute';

function Head({ session }) {
  const t = useTexts();
  const { me } = usePane();
  return (
    <header className="head">
      <Avatar name={me.name} role={me.role} />
      <span className="who">
        <strong title={me.name}>{me.name}</strong>
        <Role role={me.role} />
      </span>
      <Connection />
      <Bell />
      <button
        type="button"
        className="button ghost"
        aria-label={t.logOut}
        title={t.logOut}
        onClick={session.logOut}
      >
        <Icon name="out" />
      </button>
    </header>
  );
}

/** How it is, and a switch: to see what was missed come later. */
function Connection() {
  const t = useTexts();
  const client = usePush();
  const status = useStatus();
  const isOff = status === 'idle';
  const word = isOff ? t.connect : t.disconnect;
  return (
    <>
      <span className="connection" role="status" data-status={status}>
        {t.connection[status]}
      </span>
      <button
        type="button"
        className="button ghost"
        aria-label={word}
        title={word}
        onClick={() => (isOff ? client.connect() : client.disconnect())}
      >
        <Icon name="power" />
      </button>
    </>
  );
}

function View() {
  const t = useTexts();
  const { me, market, route, go } = usePane();
  const order =
    route.kind === 'order' && market.orders.find(({ id }) => id === route.id);

  let view;
  if (order) view = <OrderView key={order.id} order={order} />;
  else if (route.kind === 'dispute')
    view = <DisputeView key={route.id} disputeId={route.id} />;
  else if (route.kind === 'order')
    view = (
      <Empty icon="chat" title={market.state === 'loaded' ? t.gone : t.loading}>
        <button type="button" className="button" onClick={() => go('')}>
          {t.toList}
        </button>
      </Empty>
    );
  else if (showsModeration(me, route)) view = <Moderation />;
  else
    view = (
      <Empty icon="chat" title={t.choose}>
        <p className="dim">{t.chooseHint}</p>
      </Empty>
    );
  return <div className="view">{view}</div>;
}

function Toast({ text, to, word, onClose }) {
  const t = useTexts();
  const { go } = usePane();
  useEffect(() => {
    const timer = setTimeout(onClose, TOAST_MS);
    return () => clearTimeout(timer);
  }, [text, to, onClose]);
  return (
    <div className="toast" role="alert">
      <span>{text}</span>
      {to && (
        <button
          type="button"
          onClick={() => {
            go(to);
            onClose();
          }}
        >
          {word}
        </button>
      )}
      <button type="button" aria-label={t.close} onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}
