/**
 * The cluster as one node sees it: members and their shares, and how much of the ring has a quorum right now.
 */

import type { Facts, Introduction } from '#consensus/facts.ts';
import { nodeId, type NodeId, type NodeIndex } from '#kernel/identity.ts';
import { shares } from '#ring/balance.ts';
import type { Member, Ring } from '#ring/ring.ts';
import { factorsInUse } from './nothing-to-take.ts';

export interface MemberStatus {
  readonly id: string;
  readonly url: string;
  readonly peer: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: Member['state'];
  readonly reachable: boolean;
  /** Milliseconds that its clock is ahead of this node's, negative when behind; null when it is not known. */
  readonly clockDifference: number | null;
  readonly share: number;
  readonly partitions: number;
  readonly hintsWaiting: number;
}

/** What this node knows of a member beside the ring. */
export interface SeenOfMembers {
  /** Must hold for this node itself. */
  readonly reachable: (id: NodeId) => boolean;
  /** In what this node keeps. */
  readonly hintsWaiting: (member: NodeIndex) => number;
  readonly clockDifference: (id: NodeId) => number | undefined;
}

export function memberStatuses(facts: Facts, seen: SeenOfMembers): readonly MemberStatus[] {
  const owned = shares(facts.ring);
  return facts.ring.members
    .filter(({ state }) => state !== 'removed')
    .map((member) => ({
      id: member.id,
      url: member.url,
      peer: member.peer,
      zone: member.zone,
      weight: member.weight,
      state: member.state,
      reachable: seen.reachable(member.id),
      clockDifference: seen.clockDifference(member.id) ?? null,
      share: owned.get(member.index)?.share ?? 0,
      partitions: owned.get(member.index)?.partitions ?? 0,
      hintsWaiting: seen.hintsWaiting(member.index),
    }));
}

/** A node that waits to become a member. */
export function newcomerStatus(
  { id, url, peer, zone, weight }: Introduction,
  { reachable }: Pick<SeenOfMembers, 'reachable'>,
): MemberStatus {
  const nothing = { clockDifference: null, share: 0, partitions: 0, hintsWaiting: 0 };
  return { id, url, peer, zone, weight, state: 'joining', reachable: reachable(nodeId(id)), ...nothing };
}

/** Owner names of every partition, for each n in use: what a client needs to go to an owner at once. */
export function placementsByName(ring: Ring): Readonly<Record<string, readonly (readonly string[])[]>> {
  const names = new Map(ring.members.map(({ index, id }) => [index, id as string]));
  return Object.fromEntries(
    ring.placements.map(({ n, partitions }) => [
      String(n),
      partitions.map(({ owners }) => owners.map((owner) => names.get(owner)!)),
    ]),
  );
}

/** The share of all (n, partition) pairs that may have keys of which a majority of the owners can be reached, 0 to 1. */
export function quorumShare({ ring, buckets }: Facts, reachable: (id: NodeId) => boolean): number {
  const inUse = factorsInUse(buckets);
  const up = new Set(
    ring.members.filter(({ id, state }) => state !== 'refilling' && reachable(id)).map(({ index }) => index),
  );
  let all = 0;
  let served = 0;
  for (const { partitions } of ring.placements.filter(({ n }) => inUse.has(n))) {
    for (const { owners } of partitions) {
      all += 1;
      if (owners.filter((owner) => up.has(owner)).length > owners.length / 2) served += 1;
    }
  }
  return all === 0 ? 0 : served / all;
}
