/** The little that a checker has to know of dots and vectors, written anew: it shares no code with what it checks. */

import type { Dot } from '../history.ts';

/** Stands in a vector for all nodes up to the index that is in the place of the tenure. */
const EVERYBODY = 65_535;

/** Whether the vector's entry for the dot's actor, or for everybody, reaches the dot. */
export function covers(vector: readonly Dot[], dot: Dot): boolean {
  return hasHeardOf(vector, dot) || vector.some((entry) => speaksFor(entry, dot) && entry.counter >= dot.counter);
}

export function speaksFor({ node, tenure }: Dot, dot: Dot): boolean {
  return node === EVERYBODY && dot.node <= tenure;
}

/** Whether the vector's entry for the dot's actor reaches the dot: then the write was here. */
export function hasHeardOf(vector: readonly Dot[], dot: Dot): boolean {
  return vector.some((entry) => entry.node === dot.node && entry.tenure === dot.tenure && entry.counter >= dot.counter);
}

/** The order of last-write-wins: by counter, then node, then tenure. Negative when `a` is earlier. */
export function compareRank(a: Dot, b: Dot): number {
  return a.counter - b.counter || a.node - b.node || a.tenure - b.tenure;
}

/** `node/tenure/counter`. */
export function showDot(dot: Dot): string {
  return `${dot.node}/${dot.tenure}/${dot.counter}`;
}

export function earliest(dots: readonly Dot[]): Dot | undefined {
  return dots.reduce<Dot | undefined>(
    (best, dot) => (best === undefined || compareRank(dot, best) < 0 ? dot : best),
    undefined,
  );
}

export function latest(dots: readonly Dot[]): Dot | undefined {
  return dots.reduce<Dot | undefined>(
    (best, dot) => (best === undefined || compareRank(dot, best) > 0 ? dot : best),
    undefined,
  );
}
