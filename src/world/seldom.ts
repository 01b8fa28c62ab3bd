/**
 * What is worth a line in the log, when strangers can make the same thing happen as often as they like.
 */

const PAUSE_MS = 60_000;
/** Different things that are remembered; beyond it the memory starts anew. */
const MAX_THINGS = 64;

export class Seldom {
  readonly #now: () => number;
  readonly #toldAt = new Map<string, number>();

  /** `now` gives monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** True at the first time, and again when a minute has gone by since it was last true for this. */
  isNews(thing: string): boolean {
    const now = this.#now();
    if (now - (this.#toldAt.get(thing) ?? -Infinity) < PAUSE_MS) return false;
    if (this.#toldAt.size >= MAX_THINGS) this.#toldAt.clear();
    this.#toldAt.set(thing, now);
    return true;
  }
}
