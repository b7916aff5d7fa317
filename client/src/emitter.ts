// SPDX-License-Identifier: ISC
// Handlers by name. One that throws is reported like an uncaught error, and
// the others are called all the same.

import type { Handler, Meta } from './types.js';

const report = (err: unknown): void =>
  (globalThis.reportError ?? console.error)(err);

export class Emitter {
  #handlers = new Map<string, Set<{ call: Handler }>>();

  get empty(): boolean {
    return this.#handlers.size === 0;
  }

  on(name: string, call: Handler): () => void {
    const set = this.#handlers.get(name) ?? new Set();
    // An object of its own: the same function may be registered twice.
    const entry = { call };
    this.#handlers.set(name, set.add(entry));
    return () => {
      if (set.delete(entry) && set.size === 0 && this.#handlers.get(name) === set)
        this.#handlers.delete(name);
    };
  }

  emit(name: string, data: unknown, meta: Meta = { event: name }): void {
    const set = this.#handlers.get(name);
    if (!set) return;
    for (const entry of [...set]) {
      // An earlier one may have taken this one off.
      if (!set.has(entry)) continue;
      try {
        entry.call(data, meta);
      } catch (err) {
        report(err);
      }
    }
  }
}
