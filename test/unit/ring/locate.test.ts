import { expect, test } from 'vitest';
import fc from 'fast-check';
import { utf8 } from '#kernel/bytes.ts';
import { hash64ToHex } from '#kernel/siphash.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { SEED } from './rings.ts';

/** Computed with OpenSSL's SIPHASH over bucket, zero byte and key. Rows on disk are filed under these values. */
test('golden hashes', () => {
  const hash = (bucket: string, key: string) => hash64ToHex(hashKey({ hashSeed: SEED }, bucket, utf8(key)));
  expect(hash('default', 'a')).toBe('d2c1d77e0720697d');
  expect(hash('photos', 'kéy/1')).toBe('e507590413afced8');
  expect(hash('', '')).toBe('74f839c593dc67fd');
});

test('bucket and key are kept apart, and seeds too', () => {
  const seen = new Set<string>();
  for (const hashSeed of [SEED, 'f'.repeat(32), SEED]) {
    for (const [bucket, key] of [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc', ''],
    ] as const) {
      seen.add(hash64ToHex(hashKey({ hashSeed }, bucket, utf8(key))));
    }
  }
  expect(seen.size).toBe(6);
});

test('the partition is the top bits of the hash', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 14 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      (bits, high, low) => {
        const whole = (BigInt(high) << 32n) | BigInt(low);
        const expected = Number(whole >> BigInt(64 - bits));
        expect(partitionOf({ partitionCount: 2 ** bits }, { high, low })).toBe(expected);
      },
    ),
  );
  expect(partitionOf({ partitionCount: 256 }, { high: 0xffff_ffff, low: 0 })).toBe(255);
});

test('keys spread evenly over partitions', () => {
  const counts = Array.from({ length: 64 }, () => 0);
  for (let i = 0; i < 64_000; i++) {
    counts[partitionOf({ partitionCount: 64 }, hashKey({ hashSeed: SEED }, 'bucket', utf8(`user:${i}`)))]! += 1;
  }
  // Expected 1000 each, standard deviation 31.
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Math.max(...counts)).toBeLessThan(1150);
});
