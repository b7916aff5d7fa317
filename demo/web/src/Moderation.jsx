// SPDX-License-Identifier: ISC
// All disputes by their status; a new one comes in by itself.

import { moment, useTexts } from './texts.js';
import { Title } from './OrderView.jsx';
import { usePane } from './desk.js';

const STATUSES = ['open', 'in_review', 'resolved'];

export function Moderation() {
  const t = useTexts();
  const { market } = usePane();
  return (
    <>
      <Title title={t.moderation}>
        <span className="dim small">{t.moderationHint}</span>
      </Title>
      <div className="board" tabIndex={0} role="region" aria-label={t.moderation}>
        {STATUSES.map((status) => {
          const some = market.disputes.filter((d) => d.status === status);
          return (
            <section key={status} data-status={status}>
              <h2>
                {t.columns[status]} <span className="count">{some.length}</span>
              </h2>
              {some.length === 0 && <p className="dim pad">{t.nothingHere}</p>}
              <ul aria-label={t.columns[status]} aria-live="polite">
                {some.map((d) => (
                  <Card key={d.id} dispute={d} />
                ))}
              </ul>
            </section>
          );
        })}
      </div>
    </>
  );
}

function Card({ dispute }) {
  const t = useTexts();
  const { hashOf } = usePane();
  const { client, performer, moderator } = dispute;
  return (
    <li className="card">
      <h3>{dispute.orderTitle}</h3>
      <p className="quote">{dispute.reason}</p>
      <p className="dim small">
        {client.name} · {performer.name}
        <br />
        {moderator ? t.moderatedBy(moderator.name) : t.noModerator}
        <br />
        <time dateTime={dispute.createdAt}>
          {t.openedAt(moment(t.locale, dispute.createdAt))}
        </time>
      </p>
      <div className="buttons">
        <a className="button" href={hashOf(`dispute/${dispute.id}`)}>
          {t.look}
        </a>
        {dispute.status in NEXT && <NextStep dispute={dispute} />}
      </div>
    </li>
  );
}

const NEXT = {
  open: ['in_review', 'review'],
  in_review: ['resolved', 'resolve'],
};

function NextStep({ dispute }) {
  const t = useTexts();
  const { api, fail, market } = usePane();
  const [status, word] = NEXT[dispute.status];
  const step = () =>
    api
      .setDisputeStatus(dispute.id, status)
      .then(market.refreshDisputes)
      .catch(fail);
  return (
    <button type="button" className="button primary" onClick={() => void step()}>
      {t[word]}
    </button>
  );
}
