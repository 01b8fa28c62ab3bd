import { expect, test } from 'vitest';
import fc from 'fast-check';
import { compareBytes, concatBytes, equalBytes, fromHex, fromUtf8, toHex, utf8 } from '#kernel/bytes.ts';

test('hex reads back and refuses the rest', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
      expect(fromHex(toHex(bytes))).toEqual(bytes);
    }),
  );
  for (const text of ['0', 'zz', 'AB']) expect(fromHex(text), text).toBeUndefined();
});

test('byte order equals the host implementation', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.nat(), (a, b, cut) => {
      expect(compareBytes(a, b)).toBe(Buffer.compare(a, b));
      expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      const prefix = a.subarray(0, cut % (a.length + 1));
      expect(compareBytes(prefix, a)).toBe(Buffer.compare(prefix, a));
      expect(equalBytes(a, Uint8Array.from(a))).toBe(true);
    }),
  );
});

test('UTF-8 reads back, a byte order mark included, and refuses the rest', () => {
  for (const text of ['', 'plain', 'größer', '\uFEFFmark', '👋']) expect(fromUtf8(utf8(text))).toBe(text);
  expect(() => fromUtf8(Uint8Array.of(0xc3))).toThrow(TypeError);
});

test('concatenation joins the parts in order', () => {
  expect(concatBytes([])).toEqual(new Uint8Array(0));
  expect(concatBytes([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)])).toEqual(Uint8Array.of(1, 2, 3));
});
