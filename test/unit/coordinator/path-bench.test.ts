import { expect, test } from 'vitest';
import { measureCommits } from '../../../bench/micro/commit.bench.ts';
import { measurePath } from '../../../bench/micro/path.bench.ts';

test('the benchmark of the path still runs', async () => {
  const { put, get } = await measurePath(20, 1);
  expect(put).toBeGreaterThan(0);
  expect(get).toBeGreaterThan(0);
}, 60_000);

test('the benchmark of commits still runs', async () => {
  const costs = await measureCommits({ records: 20, writes: 8, rounds: 1, groups: [1, 4] });
  for (const [, micros] of costs) expect(micros).toBeGreaterThan(0);
}, 60_000);
