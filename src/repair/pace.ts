/**
 * How fast repair may go: so many bytes a second, and slower while the node is busy with its clients, which shows in timers
 * that fire late. A ring change may say another speed for as long as it lasts. What is next may always go once nothing is owed, however large it is; the debt is waited for afterwards.
 */

import type { Clock } from '#world/world.ts';

export interface PaceSettings {
  /** Bytes that repair reads, sends and receives at this node. */
  readonly bytesPerSecond: number;
  /** Milliseconds by which a timer may be late before repair waits. */
  readonly busyDelay: number;
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

export class Pace {
  readonly #clock: Clock;
  readonly #settings: PaceSettings;
  /** When all that was taken is paid for, by the monotonic clock. */
  #paidAt: number;
  /** Bytes that were taken since the last look at the clock. */
  #untold = 0;
  readonly #throttle: () => number | null | undefined;

  /** `throttle`: bytes a second that go before those of the settings; null: no waiting at all. */
  constructor(clock: Clock, settings: PaceSettings, throttle: () => number | null | undefined = () => undefined) {
    this.#clock = clock;
    this.#settings = settings;
    this.#throttle = throttle;
    this.#paidAt = clock.monotonic();
  }

  /** Resolves when this many bytes may go. */
  async take(bytes: number): Promise<void> {
    this.#untold += bytes;
    if (this.#untold < STRIDE_BYTES) return;
    await this.#wait(this.#untold);
  }

  async #wait(bytes: number): Promise<void> {
    this.#untold = 0;
    const { bytesPerSecond } = this.#settings;
    const speed = this.#throttle();
    if (speed === null) return;
    for (let pause = BUSY_PAUSE_MS; (await this.#sleep(PROBE_MS)) > this.#settings.busyDelay; pause *= 2) {
      await this.#sleep(pause);
      if (pause >= (speed === undefined ? BUSY_PAUSE_LONGEST_MS : BUSY_PAUSE_IN_CHANGE_MS)) break;
    }
    const now = this.#clock.monotonic();
    const owed = this.#paidAt - now;
    this.#paidAt = Math.max(this.#paidAt, now - BURST_SECONDS * 1000) + (bytes / (speed ?? bytesPerSecond)) * 1000;
    if (owed > 0) await this.#sleep(owed);
  }

  /** Resolves with the milliseconds by which it was late. */
  #sleep(milliseconds: number): Promise<number> {
    const due = this.#clock.monotonic() + milliseconds;
    return new Promise((resolve) => {
      this.#clock.after(milliseconds, () => resolve(this.#clock.monotonic() - due));
    });
  }
}
