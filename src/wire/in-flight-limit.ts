/**
 * How many calls to one peer may wait for an answer at once: more while they are answered in time, fewer when they are not
 * (additive increase and multiplicative decrease, as TCP does). A peer that is slow holds a number of calls that it can work
 * off, instead of all that come in while it is slow; the others learn at once that it takes no more, and go elsewhere.
 */

import type { CallEnding } from './messaging.ts';

/** Not fewer, so that a peer that recovers is noticed. */
const LEAST = 16;
const FIRST = 256;
/** One decrease takes back so much. */
const DECREASE = 0.7;
/** All that comes to grief at the same time is one sign, not many. */
const DECREASE_INTERVAL_MS = 500;

export class InFlightLimit {
  readonly #most: number;
  #limit: number;
  #decreasedAt = Number.NEGATIVE_INFINITY;

  constructor(most: number) {
    this.#most = most;
    this.#limit = Math.min(most, FIRST);
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** A call has ended while so many others are under way. What was cut off with its connection says nothing. */
  ended(result: CallEnding['result'], reason: string, inFlight: number, now: number): void {
    if (reason === 'timeout' || reason === 'overloaded') this.#shrink(now);
    // Only a limit that is used may grow.
    else if (result === 'reply' && 2 * inFlight >= this.#limit) this.#limit = Math.min(this.#most, this.#limit + 1);
  }

  #shrink(now: number): void {
    if (now - this.#decreasedAt < DECREASE_INTERVAL_MS) return;
    this.#decreasedAt = now;
    this.#limit = Math.max(Math.min(LEAST, this.#most), this.#limit * DECREASE);
  }
}
