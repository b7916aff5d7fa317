// SPDX-License-Identifier: ISC
// How far a room has come. Ids of different epochs are not compared.

export interface Position {
  id: number;
  epoch: string;
}

/**
 * The happenings of this epoch that were told, so that one that comes again in
 * another room is dropped. Twins are near each other in the log, so that what
 * was told long ago may be forgotten.
 */
export class Seen {
  #texts = new Set<string>();

  constructor(readonly limit = 8192) {}

  /** False if it was there. */
  add(text: string): boolean {
    if (this.#texts.has(text)) return false;
    this.#texts.add(text);
    if (this.#texts.size > this.limit)
      // A Set keeps the order in which its members came.
      for (const oldest of this.#texts) {
        this.#texts.delete(oldest);
        break;
      }
    return true;
  }

  clear(): void {
    this.#texts.clear();
  }
}
