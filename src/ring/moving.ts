/**
 * The owners of a partition while it moves from one set of nodes to another. Each stage is an epoch of its own:
 *
 * - `planned`: nothing has changed; the new owners get ready to take writes.
 * - `dual`: the old owners serve reads; a write needs enough of the old owners and enough of the new ones.
 * - `read-new`: the new owners, who have all that was acknowledged, serve reads; writes need both sets still.
 * - `offload`: the new owners are the owners; the former ones bring them what they still have, and then let go of it.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { PartitionOwners, Ring } from './ring.ts';

export const MOVE_STAGES = ['planned', 'dual', 'read-new', 'offload'] as const;
export type MoveStage = (typeof MOVE_STAGES)[number];

export interface PartitionMove {
  readonly stage: MoveStage;
  /** In `planned` and `dual` the new owners, in order; in `read-new` the old ones; in `offload` those that are none any more. */
  readonly others: readonly NodeIndex[];
  /** Before `offload`: former owners that have not brought yet what they have had since an earlier change. */
  readonly owed?: readonly NodeIndex[];
}

/** The sets of which a write needs enough each. */
export function writeSets({ owners, move }: PartitionOwners): readonly (readonly NodeIndex[])[] {
  return move?.stage === 'dual' || move?.stage === 'read-new' ? [owners, move.others] : [owners];
}

/** All that take writes, those that serve reads first. */
export function writersOf(entry: PartitionOwners): readonly NodeIndex[] {
  const sets = writeSets(entry);
  return sets.length === 1 ? entry.owners : [...new Set(sets.flat())];
}

/** All that have rows of the partition by right. */
export function keepersOf({ owners, move }: PartitionOwners): readonly NodeIndex[] {
  return move === undefined || move.stage === 'planned' ? owners : [...new Set([...owners, ...move.others])];
}

/** The old owners of a partition in `dual` or `read-new`. */
export function oldOwners({ owners, move }: PartitionOwners): readonly NodeIndex[] {
  return move?.stage === 'read-new' ? move.others : owners;
}

export function newOwners({ owners, move }: PartitionOwners): readonly NodeIndex[] {
  return move?.stage === 'planned' || move?.stage === 'dual' ? move.others : owners;
}

/**
 * The new owners that take over what the old ones have before they serve reads: those that have owned nothing so far, and all
 * when there will be fewer owners, because those that stay may lack what a majority had.
 */
export function takersOf(entry: PartitionOwners): readonly NodeIndex[] {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  return now.length < old.length ? now : now.filter((index) => !old.includes(index));
}

/** Who is no member in the end: when a change is taken back, those that it brings and that own nothing for good yet. */
export function leaversOf({ change, placements }: Ring): ReadonlySet<NodeIndex> {
  if (change?.state !== 'aborting') return new Set(change?.goes);
  const leavers = new Set(change.comes);
  for (const { owners, move } of placements.flatMap(({ partitions }) => partitions)) {
    if (move === undefined || move.stage === 'offload') for (const index of owners) leavers.delete(index);
  }
  return leavers;
}

/** Whether the member leaves and has become an owner of nothing: what it would be given now it might take with it. */
export function isOnItsWayOut(ring: Ring, index: NodeIndex): boolean {
  if (ring.change === undefined || !leaversOf(ring).has(index)) return false;
  return !ring.placements.some(({ partitions }) => partitions.some((entry) => writersOf(entry).includes(index)));
}

/** Whether a change is under way, or a former owner has yet to bring what it has after the change is over. */
export function isMoving({ change, placements }: Ring): boolean {
  return change !== undefined || placements.some(({ partitions }) => partitions.some(({ move }) => move !== undefined));
}

/** Whether a node has installed the epoch of the stage; `away` when it cannot be reached. */
export type Installed = 'installed' | 'behind' | 'away';

/** So many owners have one of any majority of them among them. */
export function heardNeeded(owners: readonly NodeIndex[]): number {
  return owners.length - Math.floor(owners.length / 2);
}

/** So many owners must have what a former owner brings before it lets go of it: a majority, or all that are not lost. */
export function broughtTo({ owners }: PartitionOwners, lost: ReadonlySet<NodeIndex>): number {
  const left = owners.filter((index) => !lost.has(index)).length;
  return Math.max(1, Math.min(Math.floor(owners.length / 2) + 1, left));
}

/**
 * Whether what was done by the rules before this stage is over: nobody that can be reached goes by them, and those that cannot
 * be reached are too few in each set to make up a majority without one that refuses them.
 */
export function stageMayEnd(entry: PartitionOwners, standing: (index: NodeIndex) => Installed): boolean {
  if (keepersOf(entry).some((index) => standing(index) === 'behind')) return false;
  return [oldOwners(entry), newOwners(entry)].every((set) => {
    const installed = set.filter((index) => standing(index) === 'installed').length;
    return installed >= heardNeeded(set);
  });
}
