import { expect, test } from 'vitest';
import { measureApply } from '../../../bench/micro/apply.bench.ts';
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

test('the benchmark of what a row costs until it stands in SQLite still runs', async () => {
  const [costs] = await measureApply({ settle: false, records: 10, rounds: 2, rowsARound: 30 });
  expect(costs).toHaveLength(2);
  for (const cost of costs!) expect(cost).toBeGreaterThan(0);
});
