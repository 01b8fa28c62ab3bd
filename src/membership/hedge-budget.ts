/**
 * How many calls may be made twice: a share of all, so that hedging (Dean and Barroso, "The Tail at Scale", 2013) cannot
 * double the load at the very moment when everybody is slow.
 */

/** Hedges that may be saved up for a bad moment. */
const SAVED_MAX = 20;

export class HedgeBudget {
  readonly #share: number;
  #tokens = SAVED_MAX;

  /** `share` of all calls, such as 0.05. */
  constructor(share: number) {
    this.#share = share;
  }

  /** A call was made. */
  earn(): void {
    this.#tokens = Math.min(SAVED_MAX, this.#tokens + this.#share);
  }

  /** Takes what one hedge costs; false when there is too little. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
