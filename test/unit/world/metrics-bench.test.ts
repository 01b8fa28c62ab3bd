import { expect, test } from 'vitest';
import { run } from '../../../bench/micro/metrics.bench.ts';

test('the benchmark of the figures still runs', async () => {
  const costs = await run(1);
  expect(costs.length).toBeGreaterThan(0);
});
