import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';

test('eight bytes, most significant first', () => {
  expect(toHex(keyOfNumber(0))).toBe('0000000000000000');
  expect(toHex(keyOfNumber(0x0102030405))).toBe('0000000102030405');
  expect(toHex(keyOfNumber(0xfffffffe))).toBe('00000000fffffffe');
  expect(toHex(keyOfNumber(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff');
});

test('every number comes back, from the middle of other bytes too', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (number) => {
      const around = Uint8Array.of(9, ...keyOfNumber(number), 9);
      expect(numberOfKey(around.subarray(1, 9))).toBe(number);
    }),
  );
});
