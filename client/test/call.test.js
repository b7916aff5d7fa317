// SPDX-License-Identifier: ISC
// Calls: two browsers with made-up cameras, and what each sees of the other.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { until } from './lib.js';
import { CLIENT, PERFORMER } from './react/lib.js';
import { isStatus, makeStage, seesOnline } from './react/stage.js';

let stage;
let proxy;
before(async () => {
  stage = await makeStage();
  ({ proxy } = stage);
});
after(() => stage.finish());
afterEach(() => stage.clear());

const MEDIA = { permissions: ['camera', 'microphone'] };

async function open(user, orderId, props = {}) {
  const page = await stage.open(user, { orderId, call: true, ...props }, MEDIA);
  await isStatus(page, 'online');
  return page;
}

async function openBoth(orderId) {
  const pages = [await open(CLIENT, orderId), await open(PERFORMER, orderId)];
  for (const page of pages) await seesOnline(page, 1);
  return pages;
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const ring = (page) => page.getByRole('alertdialog');
const talk = (page) => page.getByRole('group', { name: /^Call with/ });
const ended = (page, text) =>
  page.locator('.pgpush-call-ended').filter({ hasText: text }).waitFor();
/** It is said for a while only: looked for in both at once. */
const bothEnded = (a, b, text) => Promise.all([ended(a, text), ended(b, text)]);

/** Pictures of the other come in, and go on coming. */
async function seesTheOther(page) {
  const picture = () =>
    page.locator('video.pgpush-remote').evaluate((v) => ({
      width: v.videoWidth,
      frames: v.getVideoPlaybackQuality().totalVideoFrames,
    }));
  await until(async () => (await picture()).width > 0, 'a picture');
  const { frames } = await picture();
  await until(async () => (await picture()).frames > frames + 5, 'more pictures');
  await page.locator('.pgpush-call-state').getByText(/\d\d:\d\d/).waitFor();
}

const hears = (page) =>
  page.locator('video.pgpush-remote').evaluate(
    (v) => v.srcObject.getAudioTracks().length > 0 && !v.muted && !v.paused);

async function callWithVideo(a, b) {
  await button(a, 'Video call').click();
  await ring(b).waitFor();
  await button(b, 'Accept with video').click();
  for (const page of [a, b]) await seesTheOther(page);
}

test('a video call: both see and hear each other, and one hangs up', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await button(a, 'Video call').click();
  await ring(b).waitFor();
  assert.equal(await ring(b).getAttribute('aria-label'), 'Olena is calling with video');
  await talk(a).getByText('Ringing…').waitFor();
  await button(b, 'Accept with video').click();
  for (const page of [a, b]) {
    await seesTheOther(page);
    assert.equal(await hears(page), true);
  }
  await button(b, 'Hang up').click();
  await bothEnded(a, b, 'The call has ended.');
  for (const page of [a, b]) assert.equal(await talk(page).count(), 0);
  // Nothing is left that would be in the way of the next one.
  await callWithVideo(b, a);
  await button(b, 'Hang up').click();
  await ended(a, 'The call has ended.');
});

test('microphone and camera off are seen at the other side; a camera comes later', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await button(a, 'Call').click();
  await ring(b).waitFor();
  assert.equal(await button(b, 'Accept with video').count(), 0);
  await button(b, 'Accept').click();
  await talk(a).getByText(/\d\d:\d\d/).waitFor();
  assert.equal(await a.locator('video.pgpush-remote').isVisible(), true);
  await button(a, 'Turn the camera on').click();
  await seesTheOther(b);
  await button(a, 'Mute the microphone').click();
  await talk(b).getByText('microphone off').waitFor();
  await button(a, 'Unmute the microphone').click();
  await talk(b).getByText('microphone off').waitFor({ state: 'detached' });
  await button(a, 'Turn the camera off').click();
  await talk(b).locator('.pgpush-avatar').waitFor();
});

test('declined, given up, not answered by who is not there', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await button(a, 'Call').click();
  await button(b, 'Decline').click();
  await ended(a, 'The call was declined.');
  await button(a, 'Call').click();
  await ring(b).waitFor();
  await button(a, 'Hang up').click();
  await ring(b).waitFor({ state: 'detached' });
});

test('both call at once: it is one call', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  // Neither hears of the other's before it has called: both are asked for
  // their cameras, and say yes when both have been asked.
  for (const page of [a, b])
    await page.evaluate(() => {
      const { mediaDevices } = navigator;
      const { getUserMedia } = mediaDevices;
      const allowed = new Promise((resolve) => {
        window.allow = resolve;
      });
      mediaDevices.getUserMedia = (wanted) =>
        allowed.then(() => getUserMedia.call(mediaDevices, wanted));
    });
  for (const page of [a, b]) await button(page, 'Video call').click();
  await Promise.all([a, b].map((page) => page.evaluate(() => window.allow())));
  for (const page of [a, b]) await seesTheOther(page);
  await button(a, 'Hang up').click();
  await ended(b, 'The call has ended.');
});

test('hung up before the offer is made, the next call is as any', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await a.evaluate(() => {
    const { prototype } = RTCPeerConnection;
    const { createOffer } = prototype;
    prototype.createOffer = function (...args) {
      prototype.createOffer = createOffer;
      const made = createOffer.apply(this, args);
      document.querySelector('[aria-label="Hang up"]').click();
      return made;
    };
  });
  await button(a, 'Video call').click();
  await ended(a, 'The call has ended.');
  await callWithVideo(a, b);
});

test('of two windows that ring one has the call', async () => {
  const order = await stage.newOrder();
  const [a, b] = await openBoth(order);
  const other = await open(PERFORMER, order);
  await button(a, 'Video call').click();
  await ring(b).waitFor();
  await ring(other).waitFor();
  await button(b, 'Accept with video').click();
  await ended(other, 'The call goes on in another window.');
  for (const page of [a, b]) await seesTheOther(page);
});

test('who opens the page while it rings is called', async () => {
  const order = await stage.newOrder();
  const a = await open(CLIENT, order);
  await button(a, 'Video call').click();
  await talk(a).getByText('Ringing…').waitFor();
  const b = await open(PERFORMER, order);
  await button(b, 'Accept with video').click();
  for (const page of [a, b]) await seesTheOther(page);
});

test('a cut does not end the call, and it can be hung up after', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await callWithVideo(a, b);
  for (let i = 0; i < 3; i++) {
    const sockets = a.sockets.count;
    proxy.cut();
    await until(() => a.sockets.count > sockets, 'another socket');
    for (const page of [a, b]) await isStatus(page, 'online');
    for (const page of [a, b]) await seesTheOther(page);
  }
  // The call is held by the new sockets, and again in the database.
  await until(async () => {
    const [[n]] = await stage.w.does('root', {
      text: 'SELECT count(*) FROM push_calls WHERE callee_session IS NOT NULL',
    });
    return n === 1;
  }, 'held again');
  await button(b, 'Hang up').click();
  await bothEnded(a, b, 'The call has ended.');
});

test('an offer that was cut off is made again', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await button(a, 'Video call').click();
  await ring(b).waitFor();
  proxy.refusing = true;
  proxy.cut();
  await isStatus(b, 'reconnecting');
  proxy.refusing = false;
  for (const page of [a, b]) await isStatus(page, 'online');
  await button(b, 'Accept with video').click();
  for (const page of [a, b]) await seesTheOther(page);
});

test('a call by the fallback', async () => {
  proxy.noUpgrade = true;
  const orderId = await stage.newOrder();
  const pages = [];
  for (const user of [CLIENT, PERFORMER]) {
    pages.push(await stage.open(user, { orderId, call: true }, MEDIA));
    await isStatus(pages.at(-1), 'online (fallback)');
  }
  const [a, b] = pages;
  await seesOnline(b, 1);
  await callWithVideo(b, a);
  await button(a, 'Hang up').click();
  await ended(b, 'The call has ended.');
});

test('who leaves the page ends the call', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await callWithVideo(a, b);
  await b.goto('about:blank');
  await ended(a, 'The call has ended.');
});

test('who is gone without a word is missed after a while', async () => {
  const [a, b] = await openBoth(await stage.newOrder());
  await callWithVideo(a, b);
  const cdp = await b.context().newCDPSession(b);
  cdp.send('Page.crash').catch(() => {});
  await talk(a).getByText('Connection lost').waitFor();
  await a.locator('.pgpush-call-ended').filter({ hasText: 'has gone' })
    .waitFor();
});

test('who is in a call is busy for another order', async () => {
  const order = await stage.newOrder();
  const [a, b] = await openBoth(order);
  await callWithVideo(a, b);
  const other = await open(CLIENT, order);
  await button(other, 'Call').click();
  await ended(other, 'Busy in another call.');
  for (const page of [a, b]) await seesTheOther(page);
});

test('a mute ends the call, and says so', async () => {
  const order = await stage.newOrder();
  const [a, b] = await openBoth(order);
  await callWithVideo(a, b);
  await stage.sql(
    `INSERT INTO room_mutes (order_id, user_id, reason)
     VALUES (%s, %s, 'Enough.') RETURNING 1`, order, CLIENT);
  await bothEnded(a, b, 'somebody is muted');
  await button(a, 'Call').click();
  await ended(a, 'You are muted in this chat');
});

test('without a microphone it is said why', async () => {
  const order = await stage.newOrder();
  const b = await open(PERFORMER, order);
  const a = await stage.open(CLIENT, { orderId: order, call: true });
  await isStatus(a, 'online');
  await a.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
  });
  await button(a, 'Call').click();
  await ended(a, 'cannot be used');
  assert.equal(await ring(b).count(), 0);
});
