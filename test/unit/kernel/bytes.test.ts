import { expect, test } from 'vitest';
import fc from 'fast-check';
import { compareBytes, fromBase64url, fromHex, toBase64url, toHex } from '#kernel/bytes.ts';

test('base64url equals the host implementation and reads back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const text = toBase64url(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64url'));
      expect(fromBase64url(text)).toEqual(bytes);
    }),
  );
});

test('base64url refuses what is not canonical', () => {
  for (const text of ['A', 'AB', 'AAB', 'A=', 'A+A/', 'é', 'AA A']) expect(fromBase64url(text), text).toBeUndefined();
});

test('hex reads back and refuses the rest', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(fromHex(toHex(bytes))).toEqual(bytes)));
  for (const text of ['0', 'zz', 'AB']) expect(fromHex(text), text).toBeUndefined();
});

test('byte order equals the host implementation', () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => expect(compareBytes(a, b)).toBe(Buffer.compare(a, b))));
});
