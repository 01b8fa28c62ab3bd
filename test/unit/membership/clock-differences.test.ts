/** Which clocks are apart, and when a majority says that it is this node's own. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeIndex } from '#kernel/identity.ts';
import { ClockDifferences } from '#membership/clock-differences.ts';

const SETTINGS = { warnFrom: 500, apartMax: 60_000 };
const HOUR = 3_600_000;

/** What a node knows that has heard of these differences, from member 1 on. */
function heard(differences: readonly number[], at = 0): ClockDifferences {
  const clocks = new ClockDifferences(SETTINGS);
  differences.forEach((difference, i) => clocks.note(nodeIndex(i + 1), { difference, uncertainty: 5 }, at));
  return clocks;
}

function faultOf(differences: readonly number[]): number | undefined {
  return heard(differences).ownFault(
    differences.map((_, i) => nodeIndex(i + 1)),
    1000,
  );
}

describe('what is told', () => {
  const member = nodeIndex(1);
  const note = (clocks: ClockDifferences, difference: number, uncertainty = 5): unknown =>
    clocks.note(member, { difference, uncertainty }, 0);

  test('a clock that is apart, once, and again when it has doubled', () => {
    const clocks = new ClockDifferences(SETTINGS);
    expect([note(clocks, 400), note(clocks, -600), note(clocks, 700), note(clocks, HOUR), note(clocks, HOUR)]).toEqual([
      ...[undefined, 'apart', undefined],
      ...['apart', undefined],
    ]);
  });

  test('that it agrees again, once, when that is clear', () => {
    const clocks = new ClockDifferences(SETTINGS);
    expect([note(clocks, 600), note(clocks, 400), note(clocks, 100), note(clocks, 100)]).toEqual([
      ...['apart', undefined, 'agrees', undefined],
    ]);
  });

  test('nothing that the way of the answer may have made', () => {
    const clocks = new ClockDifferences(SETTINGS);
    expect(note(clocks, 900, 450)).toBeUndefined();
  });
});

test('what was heard long ago says nothing any more', () => {
  const clocks = heard([HOUR, HOUR]);
  expect(clocks.of(nodeIndex(1), 60_000)?.difference).toBe(HOUR);
  expect(clocks.of(nodeIndex(1), 60_001)).toBeUndefined();
  expect(clocks.ownFault([nodeIndex(1), nodeIndex(2)], 60_001)).toBeUndefined();
});

test('the own clock is wrong when a majority of all members agrees on another time', () => {
  expect(faultOf([HOUR, HOUR])).toBe(HOUR);
  expect(faultOf([-HOUR, -HOUR - 100, 0, -HOUR])).toBe(-HOUR);
  // One of three differs from both others, which differ from each other too: nobody can tell.
  expect(faultOf([HOUR, -HOUR])).toBeUndefined();
  expect(faultOf([HOUR, 0])).toBeUndefined();
  expect(faultOf([HOUR])).toBeUndefined();
  expect(faultOf([59_000, 59_000])).toBeUndefined();
});

test('never do so many find themselves wrong that no majority is left', () => {
  const clock = fc.oneof(fc.integer({ min: -100_000, max: 100_000 }), fc.constantFrom(0, HOUR, -HOUR, 61_000));
  fc.assert(
    fc.property(fc.array(clock, { minLength: 1, maxLength: 7 }), (walls) => {
      const wrong = walls.filter((own, self) => {
        const others = walls.filter((_, i) => i !== self).map((wall) => wall - own);
        return faultOf(others) !== undefined;
      });
      expect(wrong.length).toBeLessThan(walls.length / 2);
    }),
  );
});
