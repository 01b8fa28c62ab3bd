/**
 * Whom a page of a listing asks: for each partition as many of its owners as a read asks, and in all few nodes (as Riak's
 * coverage plans). Pure. Only the place in the order of keys carries over from page to page, so every page may have another
 * plan, of another epoch.
 */

import type { NodeIndex } from '#kernel/identity.ts';

export interface Coverage {
  /** The partitions that each node answers for. */
  readonly asked: ReadonlyMap<NodeIndex, readonly number[]>;
  /** Those for which there are too few. */
  readonly lacking: readonly number[];
}

/** A partition that needs so many more owners; those that have answered or failed are not to be asked again. */
export interface Uncovered {
  readonly partition: number;
  readonly needed: number;
  readonly candidates: readonly NodeIndex[];
}

/** `ranking`: who can be asked, those first that should be. All partitions draw on the same order, so few nodes are asked. */
export function planCoverage(uncovered: readonly Uncovered[], ranking: readonly NodeIndex[]): Coverage {
  const rank = new Map(ranking.map((node, place) => [node, place]));
  const asked = new Map<NodeIndex, number[]>();
  const lacking: number[] = [];
  for (const { partition, needed, candidates } of uncovered) {
    const able = candidates
      .filter((node) => rank.has(node))
      .sort((a, b) => rank.get(a)! - rank.get(b)!)
      .slice(0, needed);
    if (able.length < needed) {
      lacking.push(partition);
      continue;
    }
    for (const node of able) {
      const partitions = asked.get(node);
      if (partitions === undefined) asked.set(node, [partition]);
      else partitions.push(partition);
    }
  }
  return { asked, lacking };
}

/**
 * Entries to ask of a node that answers for a share of the ring, for a page of `limit` keys: keys are spread evenly, so it
 * need not send a whole page. When it sends too few the page is shorter.
 */
export function entriesWanted(limit: number, share: number): number {
  const expected = limit * Math.min(1, share);
  return Math.min(limit + 1, Math.ceil(expected + 3 * Math.sqrt(expected)) + 8);
}

/** A set of partitions as bits, for the wire. */
export function partitionsToBits(partitions: Iterable<number>, count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (const partition of partitions) bits[partition >> 3]! |= 1 << (partition & 7);
  return bits;
}

export function hasBit(bits: Uint8Array, partition: number): boolean {
  return ((bits[partition >> 3] ?? 0) & (1 << (partition & 7))) !== 0;
}
