/**
 * How much work is let in at once. What is over the bounds is told to come back later at once, which costs little; queues
 * without a bound would make every request late instead.
 */

import type { ApiSettings } from './services.ts';

export class Admission {
  readonly #settings: ApiSettings;
  #requests = 0;
  #bodyBytes = 0;
  #streams = 0;

  constructor(settings: ApiSettings) {
    this.#settings = settings;
  }

  /** Requests under way. */
  get requests(): number {
    return this.#requests;
  }

  /** Bytes of request bodies that may be in memory. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** True when one more request may begin; then {@link leave} must follow. */
  enter(): boolean {
    if (this.#requests >= this.#settings.requestsMax) return false;
    this.#requests += 1;
    return true;
  }

  leave(): void {
    this.#requests -= 1;
  }

  /** Answers that are being streamed. */
  get streams(): number {
    return this.#streams;
  }

  /** True when one more answer may be streamed; then {@link leaveStream} must follow. */
  enterStream(): boolean {
    if (this.#streams >= this.#settings.streamsMax) return false;
    this.#streams += 1;
    return true;
  }

  leaveStream(): void {
    this.#streams -= 1;
  }

  /** True when a body of this size may be read; then {@link release} of the same size must follow. */
  reserve(bytes: number): boolean {
    if (this.#bodyBytes + bytes > this.#settings.bodiesMaxBytes) return false;
    this.#bodyBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bodyBytes -= bytes;
  }
}
