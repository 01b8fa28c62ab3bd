/**
 * Ranges over what stands in SQLite and what is newer in the journal, against a plain map; and what they know of the beginnings of
 * tables.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes } from '#kernel/bytes.ts';
import { Floors, mergeRange } from '#world/real/journal-range.ts';
import { JournalSegment } from '#world/real/journal-segment.ts';
import type { RangeOptions, Row } from '#world/world.ts';

const TABLE = 1;

function segmentOf(number: number, rows: readonly (readonly [Uint8Array, Uint8Array | undefined])[]): JournalSegment {
  const after = { segment: 0, bytes: 0 };
  const segment = new JournalSegment({
    ...{ number, after },
    identity: 7,
    tables: ['a', 'b'],
    bytes: new Uint8Array(64),
  });
  for (const [key, value] of rows) {
    segment.put(TABLE, key, value);
    // Of another table nothing is to be seen.
    segment.put(0, key, new Uint8Array([77]));
    segment.finish({ segment: 0, bytes: 0 });
  }
  return segment;
}

const keyArbitrary = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }).map((bytes) => Uint8Array.from(bytes));
const valueArbitrary = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 4 })
  .map((bytes) => Uint8Array.from(bytes));
const changeArbitrary = fc.tuple(keyArbitrary, fc.option(valueArbitrary, { nil: undefined }));
const optionsArbitrary: fc.Arbitrary<RangeOptions> = fc.record(
  {
    ...{ from: keyArbitrary, to: keyArbitrary, limit: fc.integer({ min: 0, max: 6 }) },
    ...{ bytes: fc.integer({ min: 0, max: 8 }), reverse: fc.boolean() },
  },
  { requiredKeys: ['limit'] },
);

class PlainRows {
  readonly #rows = new Map<string, Row>();

  put(key: Uint8Array, value: Uint8Array | undefined): void {
    if (value === undefined) this.#rows.delete(String(key));
    else this.#rows.set(String(key), [key, value]);
  }

  range({ from, to, limit, bytes = Number.POSITIVE_INFINITY, reverse = false }: RangeOptions): Row[] {
    const rows = [...this.#rows.values()]
      .filter(
        ([key]) =>
          (from === undefined || compareBytes(key, from) >= 0) && (to === undefined || compareBytes(key, to) < 0),
      )
      .toSorted(([a], [b]) => compareBytes(a, b) * (reverse ? -1 : 1));
    const taken: Row[] = [];
    let left = bytes;
    for (const row of rows) {
      if (taken.length === limit || (left <= 0 && taken.length > 0)) break;
      taken.push(row);
      left -= row[1].length;
    }
    return taken;
  }
}

test('a range over SQLite and any number of segments is that of a plain map', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(changeArbitrary, { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      fc.array(optionsArbitrary, { minLength: 1, maxLength: 5 }),
      ([stored, ...recent], ranges) => {
        const database = new PlainRows();
        const all = new PlainRows();
        for (const [key, value] of stored!) for (const rows of [database, all]) rows.put(key, value);
        const segments = recent.map((changes, number) => {
          for (const [key, value] of changes) all.put(key, value);
          return segmentOf(number + 1, changes);
        });
        for (const options of ranges) {
          const { rows } = mergeRange(segments.toReversed(), TABLE, database, options);
          expect(rows).toEqual(all.range(options));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('with what is known of the beginning of the table it is the same, over any history', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), change: changeArbitrary }),
    fc.record({ kind: fc.constant('range' as const), options: optionsArbitrary }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const rows = new PlainRows();
      const floors = new Floors();
      for (const each of steps) {
        if (each.kind === 'put') {
          const [key, value] = each.change;
          if (value !== undefined) floors.put(TABLE, key);
          rows.put(key, value);
          continue;
        }
        const raised = floors.raise(TABLE, each.options);
        const found = rows.range(raised);
        floors.learn(TABLE, raised, found);
        expect(found).toEqual(rows.range(each.options));
      }
    }),
    { numRuns: 500 },
  );
});

test('a queue is read from where it begins, and tells how many rows were walked over', () => {
  const key = (i: number): Uint8Array => Uint8Array.of(i);
  const database = new PlainRows();
  for (let i = 0; i < 100; i++) database.put(key(i), key(i));
  const segments = [
    segmentOf(
      1,
      Array.from({ length: 90 }, (_, i) => [key(i), undefined] as const),
    ),
  ];
  const floors = new Floors();
  const read = (options: RangeOptions): number => {
    const raised = floors.raise(TABLE, options);
    const { rows, deleted } = mergeRange(segments, TABLE, database, raised);
    floors.learn(TABLE, raised, rows);
    expect(rows[0]).toEqual([key(90), key(90)]);
    return deleted;
  };
  expect(read({ limit: 1 })).toBe(90);
  expect(read({ limit: 1 })).toBe(0);
  expect(read({ limit: 3, to: key(95) })).toBe(0);
  floors.forget();
  expect(read({ limit: 1 })).toBe(90);
});
