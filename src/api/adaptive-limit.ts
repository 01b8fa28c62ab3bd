/**
 * How many data requests are worked on at once by a node that has more to do than it can. Work that is let in beyond what the
 * event loop can do only waits, and makes everything wait. Who is over the number is told to come back later, which costs a
 * fraction of the work.
 *
 * What counts is the pace: how many requests end for each millisecond in which the loop is at work. It is known before there is
 * too much to do, from times in which there was little. As many as can be done within a bearable time at that pace are let in
 * without a look; when more come, and the loop has been at work nearly all the time, a storm has begun, in that very moment. Those
 * that are under way will end in time, and until then nobody else begins. From then on so many are let in as end within a fifth of
 * that time, or within one and a half times of what they took before (Little's law), which keeps the loop at work and lets nobody
 * wait behind many others.
 *
 * The storm is over when nobody was turned away; and because clients that try again at once look like a storm even when there
 * are few of them, more are let in for a moment from time to time, to see.
 *
 * Requests that take long for another reason, a silent owner or a slow disk, are no reason to turn others away: only a node
 * whose loop is at work nearly all the time is overloaded.
 */

/** Milliseconds since some moment in which the event loop was at work, and in which it waited for something to do. */
export interface LoopTime {
  readonly atWork: number;
  readonly waited: number;
}

export interface AdaptiveLimitOptions {
  /** The limit of a node that is not overloaded. */
  readonly most: number;
  /** So many are let in whatever time they take: groups of writes need company, and refusals must not slow down what is let in ever more. */
  readonly least: number;
  /** Milliseconds: when requests will take longer at the pace of the node, there are too many. */
  readonly bearable: number;
  readonly loop: () => LoopTime;
}

/** The pace is measured again when so much time has passed and so many requests have ended. */
const WINDOW_MS = 100;
const SAMPLES_LEAST = 16;
/** Nothing does so many in a shorter time: the clock's own error, which would make an endless pace. */
const WORK_LEAST_MS = 0.01;
/** The share of the newest window in the pace: one of them may be the machine's, which had other things to do. */
const NEWEST = 0.3;
const BUSY = 0.9;
/** A shorter time says nothing about the loop: one turn of it may bring many requests. */
const LOOK_LEAST_MS = 5;
/** So many at once are no storm, whatever time they take: clients that wait for their answers do no harm. */
const CROWD = 128;
/** In a storm requests may take this share of what is bearable, or so many times what they took before it. */
const STORM_SHARE = 0.2;
const STRETCH = 1.5;
/** What they took before follows a fall at once, a rise slowly: hours of much to do become what is usual. */
const USUAL_RISE = 0.01;
/** By this factor more are let in when the loop has time, and when nobody was turned away for a window. */
const ROOM = 1.25;
const CALM_RISE = 2;
/** In a storm in which nothing ends: so often the loop is looked at, and after so many of those who are turned away. */
const RELIEF_MS = 200;
const REFUSALS_A_LOOK = 16;
/** Whether a crowd shows itself to be no storm any more is looked at after this time, and ever less often. */
const TRIAL_AFTER_MS = 15_000;
const TRIAL_AFTER_MAX_MS = 60_000;

interface Storm {
  /** By the loop's time. */
  trialAt: number;
  trialAfter: number;
}

export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions;
  /** In a storm so many are let in; before it, more are a reason to look at the loop. */
  #limit: number;
  /** Requests that end for each millisecond in which the loop is at work; undefined until it is known. */
  #pace: number | undefined;
  #storm: Storm | undefined;
  /** Milliseconds that requests take when there is no storm. */
  #usual = Number.POSITIVE_INFINITY;
  /** Whether more came in the window than were let in. */
  #reached = false;
  #windowEnds = Number.NEGATIVE_INFINITY;
  /** The loop when the window began; how many requests have ended since, and what they took together. */
  #began: LoopTime;
  #ended = 0;
  #took = 0;
  /** The loop when the number was last judged or raised, and who was turned away since it was last thought of. */
  #judged: LoopTime;
  #refused = 0;
  /** The loop when it was last looked at, and whether it had been at work nearly all the time. */
  #looked: LoopTime;
  #isBusy = false;

  constructor(options: AdaptiveLimitOptions) {
    this.#options = options;
    this.#limit = options.most;
    this.#began = this.#judged = this.#looked = options.loop();
  }

  /** So many may be under way: as many as ever while there is no storm. */
  get limit(): number {
    return this.#storm === undefined ? this.#options.most : this.#limit;
  }

  /** Whether one more may begin while so many are under way. */
  allows(underWay: number): boolean {
    if (underWay < this.#limit) return true;
    this.#reached = true;
    if (underWay >= this.#options.most) return false;
    if (this.#storm !== undefined) {
      this.#relieve();
      return underWay < this.#limit;
    }
    const loop = this.#look();
    if (this.#isBusy) this.#begin(timeOf(loop));
    else this.#limit = this.#within(underWay * ROOM);
    return underWay < this.#limit;
  }

  /** A request that was let in has ended after so many milliseconds. */
  ended(latency: number, now: number): void {
    this.#ended += 1;
    this.#took += latency;
    if (now < this.#windowEnds || this.#ended < SAMPLES_LEAST) return;
    this.#judge(this.#look());
    this.#ended = 0;
    this.#took = 0;
    this.#reached = false;
    this.#windowEnds = now + WINDOW_MS;
  }

  #look(): LoopTime {
    const loop = this.#options.loop();
    const time = timeOf(loop) - timeOf(this.#looked);
    if (time >= LOOK_LEAST_MS) {
      this.#isBusy = loop.atWork - this.#looked.atWork >= BUSY * time;
      this.#looked = loop;
    }
    return loop;
  }

  /**
   * More are let in when the loop has had time for a while and nothing has been judged: those that are under way do not end, and wait
   * for others. Until they did, they would keep everybody out of a node that has nothing to do.
   */
  #relieve(): void {
    this.#refused = (this.#refused + 1) % REFUSALS_A_LOOK;
    if (this.#refused !== 0) return;
    const loop = this.#options.loop();
    const time = timeOf(loop) - timeOf(this.#judged);
    if (time < RELIEF_MS) return;
    if (loop.atWork - this.#judged.atWork < BUSY * time) this.#limit = this.#within(this.#limit * ROOM);
    this.#judged = loop;
  }

  #judge(loop: LoopTime): void {
    const atWork = loop.atWork - this.#began.atWork;
    this.#began = this.#judged = loop;
    if (atWork >= WORK_LEAST_MS) {
      const newest = this.#ended / atWork;
      this.#pace = this.#pace === undefined ? newest : this.#pace + (newest - this.#pace) * NEWEST;
    }
    if (this.#storm === undefined) {
      const took = this.#took / this.#ended;
      this.#usual = took < this.#usual ? took : this.#usual + (took - this.#usual) * USUAL_RISE;
      this.#limit = this.#calmLimit();
    } else this.#steer(this.#storm, timeOf(loop));
  }

  #begin(time: number): void {
    this.#storm = { trialAt: time + TRIAL_AFTER_MS, trialAfter: TRIAL_AFTER_MS };
    this.#limit = this.#stormLimit();
  }

  #steer(storm: Storm, time: number): void {
    if (!this.#reached) {
      this.#limit = this.#within(this.#limit * CALM_RISE);
      if (this.#limit < this.#calmLimit()) return;
      this.#storm = undefined;
    } else if (time >= storm.trialAt) {
      storm.trialAfter = Math.min(TRIAL_AFTER_MAX_MS, storm.trialAfter * 2);
      storm.trialAt = time + storm.trialAfter;
      this.#limit = this.#within(Math.max(CROWD, this.#limit));
    } else {
      this.#limit = this.#isBusy ? this.#stormLimit() : this.#within(this.#limit * ROOM);
    }
  }

  #calmLimit(): number {
    const { most, bearable } = this.#options;
    return this.#pace === undefined ? most : this.#within(Math.max(CROWD, this.#endingIn(bearable)));
  }

  #stormLimit(): number {
    return this.#pace === undefined ? CROWD : this.#within(this.#endingIn(this.#options.bearable * STORM_SHARE));
  }

  /** How many end within so many milliseconds, or in a little more time than usual. */
  #endingIn(milliseconds: number): number {
    return this.#pace! * Math.max(milliseconds, this.#usual * STRETCH);
  }

  /** A whole number: one with a fraction is of another kind to the machine, and all that was compiled for it begins anew. */
  #within(value: number): number {
    const { least, most } = this.#options;
    return Math.min(most, Math.max(least, Math.floor(value)));
  }
}

function timeOf({ atWork, waited }: LoopTime): number {
  return atWork + waited;
}
