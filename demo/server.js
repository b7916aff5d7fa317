// SPDX-License-Identifier: ISC

import { openDatabase } from './api/db.js';
import { createDemo } from './app.js';
import { readConfig } from './config.js';

const config = readConfig();
const db = openDatabase({ application_name: 'demo api' });
const server = createDemo({ ...config, db });

server.on('error', (err) => {
  console.error(`cannot listen on ${config.host}:${config.port}: ${err.code}`);
  process.exit(1);
});
server.listen(config.port, config.host, () => {
  console.error(`listening on http://${config.host}:${server.address().port}/`);
});

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    server.close();
    // Upgraded connections are not the server's any more, and a request may
    // hang: neither is waited for.
    setTimeout(() => process.exit(0), 2000).unref();
    db.end().finally(() => process.exit(0));
  });
