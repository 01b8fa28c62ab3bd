/**
 * A circuit breaker for one peer (M. Nygard, "Release It!"): who has failed again and again is left alone for a while and
 * then tried by one request at a time. It sees what the failure detector cannot: a peer that answers probes and fails at its
 * work, because its disk hangs, say.
 *
 * Whoever refuses because it is overloaded, behind or not ready works as it should. If that counted as a failure, shedding
 * load at one node would send its share to the others (and hints home again), which then shed theirs.
 */

/** `half-open` lets one trial through now and then. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** Failures in a row that open it. */
const FAILURES_IN_A_ROW = 5;
/** More than half of at least so many calls within {@link WINDOW_MS} open it too. */
const CALLS_LEAST = 20;
const WINDOW_MS = 10_000;
const SLOTS = 10;
/** From opening to the first trial, and from trial to trial. */
const TRIAL_INTERVAL_MS = 1000;

interface Slot {
  /** Which span of time it counts. */
  turn: number;
  calls: number;
  failures: number;
}

export class Breaker {
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => ({ turn: -1, calls: 0, failures: 0 }));
  #inARow = 0;
  #trialAt: number | undefined;

  state(now: number): BreakerState {
    if (this.#trialAt === undefined) return 'closed';
    // Nobody had anything to try it with: what it failed at is too long ago to count.
    if (now >= this.#trialAt + WINDOW_MS) this.#close();
    if (this.#trialAt === undefined) return 'closed';
    return now >= this.#trialAt ? 'half-open' : 'open';
  }

  succeeded(now: number): void {
    this.#inARow = 0;
    if (this.#trialAt !== undefined) this.#close();
    this.#slot(now).calls += 1;
  }

  failed(now: number): void {
    if (this.state(now) !== 'closed') {
      this.#trialAt = now + TRIAL_INTERVAL_MS;
      return;
    }
    const slot = this.#slot(now);
    slot.calls += 1;
    slot.failures += 1;
    this.#inARow += 1;
    if (this.#inARow >= FAILURES_IN_A_ROW || this.#mostFail(now)) this.#trialAt = now + TRIAL_INTERVAL_MS;
  }

  /** Takes the trial that a half-open breaker allows; the next is allowed later. False when there is none to take. */
  takeTrial(now: number): boolean {
    if (this.state(now) !== 'half-open') return false;
    this.#trialAt = now + TRIAL_INTERVAL_MS;
    return true;
  }

  #close(): void {
    this.#trialAt = undefined;
    // What led to the opening is not to open it again.
    for (const slot of this.#slots) slot.turn = -1;
  }

  #mostFail(now: number): boolean {
    const turn = turnOf(now);
    let calls = 0;
    let failures = 0;
    for (const slot of this.#slots) {
      if (slot.turn <= turn - SLOTS) continue;
      calls += slot.calls;
      failures += slot.failures;
    }
    return calls >= CALLS_LEAST && 2 * failures > calls;
  }

  #slot(now: number): Slot {
    const turn = turnOf(now);
    const slot = this.#slots[turn % SLOTS]!;
    if (slot.turn !== turn) {
      slot.turn = turn;
      slot.calls = 0;
      slot.failures = 0;
    }
    return slot;
  }
}

function turnOf(now: number): number {
  return Math.floor(now / (WINDOW_MS / SLOTS));
}
