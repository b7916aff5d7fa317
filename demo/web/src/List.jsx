// SPDX-License-Identifier: ISC
// The orders and disputes of a user, live.

import { useRoom } from 'pgpush/market';
import { Icon, Status } from './parts.jsx';
import { usePane } from './Pane.jsx';
import { useTexts } from './texts.js';

/** A connection may be in a hundred rooms; a chat needs some, too. */
const LIVE = 40;

export function List() {
  const t = useTexts();
  const { me, market } = usePane();
  const { orders, disputes, state } = market;
  const isAdmin = me.role === 'admin';
  const open = disputes.filter((d) => d.status !== 'resolved');

  return (
    <nav className="list" aria-label={t.conversations}>
      {state !== 'loaded' && orders.length === 0 && (
        <p className="dim pad" role="status">
          {state === 'loading' ? t.loading : state}
        </p>
      )}
      {isAdmin && <ToModeration count={open.length} />}
      {disputes.length > 0 && (
        <>
          <h2>{t.disputes}</h2>
          <ul>
            {disputes.map((d) => (
              <Row key={d.id} kind="dispute" one={{ ...d, title: d.orderTitle }} />
            ))}
          </ul>
        </>
      )}
      <h2>{isAdmin ? t.allOrders : t.orders}</h2>
      {state === 'loaded' && orders.length === 0 && (
        <p className="dim pad">{t.noOrders}</p>
      )}
      <ul>
        {orders.map((o, i) => (
          <OrderRow key={o.id} order={o} isLive={i < LIVE} />
        ))}
      </ul>
    </nav>
  );
}

/** In its room, so that the list hears of it, too. */
function OrderRow({ order, isLive }) {
  useRoom(isLive ? `order:${order.id}` : null);
  return <Row kind="order" one={order} />;
}

function Row({ kind, one }) {
  const t = useTexts();
  const { me, route, hashOf } = usePane();
  const others = [one.client, one.performer].filter((p) => p?.id !== me.id);
  const isCurrent = route.kind === kind && route.id === one.id;
  return (
    <li>
      <a
        className="row"
        href={hashOf(`${kind}/${one.id}`)}
        data-kind={kind}
        aria-current={isCurrent ? 'page' : undefined}
      >
        <span className={`row-icon ${kind}`}>
          <Icon name={kind === 'order' ? 'chat' : 'alert'} />
        </span>
        <span className="row-title">{one.title}</span>
        <span className="row-with">
          {others.map((p) => p?.name ?? t.nobodyYet).join(', ')}
        </span>
        <Status status={one.status} />
      </a>
    </li>
  );
}

function ToModeration({ count }) {
  const t = useTexts();
  const { route, hashOf } = usePane();
  const isCurrent = route.kind === 'moderation' || route.kind === '';
  return (
    <a
      className="row to-moderation"
      href={hashOf('moderation')}
      aria-current={isCurrent ? 'page' : undefined}
    >
      <span className="row-icon">
        <Icon name="shield" />
      </span>
      <span className="row-title">{t.moderation}</span>
      <span className="count">{count}</span>
    </a>
  );
}
