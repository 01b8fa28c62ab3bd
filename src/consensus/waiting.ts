/**
 * Waiting by the clock of the world.
 */

import type { Clock, Random } from '#world/world.ts';

export function sleep(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(milliseconds, resolve);
  });
}

/** A wait that can be ended early. */
export interface Pause {
  readonly over: Promise<void>;
  readonly end: () => void;
}

export function pause(clock: Clock, milliseconds: number): Pause {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    const timer = clock.after(milliseconds, resolve);
    end = () => {
      timer.cancel();
      resolve();
    };
  });
  return { over, end };
}

/** Resolves when the promise does, at the latest at the deadline; never rejects. */
export function settledBy(clock: Clock, promise: Promise<unknown>, deadline: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(Math.max(0, deadline - clock.monotonic()), resolve);
    const settled = (): void => {
      timer.cancel();
      resolve();
    };
    promise.then(settled, settled);
  });
}

/**
 * How long to wait before the next attempt: random, up to a bound that doubles with each attempt ("full jitter"), so
 * that nodes which got in each other's way do not meet again.
 */
export function backoff(random: Random, attempt: number, first: number, longest: number): number {
  const bound = Math.min(longest, first * 2 ** Math.min(attempt, 30));
  return (random.uint32() / 2 ** 32) * bound;
}
