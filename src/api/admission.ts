/**
 * How much work is let in at once. What is over the bounds is told to come back later at once, which costs little; queues
 * without a bound would make every request late instead.
 */

import { AdaptiveLimit, type LoopTime } from './adaptive-limit.ts';
import type { ApiSettings } from './services.ts';

/** So many may be turned away for each data request that ends, beside what was saved up; who comes then repeats what was turned away. */
const REFUSALS_EARNED = 8;
export const REFUSALS_SAVED_MAX = 1000;

/** Why nothing more is streamed. */
export const TOO_MANY_STREAMS = 'as many answers are being streamed as streams-max allows';

export class Admission {
  readonly #settings: ApiSettings;
  #requests = 0;
  #bodyBytes = 0;
  #streams = 0;
  #refusalsLeft = REFUSALS_SAVED_MAX;
  readonly #adaptive: AdaptiveLimit | undefined;

  /** `loop` tells how the event loop fares; without it a node is never taken for overloaded. */
  constructor(settings: ApiSettings, loop: (() => LoopTime) | undefined) {
    this.#settings = settings;
    const { requestsMax: most, overloadLatencyMs: bearable } = settings;
    const least = Math.min(most, settings.overloadRequestsMin);
    if (loop !== undefined) this.#adaptive = new AdaptiveLimit({ most, least, bearable, loop });
  }

  /** Requests under way. */
  get requests(): number {
    return this.#requests;
  }

  /** Bytes of request bodies that may be in memory. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Data requests that may be under way at once, as things are. */
  get limit(): number {
    return this.#adaptive?.limit ?? this.#settings.requestsMax;
  }

  /** Whether requests are being turned away, or may be soon. */
  get isCrowded(): boolean {
    return this.limit < this.#settings.requestsMax || this.#requests >= this.#settings.requestsMax;
  }

  /** Whether one more request may begin. What operators ask for is let in longer. */
  hasRoom(isData: boolean): boolean {
    if (this.#requests >= this.#settings.requestsMax) return false;
    return !isData || this.#adaptive?.allows(this.#requests) !== false;
  }

  /** True when one more request may begin; then {@link leave} must follow. */
  enter(isData: boolean): boolean {
    if (!this.hasRoom(isData)) return false;
    this.#requests += 1;
    return true;
  }

  /** `latency`: milliseconds that a data request took. */
  leave(latency: number | undefined, now: number): void {
    this.#requests -= 1;
    if (latency === undefined) return;
    this.#refusalsLeft = Math.min(REFUSALS_SAVED_MAX, this.#refusalsLeft + REFUSALS_EARNED);
    this.#adaptive?.ended(latency, now);
  }

  /** One was turned away the short way. */
  refused(): void {
    if (this.#refusalsLeft > 0) this.#refusalsLeft -= 1;
  }

  /** Whether so much is turned away that little time is left for anything else. */
  get refusesTooMuch(): boolean {
    return this.#refusalsLeft === 0;
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

  /** Whether there is room for so much of a body as things are. */
  fits(bytes: number): boolean {
    return this.#bodyBytes + bytes <= this.#settings.bodiesMaxBytes;
  }

  /** True when so much of a body may be kept; then {@link release} of the same size must follow. */
  reserve(bytes: number): boolean {
    if (!this.fits(bytes)) return false;
    this.#bodyBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bodyBytes -= bytes;
  }
}
