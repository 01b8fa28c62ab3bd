import { expect, test } from 'vitest';
import { Performer } from './pool.ts';
import type { SeedTask } from './tasks.ts';

const LONG: SeedTask = { kind: 'seed', seed: 1, changes: { duration: 60_000 }, twice: false, traceWidth: 0 };

test('a run whose process a signal has ended is made once more, and no third time', async () => {
  const performer = new Performer();
  const report = performer.perform(LONG, undefined);
  const first = performer.pid;
  process.kill(first, 'SIGTRAP');
  while (performer.pid === first) await new Promise<void>((resolve) => void setImmediate(resolve));
  process.kill(performer.pid, 'SIGTRAP');
  await expect(report).rejects.toThrow('the process of seed 1 ended with SIGTRAP in the middle of it');
  await performer.end();
});

test('a run that nobody waits for any more is not made once more', async () => {
  const performer = new Performer();
  const { pid } = performer;
  const [report] = await Promise.allSettled([performer.perform(LONG, undefined), performer.end()]);
  expect(String((report as PromiseRejectedResult).reason)).toContain('ended with SIGKILL');
  expect(performer.pid).toBe(pid);
});
