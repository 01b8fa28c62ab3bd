/**
 * What a ring change sets in its first step, before anything moves: zones, weights, and whom a partition asks first where its owners
 * stay the same. The change carries what was before, so whoever has it taken back, wherever, puts the same things back at once,
 * in one epoch. Partitions go back step by step meanwhile; those that are with their new owners already stay there.
 */

import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import type { Before, Member, PartitionOwners, Ring } from '#ring/ring.ts';

/** Of a change from one ring to the other; undefined when there is nothing to put back. */
export function whatWasBefore(was: Ring, is: Pick<Ring, 'members' | 'placements'>): Before | undefined {
  const now = new Map(is.members.map((member) => [member.index, member]));
  const members = was.members.filter((member) => {
    const { zone, weight } = now.get(member.index)!;
    // A founder that has not shown itself yet has neither of them, and brings its own.
    return member.storageId !== null && (zone !== member.zone || weight !== member.weight);
  });
  const orders = was.placements.flatMap(({ n, partitions }, table) =>
    partitions.flatMap(({ owners }, partition) => {
      const after = is.placements[table]!.partitions[partition]!.owners;
      return owners !== after && isReordered(owners, after) ? [{ n, partition, owners }] : [];
    }),
  );
  if (members.length + orders.length === 0) return undefined;
  return { members: members.map(({ index, zone, weight }) => ({ index, zone, weight })), orders };
}

/** The ring with all of it as it was; the change under way has nothing more to put back. */
export function putBack(ring: Ring, changedIn: Epoch): Ring {
  const { before, ...change } = ring.change ?? {};
  if (before === undefined) return ring;
  const were = new Map(before.members.map((member) => [member.index, member]));
  const orders = new Map(before.orders.map(({ n, partition, owners }) => [`${n}/${partition}`, owners]));
  const members = ring.members.map((member): Member => ({ ...member, ...were.get(member.index) }));
  const placements = ring.placements.map(({ n, partitions }) => ({
    n,
    partitions: partitions.map((entry, partition): PartitionOwners => {
      const owners = orders.get(`${n}/${partition}`);
      return owners !== undefined && isReordered(owners, entry.owners) ? { ...entry, owners, changedIn } : entry;
    }),
  }));
  return { ...ring, members, placements, change: change as NonNullable<Ring['change']> };
}

export function isSameSet(row: readonly NodeIndex[], owners: readonly NodeIndex[]): boolean {
  return row.length === owners.length && row.every((index) => owners.includes(index));
}

export function isReordered(row: readonly NodeIndex[], owners: readonly NodeIndex[]): boolean {
  return isSameSet(row, owners) && row.some((index, place) => index !== owners[place]);
}
