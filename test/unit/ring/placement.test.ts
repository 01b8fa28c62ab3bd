import { expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch } from '#kernel/identity.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import { fillPlacement, placeableMembers } from '#ring/placement.ts';
import type { Member, Placement } from '#ring/ring.ts';
import { anyMembers, member } from './rings.ts';

const EPOCH = epoch(1);
const anyN = fc.integer({ min: 1, max: 7 });
const anyPartitionCount = fc.constantFrom(1, 4, 16, 64, 256);

function count(indexes: readonly NodeIndex[], members: readonly Member[]): Map<NodeIndex, number> {
  const counts = new Map(members.map((one) => [one.index, 0]));
  for (const index of indexes) counts.set(index, counts.get(index)! + 1);
  return counts;
}

function zoneCaps(members: readonly Member[], owners: number): Map<string, number> {
  const zones = Map.groupBy(members, (one) => one.zone);
  let cap = Math.ceil(owners / zones.size);
  const places = () => [...zones.values()].reduce((sum, zone) => sum + Math.min(cap, zone.length), 0);
  while (places() < owners) cap++;
  return new Map([...zones].map(([name, zone]) => [name, Math.min(cap, zone.length)]));
}

function allOwners(placement: Placement): NodeIndex[] {
  return placement.partitions.flatMap(({ owners }) => [...owners]);
}

test('every partition has the right number of distinct owners, spread over as many zones as there are', () => {
  fc.assert(
    fc.property(anyMembers, anyN, anyPartitionCount, (members, n, partitionCount) => {
      const placement = fillPlacement(members, n, partitionCount, EPOCH);
      const expected = Math.min(n, members.length);
      const caps = zoneCaps(members, expected);
      expect(placement.n).toBe(n);
      expect(placement.partitions.length).toBe(partitionCount);
      for (const { owners, changedIn } of placement.partitions) {
        expect(changedIn).toBe(1);
        expect(owners.length).toBe(expected);
        expect(new Set(owners).size).toBe(expected);
        const zones = Map.groupBy(owners, (index) => members[index]!.zone);
        expect(zones.size).toBe(Math.min(expected, caps.size));
        for (const [zone, inZone] of zones) expect(inZone.length).toBeLessThanOrEqual(caps.get(zone)!);
      }
    }),
    { numRuns: 300 },
  );
});

/**
 * A share is a whole number beside a fair fraction, so nobody may be more than a partition behind another, weight for
 * weight, unless a bound holds one down or the other up.
 */
test('nobody owns less than its weight deserves unless a bound forces it', () => {
  fc.assert(
    fc.property(anyMembers, anyN, anyPartitionCount, (members, n, partitionCount) => {
      const placement = fillPlacement(members, n, partitionCount, EPOCH);
      const owners = Math.min(n, members.length);
      const caps = zoneCaps(members, owners);
      const least = caps.size <= owners ? partitionCount : 0;
      const owned = count(allOwners(placement), members);
      const zoneOwned = new Map<string, number>();
      for (const { zone, index } of members) zoneOwned.set(zone, (zoneOwned.get(zone) ?? 0) + owned.get(index)!);

      for (const behind of members) {
        const isFull = owned.get(behind.index) === partitionCount;
        for (const ahead of members) {
          const lag = (owned.get(ahead.index)! - 1) / ahead.weight - (owned.get(behind.index)! + 1) / behind.weight;
          if (lag <= 1e-9 || isFull) continue;
          const isForced =
            behind.zone !== ahead.zone &&
            (zoneOwned.get(behind.zone) === caps.get(behind.zone)! * partitionCount ||
              zoneOwned.get(ahead.zone) === least);
          expect(isForced, `${behind.id} lags behind ${ahead.id} by ${lag}`).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('members come first in proportion to their weight when nothing bounds them', () => {
  fc.assert(
    fc.property(anyMembers, anyN, (anyone, n) => {
      const members = anyone.map((one) => ({ ...one, zone: 'z' }));
      const weights = members.reduce((sum, one) => sum + one.weight, 0);
      fc.pre(members.every((one) => (Math.min(n, members.length) * one.weight) / weights <= 1));
      const { partitions } = fillPlacement(members, n, 256, EPOCH);
      const firsts = count(
        partitions.map(({ owners }) => owners[0]!),
        members,
      );
      for (const { index, weight } of members) {
        expect(Math.abs(firsts.get(index)! - (256 * weight) / weights)).toBeLessThan(1);
      }
    }),
    { numRuns: 200 },
  );
});

test('a table does not depend on the order of members, and leaves out those who wait or go', () => {
  fc.assert(
    fc.property(
      anyMembers.chain((members) =>
        fc.tuple(fc.constant(members), fc.shuffledSubarray(members, { minLength: members.length })),
      ),
      anyN,
      ([members, shuffled], n) => {
        const others = (['joining', 'leaving', 'removed'] as const).map((state, i) => member(100 + i, { state }));
        const placement = fillPlacement(members, n, 16, EPOCH);
        expect(fillPlacement([...others, ...shuffled], n, 16, EPOCH)).toEqual(placement);
      },
    ),
  );
  expect(placeableMembers([member(2, { state: 'refilling' }), member(1)]).map((one) => one.index)).toEqual([1, 2]);
});

test('equal members own equal parts in many different sets', () => {
  const members = Array.from({ length: 7 }, (_, i) => member(i));
  const { partitions } = fillPlacement(members, 3, 256, EPOCH);
  const owned = [
    ...count(
      partitions.flatMap(({ owners }) => [...owners]),
      members,
    ).values(),
  ];
  expect([Math.min(...owned), Math.max(...owned)]).toEqual([109, 110]);
  const sets = new Set(partitions.map(({ owners }) => owners.toSorted((a, b) => a - b).join()));
  expect(sets.size).toBeGreaterThan(30);
});

test('golden table', () => {
  const members = [
    member(0, { zone: 'a' }),
    member(1, { zone: 'b' }),
    member(2, { zone: 'a', weight: 2 }),
    member(3, { zone: 'c' }),
  ];
  const rows = fillPlacement(members, 3, 8, EPOCH).partitions.map(({ owners }) => owners.join(''));
  expect(rows).toEqual(['213', '130', '213', '312', '132', '013', '013', '213']);
});

test('a table of a hundred members', () => {
  const members = Array.from({ length: 100 }, (_, i) => member(i, { zone: `z${i % 5}`, weight: 1 + (i % 4) }));
  const owned = count(allOwners(fillPlacement(members, 3, 1024, EPOCH)), members);
  const unit = (1024 * 3) / members.reduce((sum, one) => sum + one.weight, 0);
  for (const { index, weight } of members) expect(Math.abs(owned.get(index)! - unit * weight)).toBeLessThan(1);
});

test('nonsense is refused', () => {
  expect(() => fillPlacement([], 3, 8, EPOCH)).toThrow('at least one active member');
  expect(() => fillPlacement([member(0)], 8, 8, EPOCH)).toThrow('n=8');
  expect(() => fillPlacement([member(0)], 0, 8, EPOCH)).toThrow('n=0');
});
