// SPDX-License-Identifier: ISC
// A browser on the page. Whatever a test does, no message may show twice in a
// pane, not even for a moment, and no page may fail.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from '../../client/test/chromium.js';
import { BASE, LIMIT_MS, makeWorld, openPool, until } from './lib.js';

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 800 };
const SHOTS = process.env.PUSH_SHOTS;

/** Runs in the page, before anything else. */
function watch(sessions) {
  for (const [pane, session] of sessions.entries()) {
    const key = `pgpush-demo.${pane}`;
    if (session && !sessionStorage.getItem(key))
      sessionStorage.setItem(key, JSON.stringify(session));
  }
  window.doubles = [];
  const look = (messages) => {
    const seen = new Set();
    for (const message of messages) {
      const text = message.querySelector('.pgpush-content')?.textContent;
      const isDeleted = message.classList.contains('pgpush-deleted');
      for (const mark of [message.dataset.id, isDeleted ? null : text]) {
        if (mark && seen.has(mark)) window.doubles.push(mark);
        if (mark) seen.add(mark);
      }
    }
  };
  new MutationObserver(() => {
    for (const pane of document.querySelectorAll('.pane'))
      look(pane.querySelectorAll('.pgpush-message'));
  }).observe(document, { subtree: true, childList: true, characterData: true });

  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      window.sockets.push(this);
    }
  };
}

/** The hooks of a file, and what its tests use. */
export function useBrowser() {
  const pool = openPool();
  let browser;
  let contexts = [];
  let problems = [];
  const use = { pool, w: null };

  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    browser = await chromium.launch(CHROMIUM);
  });
  after(async () => {
    await browser?.close();
    await pool.end();
  });
  beforeEach(async () => {
    use.w = await makeWorld(pool);
  });
  afterEach(async () => {
    const pages = contexts.flatMap((c) => c.pages());
    const doubles = await Promise.all(
      pages.map((page) => page.evaluate(() => window.doubles)),
    );
    await Promise.all(contexts.map((c) => c.close()));
    const found = problems;
    contexts = [];
    problems = [];
    assert.deepEqual(doubles.flat(), []);
    assert.deepEqual(found, []);
  });

  /** A window of its own, with a user in each pane, or nobody. */
  use.open = async (users, hash = '', { viewport = DESKTOP, ...more } = {}) => {
    const context = await browser.newContext({
      viewport,
      locale: 'en-GB',
      permissions: ['camera', 'microphone'],
      ...more,
    });
    contexts.push(context);
    context.setDefaultTimeout(LIMIT_MS);
    const page = await context.newPage();
    watchProblems(page, problems);
    await context.addInitScript(
      watch,
      users.map(({ token, ...user }) => ({ token, user })),
    );
    await page.goto(`${BASE}/${users.length > 1 ? '?panes=2' : ''}${hash}`);
    for (const [i] of users.entries()) await isOnline(paneOf(page, i));
    return page;
  };

  const inOrder = (order) => `#order/${order.id}`;

  /** [page, his pane] of one user in the order. */
  use.inOrder = async (user, options) => {
    const page = await use.open([user], inOrder(use.w.order), options);
    return [page, paneOf(page, 0)];
  };

  /** [page, left pane, right pane], both in the order and seeing each other. */
  use.pair = async (left = use.w.client, right = use.w.performer, options) => {
    const hash = `${inOrder(use.w.order)};order/${use.w.order.id}`;
    const page = await use.open([left, right], hash, options);
    const panes = [paneOf(page, 0), paneOf(page, 1)];
    for (const pane of panes) await pane.locator('.pgpush-on').first().waitFor({
      state: 'attached',
    });
    return [page, ...panes];
  };
  return use;
}

export const paneOf = (page, i) => page.locator(`.pane[data-pane="${i}"]`);

export const isOnline = (pane) =>
  pane
    .locator('.connection[data-status="online"]')
    .waitFor({ state: 'attached' });

export const message = (pane, text) =>
  pane.locator('.pgpush-message').filter({
    has: pane.page().getByText(text, { exact: typeof text === 'string' }),
  });

export const field = (pane) =>
  pane.getByRole('textbox', { name: 'Message', exact: true });

export async function write(pane, text) {
  await field(pane).fill(text);
  await pane.getByRole('button', { name: 'Send' }).click();
}

/** What is written next comes after it: it shows before the API has it. */
export async function writeOne(pane, text) {
  await write(pane, text);
  await pane.locator('.pgpush-message[data-id]', { hasText: text }).waitFor();
}

/** Who pauses is not typing any more: he goes on until it is seen. */
export async function seesTyping(pane, text, typing) {
  await until(async () => {
    await field(typing).press('x');
    return (await pane.getByText(text).count()) > 0;
  }, String(text));
}

export const texts = (pane) =>
  pane.locator('.pgpush-message .pgpush-content').allTextContents();

/** A picture at both sizes of screen. */
export async function shoot(page, name) {
  const before = page.viewportSize();
  for (const [kind, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    await page.setViewportSize(size);
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({
      path: path.join(SHOTS, `${name}-${kind}.png`),
      animations: 'disabled',
    });
    if (kind === 'phone') await fits(page);
  }
  await page.setViewportSize(before);
}

/** Nothing is wider than the screen, and whatever can be pressed has a name. */
export async function fits(page) {
  const found = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const shown = [...document.querySelectorAll('button, a, input, select, textarea, summary')]
      .filter((e) => e.checkVisibility());
    return {
      width: document.documentElement.scrollWidth - width,
      wide: [...document.querySelectorAll('.app *')]
        .filter((e) => e.checkVisibility() && !e.closest('.hidden, .pgpush-hidden'))
        .filter((e) => e.getBoundingClientRect().right > width + 1)
        .map((e) => e.outerHTML.slice(0, 100)),
      nameless: shown
        .filter((e) => !(e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim())
        .filter((e) => !e.querySelector('img[alt]:not([alt=""])'))
        .map((e) => e.outerHTML.slice(0, 100)),
    };
  });
  assert.deepEqual(found, { width: 0, wide: [], nameless: [] });
}
