/**
 * How much repair has under way at once. An exchange waits for the other end at each of its steps, so on a long way, one after the
 * other, nearly all of the time is waiting: there several run at once. On a short way more of them would only get in the way of clients.
 * Of pages of states, which may be large, few are under way to all others together, so that a slow way carries them in the time
 * that each of them is given.
 */

import type { Ring } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';

export const EXCHANGES_MAX = 16;
/** One exchange more for each so many milliseconds that a message needs to the farthest member and back. */
const ROUND_TRIP_MS = 10;
/** Bytes of states that are under way at once, unless a single page has more. */
export const STATES_UNDER_WAY_MAX: number = 1024 * 1024;
/** What is expected of the first page. */
const FIRST_PAGE_BYTES = 256 * 1024;

/** `least`: so many also where the ways are short. */
export function exchangesAtOnce(
  messaging: Pick<Messaging, 'roundTrip'>,
  { members }: Pick<Ring, 'members'>,
  least: number,
): number {
  const longest = Math.max(...members.map(({ id }) => messaging.roundTrip(id)));
  return Math.max(least, Math.min(EXCHANGES_MAX, least + Math.floor(longest / ROUND_TRIP_MS)));
}

/** Works on all of them, so many at once. When it fails for one no other is begun, and the failure is thrown when none is under way. */
export async function workOn<T>(all: readonly T[], atOnce: number, work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values();
  let failed = false;
  const workers = Array.from({ length: atOnce }, async () => {
    for (const one of left) {
      if (failed) return;
      try {
        await work(one);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  });
  for (const result of await Promise.allSettled(workers)) if (result.status === 'rejected') throw result.reason;
}

/** Lets so many in at once, in the order in which they came. */
export class Gate {
  readonly #most: () => number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(most: () => number) {
    this.#most = most;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#most()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inside += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }
}

/** Pages of states that are asked for or sent: they get under way in the order in which they came, so that no large one waits for ever. */
export class Pages {
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  #bytes = 0;
  /** What a page is expected to have that somebody asks for: about as much as the largest of the last few. */
  #expected = FIRST_PAGE_BYTES;

  /** Calls when there is room. `bytes` that it sends; undefined when it is its answer that has the states. */
  async underWay<T>(bytes: number | undefined, call: () => Promise<T>): Promise<T> {
    const expected = bytes ?? this.#expected;
    if (this.#waiting.length > 0 || !this.#hasRoomFor(expected))
      await new Promise<void>((resolve) => this.#waiting.push({ bytes: expected, go: resolve }));
    else this.#bytes += expected;
    try {
      return await call();
    } finally {
      this.#bytes -= expected;
      this.#letGo();
    }
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= STATES_UNDER_WAY_MAX;
  }

  #letGo(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || !this.#hasRoomFor(next.bytes)) return;
      this.#waiting.shift();
      this.#bytes += next.bytes;
      next.go();
    }
  }

  /** So many bytes of states have come in one page. */
  came(bytes: number): void {
    this.#expected = Math.max(bytes, Math.ceil(this.#expected / 2));
  }
}
