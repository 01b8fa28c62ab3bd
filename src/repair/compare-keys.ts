/**
 * Which keys of a leaf differ between two owners. Pure: exchange.ts acts on it.
 */

import type { Hash64 } from '#kernel/siphash.ts';
import { toHex } from '#kernel/bytes.ts';
import { ENTRY_BYTES, hashAt, HASH_BYTES, type KeyList } from './exchange-messages.ts';

export interface KeyDifference {
  readonly hash: Hash64;
  /** The hash of the state that each has; undefined when it has none. */
  readonly mine: Hash64 | undefined;
  readonly theirs: Hash64 | undefined;
}

export interface KeyDifferences {
  readonly differing: readonly KeyDifference[];
  /** Differing keys that were written just now: they are left for the next comparison. */
  readonly recent: number;
}

/** Both lists are in the order of their key hashes. */
export function compareKeys(mine: KeyList, theirs: KeyList): KeyDifferences {
  const ignored = new Set([...hexes(mine.recent), ...hexes(theirs.recent)]);
  const differing: KeyDifference[] = [];
  let recent = 0;
  const differs = (difference: KeyDifference): void => {
    if (ignored.has(hex(difference.hash))) recent += 1;
    else differing.push(difference);
  };
  let inMine = 0;
  let inTheirs = 0;
  while (inMine < mine.entries.length || inTheirs < theirs.entries.length) {
    const order = compareAt(mine.entries, inMine, theirs.entries, inTheirs);
    const myState = order <= 0 ? hashAt(mine.entries, inMine + HASH_BYTES) : undefined;
    const theirState = order >= 0 ? hashAt(theirs.entries, inTheirs + HASH_BYTES) : undefined;
    const equal = myState?.high === theirState?.high && myState?.low === theirState?.low;
    const hash = order <= 0 ? hashAt(mine.entries, inMine) : hashAt(theirs.entries, inTheirs);
    if (!equal) differs({ hash, mine: myState, theirs: theirState });
    if (order <= 0) inMine += ENTRY_BYTES;
    if (order >= 0) inTheirs += ENTRY_BYTES;
  }
  return { differing, recent };
}

/** A list that has ended comes after everything. */
function compareAt(a: Uint8Array, atA: number, b: Uint8Array, atB: number): number {
  if (atA >= a.length) return 1;
  if (atB >= b.length) return -1;
  return compareHashes(hashAt(a, atA), hashAt(b, atB));
}

export function compareHashes(a: Hash64, b: Hash64): number {
  return a.high - b.high || a.low - b.low;
}

function hexes(list: Uint8Array): string[] {
  return Array.from({ length: list.length / HASH_BYTES }, (_, i) =>
    toHex(list.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
}

function hex({ high, low }: Hash64): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
