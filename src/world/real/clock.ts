/**
 * The machine's clocks and the event loop's timers.
 */

import type { Clock, Timer } from '#world/world.ts';

/** The host fires longer timers at once instead of late, so a longer delay is waited for in pieces. */
const LONGEST_HOST_TIMER_MS = 2 ** 31 - 1;

/** The host counts whole milliseconds and may fire up to one early; this timer looks again and waits for the rest. */
class HostTimer implements Timer {
  readonly #due: number;
  readonly #callback: () => void;
  #handle: NodeJS.Timeout | undefined;

  constructor(delay: number, callback: () => void) {
    this.#due = performance.now() + delay;
    this.#callback = callback;
    this.#wait(delay);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #wait(delay: number): void {
    this.#handle = setTimeout(this.#fire, Math.max(0, Math.min(Math.ceil(delay), LONGEST_HOST_TIMER_MS)));
    this.#handle.unref();
  }

  readonly #fire = (): void => {
    const left = this.#due - performance.now();
    if (left > 0) this.#wait(left);
    else this.#callback();
  };
}

export function realClock(): Clock {
  return {
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    after: (delay, callback) => new HostTimer(delay, callback),
    defer: (callback) => void setImmediate(callback),
  };
}
