/**
 * Which calls of one connection have begun already. A network, or a relay in it, may hand over a message twice; a request
 * that is executed twice could mint a second version of one write. Ids rise along a connection, and a small message may
 * overtake large ones, so it is enough to remember the highest id and the gaps below it.
 */

/** Gaps below the highest id. The oldest is forgotten, which means: taken as begun. */
const GAPS_MAX = 8192;

export class SeenCalls {
  #highest = 0;
  readonly #gaps = new Set<number>();

  /** True the first time that it is asked for an id. */
  begins(id: number): boolean {
    if (id <= this.#highest) return this.#gaps.delete(id);
    for (let gap = Math.max(this.#highest + 1, id - GAPS_MAX); gap < id; gap++) this.#gaps.add(gap);
    for (const oldest of this.#gaps) {
      if (this.#gaps.size <= GAPS_MAX) break;
      this.#gaps.delete(oldest);
    }
    this.#highest = id;
    return true;
  }
}
