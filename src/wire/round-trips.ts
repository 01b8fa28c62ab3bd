/**
 * How long a way to a peer and back takes on one connection: of questions whether it is there, which share the connection with whatever
 * else is sent. Of the last few a short one counts, so that one which came back late because a process stood still, or was handed
 * on, says nothing, and a way that has become slow is known for slow a few questions later.
 */

const COUNTED = 5;
/** The second shortest. */
const PLACE = 1;

export class RoundTrips {
  readonly #last: number[] = [];

  took(milliseconds: number): void {
    this.#last.push(milliseconds);
    if (this.#last.length > COUNTED) this.#last.shift();
  }

  /** In milliseconds; 0 when there was none yet. */
  get typical(): number {
    const sorted = this.#last.toSorted((a, b) => a - b);
    return sorted[Math.min(PLACE, sorted.length - 1)] ?? 0;
  }
}
