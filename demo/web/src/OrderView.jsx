// SPDX-License-Identifier: ISC
// An order: what it is, its status, its chat, and the way to its dispute.

import { useEffect, useRef, useState } from 'react';
import { CallPanel, OrderChat } from 'pgpush/market';
import { Icon, Status } from './parts.jsx';
import { usePane } from './desk.js';
import { useTexts } from './texts.js';

const STATUSES = ['open', 'in_progress', 'completed', 'cancelled'];

export function OrderView({ order }) {
  const t = useTexts();
  const { me, api, market, fail } = usePane();
  const dispute = market.disputeOf(order.id);
  const isDisputed = dispute && dispute.status !== 'resolved';
  const isParty = me.id === order.client.id || me.id === order.performer?.id;
  const setStatus = ({ target }) => {
    api.setOrderStatus(order.id, target.value).catch(fail);
  };

  return (
    <>
      <Title title={order.title}>
        {order.price !== null && (
          <span className="price">{t.price(order.price, t.locale)}</span>
        )}
        <select
          className={`status is-${order.status}`}
          aria-label={t.orderStatus}
          value={order.status}
          onChange={setStatus}
        >
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {t.statuses[status]}
            </option>
          ))}
        </select>
        {isParty && order.performer && !isDisputed && (
          <OpenDispute orderId={order.id} />
        )}
      </Title>
      {dispute && <Views dispute={dispute} current="order" />}
      <OrderConversation order={order} dispute={dispute} />
    </>
  );
}

/** Its chat alone. */
export function OrderConversation({ order, dispute }) {
  const t = useTexts();
  const { me, api, market } = usePane();
  const isParty = me.id === order.client.id || me.id === order.performer?.id;
  const other = me.id === order.client.id ? order.performer : order.client;
  const people = [
    { ...order.client, role: 'client' },
    order.performer && { ...order.performer, role: 'performer' },
    !isParty && me,
  ].filter(Boolean);
  return (
    <OrderChat
      orderId={order.id}
      me={me.id}
      people={people}
      api={api}
      locale={t.locale}
      closed={order.performer ? null : t.noPerformer}
      emojis={market.emojis}
      moderates={me.role === 'admin' || dispute?.moderator?.id === me.id}
      header={
        isParty &&
        other && (
          <CallPanel
            orderId={order.id}
            me={me.id}
            peer={other}
            locale={t.locale}
          />
        )
      }
    />
  );
}

export function Title({ title, children }) {
  const t = useTexts();
  const { go } = usePane();
  const heading = useRef(null);
  // If what had the focus is gone, here is where it goes on. It is not taken
  // away from anything, as a dispute opens by itself.
  useEffect(() => {
    const { activeElement } = document;
    const isGone =
      activeElement === document.body ||
      activeElement.getClientRects().length === 0;
    if (isGone) heading.current.focus({ preventScroll: true });
  }, []);
  return (
    <div className="title">
      <button
        type="button"
        className="button ghost back"
        aria-label={t.back}
        onClick={() => go('')}
      >
        <Icon name="back" />
      </button>
      <h1 ref={heading} tabIndex={-1} title={title}>{title}</h1>
      <div className="title-actions">{children}</div>
    </div>
  );
}

/** An order that is in dispute has two chats. */
export function Views({ dispute, current }) {
  const t = useTexts();
  const { hashOf } = usePane();
  return (
    <nav className="views" aria-label={t.views}>
      <a
        href={hashOf(`order/${dispute.orderId}`)}
        aria-current={current === 'order' ? 'page' : undefined}
      >
        <Icon name="chat" /> {t.orderChat}
      </a>
      <a
        href={hashOf(`dispute/${dispute.id}`)}
        aria-current={current === 'dispute' ? 'page' : undefined}
      >
        <Icon name="alert" /> {t.dispute} <Status status={dispute.status} />
      </a>
    </nav>
  );
}

function OpenDispute({ orderId }) {
  const t = useTexts();
  const { api, fail, go } = usePane();
  const dialog = useRef(null);
  const [reason, setReason] = useState('');

  async function open(event) {
    event.preventDefault();
    try {
      const { id } = await api.openDispute(orderId, reason);
      go(`dispute/${id}`);
    } catch (err) {
      dialog.current?.close();
      fail(err);
    }
  }
  return (
    <>
      <button
        type="button"
        className="button"
        onClick={() => dialog.current.showModal()}
      >
        <Icon name="alert" /> {t.openDispute}
      </button>
      <dialog ref={dialog} className="dialog" aria-label={t.openDispute}>
        <form onSubmit={open}>
          <h2>{t.openDispute}</h2>
          <p className="dim">{t.disputeHint}</p>
          <label>
            {t.reason}
            <textarea
              rows={4}
              maxLength={2000}
              required
              value={reason}
              onChange={({ target }) => setReason(target.value)}
            />
          </label>
          <div className="buttons">
            <button
              type="button"
              className="button"
              onClick={() => dialog.current.close()}
            >
              {t.cancel}
            </button>
            <button type="submit" className="button primary">
              {t.openDispute}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
