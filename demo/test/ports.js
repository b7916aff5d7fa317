// SPDX-License-Identifier: ISC

import { once } from 'node:events';
import { createServer } from 'node:net';

/** A server on a port below the range for outgoing connections: there one that
 * is free now could be taken by any of them before it is used. */
async function hold() {
  for (;;) {
    const server = createServer();
    server.listen(20_000 + Math.floor(Math.random() * 12_000), '127.0.0.1');
    try {
      await once(server, 'listening');
      return server;
    } catch (err) {
      if (err.code !== 'EADDRINUSE') throw err;
    }
  }
}

/** Held open together, so that no port comes twice. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, hold));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
