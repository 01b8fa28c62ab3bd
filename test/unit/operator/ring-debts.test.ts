/** Former owners that are away, and what they have still to bring. */

import { describe, expect, test } from 'vitest';
import type { Facts } from '#consensus/facts.ts';
import { advanceChange } from '#operator/ring-change.ts';
import { factsOf, newcomer, evidence, begin, steered, run, entries, shown } from './ring-steps.ts';

test('of two former owners one is done, and the other is away: the change is over', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1', 'z1']);
  const begun = begin(facts, {
    weights: [
      ['n1', 0.1],
      ['n2', 0.1],
    ],
  });
  const steps = run(begun, HALF);
  expect(steps.some(({ ring }) => entries(ring).some(({ move }) => move?.others.length === 2))).toBe(true);
  const end = steps.at(-1)!;
  expect(end.ring.change).toBeUndefined();
  expect(debtors(end)).toEqual([1]);
});

/** Members that have something to bring, now or later. */
function debtors({ ring }: Facts): readonly number[] {
  const all = entries(ring).flatMap(({ move }) => [
    ...(move?.stage === 'offload' ? move.others : []),
    ...(move?.owed ?? []),
  ]);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The second node is away, and its part is done by nobody. */
const HALF = evidence({ isDone: ({ id }) => id !== 'n2', isAway: ({ id }) => id === 'n2' });

describe('a plan for partitions of which a former owner that is away has something to bring', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1', 'z1']);
  const owed = run(begin(facts, { weights: [['n2', 0.1]] }), HALF).at(-1)!;
  const replaces = begin(
    owed,
    {
      replace: [
        ['n1', 'n6'],
        ['n2', 'n7'],
      ],
    },
    [newcomer('n6'), newcomer('n7')],
  );
  const moved = entries(replaces.ring).filter(({ move }) => move?.owed !== undefined);

  test('taken back, that one has it to bring still', () => {
    expect(moved.length).toBeGreaterThan(0);
    for (const steps of [0, 1, 2]) {
      let begun = replaces;
      for (let step = 0; step < steps; step++) begun = advanceChange(begun, HALF);
      const back = run(steered(begun, 'aborting'), HALF).at(-1)!;
      expect([steps, shown(back)]).toEqual([steps, expect.stringContaining('n2 active')]);
      expect([steps, debtors(back)]).toEqual([steps, [1]]);
      expect(entries(back.ring).filter(({ move }) => move !== undefined).length).toBeGreaterThanOrEqual(moved.length);
      expect(entries(run(back).at(-1)!.ring).filter(({ move }) => move !== undefined)).toEqual([]);
    }
  });

  test('it is not let go before it has brought it when it is back, and owes nothing when it is gone', () => {
    const there = evidence({ isDone: ({ id }) => id !== 'n2' });
    const waits = run(replaces, there).at(-1)!;
    expect([shown(waits), debtors(waits)]).toEqual([
      expect.stringContaining('n2 leaving'),
      expect.arrayContaining([1]),
    ]);
    expect(debtors(run(waits).at(-1)!)).toEqual([]);
    const gone = run(replaces, { ...HALF, isGone: ({ id }) => id === 'n2' }).at(-1)!;
    expect([shown(gone), debtors(gone), gone.ring.change]).toEqual([
      expect.stringContaining('n2 removed'),
      [],
      undefined,
    ]);
  });
});
