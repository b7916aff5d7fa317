// SPDX-License-Identifier: ISC

/**
 * Full jitter: anywhere between nothing and the doubled delay. What was cut off
 * together does not come back together.
 */
export const backoff = (tries: number, base: number, cap: number): number =>
  Math.random() * Math.min(cap, base * 2 ** tries);
