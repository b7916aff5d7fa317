// SPDX-License-Identifier: ISC

import { PushClient } from './client.js';
import type { AnyEvents, AnySends, Client, Options } from './types.js';

export { PushError } from './types.js';
export type * from './types.js';

/**
 * A client that connects at once and stays connected until close(). With the
 * types of one's events and sends, names and data are checked.
 */
export function connect<
  Events extends object = AnyEvents,
  Sends extends object = AnySends,
>(options: Options): Client<Events, Sends> {
  const client = new PushClient(options);
  client.connect();
  return client as unknown as Client<Events, Sends>;
}
