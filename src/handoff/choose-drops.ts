/**
 * Which hints to give up when there are too many or they are too old. What may be the only copy of a write is never among
 * them: the others are a convenience, since anti-entropy finds what they would have brought. Pure.
 */

import type { AgeEntry } from './tables.ts';

export interface Excess {
  /** Bytes to get rid of. */
  readonly bytes: number;
  /** Hints from before this hybrid time go in any case. */
  readonly before: number;
}

export interface Drop {
  readonly entry: AgeEntry;
  readonly reason: 'age' | 'space';
}

/** `entries` in any order; the answer is the oldest first, and no more than needed. */
export function chooseDrops(entries: readonly AgeEntry[], excess: Excess): readonly Drop[] {
  const drops: Drop[] = [];
  let bytes = 0;
  for (const entry of entries.filter(({ sole }) => !sole).toSorted((a, b) => a.low - b.low)) {
    const tooOld = entry.low < excess.before;
    if (!tooOld && bytes >= excess.bytes) break;
    drops.push({ entry, reason: tooOld ? 'age' : 'space' });
    bytes += entry.bytes;
  }
  return drops;
}
