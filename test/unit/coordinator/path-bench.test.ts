import { expect, test } from 'vitest';
import { measurePath } from '../../../bench/micro/path.bench.ts';

test('the benchmark of the path still runs', async () => {
  const { put, get } = await measurePath(20, 1);
  expect(put).toBeGreaterThan(0);
  expect(get).toBeGreaterThan(0);
}, 60_000);
