// SPDX-License-Identifier: ISC
// The frame around everything: one user or two side by side, the language, the
// inspector.

import { useEffect, useRef, useState } from 'react';
import { Inspector } from './Inspector.jsx';
import { Pane } from './Pane.jsx';
import { Icon } from './parts.jsx';
import { setPanes, usePanes } from './place.js';
import { useSession } from './session.js';
import {
  firstLocale,
  keepLocale,
  LocaleContext,
  LOCALES,
  useTexts,
} from './texts.js';

const PAIR = ['client@demo.test', 'performer@demo.test'];

export function App() {
  const [locale, setLocale] = useState(firstLocale);
  useEffect(() => {
    document.documentElement.lang = locale;
    keepLocale(locale);
  }, [locale]);
  return (
    <LocaleContext value={locale}>
      <Frame locale={locale} setLocale={setLocale} />
    </LocaleContext>
  );
}

function Frame({ locale, setLocale }) {
  const t = useTexts();
  const panes = usePanes();
  const sessions = [useSession(0), useSession(1)];
  const [front, setFront] = useState(0);
  const [isInspecting, setInspecting] = useState(false);
  const inspectorButton = useRef(null);
  const shown = sessions.slice(0, panes);

  async function pair() {
    await Promise.all(PAIR.map((email, i) => sessions[i].logIn(email)));
    setPanes(2);
  }

  return (
    <div className="app" data-panes={panes} data-front={front}>
      <header className="bar">
        <span className="brand">
          <img src="/icon.svg" alt="" width="24" height="24" />
          {t.title}
        </span>
        <button
          type="button"
          className="button ghost"
          aria-pressed={panes === 2}
          aria-label={t.twoPanes}
          onClick={() => {
            setPanes(3 - panes);
            setFront(0);
          }}
        >
          <Icon name="panes" /> <span className="label">{t.twoPanes}</span>
        </button>
        <button
          ref={inspectorButton}
          type="button"
          className="button ghost"
          aria-pressed={isInspecting}
          aria-label={t.inspector}
          onClick={() => setInspecting(!isInspecting)}
        >
          <Icon name="events" /> <span className="label">{t.inspector}</span>
        </button>
        <Language locale={locale} setLocale={setLocale} />
      </header>

      {panes === 2 && (
        <div className="fronts" role="group" aria-label={t.panes}>
          {shown.map(({ user }, i) => (
            <button
              key={i}
              type="button"
              aria-pressed={front === i}
              onClick={() => setFront(i)}
            >
              {t.paneOf(user?.name, i + 1)}
            </button>
          ))}
        </div>
      )}

      <main className="panes">
        {shown.map((session, i) => (
          <Pane
            key={`${i} ${session.user?.id}`}
            pane={i}
            session={session}
            onPair={i === 0 && panes === 1 ? pair : null}
          />
        ))}
      </main>

      {isInspecting && (
        <Inspector
          onClose={() => {
            setInspecting(false);
            inspectorButton.current?.focus();
          }}
        />
      )}
    </div>
  );
}

function Language({ locale, setLocale }) {
  const t = useTexts();
  return (
    <div className="languages" role="group" aria-label={t.language}>
      {LOCALES.map(([code, name]) => (
        <button
          key={code}
          type="button"
          lang={code}
          title={name}
          aria-label={`${code.toUpperCase()}: ${name}`}
          aria-pressed={locale === code}
          onClick={() => setLocale(code)}
        >
          {code.toUpperCase()}
        </button>
      ))}
    </div>
  );
}
