// SPDX-License-Identifier: ISC
// Who is using the page. The choice is kept per tab, so that two tabs can be
// two users.

import * as api from './api.js';
import { App } from './app.js';
import { byId, el, toast } from './dom.js';

const KEY = 'pgpush-demo-user';
let app = null;

async function showLogin() {
  byId('app').hidden = true;
  byId('login').hidden = false;
  try {
    const users = await api.demoUsers();
    byId('users').replaceChildren(
      ...users.map((user) =>
        el(
          'li',
          {},
          el(
            'button',
            { type: 'button', onclick: () => logIn(user.email) },
            el('strong', {}, user.name),
            el('span', { class: 'email' }, user.email),
            el('span', { class: `badge role-${user.role}` }, user.role),
          ),
        ),
      ),
    );
  } catch (err) {
    toast(err.message);
  }
}

async function logIn(email) {
  let user;
  try {
    user = await freshLogin(email);
  } catch (err) {
    toast(err.message);
    sessionStorage.removeItem(KEY);
    await showLogin();
    return;
  }
  sessionStorage.setItem(KEY, email);
  byId('login').hidden = true;
  byId('app').hidden = false;
  app = new App(user.user, user.token, () =>
    freshLogin(email).then((u) => u.token),
  );
  // For the console, and for tests.
  window.demo = app;
  await app.start();
}

async function freshLogin(email) {
  const answer = await api.login(email);
  api.setToken(answer.token);
  return answer;
}

byId('logout').addEventListener('click', () => {
  sessionStorage.removeItem(KEY);
  app?.stop();
  history.replaceState(null, '', location.pathname);
  location.reload();
});

const email = sessionStorage.getItem(KEY);
if (email) logIn(email);
else showLogin();
