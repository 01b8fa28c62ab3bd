/**
 * Which owner of a partition comes first. The first owner coordinates most writes of its partition, so this place is
 * shared out by weight as well. A greedy pass gives it to the owner that lacks it most; what remains uneven is mended by
 * passing the place on along chains of partitions (augmenting paths), as far as the owner sets allow.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { fairShares } from './fair-share.ts';
import type { Member } from './ring.ts';

/**
 * Reorders each row so that every member comes first in its fair share of them. The rows are changed in place; where the
 * present order is to be `kept`, as few of them as that takes.
 */
export function balanceFirstOwners(
  rows: NodeIndex[][],
  members: readonly Member[],
  kept: 'kept' | 'new' = 'new',
): void {
  const owned = new Map<NodeIndex, number>(members.map((member) => [member.index, 0]));
  for (const index of rows.flat()) owned.set(index, (owned.get(index) ?? 0) + 1);
  const [shares] = fairShares(
    [
      {
        members: members.map((member) => ({ weight: member.weight, most: owned.get(member.index) ?? 0 })),
        least: 0,
        most: rows.length,
      },
    ],
    rows.length,
  );

  // How often each member should still come first; negative when it does too often.
  const lacking = new Map<NodeIndex, number>(members.map((member, i) => [member.index, shares![i]!]));
  const lack = (index: NodeIndex): number => lacking.get(index) ?? 0;
  for (const row of rows) {
    if (kept === 'new')
      putFirst(
        row,
        row.reduce((best, index) => (lack(index) > lack(best) ? index : best)),
      );
    lacking.set(row[0]!, lack(row[0]!) - 1);
  }
  for (;;) {
    const chain = findChain(rows, lack);
    if (chain === undefined) return;
    const giver = chain[0]!.row[0]!;
    for (const link of chain) putFirst(link.row, link.next);
    const taker = chain.at(-1)!.next;
    lacking.set(giver, lack(giver) + 1);
    lacking.set(taker, lack(taker) - 1);
  }
}

function putFirst(row: NodeIndex[], index: NodeIndex): void {
  const at = row.indexOf(index);
  row.splice(at, 1);
  row.unshift(index);
}

interface Link {
  readonly row: NodeIndex[];
  /** Comes first in `row` instead of the member that does now. */
  readonly next: NodeIndex;
}

/** The shortest chain from a member that comes first too often to one that does too seldom. */
function findChain(rows: readonly NodeIndex[][], lack: (index: NodeIndex) => number): Link[] | undefined {
  const rowsByFirst = Map.groupBy(rows, (row) => row[0]!);
  const reachedBy = new Map<NodeIndex, Link | undefined>();
  for (const index of rowsByFirst.keys()) if (lack(index) < 0) reachedBy.set(index, undefined);

  // A Map can be walked while it grows: this is the queue of a breadth-first search.
  for (const [index] of reachedBy) {
    for (const row of rowsByFirst.get(index) ?? []) {
      for (const next of row) {
        if (reachedBy.has(next)) continue;
        reachedBy.set(next, { row, next });
        if (lack(next) > 0) return chainTo(next, reachedBy);
      }
    }
  }
  return undefined;
}

function chainTo(end: NodeIndex, reachedBy: ReadonlyMap<NodeIndex, Link | undefined>): Link[] {
  const chain: Link[] = [];
  for (let link = reachedBy.get(end); link !== undefined; link = reachedBy.get(link.row[0]!)) chain.unshift(link);
  return chain;
}
