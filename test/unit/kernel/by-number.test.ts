import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByNumber } from '#kernel/by-number.ts';

test('holds what a Map would, also where numbers share a place', () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), number: fc.integer({ min: 0, max: 40 }) }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.constantFrom(1, 512, 1024, 1025), (all, stride) => {
      const map = new Map<number, string>();
      const values = new ByNumber<string>();
      for (const { add, number: small } of all) {
        const number = small * stride;
        if (!add) {
          map.delete(number);
          values.delete(number);
        } else if (!map.has(number)) {
          map.set(number, `value ${number}`);
          values.add(number, `value ${number}`);
        }
        expect(values.size).toBe(map.size);
        expect(values.get(number)).toBe(map.get(number));
      }
      const seen = new Map<number, string>();
      values.forEach((value, number) => void seen.set(number, value));
      expect(seen.size).toBe(map.size);
      for (const [number, value] of map) expect(seen.get(number)).toBe(value);
    }),
  );
});

test('what is deleted while all are visited is not visited any more', () => {
  const values = new ByNumber<string>();
  for (const number of [3, 4, 3 + 1024, 4 + 1024]) values.add(number, `value ${number}`);
  const seen: number[] = [];
  values.forEach((_, number) => {
    seen.push(number);
    for (const other of [3, 4, 3 + 1024, 4 + 1024]) if (other !== number) values.delete(other);
  });
  expect(seen).toHaveLength(1);
  expect(values.size).toBe(1);
});
