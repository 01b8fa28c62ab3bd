/** The circuit breaker: what opens it, what tries it, what closes it. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Breaker } from '#membership/breaker.ts';

test('five failures in a row open it; one success between them does not let them add up', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 4; i++) breaker.failed(i);
  breaker.succeeded(4);
  for (let i = 5; i < 9; i++) breaker.failed(i);
  expect(breaker.state(9)).toBe('closed');
  breaker.failed(9);
  expect(breaker.state(9)).toBe('open');
});

test('more than half of twenty calls within ten seconds open it, older ones do not count', () => {
  const mixed = (breaker: Breaker, from: number): void => {
    for (let i = 0; i < 10; i++) {
      breaker.failed(from + i);
      breaker.succeeded(from + i);
    }
  };
  const breaker = new Breaker();
  mixed(breaker, 0);
  breaker.failed(20);
  expect(breaker.state(20)).toBe('open');
  const slower = new Breaker();
  mixed(slower, 0);
  slower.failed(11_000);
  expect(slower.state(11_000)).toBe('closed');
});

test('a trial a second; its success closes, its failure waits on', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 5; i++) breaker.failed(0);
  expect(breaker.takeTrial(999)).toBe(false);
  expect(breaker.state(1000)).toBe('half-open');
  expect(breaker.takeTrial(1000)).toBe(true);
  expect(breaker.takeTrial(1001)).toBe(false);
  breaker.failed(1500);
  expect(breaker.state(2400)).toBe('open');
  expect(breaker.takeTrial(2500)).toBe(true);
  breaker.succeeded(2600);
  expect(breaker.state(2600)).toBe('closed');
  for (let i = 0; i < 4; i++) breaker.failed(2700);
  expect(breaker.state(2700)).toBe('closed');
});

test('without anybody to try it, it closes when what it failed at is long past', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 5; i++) breaker.failed(0);
  expect(breaker.state(10_999)).toBe('half-open');
  expect(breaker.state(11_000)).toBe('closed');
});

test('whatever happens, an open breaker allows at most a trial a second and a success closes it', () => {
  const step = fc.record({ after: fc.integer({ min: 0, max: 3000 }), what: fc.constantFrom('ok', 'fail', 'try') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const breaker = new Breaker();
      let now = 0;
      let lastTrial = Number.NEGATIVE_INFINITY;
      for (const { after, what } of steps) {
        now += after;
        if (what === 'ok') {
          breaker.succeeded(now);
          expect(breaker.state(now)).toBe('closed');
          lastTrial = Number.NEGATIVE_INFINITY;
        } else if (what === 'fail') {
          breaker.failed(now);
        } else if (breaker.takeTrial(now)) {
          expect(now - lastTrial).toBeGreaterThanOrEqual(1000);
          lastTrial = now;
        }
      }
    }),
  );
});
