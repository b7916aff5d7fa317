// SPDX-License-Identifier: ISC

import type { JoinOptions } from '../types.js';

/** The handler that lets one into the chat of an order or of a dispute. */
export const doorOf = (kind: 'order' | 'dispute', id: string): JoinOptions => ({
  event: `join_${kind}_chat`,
  data: { [`${kind}Id`]: id },
});
