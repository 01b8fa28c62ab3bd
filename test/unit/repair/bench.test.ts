import { expect, test } from 'vitest';
import { run } from '../../../bench/micro/merkle.bench.ts';

test('the benchmark of trees and exchanges still runs, and an exchange costs what it should', async () => {
  const { writes, exchanges } = await run(2000, 64, 1);
  expect(writes).toHaveLength(2);
  for (const { bytes, formula } of exchanges) expect(bytes).toBeLessThan(formula * 1.25 + 1024);
});
