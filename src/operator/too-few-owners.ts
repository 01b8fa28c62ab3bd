/**
 * Partitions that cannot be moved, nor taken back, before members are there again: too few of their owners can be reached to say
 * that they know the next stage. Of a bucket with few replicas a dead member may be the only owner.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import type { TreePlace } from '#repair/tree-tables.ts';
import { broughtTo, heardNeeded } from '#ring/moving.ts';
import type { Member } from '#ring/ring.ts';
import { countedIn } from './given-up.ts';
import { factorsInUse } from './nothing-to-take.ts';
import type { WaitView } from './who-waits.ts';

/** A partition of the keys with n replicas, and a set of owners of which so many have to be there. */
export interface OwnerSet {
  readonly n: number;
  readonly partition: number;
  readonly owners: readonly NodeIndex[];
  readonly needed: number;
}

export interface MissedMember {
  readonly id: NodeId;
  readonly partitions: number;
  /** The numbers of replicas of their keys. */
  readonly replicas: readonly number[];
}

/** Members that cannot be reached, each with the partitions that wait for it. Nobody waits for what of `lost` members is given up. */
export function missedMembers(
  members: readonly Member[],
  sets: readonly OwnerSet[],
  reachable: (id: NodeId) => boolean,
  lost: ReadonlySet<NodeIndex>,
): readonly MissedMember[] {
  const away = new Set(
    members.filter(({ id, state }) => state !== 'removed' && !reachable(id)).map(({ index }) => index),
  );
  const short = sets.filter(({ owners, needed }) => owners.filter((index) => !away.has(index)).length < needed);
  return members
    .filter(({ index }) => !lost.has(index))
    .map(({ id, index }) => ({ id, own: short.filter(({ owners }) => away.has(index) && owners.includes(index)) }))
    .filter(({ own }) => own.length > 0)
    .map(({ id, own }) => ({
      id,
      partitions: new Set(own.map(({ n, partition }) => `${n}/${partition}`)).size,
      replicas: [...new Set(own.map(({ n }) => n))].toSorted((a, b) => a - b),
    }));
}

/** So many owners have to know the next stage, as `stageMayEnd` of `ring/moving` sees it. */
export function forTheNextStage(place: TreePlace, owners: readonly NodeIndex[]): OwnerSet {
  return { ...place, owners, needed: heardNeeded(owners) };
}

/** Those that the change which is under way waits for. */
export function changeWaitsFor(
  { ring, buckets }: Pick<Facts, 'ring' | 'buckets'>,
  reachable: (id: NodeId) => boolean,
): readonly WaitView[] {
  if (ring.change === undefined) return [];
  const inUse = factorsInUse(buckets);
  const lost = new Set(ring.change.lost);
  const there = new Set(ring.members.filter(({ id }) => reachable(id)).map(({ index }) => index));
  const sets = movingEntries(ring).flatMap(({ place, entry }) => {
    if (entry.move!.stage === 'offload') {
      // For what one that is away has to bring nobody waits.
      const isBrought = entry.move!.others.some((index) => there.has(index));
      return isBrought ? [{ ...place, owners: entry.owners, needed: broughtTo(entry, lost) }] : [];
    }
    if (!inUse.has(place.n)) return [];
    const { owners, move } = countedIn(entry, lost);
    const old = forTheNextStage(place, owners);
    // New owners that are away have begun nothing.
    return move!.stage === 'planned' ? [old] : [old, forTheNextStage(place, move!.others)];
  });
  const { comes } = ring.change;
  const newcomers = new Set(ring.members.filter(({ index }) => comes.includes(index)).map(({ id }) => id));
  return missedMembers(ring.members, sets, reachable, lost).map(({ id, partitions, replicas }) => ({
    node: id,
    milliseconds: 0,
    reason:
      `cannot be reached, and ${partitions} partitions of ${named(replicas)} have too few owners without it: the change, and ` +
      `taking it back, wait for it; ${WAY_OUT}, or ${newcomers.has(id) ? withoutNewcomer(id) : withoutMember(id)}`,
  }));
}

function withoutMember(id: NodeId): string {
  return `give up what it has (quoral ring resume --accept-loss-of ${id})`;
}

/** What it has others have, too, as far as it comes with the change. */
export function withoutNewcomer(id: NodeId): string {
  return `take the change back without it (quoral ring abort --accept-loss-of ${id})`;
}

export function named(replicas: readonly number[]): string {
  return replicas.map((n) => `n=${n}`).join(', ');
}

export const WAY_OUT = 'start it again, with an empty directory if its disk is lost';

export const ACCEPT = 'acceptLossOf in a plan, --accept-loss-of';
