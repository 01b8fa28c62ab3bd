/**
 * A hybrid logical clock (Kulkarni et al. 2014): it follows the wall clock, but never repeats or goes back, and it is
 * never behind a time it has heard of. So times order causally related events rightly whatever the wall clocks do, and
 * unrelated ones as well as the wall clocks allow.
 *
 * A hybrid time is one safe integer: milliseconds since 2025 times 4096, plus a logical counter. More than 4096 ticks in
 * a millisecond run into the next one, which the wall clock then catches up with. It lasts until the year 2094.
 */

/** 2025-01-01T00:00:00Z in milliseconds since 1970. */
const START_OF_2025 = 1_735_689_600_000;
export const TICKS_PER_MILLISECOND = 4096;
const DEFAULT_MAX_DRIFT = 500;
/** Before it goes ahead by more than this at once, for what it gives out is never taken back, it asks whether the calendar is believed. */
const LEAP: number = 60_000 * TICKS_PER_MILLISECOND;

/** The calendar part of a hybrid time, in milliseconds since 1970. */
export function timeOf(hybridTime: number): number {
  return Math.floor(hybridTime / TICKS_PER_MILLISECOND) + START_OF_2025;
}

/** The first hybrid time of a calendar time; 0 for calendar times before 2025. Multiplies: shifts have 32 bits only. */
export function hybridTimeAt(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds - START_OF_2025) * TICKS_PER_MILLISECOND);
}

export interface HybridClockOptions {
  /** The machine's calendar clock, in milliseconds since 1970. */
  readonly wall: () => number;
  /** The last time that the node stored before it stopped; 0 for a new node. */
  readonly start?: number;
  /** How far ahead of the wall clock a time from another node may be to be believed; 500 without it. */
  readonly maxDriftMilliseconds?: number;
  /** As for {@link HybridClock.followIf}; always without it. */
  readonly isBelieved?: () => boolean;
}

export class HybridClock {
  readonly #wall: () => number;
  readonly #maxDrift: number;
  #last: number;
  #isBelieved: () => boolean;

  constructor(options: HybridClockOptions) {
    const stored = options.start ?? 0;
    if (!isHybridTime(stored)) throw new RangeError(`hybrid time ${stored} to start from: 0 to 2^53-1`);
    this.#wall = options.wall;
    this.#maxDrift = options.maxDriftMilliseconds ?? DEFAULT_MAX_DRIFT;
    this.#isBelieved = options.isBelieved ?? (() => true);
    this.#last = stored;
    const wall = hybridTimeAt(options.wall());
    this.#last = checked((this.#isFollowed(wall) ? Math.max(wall, stored) : stored) + 1);
  }

  /** From now on the wall clock is followed over a minute and more only while it is believed. */
  followIf(isBelieved: () => boolean): void {
    this.#isBelieved = isBelieved;
  }

  /** A new time, later than all that this clock has given or believed. Throws RangeError after the last one. */
  tick(): number {
    const wall = hybridTimeAt(this.#wall());
    this.#last = checked(this.#isFollowed(wall) ? Math.max(this.#last + 1, wall) : this.#last + 1);
    return this.#last;
  }

  /** The first of `count` times in a row that this clock will never give. */
  reserve(count: number): number {
    const first = this.tick();
    this.#last = checked(first + count - 1);
    return first;
  }

  /**
   * Takes note of a time from another node, so that later ticks are later than it. False, with nothing changed, when it
   * is no hybrid time or so far ahead that one wrong clock would drag the whole cluster along.
   */
  receive(time: number): boolean {
    if (!isHybridTime(time) || time > hybridTimeAt(this.#wall() + this.#maxDrift)) return false;
    if (!this.#isFollowed(time)) return false;
    this.#last = Math.max(this.#last, time);
    return true;
  }

  #isFollowed(time: number): boolean {
    return time <= this.#last + LEAP || this.#isBelieved();
  }

  /** The latest time given or believed: what to store, so that a restarted clock goes on after it. */
  last(): number {
    return this.#last;
  }
}

function isHybridTime(time: number): boolean {
  return Number.isSafeInteger(time) && time >= 0;
}

function checked(time: number): number {
  if (!Number.isSafeInteger(time)) throw new RangeError('the hybrid clock has no times left: is the wall clock right?');
  return time;
}
