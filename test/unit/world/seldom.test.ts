import { expect, test } from 'vitest';
import { Seldom } from '#world/seldom.ts';

test('the same thing is news once a minute, however often others come between', () => {
  let now = 5;
  const seldom = new Seldom(() => now);
  expect(['a', 'b', 'a', 'b', 'a'].map((thing) => seldom.isNews(thing))).toEqual([true, true, false, false, false]);
  now += 59_999;
  expect(seldom.isNews('a')).toBe(false);
  now += 1;
  expect([seldom.isNews('a'), seldom.isNews('a')]).toEqual([true, false]);
});
