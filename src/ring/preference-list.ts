/**
 * Who serves a partition, in order (Dynamo, section 4.3): first its owners, the primaries; then the fallbacks that stand
 * in for them, found by walking the ring onwards. Neighbours own different sets of members, so the work of a dead owner
 * spreads over the cluster instead of falling on one neighbour.
 *
 * Both are functions of the ring alone. Who is reachable is the caller's knowledge.
 */

import { assert, AssertionError, present } from '#kernel/assert.ts';
import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import { writersOf, writeSets } from './moving.ts';
import type { Member, PartitionOwners, Placement, Ring } from './ring.ts';

export interface PreferenceList {
  /** The owners, in order. */
  readonly primaries: readonly Member[];
  /** Every other member that owns something for the same n: members of zones not used yet first. */
  readonly fallbacks: readonly Member[];
  /** The owners, and while the partition moves those of the other set: all that take writes. */
  readonly writers: readonly Member[];
  /** The sets of which a write needs enough each. */
  readonly sets: readonly (readonly NodeIndex[])[];
  /** The epoch in which the entry last changed. */
  readonly changedIn: Epoch;
}

/** Lists remembered for one ring; above that all are forgotten and computed anew. */
const MEMORY_MAX = 4096;

const memory = new WeakMap<Ring, Map<number, PreferenceList>>();

function placementOf(ring: Ring, n: number): Placement | undefined {
  return ring.placements.find((placement) => placement.n === n);
}

/** Whether the ring has an owner table for this replication factor. */
export function hasPlacement(ring: Ring, n: number): boolean {
  return placementOf(ring, n) !== undefined;
}

/** The owners of (n, partition). The ring must have a table for n: see {@link hasPlacement}. */
export function ownersOf(ring: Ring, n: number, partition: number): PartitionOwners {
  const placement = present(placementOf(ring, n), 'the owner table for this n');
  // Asked for several times in every request, so nothing is put into words before it has to be.
  const entry = placement.partitions[partition];
  if (entry === undefined) throw new AssertionError(`partition ${partition} of ${ring.partitionCount} is missing`);
  return entry;
}

/** Primaries and fallbacks of (n, partition). The ring must have a table for n. */
export function preferenceList(ring: Ring, n: number, partition: number): PreferenceList {
  let lists = memory.get(ring);
  if (lists === undefined) {
    lists = new Map();
    memory.set(ring, lists);
  }
  const place = n * ring.partitionCount + partition;
  const known = lists.get(place);
  if (known !== undefined) return known;

  const list = computeList(ring, n, partition);
  if (lists.size >= MEMORY_MAX) lists.clear();
  lists.set(place, list);
  return list;
}

function computeList(ring: Ring, n: number, partition: number): PreferenceList {
  const members = new Map(ring.members.map((member) => [member.index, member]));
  const entry = ownersOf(ring, n, partition);
  const memberAt = (index: NodeIndex): Member => present(members.get(index), `member ${index}`);
  const primaries = entry.owners.map(memberAt);
  const sets = writeSets(entry);
  const writers = sets.length === 1 ? primaries : writersOf(entry).map(memberAt);
  assert(primaries.length > 0, `partition ${partition} of n=${n} has no owner`);

  const usedZones = new Set(primaries.map((member) => member.zone));
  const elsewhere: Member[] = [];
  const rest: Member[] = [];
  for (const index of walk(ring, n, partition)) {
    const member = memberAt(index);
    if (member.state === 'removed' || member.state === 'joining') continue;
    if (usedZones.has(member.zone)) rest.push(member);
    else elsewhere.push(member);
    usedZones.add(member.zone);
  }
  return { primaries, fallbacks: [...elsewhere, ...rest], writers, sets, changedIn: entry.changedIn };
}

/** The owners of the partitions that follow, each once, without the partition's own. */
function walk(ring: Ring, n: number, partition: number): NodeIndex[] {
  const seen = new Set<NodeIndex>(writersOf(ownersOf(ring, n, partition)));
  const found: NodeIndex[] = [];
  for (let step = 1; step < ring.partitionCount && seen.size < ring.members.length; step++) {
    for (const index of ownersOf(ring, n, (partition + step) % ring.partitionCount).owners) {
      if (seen.has(index)) continue;
      seen.add(index);
      found.push(index);
    }
  }
  return found;
}
