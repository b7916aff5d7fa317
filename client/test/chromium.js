// SPDX-License-Identifier: ISC
// The browser of all tests that have one, also of the demo's.

/** What chromium.launch() gets. */
export const CHROMIUM = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // Machines of the tests are slow and busy.
  timeout: 120_000,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
    // There is nobody on this machine who resolves the names put in place
    // of its addresses.
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--autoplay-policy=no-user-gesture-required',
    '--host-resolver-rules=MAP plain.test 127.0.0.1',
  ],
};

/**
 * The browser's own remarks: what is refused or cut is so on purpose. If it is
 * cut within the headers of an answer, the one that allows it to be read is
 * missing.
 */
const OF_NETWORK = [
  /^Failed to load resource: /,
  /^WebSocket connection to /,
  /^Access to fetch at \S+ from origin \S+ has been blocked by CORS policy: /,
];

/** Whatever a test does, a page neither fails nor complains: else it is noted. */
export function watchProblems(page, problems) {
  page.on('pageerror', (err) => problems.push(err.stack || err.message));
  page.on('console', (message) => {
    const [type, text] = [message.type(), message.text()];
    const isOfNetwork = OF_NETWORK.some((line) => line.test(text));
    if (/^(error|warning)$/.test(type) && !isOfNetwork)
      problems.push(`${type}: ${text}`);
  });
}
