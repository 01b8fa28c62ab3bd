/**
 * How many data requests are worked on at once by a node that has more to do than it can. Work that is let in beyond what the
 * event loop can do only waits, and makes everything wait. Who is over the number is told to come back later, which costs a
 * fraction of the work.
 *
 * As long as typical requests take a bearable time, everybody is let in: many clients that each wait for their answer are no
 * overload. When that time is exceeded a storm has begun, and from then on the number follows what the loop does within a small
 * multiple of the time that requests took before: it falls by how much too long they take, and rises slowly while they do not
 * (additive increase, multiplicative decrease). The storm is over when nobody was turned away; and because clients that try
 * again at once look like a storm even when there are few of them, more are let in for a moment from time to time, to see.
 *
 * Requests that take long for another reason, a silent owner or a slow disk, are no reason to turn others away: only a node
 * whose loop is at work nearly all the time is overloaded.
 */

export interface AdaptiveLimitOptions {
  /** The limit of a node that is not overloaded. */
  readonly most: number;
  /** So many are let in whatever time they take: groups of writes need company. */
  readonly least: number;
  /** Milliseconds: when typical requests take longer, there are too many. */
  readonly bearable: number;
  /** The share of the time since the last call in which the event loop was at work. */
  readonly busy: () => number;
}

/** Judged again when so much time has passed and so many requests have ended. */
const WINDOW_MS = 100;
const SAMPLES_LEAST = 16;
/** Latencies that are kept of a window: more say no more about the middle. */
const SAMPLES_MAX = 256;
/** A shorter time says nothing about the pace: groups of writes end together. */
const SPAN_LEAST_MS = 50;
const BUSY = 0.9;
/** In a storm a loop that waits for so much of its time has room for more. */
const IDLE = 0.75;
/** So many windows in a row make a storm: one may be the machine's, which had other things to do. */
const ONSET_WINDOWS = 2;
/** So many at once are no storm, whatever time they take: clients that wait for their answers do no harm. */
const CROWD = 128;
/** In a storm typical requests may take so many times what they took before it. */
const STRETCH = 1.5;
/** What they took before follows a fall at once, a rise slowly: hours of much to do become what is usual. */
const USUAL_RISE = 0.01;
/** At most by this factor in one window, since what is under way already will still be late. */
const FALL = 0.6;
/** Of what they may take: below it there is room for more. */
const ROOM = 0.8;
const RISE = 1.1;
/** When nobody was turned away for a window. */
const CALM_RISE = 2;
/** Whether a crowd shows itself to be no storm any more is looked at after this time, and ever less often. */
const TRIAL_AFTER_MS = 15_000;
const TRIAL_AFTER_MAX_MS = 60_000;

interface Storm {
  /** Milliseconds: what typical requests may take in it. */
  readonly goal: number;
  trialAt: number;
  trialAfter: number;
}

export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions;
  readonly #latencies: number[] = [];
  #limit: number;
  /** What typical requests take when there is no storm. */
  #usual: number | undefined;
  #unbearable = 0;
  #storm: Storm | undefined;
  /** The most requests under way in the window, and whether more came. */
  #peak = 0;
  #reached = false;
  #windowEnds = Number.NEGATIVE_INFINITY;
  /** How many have ended in the window, and when the first of them did. */
  #ended = 0;
  #firstEndedAt = 0;

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
    if (this.#ended === 0) this.#firstEndedAt = now;
    this.#ended += 1;
    if (this.#latencies.length < SAMPLES_MAX) this.#latencies.push(latency);
    if (now >= this.#windowEnds && this.#latencies.length >= SAMPLES_LEAST) this.#judge(now);
  }

  #judge(now: number): void {
    const typical = this.#latencies.sort((a, b) => a - b)[this.#latencies.length >> 1]!;
    const busy = this.#options.busy();
    if (this.#storm === undefined) this.#watch(Math.max(typical, this.#comingLatency(now)), busy >= BUSY, now);
    else this.#steer(this.#storm, typical, busy, now);
    this.#latencies.length = 0;
    this.#ended = 0;
    this.#peak = 0;
    this.#reached = false;
    this.#windowEnds = now + WINDOW_MS;
  }

  /**
   * What those that came last will take when all go on at this pace (Little's law): long before they have taken it, there are
   * too many of them.
   */
  #comingLatency(now: number): number {
    const span = now - this.#firstEndedAt;
    return span < SPAN_LEAST_MS ? 0 : (this.#peak * span) / (this.#ended - 1);
  }

  /** No storm so far. */
  #watch(typical: number, isBusy: boolean, now: number): void {
    const { most, least, bearable } = this.#options;
    const isStorm = isBusy && typical > bearable && this.#peak > CROWD;
    this.#unbearable = isStorm ? this.#unbearable + 1 : 0;
    if (this.#unbearable === 0) {
      const usual = (this.#usual ??= typical);
      this.#usual = typical < usual ? typical : usual + (typical - usual) * USUAL_RISE;
    }
    if (this.#unbearable < ONSET_WINDOWS) return;
    const goal = Math.min(bearable, (this.#usual ?? bearable) * STRETCH);
    this.#storm = { goal, trialAt: now + TRIAL_AFTER_MS, trialAfter: TRIAL_AFTER_MS };
    // As many as take the wanted time at this pace (Little's law).
    this.#limit = within(least, (this.#peak * goal) / typical, most);
  }

  #steer(storm: Storm, typical: number, busy: number, now: number): void {
    const { most, least } = this.#options;
    if (!this.#reached) {
      this.#limit = Math.min(most, this.#limit * CALM_RISE);
      if (this.#limit < most) return;
      this.#storm = undefined;
      this.#unbearable = 0;
    } else if (now >= storm.trialAt) {
      storm.trialAfter = Math.min(TRIAL_AFTER_MAX_MS, storm.trialAfter * 2);
      storm.trialAt = now + storm.trialAfter;
      this.#limit = within(least, Math.max(CROWD, this.#limit), most);
    } else if (busy >= BUSY && typical > storm.goal) {
      const factor = Math.max(FALL, storm.goal / typical);
      this.#limit = within(least, Math.min(this.#limit, this.#peak) * factor, most);
    } else if (busy < IDLE || typical < storm.goal * ROOM) {
      this.#limit = within(least, this.#limit * RISE + 1, most);
    }
  }
}

/** A whole number: one with a fraction is of another kind to the machine, and all that was compiled for it begins anew. */
function within(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(value)));
}
