/**
 * Deadlines of the bodies that are still arriving. Nearly all are complete within a millisecond, and a timer for each
 * would cost more than reading it; so one timer looks through those that are open, and only while there are any.
 */

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
  readonly #open = new Set<Arrival>();
  #watching = false;

  constructor(clock: ApiClock) {
    this.#clock = clock;
  }

  begin(arrival: Arrival): void {
    this.#open.add(arrival);
    if (this.#watching) return;
    this.#watching = true;
    this.#clock.after(ARRIVAL_CHECK_MS, this.#check);
  }

  end(arrival: Arrival): void {
    this.#open.delete(arrival);
  }

  readonly #check = (): void => {
    const now = this.#clock.monotonic();
    for (const arrival of this.#open) {
      if (arrival.deadline > now) continue;
      this.#open.delete(arrival);
      arrival.late();
    }
    this.#watching = this.#open.size > 0;
    if (this.#watching) this.#clock.after(ARRIVAL_CHECK_MS, this.#check);
  };
}
