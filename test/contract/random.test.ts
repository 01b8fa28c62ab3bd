import { describe, expect, test } from 'vitest';
import { WORLDS } from './worlds.ts';

describe.each(WORLDS)('randomness of the %s world', (_name, make) => {
  const { random } = make().machine();

  test('integers are whole, in range, and fill it evenly', () => {
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 16_000; i++) {
      const value = random.uint32();
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 32).toBe(true);
      buckets[value >>> 28]!++;
    }
    // 16,000 draws: a bucket's deviation from 1,000 beyond 200 is more than six standard deviations.
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200);
  });

  test('low bits vary as high bits do', () => {
    let ones = 0;
    for (let i = 0; i < 10_000; i++) ones += random.uint32() & 1;
    expect(Math.abs(ones - 5000)).toBeLessThan(350);
  });

  test('bytes have the length asked for and do not repeat', () => {
    expect(random.bytes(0)).toEqual(new Uint8Array(0));
    const drawn = new Set(Array.from({ length: 100 }, () => random.bytes(16).join()));
    expect(drawn.size).toBe(100);
    expect(new Set(random.bytes(4096)).size).toBeGreaterThan(240);
  });
});
