/** The small parts of failure detection: rumours, suspicion, local health, probe order. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeIndex } from '#kernel/identity.ts';
import { LocalHealth } from '#membership/local-health.ts';
import type { News } from '#membership/member-table.ts';
import { ProbeOrder, someOf } from '#membership/probe-order.ts';
import { Rumours, sendsOf } from '#membership/rumours.ts';
import { suspicionTimeout } from '#membership/suspicion.ts';
import { SeededRandom } from '#world/simulated/random.ts';

const rumour = (member: number): News => ({
  member: nodeIndex(member),
  standing: 'suspect',
  incarnation: 1,
  from: nodeIndex(99),
});

test('those told least often are told first, each a bounded number of times', () => {
  const rumours = new Rumours();
  for (let member = 0; member < 5; member++) rumours.spread(rumour(member));
  const told = new Map<number, number>();
  for (let i = 0; i < 100; i++) {
    const taken = rumours.take(2, 5);
    for (const { member } of taken) told.set(member, (told.get(member) ?? 0) + 1);
    const counts = [0, 1, 2, 3, 4].map((member) => told.get(member) ?? 0);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  }
  expect([...told.values()]).toEqual(Array.from({ length: 5 }, () => sendsOf(5)));
  expect(rumours.size).toBe(0);
});

test('newer news of a member take the place of older ones', () => {
  const rumours = new Rumours();
  rumours.spread(rumour(1));
  rumours.spread({ ...rumour(1), standing: 'alive', incarnation: 2 });
  expect(rumours.take(10, 5)).toEqual([{ ...rumour(1), standing: 'alive', incarnation: 2 }]);
});

test('a suspicion lasts shorter the more accuse, between its bounds', () => {
  const settings = { probeInterval: 250, suspicionFactor: 4 };
  expect(suspicionTimeout(settings, 3, 1)).toBe(1000);
  expect(suspicionTimeout(settings, 5, 1)).toBe(6000);
  expect(suspicionTimeout(settings, 5, 3)).toBe(1000);
  expect(suspicionTimeout(settings, 5, 2)).toBeCloseTo(2845, 0);
  expect(suspicionTimeout(settings, 5, 4)).toBe(1000);
  expect(suspicionTimeout(settings, 100, 3)).toBe(2000);
});

test('local health stays between 0 and 7', () => {
  const health = new LocalHealth();
  health.better();
  expect(health.factor).toBe(1);
  health.worse(20);
  expect(health.factor).toBe(8);
  health.better();
  expect(health.score).toBe(6);
});

test('everybody gets its turn within two rounds, whoever is busy in between', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(), (count, seed) => {
      const random = new SeededRandom(seed);
      const order = new ProbeOrder(() => random.uint32());
      const all = Array.from({ length: count }, (_, i) => nodeIndex(i));
      const lastTurn = all.map(() => 0);
      for (let turn = 1; turn <= 100; turn++) {
        lastTurn[order.next(all, () => true)!] = turn;
        for (const turnOf of lastTurn) expect(turn - turnOf).toBeLessThan(2 * count);
      }
    }),
  );
});

test('a choice has no one twice and is as large as it can be', () => {
  const random = new SeededRandom(1);
  const chosen = someOf([1, 2, 3, 4], 3, () => random.uint32());
  expect(new Set(chosen).size).toBe(3);
  expect(someOf([1, 2], 5, () => random.uint32())).toHaveLength(2);
});
