// SPDX-License-Identifier: ISC
// What was written and could not be sent is kept in the browser until it can,
// over reloads, too. It is a list of JSON by a name; where a browser keeps
// nothing (private windows, node), it lives as long as the page.

export interface Unsent<T = unknown> {
  /** Made up here; the idempotency key where an API takes one. */
  id: string;
  data: T;
  /** Rows that look like it, and were there before. */
  twins: string[];
}

/** Where the browser keeps nothing. */
const memory = new Map<string, string>();

const storage = (): Storage | null => {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
};

export class Outbox<T = unknown> {
  #key: string;

  constructor(name: string) {
    this.#key = `pgpush.outbox.${name}`;
  }

  list(): Unsent<T>[] {
    try {
      const all: unknown = JSON.parse(
        (storage() ? storage()!.getItem(this.#key) : memory.get(this.#key)) ??
          '[]',
      );
      return Array.isArray(all) ? (all as Unsent<T>[]) : [];
    } catch {
      return [];
    }
  }

  has(id: string): boolean {
    return this.list().some((one) => one.id === id);
  }

  keep(one: Unsent<T>): void {
    this.#write([...this.list().filter(({ id }) => id !== one.id), one]);
  }

  drop(id: string): void {
    this.#write(this.list().filter((one) => one.id !== id));
  }

  #write(all: Unsent<T>[]): void {
    const text = JSON.stringify(all);
    if (!storage()) memory.set(this.#key, text);
    try {
      if (all.length > 0) storage()?.setItem(this.#key, text);
      else storage()?.removeItem(this.#key);
    } catch {
      // Full: then it lives as long as the page.
    }
  }
}

/**
 * One tab at a time sends what is kept: run() is called when it is our turn,
 * and the next tab's when it has settled.
 */
export async function inTurn(
  name: string,
  run: () => Promise<void>,
): Promise<void> {
  const locks = globalThis.navigator?.locks;
  if (locks) await locks.request(`pgpush.outbox.${name}`, run);
  else await run();
}

/** Whether it may be tried again: it has not come there, or the server failed. */
export function isLost(err: unknown): boolean {
  const { status, code } = (err ?? {}) as { status?: number; code?: string };
  if (typeof status === 'number') return status === 0 || status >= 500;
  if (typeof code === 'string')
    return /^(timeout|lost|closed|unavailable)$/.test(code);
  return err instanceof TypeError;
}
