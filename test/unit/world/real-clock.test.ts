import { expect, test } from 'vitest';
import { realClock } from '#world/real/clock.ts';

const clock = realClock();

test('no timer is early, at whichever fraction of a millisecond it was set', async () => {
  // A loop that never sleeps sees the host's millisecond change at once, which is when a timer can be early.
  const lateness: number[] = [];
  await new Promise<void>((resolve) => {
    const turn = () => {
      if (lateness.length > 200) return resolve();
      const due = clock.monotonic() + 2;
      clock.after(2, () => lateness.push(clock.monotonic() - due));
      clock.defer(turn);
    };
    turn();
  });
  expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0);
});

test('a delay that the host cannot count is not handed to it', async () => {
  const warnings: string[] = [];
  const listener = (warning: Error) => void warnings.push(warning.name);
  process.on('warning', listener);
  const timer = clock.after(2 ** 31, () => expect.unreachable());
  // What was due before somebody came to ask for it.
  await new Promise<void>((resolve) => void clock.after(-12, resolve));
  await new Promise<void>((resolve) => void clock.after(5, resolve));
  timer.cancel();
  process.off('warning', listener);
  expect(warnings).toEqual([]);
});
