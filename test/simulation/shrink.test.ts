import { expect, test } from 'vitest';
import { planOf } from './plan.ts';
import { shrink } from './shrink.ts';
import type { SeedTask } from './tasks.ts';

const TASK: SeedTask = { kind: 'seed', seed: 10, changes: {}, twice: true, traceWidth: 0 };
const NEEDED = 'crash-at-step';
const OPERATIONS_NEEDED = 130;

test('a failing run loses the faults, nodes and operations that it does not need', async () => {
  let runs = 0;
  const smallest = await shrink(TASK, 'strict-reads', ({ seed, changes }) => {
    runs += 1;
    const { faults, operationsMax, nodes } = planOf(seed, changes);
    const fails = faults.some(({ kind }) => kind === NEEDED) && operationsMax >= OPERATIONS_NEEDED && nodes >= 2;
    return Promise.resolve(fails ? [{ check: 'strict-reads' as const, key: 'b/k', detail: '' }] : []);
  });
  const plan = planOf(smallest.seed, smallest.changes);
  expect(plan.faults.map(({ kind }) => kind)).toEqual([NEEDED]);
  expect(plan.nodes).toBe(2);
  expect(plan.operationsMax).toBeGreaterThanOrEqual(OPERATIONS_NEEDED);
  expect(plan.operationsMax).toBeLessThan(1.2 * OPERATIONS_NEEDED);
  expect(runs).toBeLessThan(30);
});

test('another failure is not taken for the same one', async () => {
  const smallest = await shrink(TASK, 'strict-reads', () =>
    Promise.resolve([{ check: 'liveness' as const, key: '', detail: '' }]),
  );
  expect(smallest.changes).toEqual({});
});

test('a seed says everything: equal seeds give equal plans, other seeds other ones', () => {
  expect(planOf(5)).toEqual(planOf(5));
  expect(new Set(Array.from({ length: 200 }, (_, seed) => JSON.stringify(planOf(seed).faults))).size).toBeGreaterThan(
    190,
  );
});
