/**
 * Which partitions of a ring change this node is done with, as rows on its disk: each holds for the epoch that began a stage, and
 * for this disk.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { takersOf } from '#ring/moving.ts';
import type { PartitionOwners, Ring } from '#ring/ring.ts';
import type { DiskReader, TableDefinition } from '#world/world.ts';
import { placeOfKey, treeKey, type TreePlace } from './tree-tables.ts';

const MOVED = 'moved';
export const MOVE_TABLES: readonly TableDefinition[] = [{ name: MOVED, rows: 'narrow' }];

/** Rows of earlier stages that go with one commit. */
const OLD_ROWS_MAX = 256;
const NOTHING = new Uint8Array(0);

export function isNoted(disk: Pick<DiskReader, 'get'>, place: TreePlace, { changedIn }: PartitionOwners): boolean {
  return disk.get(MOVED, movedKey(place, changedIn)) !== undefined;
}

/** To run in a transaction: notes these places, and forgets what is of no stage of today any more. */
export function noting(
  disk: DiskReader,
  ring: Ring,
  done: readonly { readonly place: TreePlace; readonly entry: PartitionOwners }[],
): (transaction: GroupTransaction) => void {
  const old = disk.range(MOVED, { limit: OLD_ROWS_MAX }).filter(([key]) => !isOfToday(ring, key));
  return (transaction) => {
    for (const [key] of old) transaction.delete(MOVED, key);
    for (const { place, entry } of done) transaction.put(MOVED, movedKey(place, entry.changedIn), NOTHING);
  };
}

/**
 * Whether this node knows all that the owners before it have chosen of strong keys. One that takes a partition over does not, from
 * when it serves reads until it has noted that it does.
 */
export function knowsVotes(disk: Pick<DiskReader, 'get'>, ring: Ring, place: TreePlace, self: NodeIndex): boolean {
  if (ring.change === undefined || !hasPlacement(ring, place.n)) return true;
  const entry = ownersOf(ring, place.n, place.partition);
  if (entry.move?.stage !== 'read-new' || !takersOf(entry).includes(self)) return true;
  return isNoted(disk, place, entry);
}

export function movingEntries(ring: Ring): readonly { readonly place: TreePlace; readonly entry: PartitionOwners }[] {
  return ring.placements.flatMap(({ n, partitions }) =>
    partitions.flatMap((entry, partition) => (entry.move === undefined ? [] : [{ place: { n, partition }, entry }])),
  );
}

function movedKey(place: TreePlace, changedIn: number): Uint8Array {
  const high = Math.floor(changedIn / 2 ** 32);
  const low = changedIn >>> 0;
  const bytes = [high >>> 24, high >>> 16, high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low];
  return Uint8Array.of(...treeKey(place), ...bytes);
}

/** Whether the partition is still in the stage that the row is of. */
function isOfToday(ring: Ring, key: Uint8Array): boolean {
  const { n, partition } = placeOfKey(key);
  const entry = ring.placements.find((one) => one.n === n)?.partitions[partition];
  if (entry?.move === undefined) return false;
  const view = new DataView(key.buffer, key.byteOffset + key.length - 8);
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4) === entry.changedIn;
}
