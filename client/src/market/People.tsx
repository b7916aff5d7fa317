// SPDX-License-Identifier: ISC
// Who is in a chat: role, presence, mutes, and a moderator's means.

import { useState, type ReactNode } from 'react';
import type { Person } from './api.js';
import { muteText, textsOf, whenText, type Locale } from './texts.js';
import type { Mutes } from './useMutes.js';
import type { PresenceMap } from '../react/usePresence.js';

export interface PeopleProps {
  people: readonly Person[];
  presence: PresenceMap;
  mutes: Mutes;
  locale: Locale;
  moderates: boolean;
}

export function People(props: PeopleProps): ReactNode {
  const { people, presence, mutes, locale, moderates } = props;
  const t = textsOf(locale);
  const [muting, setMuting] = useState<string | null>(null);
  const whom = people.find((p) => p.id === muting);
  return (
    <>
      <ul className="pgpush-people" aria-label={t.people}>
        {people.map((p) => {
          const mute = mutes.of(p.id);
          return (
            <li key={p.id} data-user={p.id}>
              <Avatar name={p.name} isOnline={presence[p.id]?.isOnline} />
              <span className="pgpush-who">
                <span>
                  <strong dir="auto" title={p.name}>{p.name}</strong>{' '}
                  {p.role && (
                    <span className={`pgpush-role pgpush-role-${p.role}`}>
                      {t.role[p.role]}
                    </span>
                  )}
                </span>{' '}
                <span className="pgpush-seen">{seen(locale, presence[p.id])}</span>
                {mute && (
                  <span className="pgpush-is-muted" title={mute.reason ?? ''}>
                    {muteText(locale, mute, true)}
                  </span>
                )}
              </span>
              {moderates && p.role !== 'admin' &&
                (mute ? (
                  <button
                    type="button"
                    aria-label={t.unmute(p.name)}
                    onClick={() => mutes.unmute(p.id)}
                  >
                    {t.unmuteShort}
                  </button>
                ) : (
                  <button
                    type="button"
                    aria-label={t.mute(p.name)}
                    aria-expanded={muting === p.id}
                    onClick={() => setMuting(muting === p.id ? null : p.id)}
                  >
                    {t.muteShort}
                  </button>
                ))}
            </li>
          );
        })}
      </ul>
      {whom && (
        <MuteForm
          name={whom.name}
          locale={locale}
          onCancel={() => setMuting(null)}
          onMute={(minutes, reason) => {
            mutes.mute(whom.id, minutes, reason);
            setMuting(null);
          }}
        />
      )}
    </>
  );
}

export function Avatar(props: { name: string; isOnline?: boolean }): ReactNode {
  const { name, isOnline } = props;
  const initials = name.split(/\s+/).slice(0, 2).map((word) => [...word][0]);
  return (
    <span className="pgpush-avatar" aria-hidden="true">
      {initials}
      <span className={`pgpush-dot ${isOnline ? 'pgpush-on' : ''}`} />
    </span>
  );
}

function seen(locale: Locale, p: PresenceMap[string]): string {
  const t = textsOf(locale);
  if (!p) return '';
  if (p.isOnline) return t.online;
  return p.lastSeen ? t.lastSeen(whenText(locale, p.lastSeen)) : t.offline;
}

const MINUTES = [10, 60, 24 * 60, 7 * 24 * 60];

interface MuteFormProps {
  name: string;
  locale: Locale;
  onMute: (minutes: number | null, reason: string) => void;
  onCancel: () => void;
}

function MuteForm({ name, locale, onMute, onCancel }: MuteFormProps): ReactNode {
  const t = textsOf(locale);
  const [minutes, setMinutes] = useState(60);
  const [reason, setReason] = useState('');
  return (
    <form
      className="pgpush-mute-form"
      aria-label={t.mute(name)}
      onSubmit={(event) => {
        event.preventDefault();
        onMute(minutes || null, reason.trim());
      }}
      onKeyDown={(event) => event.key === 'Escape' && onCancel()}
    >
      <label>
        {t.muteFor}
        <select
          autoFocus
          value={minutes}
          onChange={(event) => setMinutes(Number(event.target.value))}
        >
          {MINUTES.map((n) => (
            <option key={n} value={n}>{t.duration(n)}</option>
          ))}
          <option value={0}>{t.forGood}</option>
        </select>
      </label>
      <label className="pgpush-reason">
        {t.muteReason}
        <input
          value={reason}
          maxLength={500}
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
      <button type="submit" className="pgpush-primary">{t.muteShort}</button>
      <button type="button" onClick={onCancel}>{t.cancel}</button>
    </form>
  );
}
