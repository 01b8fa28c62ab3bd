/**
 * What a ring change does without: an operator who knows that members which leave are gone for good, with their disks, may give up
 * what only they had, in so many words. Where too few of a partition's owners are left without them, those that are left are
 * its owners from then on, as far as the change is concerned; where nobody is left, the new owners begin with nothing. One that
 * comes back all the same before it is out brings what it has: nothing of it is thrown away.
 */

import type { Facts } from '#consensus/facts.ts';
import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import { heardNeeded, newOwners, oldOwners, takersOf } from '#ring/moving.ts';
import type { ChangeUnderWay, Member, PartitionOwners, Placement, Ring } from '#ring/ring.ts';
import { factorsInUse, over, strongFactors } from './nothing-to-take.ts';

type Lost = ReadonlySet<NodeIndex>;

/** The owners that count: all of them, unless too few are left without those that are lost. */
export function ownersLeft(owners: readonly NodeIndex[], lost: Lost): readonly NodeIndex[] {
  const left = owners.filter((index) => !lost.has(index));
  return left.length < heardNeeded(owners) ? left : owners;
}

/** As it is without the owners that do not count: nothing that they may still go by is thought of. */
export function countedIn(entry: PartitionOwners, lost: Lost): PartitionOwners {
  const { owners, move } = entry;
  if (move === undefined || lost.size === 0) return entry;
  return { ...entry, owners: ownersLeft(owners, lost), move: { ...move, others: ownersLeft(move.others, lost) } };
}

/** Whether so many of the new owners are lost that it can only go back. */
export function areNewLost(entry: PartitionOwners, lost: Lost): boolean {
  const now = newOwners(entry);
  return ownersLeft(now, lost) !== now;
}

/** Former owners that own it again, since nobody is left that they could bring it to. */
export function comeBack({ owners, move }: PartitionOwners, lost: Lost): readonly NodeIndex[] | undefined {
  if (move?.stage !== 'offload' || !owners.every((index) => lost.has(index))) return undefined;
  const left = move.others.filter((index) => !lost.has(index)).slice(0, owners.length);
  return left.length === 0 ? undefined : left;
}

/** Whether nobody is left that it could be taken over from. */
export function isGivenUp(entry: PartitionOwners, lost: Lost): boolean {
  return oldOwners(entry).every((index) => lost.has(index));
}

/** As it goes on once these are lost; where nobody is left it stays as it is until the new owners are there. */
export function withoutLost(entry: PartitionOwners, changedIn: Epoch, lost: Lost): PartitionOwners {
  const { owners, move } = entry;
  if (move === undefined || move.stage === 'offload') return entry;
  const old = oldOwners(entry);
  const left = ownersLeft(old, lost);
  if (left === old || left.length === 0) return entry;
  const owed = [...new Set([...(move.owed ?? []), ...old.filter((index) => lost.has(index))])];
  const { stage, others } = move;
  return stage === 'read-new'
    ? { owners, changedIn, move: { stage, others: left, owed } }
    : { owners: left, changedIn, move: { stage, others, owed } };
}

/** One that is given up belongs to the new owners as soon as they take writes. */
export function givenUpWentOn(
  entry: PartitionOwners,
  changedIn: Epoch,
  isReady: (index: NodeIndex) => boolean,
): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  const { stage, owed = [] } = entry.move!;
  if (stage === 'planned' && !now.every((index) => old.includes(index) || isReady(index))) return entry;
  return over(now, [...old, ...owed], changedIn);
}

/** Of the change that is under way: more members that are lost. */
export function givingUp({ ring, buckets }: Facts, more: readonly NodeIndex[], changedIn: Epoch): Ring {
  const change = ring.change!;
  const lost = [...new Set([...(change.lost ?? []), ...more])].sort((a, b) => a - b);
  const gone = new Set(lost);
  const placements = ring.placements.map(({ n, partitions }): Placement => ({
    n,
    partitions: partitions.map((entry) => withoutLost(entry, changedIn, gone)),
  }));
  const empty = takersLost(placements, change, gone, strongFactors(buckets));
  // As one that has lost its disk it counts for nothing before it is filled, so nobody waits for what it has yet to take over.
  const members = ring.members.map((member): Member =>
    empty.has(member.index) ? { ...member, state: 'refilling' } : member,
  );
  return { ...ring, members, placements, change: { ...change, lost } };
}

/** Those that are lost and would have to take something over before the change goes on, or is taken back. */
function takersLost(
  placements: readonly Placement[],
  { state }: ChangeUnderWay,
  lost: Lost,
  strong: ReadonlySet<number>,
): Lost {
  const takers = placements.flatMap(({ n, partitions }) =>
    partitions.flatMap((entry) => {
      const stage = entry.move?.stage;
      const isRead = stage === 'read-new' && strong.has(n) && !areNewLost(entry, lost);
      return isRead || (stage === 'dual' && state !== 'aborting') ? takersOf(entry) : [];
    }),
  );
  return new Set(takers.filter((index) => lost.has(index)));
}

/** In words; nothing when others have all of it. */
export function whatIsGivenUp({ ring, buckets }: Facts, lost: readonly NodeIndex[]): readonly string[] {
  const [gone, inUse, strong] = [new Set(lost), factorsInUse(buckets), strongFactors(buckets)];
  const used = ring.placements.filter(({ n }) => inUse.has(n));
  return used.flatMap(({ n, partitions }) => {
    const short = partitions.filter(({ owners }) => ownersLeft(owners, gone) !== owners);
    const none = short.filter(({ owners }) => ownersLeft(owners, gone).length === 0).length;
    const few = short.length - none;
    const of = (count: number): string => `of n=${n} in ${count} of ${partitions.length} partitions`;
    return [
      ...(none > 0 ? [`all keys ${of(none)}: no other member owns them`] : []),
      ...(few > 0
        ? [
            `acknowledged writes ${of(few)} that only lost owners had; deleted keys and older values may come back there`,
          ]
        : []),
      ...(few > 0 && strong.has(n) ? [`what was decided last for strong keys ${of(few)}`] : []),
    ];
  });
}
