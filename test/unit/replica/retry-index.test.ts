/** The index of remembered requests against the plainest model of it: a list. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RetryIndex, type HashKind } from '#replica/retry-index.ts';

interface Row {
  readonly name: number;
  readonly key: number;
  readonly place: number;
}

const hash = fc.integer({ min: -3, max: 3 }).map((small) => Math.imul(small, 0x10003));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), name: hash, key: hash }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeBack' as const), rows: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('dropBelow' as const), rows: fc.nat(9) }) },
);

function found(index: RetryIndex, kind: HashKind, wanted: number): readonly number[] {
  const places: number[] = [];
  index.find(kind, wanted, (place) => void places.push(place));
  return places;
}

test('finds what is there, the newest first, whatever was added, taken back and dropped', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const index = new RetryIndex(8);
      let rows: Row[] = [];
      let place = 0;
      for (const next of steps) {
        if (next.kind === 'add') {
          place += 2;
          index.add(next.name, next.key, place);
          rows.push({ name: next.name, key: next.key, place });
        } else if (next.kind === 'takeBack') {
          const back = Math.min(next.rows, rows.length);
          index.takeBack(back);
          rows = rows.slice(0, rows.length - back);
        } else {
          const below = rows[next.rows]?.place ?? place + 1;
          index.dropBelow(below);
          rows = rows.filter((row) => row.place >= below);
        }
        expect(index.size).toBe(rows.length);
      }
      for (const kind of ['name', 'key'] as const) {
        for (const wanted of new Set(rows.map((row) => row[kind]))) {
          const places = rows.filter((row) => row[kind] === wanted).map((row) => row.place);
          expect(found(index, kind, wanted)).toEqual(places.toReversed());
        }
        expect(found(index, kind, 77)).toEqual([]);
      }
    }),
  );
});

test('stops at the first thing that is found', () => {
  const index = new RetryIndex(2);
  for (let place = 1; place <= 5; place++) index.add(7, 7, place);
  expect(index.find('name', 7, (place) => (place < 4 ? `at ${place}` : undefined))).toBe('at 3');
  expect(index.find('key', 8, () => true)).toBeUndefined();
});
