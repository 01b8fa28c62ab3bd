/** The checkers against a small store: silent as long as it is right, and not when it makes a mistake. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../simulation/checkers/check-history.ts';
import type { CheckName } from '../../simulation/checkers/violation.ts';
import { NO_WHITE_BOX } from '../../simulation/history.ts';
import { operations, SmallStore } from './small-store.ts';
import type { Mistake, StoreOptions } from './small-store.ts';

const KINDS: readonly StoreOptions[] = [{ mode: 'siblings' }, { mode: 'lww' }, { mode: 'siblings', set: true }];

describe.each(KINDS)('a right store, %o', (options) => {
  it('breaks no promise', () => {
    fc.assert(
      fc.property(operations, (plan) => {
        const { history, whiteBox } = new SmallStore(options).run(plan);
        expect(checkHistory(history, whiteBox)).toEqual({ violations: [], undecided: [] });
        expect(checkHistory(history, NO_WHITE_BOX).violations).toEqual([]);
        expect(checkHistory(history, { ...whiteBox, mints: [] }).violations).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a store that makes a mistake', () => {
  const CASES: readonly (readonly [Mistake, StoreOptions['mode'], CheckName])[] = [
    ['merge-drops-a-sibling', 'siblings', 'concurrent-siblings'],
    ['merge-drops-a-sibling', 'siblings', 'durable-coverage'],
    ['merge-drops-a-sibling', 'siblings', 'strict-reads'],
    ['merge-revives', 'siblings', 'concurrent-siblings'],
    ['merge-revives', 'siblings', 'no-resurrection'],
    ['acknowledges-too-early', 'siblings', 'strict-reads'],
    ['acknowledges-too-early', 'lww', 'strict-reads'],
    ['reads-one-replica', 'siblings', 'strict-reads'],
    ['reads-one-replica', 'lww', 'strict-reads'],
    ['reads-one-replica', 'lww', 'no-resurrection'],
    ['says-not-applied', 'siblings', 'not-applied-invisible'],
    ['says-not-applied', 'lww', 'not-applied-invisible'],
    ['context-covers-the-unseen', 'siblings', 'concurrent-siblings'],
    ['context-covers-the-unseen', 'siblings', 'durable-coverage'],
    ['forgets-the-context', 'siblings', 'concurrent-siblings'],
    ['order-against-causality', 'lww', 'last-write-wins'],
    ['reuses-dots', 'siblings', 'durable-coverage'],
    ['reuses-dots', 'siblings', 'unique-dots'],
  ];

  it.each(CASES)('%s (%s) is found by %s', (mistake, mode, check) => {
    const found = fc.sample(operations, { seed: 7, numRuns: 300 }).some((plan) => {
      const { history, whiteBox } = new SmallStore({ mode, mistake }).run(plan);
      return checkHistory(history, whiteBox, { checks: [check] }).violations.length > 0;
    });
    expect(found).toBe(true);
  });

  it('in a set, a dropped sibling is found as a lost update', () => {
    const found = fc.sample(operations, { seed: 7, numRuns: 300 }).some((plan) => {
      const { history, whiteBox } = new SmallStore({
        mode: 'siblings',
        set: true,
        mistake: 'merge-drops-a-sibling',
      }).run(plan);
      return checkHistory(history, whiteBox, { checks: ['no-lost-update'] }).violations.length > 0;
    });
    expect(found).toBe(true);
  });
});
