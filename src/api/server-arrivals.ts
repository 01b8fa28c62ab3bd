/**
 * Deadlines of the bodies that are still arriving. Nearly all are complete within a millisecond, and a timer for each
 * would cost more than reading it; so one timer looks through those that are open, and only while there are any.
 */

import { ByNumber } from '#kernel/by-number.ts';
import type { ApiClock } from './services.ts';

/** How late a late body may be noticed, in milliseconds. */
export const ARRIVAL_CHECK_MS = 100;

export interface Arrival {
  /** An instant of the monotonic clock. */
  readonly deadline: number;
  /** The body is late; called once. */
  late(): void;
}

export class Arrivals {
  readonly #clock: ApiClock;
  readonly #open = new ByNumber<Arrival>();
  #last = 0;
  #watching = false;

  constructor(clock: ApiClock) {
    this.#clock = clock;
  }

  /** Returns the number under which it {@link end}s. */
  begin(arrival: Arrival): number {
    this.#open.add(++this.#last, arrival);
    if (!this.#watching) {
      this.#watching = true;
      this.#clock.after(ARRIVAL_CHECK_MS, this.#check);
    }
    return this.#last;
  }

  end(number: number): void {
    this.#open.delete(number);
  }

  readonly #check = (): void => {
    const now = this.#clock.monotonic();
    this.#open.forEach((arrival, number) => {
      if (arrival.deadline > now) return;
      this.#open.delete(number);
      arrival.late();
    });
    this.#watching = this.#open.size > 0;
    if (this.#watching) this.#clock.after(ARRIVAL_CHECK_MS, this.#check);
  };
}
