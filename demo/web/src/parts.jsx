// SPDX-License-Identifier: ISC
// Small things that many views use.

import { useTexts } from './texts.js';

const PATHS = {
  back: 'M15 5l-7 7 7 7',
  panes: 'M4 5h7v14H4zM13 5h7v14h-7z',
  pane: 'M4 5h16v14H4z',
  events: 'M4 6h10M4 12h16M4 18h7M19 5v4M19 7h-2',
  power: 'M12 4v8M7.5 7a7 7 0 1 0 9 0',
  out: 'M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9',
  shield: 'M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  alert: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  close: 'M6 6l12 12M18 6L6 18',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l4 4',
};

export const Icon = ({ name }) => (
  <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
);

const initials = (name) =>
  name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => [...word][0])
    .join('');

export const Avatar = ({ name, role }) => (
  <span className={`avatar role-${role}`} aria-hidden="true">
    {initials(name)}
  </span>
);

export function Role({ role }) {
  const t = useTexts();
  return <span className={`tag role-${role}`}>{t.roles[role]}</span>;
}

export function Status({ status }) {
  const t = useTexts();
  return <span className={`tag is-${status}`}>{t.statuses[status]}</span>;
}

/** What an empty place says instead. */
export const Empty = ({ icon, title, children }) => (
  <div className="empty">
    <Icon name={icon} />
    <strong>{title}</strong>
    {children}
  </div>
);
