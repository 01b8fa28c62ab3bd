/** Numbers of a request while owners change: two sets of other sizes, or another number of members than when they were worked out. */

import { expect, test } from 'vitest';
import fc from 'fast-check';
import { scaled, writeNeeds, type Route } from '#coordinator/environment.ts';
import type { KeyRequest } from '#coordinator/requests.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { member } from '../ring/rings.ts';

const ZONES = ['z1', 'z1', 'z2', 'z2', 'z2', 'z3'];

function route(...sets: readonly (readonly number[])[]): Route {
  const members = [...new Set(sets.flat())].map((index) => member(index, { zone: ZONES[index]! }));
  const owners = members.filter(({ index }) => sets[0]!.includes(index));
  const indexes = sets.map((set) => set.map(nodeIndex));
  return { owners, writers: members, sets: indexes, inChange: sets.length > 1 } as unknown as Route;
}

function needs(where: Route, w: number, replicas?: number, zone?: string) {
  const request = { w, pw: 0, dw: 0, replicas, zone } as unknown as KeyRequest & { w: number; pw: number; dw: number };
  return writeNeeds(where, request).map(({ w: needed, among }) => ({ w: needed, of: among?.length }));
}

test('nothing is told apart while nothing changes', () => {
  expect(needs(route([0, 1, 2]), 2, 3)).toEqual([{ w: 2, of: undefined }]);
  expect(needs(route([0, 1, 2]), 2)).toEqual([{ w: 2, of: undefined }]);
});

test('the same number is needed of both sets', () => {
  expect(needs(route([0, 1, 2], [1, 2, 3]), 2, 3)).toEqual([
    { w: 2, of: 3 },
    { w: 2, of: 3 },
  ]);
  expect(needs(route([0, 1, 2], [1, 2, 3]), 1, 3)).toEqual([
    { w: 1, of: 3 },
    { w: 1, of: 3 },
  ]);
});

test('a majority of one is one of three, and the other way round', () => {
  // Worked out when there was one member, and when there were to be three.
  expect(needs(route([0], [0, 1, 2]), 1, 1)).toEqual([
    { w: 1, of: 1 },
    { w: 3, of: 3 },
  ]);
  expect(needs(route([0], [0, 1, 2]), 2, 3)).toEqual([
    { w: 1, of: 1 },
    { w: 2, of: 3 },
  ]);
  expect(needs(route([0], [0, 1, 2]), 1, 3)).toEqual([
    { w: 1, of: 1 },
    { w: 1, of: 3 },
  ]);
  expect(needs(route([0, 1, 2], [0]), 2, 3)).toEqual([
    { w: 2, of: 3 },
    { w: 1, of: 1 },
  ]);
  expect(needs(route([0]), 2, 3)).toEqual([{ w: 1, of: 1 }]);
});

test('a zone in which the other set has nobody asks nothing of it; one without readers can have nothing', () => {
  expect(needs(route([0, 2, 3], [2, 3, 5]), 1, 1, 'z1')).toEqual([
    { w: 1, of: 1 },
    { w: 0, of: 0 },
  ]);
  expect(needs(route([0, 2, 3], [2, 3, 5]), 1, 0, 'z3')).toEqual([
    { w: 1, of: 0 },
    { w: 1, of: 1 },
  ]);
});

test('what met in one number of owners meets in another', () => {
  const size = fc.integer({ min: 1, max: 7 });
  fc.assert(
    fc.property(size, size, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), (from, to, anyR, anyW) => {
      const [r, w] = [Math.min(anyR, from), Math.min(anyW, from)];
      const [scaledR, scaledW] = [scaled(r, from, to), scaled(w, from, to)];
      for (const count of [scaledR, scaledW]) expect(count >= 1 && count <= to).toBe(true);
      expect(scaled(r, from, from)).toBe(r);
      const majority = (count: number, of: number): boolean => 2 * count > of;
      if (majority(r, from) && majority(w, from)) expect(scaledR + scaledW).toBeGreaterThan(to);
      if (r === from || w === from) expect(scaledR + scaledW).toBeGreaterThan(to);
      if (r >= w) expect(scaledR).toBeGreaterThanOrEqual(scaledW);
    }),
  );
});
