/**
 * A plan in figures: how evenly the ring is shared out before and after, over how many zones, and who gives and gets how much.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { PlannedTable, RingPlan } from './plan.ts';
import { placeableMembers } from './placement.ts';
import type { Member, Ring } from './ring.ts';

export interface Balance {
  /** What the fullest member owns, as a multiple of what its weight deserves. */
  readonly fullest: number;
  readonly emptiest: number;
}

export interface ZoneSpread {
  /** Zones that the partition in the fewest is in. */
  readonly fewest: number;
  /** As many as could be, with these members. */
  readonly possible: number;
}

export interface TableFigures {
  readonly n: number;
  readonly owners: { readonly before: number; readonly after: number };
  readonly balance: { readonly before: Balance; readonly after: Balance };
  readonly zones: { readonly before: ZoneSpread; readonly after: ZoneSpread };
}

export interface MemberFigures {
  readonly index: NodeIndex;
  readonly change: 'joins' | 'leaves' | 'stays';
  /** Places in owner lists of all n. */
  readonly before: number;
  readonly after: number;
  readonly gets: number;
  readonly gives: number;
}

export function tableFigures(ring: Ring, plan: RingPlan): readonly TableFigures[] {
  return plan.tables.map((after) => {
    const before = tableBefore(ring, after.n);
    return {
      n: after.n,
      owners: { before: fewestOwners(before), after: fewestOwners(after) },
      balance: { before: balance(ring.members, before), after: balance(plan.members, after) },
      zones: { before: zoneSpread(ring.members, before), after: zoneSpread(plan.members, after) },
    };
  });
}

export function memberFigures(ring: Ring, plan: RingPlan): readonly MemberFigures[] {
  const before = countPlaces(ring.placements.map(({ n }) => tableBefore(ring, n)));
  const after = countPlaces(plan.tables);
  const gets = countBy(plan.moves.map(({ to }) => to));
  const gives = countBy([...plan.moves, ...plan.dropped].flatMap(({ from }) => from ?? []));
  const was = new Map(ring.members.map((member) => [member.index, member.state]));
  return plan.members
    .filter(({ index, state }) => state !== 'removed' || was.get(index) !== 'removed')
    .map(({ index, state }) => ({
      index,
      change: state === 'removed' ? 'leaves' : was.has(index) ? 'stays' : 'joins',
      before: before.get(index) ?? 0,
      after: after.get(index) ?? 0,
      gets: gets.get(index) ?? 0,
      gives: gives.get(index) ?? 0,
    }));
}

function tableBefore(ring: Ring, n: number): PlannedTable {
  const partitions = ring.placements.find((placement) => placement.n === n)?.partitions ?? [];
  return { n, rows: partitions.map(({ owners }) => owners) };
}

function balance(members: readonly Member[], { rows }: PlannedTable): Balance {
  const placeable = placeableMembers(members);
  const owned = countBy(rows.flat());
  const weights = placeable.reduce((sum, { weight }) => sum + weight, 0);
  const places = rows.reduce((sum, row) => sum + row.length, 0);
  const multiples = placeable.map(({ index, weight }) => (owned.get(index) ?? 0) / ((places * weight) / weights));
  return { fullest: Math.max(...multiples), emptiest: Math.min(...multiples) };
}

function zoneSpread(members: readonly Member[], { n, rows }: PlannedTable): ZoneSpread {
  const zoneOf = new Map(members.map(({ index, zone }) => [index, zone]));
  const placeable = placeableMembers(members);
  const zones = new Set(placeable.map(({ zone }) => zone)).size;
  return {
    fewest: Math.min(...rows.map((row) => new Set(row.map((index) => zoneOf.get(index))).size)),
    possible: Math.min(n, placeable.length, zones),
  };
}

function fewestOwners({ rows }: PlannedTable): number {
  return Math.min(...rows.map((row) => row.length));
}

function countPlaces(tables: readonly PlannedTable[]): ReadonlyMap<NodeIndex, number> {
  return countBy(tables.flatMap(({ rows }) => rows.flat()));
}

function countBy(indexes: readonly NodeIndex[]): ReadonlyMap<NodeIndex, number> {
  const counts = new Map<NodeIndex, number>();
  for (const index of indexes) counts.set(index, (counts.get(index) ?? 0) + 1);
  return counts;
}
