/**
 * How much of a ring change is under way at a time. While a partition is in `dual` each write of it costs more, so no more of them
 * are brought there than keep those busy that take them over; the others stay where they are and cost nothing. What is under
 * way is a matter of the ring alone, so whoever drives next goes on from there; only how large a portion is has to be found out
 * anew, from what the takers have left at each look. Nothing depends on it but the time that the change takes.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { takersOf } from '#ring/moving.ts';
import { PARTITIONS_MAX, type PartitionOwners, type Ring } from '#ring/ring.ts';

/** Partitions in `dual` that each taker has yet to take over, at the least: those that it works on, and as many that come next. */
export function portionLeast(takersAtOnce: number): number {
  return 2 * takersAtOnce;
}

/** How far a taker is with a partition in `dual`; `stuck`: it has tried in vain, and does others first. */
export type Standing = 'done' | 'stuck' | 'to do';

interface Share {
  toDo: number;
  stuck: number;
}

export class Portion {
  readonly #most: number;
  /** What each taker has in `dual`. */
  readonly #shares = new Map<NodeIndex, Share>();
  /** Those that have more to take over, of which nothing has begun. */
  readonly #takersToCome = new Set<NodeIndex>();

  constructor(
    { placements }: Pick<Ring, 'placements'>,
    most: number,
    standing: (taker: NodeIndex, n: number, partition: number, entry: PartitionOwners) => Standing,
  ) {
    this.#most = most;
    for (const { n, partitions } of placements) {
      for (const [partition, entry] of partitions.entries()) {
        const stage = entry.move?.stage;
        if (stage !== 'planned' && stage !== 'dual') continue;
        for (const taker of takersOf(entry)) {
          if (stage === 'planned') this.#takersToCome.add(taker);
          else this.#count(taker, standing(taker, n, partition, entry));
        }
      }
    }
  }

  /** Whether a planned partition may be brought into `dual`; if so, it counts from now on. */
  admits(entry: PartitionOwners): boolean {
    const takers = takersOf(entry);
    // Who waits for something with one partition need not wait with the others.
    if (takers.some((taker) => (this.#shares.get(taker)?.toDo ?? 0) >= this.#most)) return false;
    for (const taker of takers) this.#count(taker, 'to do');
    return true;
  }

  /** How much each of those that have more to take over has left of what was begun. */
  left(): readonly number[] {
    return [...this.#takersToCome].flatMap((taker) => {
      const share = this.#shares.get(taker);
      return share === undefined ? [] : [share.toDo + share.stuck];
    });
  }

  #count(taker: NodeIndex, standing: Standing): void {
    let share = this.#shares.get(taker);
    if (share === undefined) this.#shares.set(taker, (share = { toDo: 0, stuck: 0 }));
    if (standing === 'to do') share.toDo += 1;
    if (standing === 'stuck') share.stuck += 1;
  }
}

/**
 * The next portion, when so much of the last one is left at this look, at each taker: more when one of them runs out of work, less
 * when all have more than they get done between two looks.
 */
export function nextPortion(portion: number, left: readonly number[], smallest: number): number {
  if (left.length === 0) return Math.max(smallest, portion);
  const least = Math.min(...left);
  if (least === 0) return Math.min(portion * 4, PARTITIONS_MAX);
  if (least <= portion / 4) return Math.min(portion * 2, PARTITIONS_MAX);
  return Math.max(smallest, least > (portion * 3) / 4 ? Math.ceil(portion / 2) : portion);
}
