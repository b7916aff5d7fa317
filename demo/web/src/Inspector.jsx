// SPDX-License-Identifier: ISC
// What came over the wire: room, event, id, size, latency.

import { memo, useMemo, useState, useSyncExternalStore } from 'react';
import { clear, seen, subscribe } from './events.js';
import { Icon } from './parts.jsx';
import { useTexts } from './texts.js';

export function Inspector({ onClose }) {
  const t = useTexts().ins;
  const events = useSyncExternalStore(subscribe, seen);
  const [filter, setFilter] = useState('');
  /** What was there when it was paused, or null. */
  const [frozen, setFrozen] = useState(null);
  const wanted = filter.trim().toLowerCase();
  const list = frozen ?? events;
  const shown = useMemo(
    () => list.filter((e) => e.words.includes(wanted)),
    [list, wanted],
  );
  const median = useMemo(() => medianOf(shown.map(latencyOf)), [shown]);
  const waiting = frozen
    ? events.filter((e) => e.key > (frozen[0]?.key ?? 0)).length
    : 0;

  return (
    <aside
      className="inspector"
      aria-label={t.title}
      onKeyDown={({ key }) => key === 'Escape' && onClose()}
    >
      <header>
        <h2>{t.title}</h2>
        <span className="dim small">
          {t.count(shown.length)}
          {median !== null && ` · ${t.median(median)}`}
        </span>
        <label className="search">
          <Icon name="search" />
          <input
            type="search"
            aria-label={t.filter}
            placeholder={t.filterHint}
            value={filter}
            onChange={({ target }) => setFilter(target.value)}
          />
        </label>
        <button
          type="button"
          className="button"
          aria-pressed={frozen !== null}
          onClick={() => setFrozen(frozen ? null : events)}
        >
          <Icon name={frozen ? 'play' : 'pause'} />
          <span className="label">{frozen ? t.resume(waiting) : t.pause}</span>
        </button>
        <button
          type="button"
          className="button"
          onClick={() => {
            clear();
            setFrozen(frozen && []);
          }}
        >
          <Icon name="trash" /> <span className="label">{t.clear}</span>
        </button>
        <button
          type="button"
          className="button ghost"
          aria-label={t.close}
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      <p className="dim small hint">{t.hint}</p>
      <div className="wire-head" aria-hidden="true">
        <span>{t.time}</span>
        <span>{t.event}</span>
        <span>{t.room}</span>
        <span>{t.user}</span>
        <span>{t.id}</span>
        <span>{t.size}</span>
        <span>{t.latency}</span>
      </div>
      {shown.length === 0 ? (
        <p className="dim pad">{list.length === 0 ? t.none : t.noMatch}</p>
      ) : (
        <ol className="wire" aria-label={t.title} tabIndex={0}>
          {shown.map((event) => (
            <Event key={event.key} event={event} />
          ))}
        </ol>
      )}
    </aside>
  );
}

const Event = memo(function Event({ event }) {
  const { locale, ins: t } = useTexts();
  const { who, room, id, at, bytes, data } = event;
  const isEphemeral = id === undefined;
  const latency = latencyOf(event);
  return (
    <li data-event={event.event} data-ephemeral={isEphemeral || undefined}>
      <details>
        <summary>
          <time className="at">{clock(locale, at)}</time>
          <strong className="event">{event.event}</strong>
          <span className="room">{room ?? t.own}</span>
          <span className="who">{who}</span>
          <span className="id">
            {isEphemeral ? (
              <span className="tag">{t.ephemeral}</span>
            ) : (
              <>
                <span className="hidden">{t.id} </span>
                {id}
              </>
            )}
          </span>
          <span className="size">{t.bytes(bytes)}</span>
          <span className="latency">
            <span className="hidden">{t.latency} </span>
            {latency === null ? '–' : t.ms(latency)}
          </span>
        </summary>
        <pre>{JSON.stringify(data, null, 2)}</pre>
      </details>
    </li>
  );
});

/** By two clocks, that of the database and that of the browser. */
const latencyOf = ({ written, shown }) =>
  written === null || shown === null ? null : shown - written;

function medianOf(latencies) {
  const known = latencies.filter((n) => n !== null).sort((a, b) => a - b);
  return known.length > 0 ? known[Math.floor(known.length / 2)] : null;
}

const clock = (locale, at) =>
  new Intl.DateTimeFormat(locale, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    hourCycle: 'h23',
  }).format(at);
