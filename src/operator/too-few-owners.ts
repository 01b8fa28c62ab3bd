/**
 * Partitions that cannot be moved, nor taken back, before members are there again: too few of their owners can be reached to say
 * that they know the next stage. Of a bucket with few replicas a dead member may be the only owner.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { heardNeeded, newOwners, oldOwners } from '#ring/moving.ts';
import type { Member } from '#ring/ring.ts';
import { ownersLeft } from './given-up.ts';
import { factorsInUse } from './nothing-to-take.ts';
import type { WaitView } from './who-waits.ts';

/** A partition of the keys with n replicas, and a set of owners of which a stage needs a majority, or half. */
export interface OwnerSet {
  readonly n: number;
  readonly partition: number;
  readonly owners: readonly NodeIndex[];
}

export interface MissedMember {
  readonly id: NodeId;
  readonly partitions: number;
  /** The numbers of replicas of their keys. */
  readonly replicas: readonly number[];
}

/** Members that cannot be reached, each with the partitions that wait for it. */
export function missedMembers(
  members: readonly Member[],
  sets: readonly OwnerSet[],
  reachable: (id: NodeId) => boolean,
): readonly MissedMember[] {
  const away = new Set(
    members.filter(({ id, state }) => state !== 'removed' && !reachable(id)).map(({ index }) => index),
  );
  const short = sets.filter(({ owners }) => isShort(owners, away));
  return members
    .map(({ id, index }) => ({ id, own: short.filter(({ owners }) => away.has(index) && owners.includes(index)) }))
    .filter(({ own }) => own.length > 0)
    .map(({ id, own }) => ({
      id,
      partitions: new Set(own.map(({ n, partition }) => `${n}/${partition}`)).size,
      replicas: [...new Set(own.map(({ n }) => n))].toSorted((a, b) => a - b),
    }));
}

/** As `stageMayEnd` of `ring/moving` sees it. */
function isShort(owners: readonly NodeIndex[], away: ReadonlySet<NodeIndex>): boolean {
  const there = owners.filter((index) => !away.has(index)).length;
  return there < heardNeeded(owners);
}

/** Those that the change which is under way waits for. */
export function changeWaitsFor(
  { ring, buckets }: Pick<Facts, 'ring' | 'buckets'>,
  reachable: (id: NodeId) => boolean,
): readonly WaitView[] {
  if (ring.change === undefined) return [];
  const inUse = factorsInUse(buckets);
  const lost = new Set(ring.change.lost);
  const sets = movingEntries(ring).flatMap(({ place, entry }) => {
    if (!inUse.has(place.n)) return [];
    const [old, now] = [oldOwners(entry), newOwners(entry)];
    return [
      { ...place, owners: ownersLeft(old, lost) },
      { ...place, owners: now },
    ];
  });
  const { comes } = ring.change;
  const newcomers = new Set(ring.members.filter(({ index }) => comes.includes(index)).map(({ id }) => id));
  return missedMembers(ring.members, sets, reachable).map(({ id, partitions, replicas }) => ({
    node: id,
    milliseconds: 0,
    reason:
      `cannot be reached, and ${partitions} partitions of ${named(replicas)} have too few owners without it: the change, and ` +
      `taking it back, wait for it; ${WAY_OUT}` +
      (newcomers.has(id) ? '' : `, or give up what it has (quoral ring resume --accept-loss-of ${id})`),
  }));
}

export function named(replicas: readonly number[]): string {
  return replicas.map((n) => `n=${n}`).join(', ');
}

export const WAY_OUT = 'start it again, with an empty directory if its disk is lost';

export const ACCEPT = 'acceptLossOf in a plan, --accept-loss-of';
