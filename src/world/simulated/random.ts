/**
 * Seeded randomness: sfc32 (Chris Doty-Humphrey's Small Fast Counter, 128 bits of state), which passes PractRand and
 * needs only 32-bit operations. Each concern forks a source of its own, so that one more draw in one of them does not
 * reshuffle the others.
 */

import type { Random } from '#world/world.ts';

export class SeededRandom implements Random {
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string | number) {
    this.seed = String(seed);
    [this.#a, this.#b, this.#c] = hashSeed(this.seed);
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** A source of its own that depends only on this one's seed and the label, not on what was drawn before. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`);
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() >>> 24;
    return bytes;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A uniform integer, 0 to `bound`-1. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  /** Exponentially distributed. */
  exponential(mean: number): number {
    return mean === 0 ? 0 : -mean * Math.log(1 - this.fraction());
  }
}

/** FNV-1a with three starting points: seeds that differ in one character give unrelated states. */
function hashSeed(seed: string): [number, number, number] {
  let [a, b, c] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b];
  for (let i = 0; i < seed.length; i++) {
    const code = seed.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) ^ (b >>> 15);
    c = Math.imul(c ^ code, 0xc2b2ae35) ^ (c >>> 13);
  }
  return [a | 0, b | 0, c | 0];
}
