// SPDX-License-Identifier: ISC

import { useEffect, useState } from 'react';
import { demoUsers } from './api.js';
import { Avatar, Icon, Role } from './parts.jsx';
import { useTexts } from './texts.js';

/** onPair, if it makes sense here, fills both panes at once. */
export function Login({ onPick, onPair }) {
  const t = useTexts();
  const [users, setUsers] = useState(null);
  const [problem, setProblem] = useState(null);

  useEffect(() => {
    let gone = false;
    demoUsers().then(
      (list) => gone || setUsers(list),
      (err) => gone || setProblem(err.message),
    );
    return () => {
      gone = true;
    };
  }, []);
  const pick = (email) => onPick(email).catch((err) => setProblem(err.message));

  return (
    <div className="login">
      <div className="login-card">
        <h1>{t.pick}</h1>
        <p className="dim">{t.tagline}</p>
        {problem && (
          <p className="problem" role="alert">
            {t.noUsers} {problem}
          </p>
        )}
        <ul className="people" aria-label={t.pick}>
          {users?.map(({ id, name, email, role }) => (
            <li key={id}>
              <button type="button" onClick={() => void pick(email)}>
                <Avatar name={name} role={role} />
                <span className="who">
                  <strong>{name}</strong>
                  <span className="dim">{email}</span>
                </span>
                <Role role={role} />
              </button>
            </li>
          ))}
        </ul>
        {onPair ? (
          <button type="button" className="button wide" onClick={onPair}>
            <Icon name="panes" /> {t.sideBySide}
          </button>
        ) : null}
        <p className="dim small">{t.pickHint}</p>
      </div>
    </div>
  );
}
