import { expect, test } from 'vitest';
import { runDiskBenchmark } from '../../../bench/micro/disk.bench.ts';

test('the benchmark of the disk still runs', async () => {
  const { commits, layouts } = await runDiskBenchmark({
    rounds: 1,
    groups: [2],
    valueBytes: [100],
    presentBytes: 2000,
    writtenBytes: 1000,
    rowsMax: 20,
  });
  expect(commits).toHaveLength(1);
  expect(layouts).toHaveLength(6);
  for (const measurement of [...commits, ...layouts]) {
    for (const value of Object.values(measurement)) expect(value).not.toBeNaN();
  }
});
