/**
 * What a change of the ring would do, without doing it: the owner tables that follow, every replica that changes hands, and
 * the voters. A pure function of the ring and the change, so every node that knows the ring plans the same.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { ChangedMembers } from './change.ts';
import { claim, matchSlots } from './claim.ts';
import { placeableMembers } from './placement.ts';
import type { Member, Ring } from './ring.ts';
import { chooseVoters } from './voters.ts';

export interface PlannedMove {
  readonly n: number;
  readonly partition: number;
  /** Whose place it is; null when a list that was too short grows. */
  readonly from: NodeIndex | null;
  readonly to: NodeIndex;
}

export interface PlannedTable {
  readonly n: number;
  /** The owners of each partition, in preference order. */
  readonly rows: readonly (readonly NodeIndex[])[];
}

export interface RingPlan {
  readonly members: readonly Member[];
  /** Members that leave, of which is given up what only they had. */
  readonly lost: readonly NodeIndex[];
  readonly voters: readonly NodeIndex[];
  readonly tables: readonly PlannedTable[];
  readonly moves: readonly PlannedMove[];
  /** Owners without a successor, because there are fewer members than replicas. */
  readonly dropped: readonly (Omit<PlannedMove, 'to'> & { readonly from: NodeIndex })[];
  /** Partitions that keep their owners and change who is asked first. */
  readonly reordered: number;
  /** No table with these shares could have fewer moves. */
  readonly leastMoves: number;
}

export function planRing(
  ring: Ring,
  { members, successors, lost }: Extract<ChangedMembers, { kind: 'members' }>,
): RingPlan {
  const zoneOf = new Map(members.map(({ index, zone }) => [index, zone]));
  const moves: PlannedMove[] = [];
  const dropped: RingPlan['dropped'][number][] = [];
  let [reordered, leastMoves] = [0, 0];
  const tables = ring.placements.map(({ n, partitions }): PlannedTable => {
    const before = partitions.map(({ owners }) => owners);
    // Whoever replaces a member has its places before anything is moved, so no place is given away and taken again.
    const taken = before.map((row) => row.map((index) => successors.get(index) ?? index));
    const { rows } = claim(members, n, taken);
    for (const [partition, row] of rows.entries()) {
      const { seated, left } = matchSlots(before[partition]!, row, zoneOf);
      for (const { from, to } of seated) if (from !== to) moves.push({ n, partition, from, to });
      for (const from of left) dropped.push({ n, partition, from });
      const isSame = seated.every(({ from, to }) => from === to) && left.length === 0;
      if (isSame && row.some((index, place) => index !== before[partition]![place])) reordered += 1;
    }
    leastMoves += gained(before, rows);
    return { n, rows };
  });
  const voters = chooseVoters(placeableMembers(members), ring.voters);
  return { members, lost, voters, tables, moves, dropped, reordered, leastMoves };
}

/** How many places the members that own more than before have got, all together. */
function gained(before: readonly (readonly NodeIndex[])[], after: readonly (readonly NodeIndex[])[]): number {
  const changes = new Map<NodeIndex, number>();
  for (const index of before.flat()) changes.set(index, (changes.get(index) ?? 0) - 1);
  for (const index of after.flat()) changes.set(index, (changes.get(index) ?? 0) + 1);
  return [...changes.values()].reduce((sum, change) => sum + Math.max(0, change), 0);
}

/** What no plan may do, in words; empty when all is well. Told without the code that computes plans. */
export function objections(ring: Ring, { members, tables, moves, dropped, leastMoves }: RingPlan): readonly string[] {
  const found: string[] = [];
  const may = new Map(placeableMembers(members).map(({ index, zone }) => [index, zone]));
  const zones = new Set(may.values()).size;
  for (const { n, rows } of tables) {
    const owners = Math.min(n, may.size);
    rows.forEach((row, partition) => {
      const place = `partition ${partition} of n=${n}`;
      const distinct = new Set(row);
      if (row.some((index) => !may.has(index))) found.push(`${place} would have an owner that is no member`);
      if (distinct.size !== row.length) found.push(`${place} would have two replicas on one node`);
      if (distinct.size < owners) found.push(`${place} would have ${distinct.size} owners and could have ${owners}`);
      const spread = new Set(row.map((index) => may.get(index))).size;
      if (spread < Math.min(owners, zones)) found.push(`${place} would be in ${spread} zones and could be in more`);
    });
    const before = ring.placements.find((placement) => placement.n === n)!.partitions;
    const leads = before.map(({ owners: row }) => new Set<NodeIndex>(row));
    const here = moves.filter((move) => move.n === n);
    for (const { partition, from } of [...here, ...dropped.filter((drop) => drop.n === n)]) {
      if (from !== null && !leads[partition]!.delete(from)) found.push(`partition ${partition} of n=${n} moves twice`);
    }
    for (const { partition, to } of here) leads[partition]!.add(to);
    const arrives = rows.every((row, p) => row.length === leads[p]!.size && row.every((index) => leads[p]!.has(index)));
    if (!arrives) found.push(`the moves of n=${n} would not lead to its table`);
  }
  if (moves.length < leastMoves) found.push(`${leastMoves} moves are needed and there are ${moves.length}`);
  return found;
}
