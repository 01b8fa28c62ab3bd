import { expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch, type NodeIndex } from '#kernel/identity.ts';
import { claim, type Claim } from '#ring/claim.ts';
import { fillPlacement, placeableMembers } from '#ring/placement.ts';
import type { Member } from '#ring/ring.ts';
import { zoneShares } from '#ring/zone-shares.ts';
import { member } from './rings.ts';

type Rows = readonly (readonly NodeIndex[])[];

type Change =
  | { readonly kind: 'join'; readonly zone: number; readonly weight: number }
  | { readonly kind: 'leave'; readonly which: number }
  | { readonly kind: 'weight'; readonly which: number; readonly weight: number }
  | { readonly kind: 'zone'; readonly which: number; readonly zone: number };

const anyZone = fc.integer({ min: 1, max: 5 });
const anyWeight = fc.constantFrom(1, 1, 1, 2, 3);
const anyWhich = fc.nat(1000);
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('join' as const), zone: anyZone, weight: anyWeight }),
  fc.record({ kind: fc.constant('leave' as const), which: anyWhich }),
  fc.record({ kind: fc.constant('weight' as const), which: anyWhich, weight: anyWeight }),
  fc.record({ kind: fc.constant('zone' as const), which: anyWhich, zone: anyZone }),
);

function changed(members: readonly Member[], change: Change): Member[] {
  if (change.kind === 'join') {
    const { zone, weight } = change;
    return [...members, member(members.length, { zone: `z${zone}`, weight })];
  }
  const active = placeableMembers(members);
  if (change.kind === 'leave' && active.length === 1) return [...members];
  const { index } = active[change.which % active.length]!;
  const update: Partial<Member> =
    change.kind === 'leave'
      ? { state: 'leaving' }
      : change.kind === 'weight'
        ? { weight: change.weight }
        : { zone: `z${change.zone}` };
  return members.map((one) => (one.index === index ? { ...one, ...update } : one));
}

function founded(members: readonly Member[], n: number, partitionCount: number): Rows {
  return fillPlacement(members, n, partitionCount, epoch(1)).partitions.map(({ owners }) => owners);
}

function countOf(rows: Rows, index: NodeIndex): number {
  return rows.flat().filter((owner) => owner === index).length;
}

/** What a claim must be, told without the code that computes it. */
function check(before: Rows, { rows, moves, dropped }: Claim, members: readonly Member[], n: number): void {
  const candidates = placeableMembers(members);
  const owners = Math.min(n, candidates.length);
  const zoneOf = new Map(members.map((one) => [one.index, one.zone]));
  const zones = new Set(candidates.map(({ zone }) => zone)).size;
  for (const row of rows) {
    expect(row.length).toBe(owners);
    expect(new Set(row).size).toBe(owners);
    expect(row.every((index) => candidates.some((one) => one.index === index))).toBe(true);
    expect(new Set(row.map((index) => zoneOf.get(index))).size).toBe(Math.min(owners, zones));
  }
  const shares = zoneShares(candidates, owners, before.length, (index) => countOf(before, index));
  for (const { index, share } of shares.flatMap((zone) => zone.members)) expect(countOf(rows, index)).toBe(share);
  // The moves lead from the old rows to the new ones.
  const moved = before.map((row) => new Set<NodeIndex>(row));
  for (const { partition, from } of dropped) expect(moved[partition]!.delete(from)).toBe(true);
  for (const { partition, from } of moves) if (from !== null) expect(moved[partition]!.delete(from)).toBe(true);
  for (const { partition, to } of moves) {
    expect(moved[partition]!.has(to)).toBe(false);
    moved[partition]!.add(to);
  }
  rows.forEach((row, partition) => expect(new Set(row)).toEqual(moved[partition]));
}

test('over any history of joins, departures, weights and zones every table is spread and balanced', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ zone: anyZone, weight: anyWeight }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(1, 2, 3, 5),
      fc.constantFrom(8, 16, 64),
      fc.array(anyChange, { minLength: 1, maxLength: 5 }),
      (first, n, partitionCount, changes) => {
        let members: Member[] = first.map(({ zone, weight }, i) => member(i, { zone: `z${zone}`, weight }));
        let rows = founded(members, n, partitionCount);
        for (const change of changes) {
          members = changed(members, change);
          const next = claim(members, n, rows);
          check(rows, next, members, n);
          ({ rows } = next);
          expect(claim(members, n, rows), 'a claim of what was claimed').toEqual({ rows, moves: [], dropped: [] });
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('a join of equals moves what the newcomer shall own, and nothing else', () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 12 }), fc.constantFrom(2, 3, 5), (size, n) => {
      const members = Array.from({ length: size + 1 }, (_, i) => member(i));
      const rows = founded(members.slice(0, size), Math.min(n, size), 64);
      const { moves } = claim(members, Math.min(n, size), rows);
      expect(moves.every(({ to }) => to === members[size]!.index)).toBe(true);
    }),
  );
});

/** Every table with these shares that keeps the zones apart, one partition after the other; returns the fewest moves. */
function fewestMoves(before: Rows, rows: Rows, members: readonly Member[], owners: number): number {
  const candidates = placeableMembers(members);
  const left = new Map(candidates.map(({ index }) => [index, countOf(rows, index)]));
  const shares = zoneShares(candidates, owners, before.length);
  const zoneOf = new Map(members.map(({ index, zone }) => [index, zone]));
  const fits = (set: readonly NodeIndex[]): boolean =>
    shares.every(({ zone, least, most }) => {
      const here = set.filter((index) => zoneOf.get(index) === zone).length;
      return here >= least && here <= most;
    });
  const sets = subsets(
    candidates.map(({ index }) => index),
    owners,
  ).filter(fits);
  const best = (partition: number, spent: number, bound: number): number => {
    if (spent >= bound) return bound;
    if (partition === before.length) return spent;
    let least = bound;
    for (const set of sets) {
      if (set.some((index) => left.get(index) === 0)) continue;
      for (const index of set) left.set(index, left.get(index)! - 1);
      const cost = set.filter((index) => !before[partition]!.includes(index)).length;
      least = best(partition + 1, spent + cost, least);
      for (const index of set) left.set(index, left.get(index)! + 1);
    }
    return least;
  };
  return best(0, 0, Infinity);
}

function subsets(all: readonly NodeIndex[], size: number): NodeIndex[][] {
  if (size === 0) return [[]];
  return all.flatMap((first, i) => subsets(all.slice(i + 1), size - 1).map((rest) => [first, ...rest]));
}

test('no table with the same shares needs fewer moves: compared with all of them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ zone: fc.integer({ min: 1, max: 3 }), weight: anyWeight }), { minLength: 2, maxLength: 5 }),
      fc.constantFrom(2, 3),
      fc.array(anyChange, { minLength: 1, maxLength: 2 }),
      (first, n, changes) => {
        let members: Member[] = first.map(({ zone, weight }, i) => member(i, { zone: `z${zone}`, weight }));
        const rows = founded(members, n, 4);
        for (const change of changes) members = changed(members, change);
        const next = claim(members, n, rows);
        const owners = Math.min(n, placeableMembers(members).length);
        expect(next.moves.length).toBe(fewestMoves(rows, next.rows, members, owners));
      },
    ),
    { numRuns: 200 },
  );
});

test('a newcomer takes the slot of somebody who leaves, of its own zone if it can', () => {
  const members = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, i) => member(i, { zone }));
  const rows = founded(members, 3, 64);
  const after = members.map((one, i) => (i === 0 ? { ...one, state: 'leaving' as const } : one));
  const { moves, dropped } = claim(after, 3, rows);
  expect(dropped).toEqual([]);
  expect(moves.length).toBe(countOf(rows, members[0]!.index));
  for (const { from, to } of moves) {
    expect(from).toBe(members[0]!.index);
    expect(to).toBe(members[1]!.index);
  }
});

test('fewer members than replicas: lists shrink, and grow again without touching who stays', () => {
  const three = [0, 1, 2].map((i) => member(i));
  const one = three.map((any, i) => (i === 0 ? any : { ...any, state: 'leaving' as const }));
  const shrunk = claim(one, 3, founded(three, 3, 16));
  expect(shrunk.rows).toEqual(Array.from({ length: 16 }, () => [0]));
  expect(shrunk.moves).toEqual([]);
  expect(shrunk.dropped.length).toBe(32);
  const grown = claim(three, 3, shrunk.rows);
  expect(grown.moves.length).toBe(32);
  expect(grown.moves.every(({ from }) => from === null)).toBe(true);
});

test('the same claim in whatever order the members come', () => {
  const members = Array.from({ length: 7 }, (_, i) => member(i, { zone: `z${i % 3}`, weight: 1 + (i % 2) }));
  const rows = founded(members.slice(0, 6), 3, 64);
  expect(claim(members.toReversed(), 3, rows)).toEqual(claim(members, 3, rows));
});
