import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyParts } from '#api/body-parts.ts';

test('whatever pieces come, together they are the body', () => {
  const size = fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 200 }), fc.constantFrom(4095, 4096, 9000, 20_000));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 80 }), (sizes) => {
      const parts = new BodyParts();
      const pieces = sizes.map((length, i) => Buffer.alloc(length, i + 1));
      for (const piece of pieces) parts.add(piece);
      expect(parts.length).toBe(sizes.reduce((sum, length) => sum + length, 0));
      const joined = parts.joined();
      expect(Buffer.from(joined).equals(Buffer.concat(pieces))).toBe(true);
      expect(joined.constructor).toBe(Uint8Array);
    }),
  );
});

test('one piece is not copied', () => {
  const parts = new BodyParts();
  const piece = new Uint8Array([1, 2, 3]);
  parts.add(piece);
  expect(parts.joined().buffer).toBe(piece.buffer);
});

test('single bytes do not become single objects', () => {
  const parts = new BodyParts();
  for (let i = 0; i < 100_000; i++) parts.add(new Uint8Array([i]));
  expect(parts.count).toBeLessThan(30);
  expect(parts.joined()).toEqual(Uint8Array.from({ length: 100_000 }, (_, i) => i));
});
