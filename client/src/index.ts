// SPDX-License-Identifier: ISC

import { PushClient } from './client.js';
import type { Client, Options } from './types.js';

export { PushError } from './types.js';
export type * from './types.js';

/** A client that connects at once and stays connected until close(). */
export function connect(options: Options): Client {
  const client = new PushClient(options);
  client.connect();
  return client;
}
