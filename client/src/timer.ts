// SPDX-License-Identifier: ISC

export type Timer = ReturnType<typeof setTimeout> | undefined;

/** A timer that does not keep a node process alive. */
export function later(ms: number, run: () => void): Timer {
  const timer = setTimeout(run, ms);
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
