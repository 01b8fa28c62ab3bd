import { expect, test } from 'vitest';
import { ChangeSpeed } from '#operator/change-speed.ts';

test('the speed is that of the last while, and nobody can say at first', () => {
  const speed = new ChangeSpeed();
  speed.note('a', 0, 1000);
  expect(speed.perSecond(1500)).toBeNull();
  speed.note('a', 10, 2000);
  expect(speed.perSecond(2000)).toBe(10);
  for (let second = 3; second <= 100; second++) speed.note('a', 10 + 2 * (second - 2), second * 1000);
  expect(speed.perSecond(100_000)).toBe(2);
});

test('a change that stands still gets slower and slower', () => {
  const speed = new ChangeSpeed();
  speed.note('a', 0, 0);
  speed.note('a', 10, 1000);
  speed.note('a', 10, 5000);
  expect(speed.perSecond(10_000)).toBe(1);
});

test('another change, and one that goes back, begin anew', () => {
  const speed = new ChangeSpeed();
  speed.note('a', 0, 0);
  speed.note('a', 10, 1000);
  speed.note('a', 4, 2000);
  expect(speed.perSecond(2000)).toBeNull();
  speed.note('a', 6, 3000);
  expect(speed.perSecond(3000)).toBe(2);
  speed.note(null, 0, 4000);
  expect(speed.perSecond(4000)).toBeNull();
  speed.note('b', 6, 5000);
  expect(speed.perSecond(6000)).toBeNull();
});
