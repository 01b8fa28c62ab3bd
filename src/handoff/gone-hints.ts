/**
 * Hints that have gone, for the giving up of tombstones. A hint is read when it goes home, not when it was stored, and what it
 * brings may be older than any tombstone; so that it is there no more does not mean that no copy of it is on its way: a second
 * attempt may have been faster than the first. What has gone at one time must therefore count as waiting for whoever asks
 * what waited since an earlier one. Kept in memory: of the hints of an earlier process nothing is known but that there may
 * have been some.
 */

/** A hint, or several, of operations from `low` on, that were there until `at` at most; hybrid times. */
interface Gone {
  readonly low: number;
  readonly at: number;
}

/** Kept for each partition; beyond it two are taken for one that was there from the first to the last. */
const KEPT_MAX = 8;

export class GoneHints {
  /** By `n/partition`; with the lows also the times rise. */
  readonly #gone = new Map<string, Gone[]>();
  readonly #startedAt: number;

  /** `startedAt`: later than all that an earlier process has done. */
  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  add(partition: string, low: number, at: number): void {
    // What was there longer and is older says all that the others say.
    const gone = (this.#gone.get(partition) ?? []).filter((earlier) => earlier.low < low);
    gone.push({ low, at });
    if (gone.length > KEPT_MAX) gone.splice(0, 2, { low: gone[0]!.low, at: gone[1]!.at });
    this.#gone.set(partition, gone);
  }

  /** The oldest operation of which a hint was there after `since`; Infinity for none. */
  oldest(partition: string, since: number): number {
    if (this.#startedAt > since) return 1;
    return this.#gone.get(partition)?.find(({ at }) => at > since)?.low ?? Infinity;
  }
}
