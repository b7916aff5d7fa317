// SPDX-License-Identifier: ISC
// Calls between two panes, with the browser's made-up cameras.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shoot, useBrowser } from './browser.js';
import { until } from './lib.js';

const use = useBrowser();

const button = (pane, name) => pane.getByRole('button', { name, exact: true });
const ended = (pane, text) => pane.getByRole('status').filter({ hasText: text });

/** Pictures of the other come in, and go on coming. */
async function seesTheOther(pane) {
  const picture = () =>
    pane.locator('video.pgpush-remote').evaluate((v) => ({
      width: v.videoWidth,
      frames: v.getVideoPlaybackQuality().totalVideoFrames,
    }));
  await until(async () => (await picture()).width > 0, 'a picture');
  const { frames } = await picture();
  await until(async () => (await picture()).frames > frames + 3, 'more pictures');
}

test('a video call: rings in the other pane, is answered, and ends', async () => {
  const { w } = use;
  const [page, a, b] = await use.pair();
  await button(a, 'Video call').click();
  await b
    .getByRole('alertdialog', { name: `${w.client.name} is calling with video` })
    .waitFor();
  await shoot(page, 'ringing');
  await button(b, 'Accept with video').click();
  for (const pane of [a, b]) await seesTheOther(pane);
  for (const pane of [a, b]) {
    const [panel, control] = await Promise.all([
      pane.locator('.pgpush-talk').boundingBox(),
      button(pane, 'Hang up').boundingBox(),
    ]);
    assert.ok(
      control.x + control.width <= panel.x + panel.width &&
        control.y + control.height <= panel.y + panel.height,
      'the controls are inside of the panel',
    );
  }
  await shoot(page, 'call');
  await button(b, 'Hang up').click();
  for (const pane of [a, b]) await ended(pane, 'The call has ended.').waitFor();
});

test('who looks at something else is told of a call, and may decline it', async () => {
  const { w } = use;
  const [, a, b] = await use.pair();
  await b.getByRole('button', { name: 'Back to the list' }).click();
  await button(a, 'Call').click();
  const told = b.getByRole('alert').filter({ hasText: `${w.client.name} is calling` });
  await told.getByRole('button', { name: 'Go to the call' }).click();
  await button(b, 'Decline').click();
  await ended(a, 'The call was declined.').waitFor();

  // Given up, there is nothing to be told any more.
  await b.getByRole('button', { name: 'Back to the list' }).click();
  await button(a, 'Call').click();
  await told.waitFor();
  await button(a, 'Hang up').click();
  await told.waitFor({ state: 'detached' });
});
