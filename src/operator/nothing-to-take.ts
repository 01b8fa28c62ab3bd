/**
 * Partitions of a ring change that nobody has to take anything over of: of an n that no bucket has any more. Their rows, if there
 * are any, are of dropped buckets, so nobody waits for owners that are dead: they change hands in one step. They do so last, lest
 * a change that is taken back leave newcomers that own nothing else. The list of owners itself stays in the ring, since requests
 * that are under way may still look at it; a bucket that is given the n again finds it.
 */

import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import type { BucketRow } from '#consensus/facts.ts';
import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import { newOwners, oldOwners } from '#ring/moving.ts';
import type { PartitionOwners, Ring } from '#ring/ring.ts';

/** The n of all buckets: those that are defined, and any others. */
export function factorsInUse(buckets: readonly BucketRow[]): ReadonlySet<number> {
  const defined = buckets.filter(({ dropped }) => !dropped).map(({ properties }) => Number(properties['n']));
  return new Set([DEFAULT_PROPERTIES.n, ...defined]);
}

/** The n of strong buckets. */
export function strongFactors(buckets: readonly BucketRow[]): ReadonlySet<number> {
  const strong = buckets.filter(({ dropped, properties }) => !dropped && properties['consistency'] === 'strong');
  return new Set(strong.map(({ properties }) => Number(properties['n'])));
}

/** Whether all partitions that may have keys are where they shall be. */
export function usedAreInPlace({ placements }: Ring, inUse: ReadonlySet<number>): boolean {
  const used = placements.filter(({ n }) => inUse.has(n)).flatMap(({ partitions }) => partitions);
  return used.every(({ move }) => move === undefined || move.stage === 'offload');
}

/** The next step of one that is not in `offload`; former owners bring nothing. */
export function unusedWentOn(
  entry: PartitionOwners,
  changedIn: Epoch,
  { isReady, isLast }: { readonly isReady: (index: NodeIndex) => boolean; readonly isLast: boolean },
): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  const { stage, owed = [] } = entry.move!;
  const incoming = now.filter((index) => !old.includes(index));
  if (stage === 'planned' && !(isLast && incoming.every(isReady))) return entry;
  return over(now, owed, changedIn);
}

/** As {@link unusedWentOn}, of a change that is taken back. */
export function unusedWentBack(entry: PartitionOwners, changedIn: Epoch): PartitionOwners {
  const { stage, owed = [] } = entry.move!;
  return over(oldOwners(entry), owed, stage === 'planned' ? entry.changedIn : changedIn);
}

/** One set owns the partition; those of the others that are not in it bring what they have. */
export function over(owners: readonly NodeIndex[], others: readonly NodeIndex[], changedIn: Epoch): PartitionOwners {
  const former = [...new Set(others)].filter((index) => !owners.includes(index));
  return former.length === 0
    ? { owners, changedIn }
    : { owners, changedIn, move: { stage: 'offload', others: former } };
}
