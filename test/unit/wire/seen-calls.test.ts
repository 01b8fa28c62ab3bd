import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeenCalls } from '#wire/seen-calls.ts';

test('each id begins once, in whatever order ids come', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 }), (ids) => {
      const seen = new SeenCalls();
      const twin = new Set<number>();
      for (const id of ids) {
        expect(seen.begins(id)).toBe(!twin.has(id));
        twin.add(id);
      }
    }),
  );
});

test('gaps are bounded: what is too far behind is taken as begun', () => {
  const seen = new SeenCalls();
  expect(seen.begins(1_000_000)).toBe(true);
  expect(seen.begins(1)).toBe(false);
  expect(seen.begins(999_999)).toBe(true);
  expect(seen.begins(999_999)).toBe(false);
});
