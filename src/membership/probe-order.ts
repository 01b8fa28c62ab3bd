/**
 * Whom to probe next: all in a shuffled order, then all in another one. So nobody waits longer than two rounds for its turn,
 * and no two nodes ask in step (SWIM, section 4.3).
 */

import type { NodeIndex } from '#kernel/identity.ts';

export class ProbeOrder {
  readonly #random: () => number;
  #queue: NodeIndex[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next of those in play that is free; undefined when none is. */
  next(inPlay: readonly NodeIndex[], free: (member: NodeIndex) => boolean): NodeIndex | undefined {
    const candidates = new Set(inPlay.filter(free));
    if (candidates.size === 0) return undefined;
    this.#queue = this.#queue.filter((member) => candidates.has(member));
    if (this.#queue.length === 0) this.#queue = [...someOf([...candidates], candidates.size, this.#random)];
    return this.#queue.pop();
  }
}

/** So many different ones, each with the same chance. */
export function someOf<T>(all: readonly T[], count: number, random: () => number): readonly T[] {
  const rest = [...all];
  const chosen: T[] = [];
  while (chosen.length < count && rest.length > 0) {
    const index = Math.floor((random() / 2 ** 32) * rest.length);
    chosen.push(rest[index]!);
    rest[index] = rest.at(-1)!;
    rest.pop();
  }
  return chosen;
}
