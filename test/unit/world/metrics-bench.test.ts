import { expect, test } from 'vitest';
import { run } from '../../../bench/micro/metrics.bench.ts';
import { run as runWays } from '../../../bench/micro/watching.bench.ts';

test('the benchmark of the figures still runs', async () => {
  const costs = await run(1);
  expect(costs.length).toBeGreaterThan(0);
});

test('the benchmark of the ways of watching still runs', async () => {
  const costs = await runWays(1);
  expect(costs.length).toBeGreaterThan(0);
});
