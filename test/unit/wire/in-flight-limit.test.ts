/** How many calls may wait for one peer's answers. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InFlightLimit } from '#wire/in-flight-limit.ts';

test('a limit that is used grows by each answer, one that is not used does not', () => {
  const limit = new InFlightLimit(4096);
  expect(limit.limit).toBe(256);
  for (let i = 0; i < 100; i++) limit.ended('reply', '', 10, i);
  expect(limit.limit).toBe(256);
  for (let i = 0; i < 10_000; i++) limit.ended('reply', '', limit.limit, i);
  expect(limit.limit).toBe(4096);
});

test('calls that end without an answer in time shrink it, once for all that fail together', () => {
  const limit = new InFlightLimit(4096);
  for (let i = 0; i < 300; i++) limit.ended('lost', 'timeout', 200, 1000);
  expect(limit.limit).toBe(179);
  limit.ended('refused', 'overloaded', 100, 1500);
  expect(limit.limit).toBe(125);
  for (const reason of ['disconnected', 'stale', 'not-ready']) limit.ended('lost', reason, 100, 9000);
  expect(limit.limit).toBe(125);
  for (let now = 10_000; now < 60_000; now += 500) limit.ended('lost', 'timeout', 16, now);
  expect(limit.limit).toBe(16);
});

test('it stays within its bounds whatever happens', () => {
  const ending = fc.record({
    result: fc.constantFrom('reply' as const, 'lost' as const, 'refused' as const),
    reason: fc.constantFrom('', 'timeout', 'overloaded', 'disconnected'),
    inFlight: fc.nat(5000),
    after: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.array(ending, { maxLength: 300 }), (most, endings) => {
      const limit = new InFlightLimit(most);
      let now = 0;
      for (const { result, reason, inFlight, after } of endings) {
        limit.ended(result, reason, inFlight, (now += after));
        expect(limit.limit).toBeLessThanOrEqual(most);
        expect(limit.limit).toBeGreaterThanOrEqual(Math.min(16, most));
      }
    }),
  );
});
