/** Waiting is told apart from the difference of two clocks. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { QueueingDelay } from '#wire/queueing-delay.ts';

test('whatever the clocks say, a message that waited longer than the best of the last minute is known to', () => {
  const message = fc.record({ after: fc.integer({ min: 0, max: 3000 }), waits: fc.integer({ min: 0, max: 5000 }) });
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.array(message, { maxLength: 100 }), (offset, messages) => {
      const queueing = new QueueingDelay();
      let now = 0;
      queueing.of(now + offset, now);
      for (const { after, waits } of messages) {
        now += after;
        const measured = queueing.of(now - waits + offset, now);
        expect(measured).toBeLessThanOrEqual(waits);
        expect(measured).toBeGreaterThanOrEqual(0);
        if (now < 10_000) expect(measured).toBe(waits);
      }
    }),
  );
});

test('clocks that drift apart do not add up', () => {
  const queueing = new QueueingDelay();
  for (let now = 0; now < 3_600_000; now += 1000) {
    // The sender's clock is slower by a thousandth, which is far more than clocks drift.
    expect(queueing.of(now * 0.999, now)).toBeLessThan(70);
  }
});
