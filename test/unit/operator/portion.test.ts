import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { nextPortion, Portion, portionLeast, type Standing } from '#operator/portion.ts';
import type { PartitionOwners } from '#ring/ring.ts';

function moving(stage: 'planned' | 'dual', owners: readonly number[], others: readonly number[]): PartitionOwners {
  return { owners: owners.map(nodeIndex), changedIn: epoch(1), move: { stage, others: others.map(nodeIndex) } };
}

function portion(most: number, partitions: readonly PartitionOwners[], standings: readonly Standing[] = []): Portion {
  return new Portion({ placements: [{ n: 3, partitions }] }, most, (_taker, _n, p) => standings[p] ?? 'to do');
}

const TO_3 = moving('planned', [0, 1, 2], [0, 1, 3]);
const TO_4 = moving('planned', [0, 1, 2], [0, 4, 2]);
const TO_BOTH = moving('planned', [0, 1, 2], [0, 3, 4]);
const DUAL_3 = moving('dual', [0, 1, 2], [0, 1, 3]);

describe('a portion', () => {
  test('is one for each taker, and a partition with two of them counts for both', () => {
    const one = portion(2, [TO_3, TO_4, TO_BOTH]);
    expect([one.admits(TO_3), one.admits(TO_BOTH), one.admits(TO_3)]).toEqual([true, true, false]);
    expect([one.admits(TO_BOTH), one.admits(TO_4), one.admits(TO_4)]).toEqual([false, true, false]);
  });

  test('is used up by what is in dual and not done; what is tried in vain keeps nobody from trying others', () => {
    expect(portion(1, [DUAL_3, TO_3]).admits(TO_3)).toBe(false);
    expect(portion(1, [DUAL_3, TO_3], ['done']).admits(TO_3)).toBe(true);
    expect(portion(1, [DUAL_3, TO_3], ['stuck']).admits(TO_3)).toBe(true);
  });

  test('says what is left of it at those that have more to come, what is stuck with it', () => {
    expect(portion(8, [DUAL_3, DUAL_3, DUAL_3, TO_3], ['done', 'stuck', 'to do']).left()).toEqual([2]);
    expect(portion(8, [DUAL_3, TO_4]).left()).toEqual([]);
    expect(portion(8, [DUAL_3]).left()).toEqual([]);
  });
});

test('it grows when somebody runs out of work, shrinks when all have plenty, and else stays', () => {
  expect(nextPortion(8, [], 4)).toBe(8);
  expect(nextPortion(8, [8, 0], 4)).toBe(32);
  expect(nextPortion(8, [8, 2], 4)).toBe(16);
  expect(nextPortion(8, [8, 5], 4)).toBe(8);
  expect(nextPortion(8, [8, 7], 4)).toBe(4);
  expect(nextPortion(4, [4], 4)).toBe(4);
});

test('where ways are long, so that takers work on many at once, it does not fall below what they work on', () => {
  expect(nextPortion(32, [32], portionLeast(12))).toBe(24);
  expect(nextPortion(8, [8, 5], portionLeast(12))).toBe(24);
  expect(nextPortion(8, [], portionLeast(12))).toBe(24);
});

test('takers of any speed are kept busy before long, and not much more than that is in dual', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), (doneBetweenLooks) => {
      const least = portionLeast(2);
      let size = 2 * least;
      let left = 0;
      let idle = 0;
      for (let look = 0; look < 40; look++) {
        if (look > 0) size = nextPortion(size, [left], least);
        const begun = Math.max(left, size);
        if (look > 10 && begun < doneBetweenLooks) idle += 1;
        left = Math.max(0, begun - doneBetweenLooks);
      }
      expect(idle).toBe(0);
      expect(size).toBeLessThanOrEqual(Math.max(2 * least, 8 * doneBetweenLooks));
    }),
  );
});
