/** Which record an operation is about, as in YCSB (Cooper et al. 2010). */

export const DISTRIBUTIONS = ['uniform', 'zipfian', 'latest'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

/** YCSB's constant: how uneven it is. */
const THETA = 0.99;

/** A rank below `count`, low ones far more often: the method of Gray et al., "Quickly generating billion-record…" (1994). */
export class Zipfian {
  readonly #random: () => number;
  #count = 0;
  #zeta = 0;
  #eta = 0;
  readonly #alpha = 1 / (1 - THETA);
  readonly #zeta2 = 1 + 0.5 ** THETA;

  constructor(count: number, random: () => number = Math.random) {
    this.#random = random;
    this.grow(count);
  }

  /** More records have come. */
  grow(count: number): void {
    for (let i = this.#count; i < count; i++) this.#zeta += 1 / (i + 1) ** THETA;
    this.#count = count;
    this.#eta = (1 - (2 / count) ** (1 - THETA)) / (1 - this.#zeta2 / this.#zeta);
  }

  next(): number {
    const u = this.#random();
    const uz = u * this.#zeta;
    if (uz < 1) return 0;
    if (uz < this.#zeta2) return 1;
    return Math.min(this.#count - 1, Math.floor(this.#count * (this.#eta * u - this.#eta + 1) ** this.#alpha));
  }
}

/** Spreads ranks over the records, so that what is popular does not lie side by side. */
function scattered(rank: number, count: number): number {
  let hash = 0x811c9dc5;
  for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((rank >>> shift) & 0xff), 0x01000193);
  return (hash >>> 0) % count;
}

export class KeyChoice {
  readonly #distribution: Distribution;
  readonly #zipfian: Zipfian;
  /** All records below this are there. */
  #count: number;
  #reserved: number;
  /** Those that are there while some before them are not. */
  readonly #early = new Set<number>();

  constructor(distribution: Distribution, count: number) {
    this.#distribution = distribution;
    this.#count = count;
    this.#reserved = count;
    this.#zipfian = new Zipfian(count);
  }

  /** The number of a record that is there. */
  next(): number {
    if (this.#distribution === 'uniform') return Math.floor(Math.random() * this.#count);
    const rank = this.#zipfian.next();
    return this.#distribution === 'latest' ? this.#count - 1 - rank : scattered(rank, this.#count);
  }

  /** The number of a new record, which nobody reads before it is {@link inserted}. */
  reserve(): number {
    return this.#reserved++;
  }

  inserted(record: number): void {
    this.#early.add(record);
    while (this.#early.delete(this.#count)) this.#count += 1;
    if (this.#distribution === 'latest') this.#zipfian.grow(this.#count);
  }
}
