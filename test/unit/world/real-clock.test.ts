import { expect, test } from 'vitest';
import { realClock } from '#world/real/clock.ts';

const clock = realClock();

test('no timer is early, at whichever fraction of a millisecond it was set', async () => {
  const waits: Promise<number>[] = [];
  for (let start = clock.monotonic(), end = start + 20; start < end; start = clock.monotonic()) {
    const delay = 1 + (waits.length % 5);
    waits.push(
      new Promise((resolve) => void clock.after(delay, () => resolve(clock.monotonic() - start - delay))),
    );
  }
  const lateness = await Promise.all(waits);
  expect(Math.min(...lateness.slice(0, 10_000))).toBeGreaterThanOrEqual(0);
});

test('a delay that the host cannot count is not handed to it', async () => {
  const warnings: string[] = [];
  const listener = (warning: Error) => void warnings.push(warning.name);
  process.on('warning', listener);
  const timer = clock.after(2 ** 31, () => expect.unreachable());
  await new Promise<void>((resolve) => void clock.after(5, resolve));
  timer.cancel();
  process.off('warning', listener);
  expect(warnings).toEqual([]);
});
