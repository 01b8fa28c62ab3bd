import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { GoneHints } from '#handoff/gone-hints.ts';

test('what was there later than asked for counts, and is never told to be younger than it was', () => {
  const steps = fc.array(fc.record({ low: fc.nat(100), pause: fc.nat(20) }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, fc.nat(500), (added, since) => {
      const gone = new GoneHints(0);
      const all: { low: number; at: number }[] = [];
      let at = 101;
      for (const { low, pause } of added) {
        at += pause + 1;
        gone.add('3/1', low, at);
        all.push({ low, at });
      }
      const exact = Math.min(Infinity, ...all.filter((one) => one.at > since).map(({ low }) => low));
      const told = gone.oldest('3/1', since);
      expect(told).toBeLessThanOrEqual(exact);
      // Few are told exactly; when nothing has gone since, nothing is told, however many there were.
      if (added.length <= 8 || exact === Infinity) expect(told).toBe(exact);
      expect(gone.oldest('3/2', since)).toBe(Infinity);
    }),
  );
});

test('of what an earlier process has let go nothing is known', () => {
  const gone = new GoneHints(50);
  expect([gone.oldest('3/1', 49), gone.oldest('3/1', 50)]).toEqual([1, Infinity]);
});
