/**
 * How long one peer's answers take: counts in buckets that grow by a fifth each, so that a quantile is right within that and
 * costs nothing to keep. The counts are halved now and then, so the past fades.
 */

const FIRST_MS = 0.1;
const GROWTH = 1.2;
const LOG_GROWTH = Math.log(GROWTH);
/** Up to about ninety seconds. */
const BUCKETS = 76;
/** From so many observations on all are halved. */
const HALVED_AT = 1024;
/** A quantile is worked out anew after so many. */
const REFRESHED_AFTER = 16;

export class LatencyDigest {
  readonly #counts = new Float64Array(BUCKETS);
  readonly #quantile: number;
  #total = 0;
  #cached = Number.NaN;
  #sinceCached = REFRESHED_AFTER;

  /** Of which quantile, such as 0.95, it is asked. */
  constructor(quantile: number) {
    this.#quantile = quantile;
  }

  /** Observations that still count. */
  get size(): number {
    return this.#total;
  }

  observe(milliseconds: number): void {
    const bucket = Math.ceil(Math.log(Math.max(milliseconds, FIRST_MS) / FIRST_MS) / LOG_GROWTH);
    this.#counts[Math.min(BUCKETS - 1, bucket)]! += 1;
    this.#total += 1;
    this.#sinceCached += 1;
    if (this.#total >= HALVED_AT) this.#halve();
  }

  /** Milliseconds that the asked share of answers took at most; NaN before the first. */
  quantile(): number {
    if (this.#sinceCached >= REFRESHED_AFTER) {
      this.#cached = this.#compute();
      this.#sinceCached = 0;
    }
    return this.#cached;
  }

  #compute(): number {
    if (this.#total === 0) return Number.NaN;
    let rest = this.#quantile * this.#total;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest <= 0) return FIRST_MS * GROWTH ** bucket;
    }
    return FIRST_MS * GROWTH ** (BUCKETS - 1);
  }

  #halve(): void {
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      this.#counts[bucket]! /= 2;
      this.#total += this.#counts[bucket]!;
    }
  }
}
