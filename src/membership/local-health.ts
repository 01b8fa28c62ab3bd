/**
 * How well this node itself is, from 0 (well) to 7, as Lifeguard's local health multiplier (Dadgar et al. 2017, section
 * IV-A): whoever is slow himself gives the others more time before he accuses them.
 */

const WORST = 7;

export class LocalHealth {
  #score = 0;

  get score(): number {
    return this.#score;
  }

  /** What intervals and timeouts are multiplied by. */
  get factor(): number {
    return this.#score + 1;
  }

  better(): void {
    this.#score = Math.max(0, this.#score - 1);
  }

  worse(by = 1): void {
    this.#score = Math.min(WORST, this.#score + by);
  }
}
