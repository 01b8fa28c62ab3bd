/**
 * How many data requests are worked on at once by a node that has more to do than it can. Work that is let in beyond what the
 * event loop can do only waits, and makes everything wait; so the number follows what the loop has shown to do within a
 * typical time: it falls by how much too long requests took, and rises slowly while that is no more so (additive increase,
 * multiplicative decrease). Who is over it is told to come back later, which costs a fraction of the work.
 *
 * Requests that take long for another reason, a silent owner or a slow disk, are no reason to turn others away: only a node
 * whose loop is at work nearly all the time is overloaded.
 */

export interface AdaptiveLimitOptions {
  /** The limit of a node that is not overloaded. */
  readonly most: number;
  /** Milliseconds: typical requests should not take longer. */
  readonly target: number;
  /** The share of the time since the last call in which the event loop was at work. */
  readonly busy: () => number;
}

/** Judged again when so much time has passed and so many requests have ended. */
const WINDOW_MS = 100;
const SAMPLES_LEAST = 16;
/** Latencies that are kept of a window: more say no more about the middle. */
const SAMPLES_MAX = 256;
const BUSY = 0.9;
/** So many are no overload whatever time they take: a machine may have other things to do, and groups of writes need company. */
const LEAST = 64;
/** At most by this factor in one window, since what is under way already will still be late. */
const FALL = 0.6;
/** Of the target: below it there is room for more. */
const ROOM = 0.8;
const RISE = 1.1;
/** When nobody was turned away for a window, the storm is over. */
const CALM_RISE = 2;

export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions;
  readonly #latencies: number[] = [];
  #limit: number;
  /** The most requests under way in the window, and whether more came. */
  #peak = 0;
  #reached = false;
  #windowEnds = Number.NEGATIVE_INFINITY;

  constructor(options: AdaptiveLimitOptions) {
    this.#options = options;
    this.#limit = options.most;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Whether one more may begin while so many are under way. */
  allows(underWay: number): boolean {
    if (underWay >= this.#limit) {
      this.#reached = true;
      return false;
    }
    if (underWay >= this.#peak) this.#peak = underWay + 1;
    return true;
  }

  /** A request that was let in has ended after so many milliseconds. */
  ended(latency: number, now: number): void {
    if (this.#latencies.length < SAMPLES_MAX) this.#latencies.push(latency);
    if (now >= this.#windowEnds && this.#latencies.length >= SAMPLES_LEAST) this.#judge(now);
  }

  #judge(now: number): void {
    const { most, target, busy } = this.#options;
    const typical = this.#latencies.sort((a, b) => a - b)[this.#latencies.length >> 1]!;
    const isBusy = busy() >= BUSY;
    if (isBusy && typical > target) {
      const factor = Math.max(FALL, target / typical);
      this.#limit = Math.max(LEAST, Math.min(this.#limit, this.#peak) * factor);
    } else if (!this.#reached) this.#limit = Math.min(most, this.#limit * CALM_RISE);
    else if (!isBusy || typical < target * ROOM) this.#limit = Math.min(most, this.#limit * RISE + 1);
    this.#latencies.length = 0;
    this.#peak = 0;
    this.#reached = false;
    this.#windowEnds = now + WINDOW_MS;
  }
}
