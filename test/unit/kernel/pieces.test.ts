import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes } from '#kernel/bytes.ts';
import { copied, Pieces } from '#kernel/pieces.ts';

const parts = fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 6 });

test('what lies between two places is what lies there when the parts are put together', () => {
  fc.assert(
    fc.property(parts, fc.nat(40), fc.nat(40), (given, one, other) => {
      const pieces = new Pieces(given);
      const whole = concatBytes(given);
      expect(pieces.length).toBe(whole.length);
      const [start, end] = [Math.min(one, other), Math.max(one, other)];
      const between = pieces.between(start, end);
      expect(concatBytes(between)).toEqual(whole.subarray(start, end));
      expect(between.every((view) => given.some(({ buffer }) => buffer === view.buffer))).toBe(true);
    }),
  );
});

test('a copy shares no memory with what was copied', () => {
  const part = Uint8Array.of(1, 2, 3);
  const copies = [copied(part), copied(new Pieces([part])), copied(new Pieces([part, part]))];
  part.fill(0);
  expect(copies.map((copy) => [...copy])).toEqual([
    [1, 2, 3],
    [1, 2, 3],
    [1, 2, 3, 1, 2, 3],
  ]);
});
