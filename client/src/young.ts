// SPDX-License-Identifier: ISC
// A token that is refused may be only too young for the daemon's clock.

/** Clocks do not differ by more: a token that is refused for longer is bad. */
const CLOCK_S = 300;

/** Made a moment ago, or not yet valid: by our own clock, which is a third. */
export function isYoung(token: string): boolean {
  try {
    const part = token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/');
    const { nbf } = JSON.parse(atob(part)) as { nbf?: number };
    return nbf !== undefined && Date.now() / 1000 - nbf < CLOCK_S;
  } catch {
    return false;
  }
}
