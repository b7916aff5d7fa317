// SPDX-License-Identifier: ISC
// The orders and disputes of a user, live.

import { useRoom } from 'pgpush/market';
import { Avatar, Empty, Icon, Status } from './parts.jsx';
import { usePane } from './desk.js';
import { shortTime, useTexts } from './texts.js';

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
        <Empty icon="chat" title={t.noOrders}>
          <p className="dim">{t.noOrdersHint}</p>
        </Empty>
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
  const { lastMessage: last, unread = 0 } = one;
  const time = last?.createdAt ?? one.updatedAt;
  const names = others.map((p) => p?.name ?? t.nobodyYet).join(', ');
  return (
    <li>
      <a
        className="row"
        href={hashOf(`${kind}/${one.id}`)}
        data-kind={kind}
        data-unread={unread > 0 || undefined}
        aria-current={isCurrent ? 'page' : undefined}
      >
        {kind === 'order' ? (
          <Avatar name={others[0]?.name ?? '?'} role={roleIn(one, others[0])} />
        ) : (
          <span className="row-icon dispute"><Icon name="alert" /></span>
        )}
        <span className="row-line">
          <span className="row-title">{one.title}</span>
          <time className="row-time" dateTime={time}>
            {shortTime(t.locale, time)}
          </time>
        </span>
        <span className="row-line">
          <span className="row-with">{names}</span>
          <Status status={one.status} />
        </span>
        {last && (
          <span className="row-line">
            <span className="row-with row-last">{excerptOf(last, me, t)}</span>
            {unread > 0 && (
              <span className="badge">
                {unread > 99 ? '99+' : unread}
                <span className="hidden"> {t.unread}</span>
              </span>
            )}
          </span>
        )}
      </a>
    </li>
  );
}

const excerptOf = ({ senderId, deleted, content }, me, t) =>
  (senderId === me.id ? `${t.me}: ` : '') +
  (deleted ? t.deletedMessage : content || t.attachment);

const roleIn = (order, person) =>
  person && person.id === order.client.id ? 'client' : 'performer';

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
