import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { hashOf, KEPT_ROW_MAX_BYTES, RowCache } from '#world/real/row-cache.ts';

const uncounted = { hits: { add: () => undefined }, misses: { add: () => undefined } };
const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

test('gives copies of what was put last, table by table, and nothing that was deleted', () => {
  const cache = new RowCache(64 * 1024, uncounted);
  cache.put(0, bytes(1), bytes(10, 11));
  cache.put(1, bytes(1), bytes(20));
  cache.put(0, bytes(1, 0), bytes());
  const copy = cache.get(0, bytes(1))!;
  expect(copy).toEqual(bytes(10, 11));
  copy[0] = 99;
  expect(cache.get(0, bytes(1))).toEqual(bytes(10, 11));
  expect(cache.get(1, bytes(1))).toEqual(bytes(20));
  expect(cache.get(0, bytes(1, 0))).toEqual(bytes());
  expect(cache.get(0, bytes(2))).toBeUndefined();
  cache.delete(0, bytes(1));
  expect(cache.get(0, bytes(1))).toBeUndefined();
  expect(cache.get(1, bytes(1))).toEqual(bytes(20));
});

test('knows the number that a row was put with last', () => {
  const cache = new RowCache(64 * 1024, uncounted);
  expect(cache.numberOf(0, bytes(1))).toBeUndefined();
  cache.put(0, bytes(1), bytes(10), 2 ** 40 + 1);
  cache.put(0, bytes(2), bytes(10));
  expect(cache.numberOf(0, bytes(1))).toBe(2 ** 40 + 1);
  expect(cache.numberOf(0, bytes(2))).toBe(0);
  cache.put(0, bytes(1), bytes(11));
  expect(cache.numberOf(0, bytes(1))).toBe(0);
  expect(cache.get(0, bytes(1))).toEqual(bytes(11));
});

test('what was read stays as it is when the ring is written over', () => {
  const cache = new RowCache(4096, uncounted);
  cache.put(0, bytes(1), filled(100, 1));
  const copy = cache.get(0, bytes(1));
  for (let i = 2; i < 200; i++) cache.put(0, bytes(i), filled(100, i));
  expect(copy).toEqual(filled(100, 1));
  expect(cache.get(0, bytes(1))).toBeUndefined();
  expect(cache.get(0, bytes(199))).toEqual(filled(100, 199));
});

test('a place that the ring has left behind is not believed, whatever stands there now', () => {
  const cache = new RowCache(8192, uncounted);
  const room = 448;
  const row = filled(room - 25, 1);
  const last = Math.floor(8192 / room) - 1;
  for (let i = 0; i <= last; i++) cache.put(0, bytes(i), row);
  expect(cache.get(0, bytes(last))).toEqual(row);
  // The next row is written over the first two, and has in it what the second one began with, and another value.
  const forged = new Uint8Array(1000);
  const head = Uint32Array.of(room, row.length, 0, 1, 0, 0);
  forged.set(new Uint8Array(head.buffer), room - 25);
  forged.set(bytes(1, 66), room - 25 + 24);
  cache.put(0, bytes(100), forged);
  expect(cache.get(0, bytes(100))).toEqual(forged);
  expect(cache.get(0, bytes(1))).toBeUndefined();
});

test('a row that fits where it was does not push out others', () => {
  const cache = new RowCache(4096, uncounted);
  for (let i = 0; i < 3; i++) cache.put(0, bytes(i), filled(100, i));
  for (let i = 0; i < 1000; i++) cache.put(0, bytes(0), filled(100, i));
  expect(cache.get(0, bytes(0))).toEqual(filled(100, 999 % 256));
  expect(cache.get(0, bytes(1))).toEqual(filled(100, 1));
  expect(cache.get(0, bytes(2))).toEqual(filled(100, 2));
});

test('keys of one hash are told apart', () => {
  // Found by trying.
  const one = bytes(117, 97, 150, 164);
  const other = bytes(189, 131, 234, 170);
  expect(hashOf(0, one)).toBe(hashOf(0, other));
  const cache = new RowCache(64 * 1024, uncounted);
  cache.put(0, one, bytes(1));
  expect(cache.get(0, other)).toBeUndefined();
  cache.put(0, other, bytes(2));
  expect(cache.get(0, one)).toEqual(bytes(1));
  cache.delete(0, one);
  expect(cache.get(0, one)).toBeUndefined();
  expect(cache.get(0, other)).toEqual(bytes(2));
});

test('a row that has become too large is forgotten, not kept as it was', () => {
  const cache = new RowCache(1024 * 1024, uncounted);
  cache.put(0, bytes(1), filled(KEPT_ROW_MAX_BYTES - 100, 1));
  expect(cache.get(0, bytes(1))).toEqual(filled(KEPT_ROW_MAX_BYTES - 100, 1));
  cache.put(0, bytes(1), filled(KEPT_ROW_MAX_BYTES, 2));
  expect(cache.get(0, bytes(1))).toBeUndefined();
});

test('forgets a row of which the medium has another value, or none', () => {
  const cache = new RowCache(64 * 1024, uncounted);
  for (let i = 0; i < 4; i++) cache.put(0, bytes(i), bytes(7, 8));
  cache.compare(0, bytes(0), bytes(7, 8));
  cache.compare(0, bytes(1), bytes(7, 9));
  cache.compare(0, bytes(2), bytes(7));
  cache.compare(0, bytes(3), undefined);
  cache.compare(0, bytes(4), bytes(1));
  expect([0, 1, 2, 3, 4].map((i) => cache.get(0, bytes(i)))).toEqual([bytes(7, 8), ...Array(4)]);
});

test('after its end it keeps nothing', () => {
  const cache = new RowCache(64 * 1024, uncounted);
  cache.put(0, bytes(1), bytes(1));
  cache.end();
  expect(cache.get(0, bytes(1))).toBeUndefined();
  cache.put(0, bytes(1), bytes(1));
  expect(cache.get(0, bytes(1))).toBeUndefined();
});

test('rows that are read again and again are found, as many as fit', () => {
  let found = 0;
  const cache = new RowCache(1024 * 1024, { hits: { add: () => (found += 1) }, misses: { add: () => undefined } });
  const keys = Array.from({ length: 800 }, (_, i) => new Uint8Array(Uint32Array.of(i, 7, i * 3).buffer));
  for (const key of keys) cache.put(0, key, filled(1100, 1));
  for (let round = 0; round < 3; round++) for (const key of keys) cache.get(0, key);
  // The rows of a set of the index that are too many are the exception.
  expect(found).toBeGreaterThan(0.98 * 3 * keys.length);
});

describe('beside a plain map', () => {
  type Step =
    | { readonly kind: 'put'; readonly key: number; readonly length: number }
    | { readonly kind: 'get' | 'delete' | 'compare'; readonly key: number }
    | { readonly kind: 'clear' };

  const key = fc.nat(40);
  const length = fc.oneof(
    { weight: 8, arbitrary: fc.nat(90) },
    { weight: 2, arbitrary: fc.nat(400) },
    { weight: 1, arbitrary: fc.nat(1200) },
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('put' as const), key, length }) },
    { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('get', 'compare'), key }) as fc.Arbitrary<Step> },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'clear' }) },
  );

  /** Keys of several lengths, prefixes of each other among them. */
  const keyOf = (number: number): Uint8Array => filled(number % 5, 1 + Math.floor(number / 5));

  test('it has the newest value or none, never another', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 400 }),
        fc.constantFrom(1500, 4096, 65_536),
        (steps, size) => {
          const cache = new RowCache(size, uncounted);
          const model = new Map<string, Uint8Array>();
          let written = 0;
          for (const step of steps) {
            if (step.kind === 'clear') {
              cache.clear();
              for (let number = 0; number <= 40; number++) expect(cache.get(0, keyOf(number))).toBeUndefined();
              continue;
            }
            const rowKey = keyOf(step.key);
            const name = toHex(rowKey);
            if (step.kind === 'put') {
              const value = filled(step.length, (written += 1));
              cache.put(0, rowKey, value);
              model.set(name, value);
              const kept = cache.get(0, rowKey);
              if (step.length < 300) expect(kept).toEqual(value);
            } else if (step.kind === 'delete') {
              cache.delete(0, rowKey);
              model.delete(name);
              expect(cache.get(0, rowKey)).toBeUndefined();
            } else if (step.kind === 'compare') cache.compare(0, rowKey, model.get(name));
            const kept = cache.get(0, rowKey);
            if (kept !== undefined) expect(kept).toEqual(model.get(name));
          }
          for (let number = 0; number <= 40; number++) {
            const kept = cache.get(0, keyOf(number));
            if (kept !== undefined) expect(kept).toEqual(model.get(toHex(keyOf(number))));
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
