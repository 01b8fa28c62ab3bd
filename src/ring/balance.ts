/** How the ring is shared out, for people who look at it. */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Ring } from './ring.ts';

export interface Share {
  /** Virtual nodes: seats in owner lists. */
  readonly partitions: number;
  /** Part of all seats, 0-1. */
  readonly share: number;
}

/** What each member owns, in the order of members: of the table for `n`, or of all tables together. */
export function shares(ring: Ring, n?: number): ReadonlyMap<NodeIndex, Share> {
  const counts = new Map<NodeIndex, number>(ring.members.map((member) => [member.index, 0]));
  let seats = 0;
  for (const placement of ring.placements) {
    if (n !== undefined && placement.n !== n) continue;
    for (const { owners } of placement.partitions) {
      seats += owners.length;
      for (const index of owners) counts.set(index, (counts.get(index) ?? 0) + 1);
    }
  }
  return new Map([...counts].map(([index, partitions]) => [index, { partitions, share: partitions / (seats || 1) }]));
}
