import { expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { hasPlacement, ownersOf, preferenceList } from '#ring/preference-list.ts';
import { fillPlacement } from '#ring/placement.ts';
import type { MemberState, Ring } from '#ring/ring.ts';
import { member, ringOf } from './rings.ts';

/** A ring with the given owner lists for n=2. */
function ringWith(
  zones: readonly string[],
  rows: readonly (readonly number[])[],
  states: readonly MemberState[] = [],
): Ring {
  const members = zones.map((zone, i) => member(i, { zone, state: states[i] ?? 'active' }));
  const partitions = rows.map((row) => ({ owners: row.map(nodeIndex), changedIn: epoch(1) }));
  return { ...ringOf(zones, rows.length), members, placements: [{ n: 2, partitions }] };
}

function indexes(ring: Ring, partition: number): [number[], number[]] {
  const { primaries, fallbacks } = preferenceList(ring, 2, partition);
  return [primaries.map((one) => one.index), fallbacks.map((one) => one.index)];
}

test('fallbacks are met on the way around the ring, each once', () => {
  const ring = ringWith(
    ['a', 'a', 'a', 'a', 'a'],
    [
      [0, 1],
      [1, 2],
      [4, 0],
      [3, 2],
    ],
  );
  expect(indexes(ring, 0)).toEqual([
    [0, 1],
    [2, 4, 3],
  ]);
  expect(indexes(ring, 3)).toEqual([
    [3, 2],
    [0, 1, 4],
  ]);
});

test('zones that are not used yet come first, one member of each', () => {
  const ring = ringWith(
    ['a', 'b', 'a', 'c', 'c', 'd'],
    [
      [0, 1],
      [2, 3],
      [4, 5],
      [0, 2],
    ],
  );
  expect(indexes(ring, 0)).toEqual([
    [0, 1],
    [3, 5, 2, 4],
  ]);
});

test('removed and joining members stand in for nobody', () => {
  const rows = [
    [0, 1],
    [2, 3],
    [4, 5],
    [0, 1],
  ];
  const states: MemberState[] = ['active', 'active', 'removed', 'joining', 'leaving', 'refilling'];
  expect(indexes(ringWith(['a', 'a', 'a', 'a', 'a', 'a'], rows, states), 0)).toEqual([
    [0, 1],
    [4, 5],
  ]);
});

test('in any filled ring, primaries and fallbacks are all members, each once, owners first', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 7 }),
      fc.nat({ max: 63 }),
      (zones, n, partition) => {
        const base = ringOf(zones, 64);
        const ring = { ...base, placements: [fillPlacement(base.members, n, 64, epoch(1))] };
        const { primaries, fallbacks } = preferenceList(ring, n, partition);
        expect(primaries.map((one) => one.index)).toEqual(ownersOf(ring, n, partition).owners);
        expect(new Set([...primaries, ...fallbacks])).toEqual(new Set(ring.members));
        expect(primaries.length + fallbacks.length).toBe(ring.members.length);
        // No member of a used zone stands before one of a zone not used yet.
        const used = new Set(primaries.map((one) => one.zone));
        const fresh = fallbacks.map((one) => !used.has(one.zone) && used.add(one.zone) !== undefined);
        expect(fresh).toEqual(fresh.toSorted((a, b) => Number(b) - Number(a)));
      },
    ),
  );
});

test('the same ring gives the same list object; another ring its own', () => {
  const ring = ringOf(['a', 'b', 'c']);
  expect(preferenceList(ring, 3, 5)).toBe(preferenceList(ring, 3, 5));
  expect(preferenceList(ring, 3, 5)).not.toBe(preferenceList(ring, 3, 6));
  expect(preferenceList({ ...ring }, 3, 5)).not.toBe(preferenceList(ring, 3, 5));
});

test('more partitions than are remembered', () => {
  const ring = ringOf(['a', 'b', 'c', 'd'], 8192);
  const first = preferenceList(ring, 3, 0);
  for (let p = 1; p < 8192; p++) preferenceList(ring, 3, p);
  expect(preferenceList(ring, 3, 0)).not.toBe(first);
  expect(preferenceList(ring, 3, 0)).toEqual(first);
});

test('a table that is not there', () => {
  const ring = ringOf(['a']);
  expect([hasPlacement(ring, 3), hasPlacement(ring, 2)]).toEqual([true, false]);
  expect(() => ownersOf(ring, 2, 0)).toThrow('the owner table for this n');
  expect(() => preferenceList(ring, 2, 0)).toThrow('the owner table for this n');
  expect(() => ownersOf(ring, 3, 256)).toThrow('partition 256 of 256');
});
