// SPDX-License-Identifier: ISC
// The 24 points of Engine.IO against an echo at /engine.io/.

import { after, before } from 'node:test';
import { closes, handshakes, heartbeats, messages, upgrades } from './engine.js';
import { startPeer } from './peer.js';

let server;
const peer = () => server;
before(async () => {
  server = await startPeer('engine');
});
after(() => server.stop());

handshakes(peer, '/engine.io');
messages(peer, '/engine.io');
heartbeats(peer, '/engine.io');
closes(peer, '/engine.io');
upgrades(peer, '/engine.io', '4hello', '4hello');
