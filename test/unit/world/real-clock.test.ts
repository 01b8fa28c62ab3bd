import { expect, test } from 'vitest';
import { realClock } from '#world/real/clock.ts';

const clock = realClock();

test('no timer is early, at whichever fraction of a millisecond it was set', async () => {
  for (let phase = 0; phase < 20; phase++) {
    const spunUntil = clock.monotonic() + phase * 0.05;
    while (clock.monotonic() < spunUntil);
    const start = clock.monotonic();
    await new Promise<void>((resolve) => void clock.after(1, resolve));
    expect(clock.monotonic() - start).toBeGreaterThanOrEqual(1);
  }
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
