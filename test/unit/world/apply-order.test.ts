/** In which order the rows of a segment of the journal go into SQLite. */

import { expect, test } from 'vitest';
import { ApplyOrder } from '#world/real/apply-order.ts';
import { JournalSegment } from '#world/real/journal-segment.ts';
import { hashOf, RowCache } from '#world/real/row-cache.ts';

const NOWHERE = { segment: 0, bytes: 0 };
const ROWS = 5000;
const key = (i: number): Uint8Array => Uint8Array.of(i >> 8, i);

/** Rows 0 to {@link ROWS}, each written twice, the second time in this order. */
function segmentOf(order: (i: number) => number): JournalSegment {
  const segment = new JournalSegment({
    ...{ number: 1, identity: 7, tables: ['rows'], after: NOWHERE, bytes: new Uint8Array(64) },
  });
  for (let i = 0; i < ROWS; i++) segment.put(0, key(i), key(0));
  for (let i = 0; i < ROWS; i++) segment.put(0, key(order(i)), key(order(i)));
  segment.finish(NOWHERE);
  return segment;
}

/** The rows by their keys, which are their last values too, in the order in which they go. */
function rowsIn(segment: JournalSegment, order: ApplyOrder): number[] {
  return [...order.places()].map((at) => {
    const [high, low] = segment.keyAt(at);
    expect(segment.valueAt(at)).toEqual(segment.keyAt(at));
    return high! * 256 + low!;
  });
}

const mixed = (i: number): number => (i * 1777) % ROWS;

test('every row goes once with its last value, however many are looked up at a time', () => {
  const segment = segmentOf(mixed);
  const numbers = new Map(Array.from({ length: ROWS }, (_, i) => [hashOf(0, key(i)), i % 3 === 0 ? 0 : i * 1000]));
  const at = (hash: number): number => numbers.get(hash)!;
  const order = new ApplyOrder(segment, at);
  let steps = 0;
  for (; order.known < 1; steps++) order.lookUp(4096);
  expect(steps).toBe(segment.slots / 4096);
  const rows = rowsIn(segment, order);
  expect(rows.toSorted((a, b) => a - b)).toEqual(Array.from({ length: ROWS }, (_, i) => i));
  expect(rowsIn(segment, new ApplyOrder(segment, at))).toEqual(rows);
});

test('those with a number come by it, after those without one, which come as they were written; both nearly', () => {
  const segment = segmentOf(mixed);
  const numbers = new Map(Array.from({ length: ROWS }, (_, i) => [hashOf(0, key(i)), i < 2000 ? 0 : 1e9 - i]));
  const rows = rowsIn(segment, new ApplyOrder(segment, (hash) => numbers.get(hash)!));
  expect(rows.slice(0, 2000).every((row) => row < 2000)).toBe(true);
  const written = Array.from({ length: ROWS }, (_, i) => mixed(i)).filter((row) => row < 2000);
  // As numbers are far apart here, a box has a whole range of rows or some of them.
  expect(farthest(rows.slice(0, 2000), written)).toBeLessThan(30);
  // All numbers lie in the last boxes.
  expect(new Set(rows.slice(2000))).toEqual(new Set(Array.from({ length: ROWS - 2000 }, (_, i) => 2000 + i)));
  const spread = new Map(Array.from({ length: ROWS }, (_, i) => [hashOf(0, key(i)), ROWS - i]));
  const byNumber = rowsIn(segment, new ApplyOrder(segment, (hash) => spread.get(hash)!));
  const descending = Array.from({ length: ROWS }, (_, i) => ROWS - 1 - i);
  expect(farthest(byNumber, descending)).toBeLessThan(30);
});

function farthest(rows: readonly number[], from: readonly number[]): number {
  const places = new Map(from.map((row, i) => [row, i]));
  return Math.max(...rows.map((row, i) => Math.abs(places.get(row)! - i)));
}

test('a number is looked up by the hash of its row, and only of rows that are kept', () => {
  const figures = { hits: { add: () => undefined }, misses: { add: () => undefined } };
  const cache = new RowCache(4096, figures);
  cache.put(1, key(1), key(1), 17);
  cache.put(1, key(2), key(2));
  expect([1, 2, 3].map((i) => cache.numberLike(hashOf(1, key(i))))).toEqual([17, 0, 0]);
  expect(cache.numberLike(hashOf(2, key(1)))).toBe(0);
  for (let i = 10; i < 60; i++) cache.put(1, key(i), new Uint8Array(200), 18);
  expect(cache.numberLike(hashOf(1, key(1)))).toBe(0);
  cache.put(1, key(1), key(1), 17);
  cache.clear();
  expect(cache.numberLike(hashOf(1, key(1)))).toBe(0);
});
