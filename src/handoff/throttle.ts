/**
 * A token bucket for bytes, with debt: whatever is next may go as soon as nothing is owed, however large it is, and the
 * debt is waited for afterwards. So a state larger than the bucket passes too, and the rate holds over time.
 */

export class Throttle {
  readonly #bytesPerSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** `burst`: bytes that may go at once after a pause. */
  constructor(bytesPerSecond: number, burst: number, now: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes the bytes; answers how many milliseconds to wait before they may go. Times are those of the monotonic clock. */
  take(bytes: number, now: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#bytesPerSecond);
    this.#at = now;
    const wait = this.#tokens >= 0 ? 0 : (-this.#tokens / this.#bytesPerSecond) * 1000;
    this.#tokens -= bytes;
    return wait;
  }
}
