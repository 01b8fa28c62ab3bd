/**
 * How fast repair may go: so many bytes a second, and no more than a share of the node's time while clients want the rest. Repair
 * works for a stride and then rests in proportion; a rest ends as soon as no client has asked for anything for a moment, so that
 * a node which has nothing else to do never waits. A ring change may say another speed for as long as it lasts, or none: then
 * there are no rests at all.
 *
 * What is next may always go once nothing is owed, however large it is; the debt is waited for afterwards. No stride counts
 * for more than {@link STRIDE_LONGEST_MS}, so that every rest ends, and repair comes to its end under any load.
 */

import type { Clock } from '#world/world.ts';

export interface PaceSettings {
  /** Bytes that repair reads, sends and receives at this node. */
  readonly bytesPerSecond: number;
  /** Milliseconds by which a timer may be late before repair waits. */
  readonly busyDelay: number;
  /** Of the node's time, while clients want the rest of it; more than 0. */
  readonly share: number;
}

export interface PaceOptions {
  readonly clock: Clock;
  readonly settings: PaceSettings;
  /** Bytes a second that go before those of the settings; null: no waiting at all. */
  readonly throttle: () => number | null | undefined;
  /** A number that grows with each request of a client that this node has to do with. */
  readonly served: () => number;
}

/** A timer to see how late it comes. */
const PROBE_MS = 1;
/** Pause while the node is busy, doubled up to the longest: one that has to come to an end some day waits for less long. */
const BUSY_PAUSE_MS = 100;
const BUSY_PAUSE_LONGEST_MS = 1600;
const BUSY_PAUSE_IN_CHANGE_MS = 100;
/** Bytes between two looks at whether to wait. */
const STRIDE_BYTES = 16 * 1024;
const BURST_SECONDS = 0.25;
/** The most that one stride counts for: when the machine is busy with something else, waiting for it is no work. */
const STRIDE_LONGEST_MS = 25;
/** The most rest that may be owed, when many have asked at once. */
const REST_LONGEST_MS = 2000;
/** Without a request of a client for so long, nobody wants what repair leaves. */
const QUIET_MS = 20;
/** Rests that may be owed before one that asks for data has to wait for them: whoever is alone in asking rests by itself. */
const UNPAID_MS = 100;

export class Pace {
  readonly #options: PaceOptions;
  /** When all bytes that were taken are paid for, by the monotonic clock. */
  #paidAt: number;
  /** Bytes that were taken since the last look at the clock. */
  #untold = 0;
  /** Up to when the work of this node has been counted; the work of several at once counts once. */
  #countedTo: number;
  #restsUntil: number;
  /** {@link PaceOptions.served} when it was last looked at, and when it was last seen to have grown. */
  #served = 0;
  #wantedAt = -Infinity;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#paidAt = this.#countedTo = this.#restsUntil = options.clock.monotonic();
  }

  /** To be called when work begins after a time without any, which then does not count as work. */
  begin(): void {
    this.#countedTo = this.#options.clock.monotonic();
  }

  /** Resolves when this many bytes may go: to be called between two pieces of work. */
  async take(bytes: number): Promise<void> {
    this.#untold += bytes;
    if (this.#untold < STRIDE_BYTES) return;
    await this.#wait(this.#untold);
  }

  /**
   * To be called when something was done for another node, with the time at which it began: the answer may go when this
   * resolves, at once when there is nothing to wait for.
   */
  answered(begun: number): Promise<void> | undefined {
    if (this.#options.throttle() === null) return undefined;
    this.#count(begun);
    return this.#restLeft() > UNPAID_MS ? this.#rest(UNPAID_MS) : undefined;
  }

  async #wait(bytes: number): Promise<void> {
    const { clock, settings, throttle } = this.#options;
    this.#untold = 0;
    const speed = throttle();
    // Nothing is to be waited for, but others have to have their turn.
    if (speed === null) return new Promise((resolve) => clock.defer(resolve));
    this.#count(this.#countedTo);
    for (let pause = BUSY_PAUSE_MS; (await this.#sleep(PROBE_MS)) > settings.busyDelay; pause *= 2) {
      await this.#sleep(pause);
      if (pause >= (speed === undefined ? BUSY_PAUSE_LONGEST_MS : BUSY_PAUSE_IN_CHANGE_MS)) break;
    }
    const now = clock.monotonic();
    const owed = this.#paidAt - now;
    const cost = (bytes / (speed ?? settings.bytesPerSecond)) * 1000;
    this.#paidAt = Math.max(this.#paidAt, now - BURST_SECONDS * 1000) + cost;
    if (owed > 0) await this.#sleep(owed);
    await this.#rest(0);
    this.#countedTo = clock.monotonic();
  }

  /** Adds to the rest what the work since then is worth. */
  #count(begun: number): void {
    const { clock, settings } = this.#options;
    const now = clock.monotonic();
    const worked = Math.min(now - Math.max(begun, this.#countedTo), STRIDE_LONGEST_MS);
    this.#countedTo = now;
    if (!this.#isWanted()) this.#restsUntil = now;
    // Whoever works while it should rest has not rested meanwhile.
    else {
      const rest = Math.max(this.#restsUntil + worked - now, 0) + worked * (1 / settings.share - 1);
      this.#restsUntil = now + Math.min(rest, REST_LONGEST_MS);
    }
  }

  async #rest(unpaid: number): Promise<void> {
    while (this.#restLeft() > unpaid) {
      await this.#sleep(Math.min(this.#restLeft() - unpaid, QUIET_MS));
      if (!this.#isWanted()) this.#restsUntil = this.#options.clock.monotonic();
    }
  }

  #restLeft(): number {
    return this.#restsUntil - this.#options.clock.monotonic();
  }

  /** Whether clients have asked for anything a moment ago. */
  #isWanted(): boolean {
    const { clock, served } = this.#options;
    const now = clock.monotonic();
    const count = served();
    if (count !== this.#served) this.#wantedAt = now;
    this.#served = count;
    return now - this.#wantedAt < QUIET_MS;
  }

  /** Resolves with the milliseconds by which it was late. */
  #sleep(milliseconds: number): Promise<number> {
    const { clock } = this.#options;
    const due = clock.monotonic() + milliseconds;
    return new Promise((resolve) => {
      clock.after(milliseconds, () => resolve(clock.monotonic() - due));
    });
  }
}
