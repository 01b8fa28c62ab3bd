import { describe, expect, test } from 'vitest';
import type { Clock } from '#world/world.ts';
import { WORLDS } from './worlds.ts';

describe.each(WORLDS)('the clock of the %s world', (_name, make) => {
  const world = make();
  const { clock } = world.machine();
  const after = (delay: number) => world.settle(new Promise<void>((resolve) => void clock.after(delay, resolve)));

  test('tells the date', () => {
    expect(clock.wall()).toBeGreaterThan(Date.UTC(2025));
    expect(clock.wall()).toBeLessThan(Date.UTC(2100));
  });

  test('calls back not earlier than asked', async () => {
    for (const delay of [0, 0.3, 1, 2.7, 10]) {
      const start = clock.monotonic();
      await after(delay);
      expect(clock.monotonic() - start, `after ${delay} ms`).toBeGreaterThanOrEqual(delay);
    }
  });

  test('calls back once, in the order of the delays', async () => {
    const calls: string[] = [];
    clock.after(30, () => calls.push('late'));
    clock.after(5, () => calls.push('early'));
    await after(60);
    expect(calls).toEqual(['early', 'late']);
  });

  test('does not call back what was cancelled, and cancels in vain afterwards', async () => {
    let calls = 0;
    const cancelled = clock.after(1, () => calls++);
    cancelled.cancel();
    cancelled.cancel();
    const kept = clock.after(1, () => calls++);
    await after(10);
    kept.cancel();
    expect(calls).toBe(1);
  });

  test('a timer can cancel another that is due at the same time', async () => {
    let calls = 0;
    const timers = [1, 2].map(() =>
      clock.after(5, () => {
        calls++;
        for (const timer of timers) timer.cancel();
      }),
    );
    await after(20);
    expect(calls).toBe(1);
  });

  test('does not call back at once when asked for a month', async () => {
    let called = false;
    const timer = clock.after(40 * 24 * 3600 * 1000, () => (called = true));
    await after(10);
    timer.cancel();
    expect(called).toBe(false);
  });

  test('defers in order, after the promise reactions', async () => {
    const calls = await world.settle(recordDeferred(clock));
    expect(calls).toEqual(['now', 'reaction', 'first', 'second']);
  });
});

function recordDeferred(clock: Clock): Promise<string[]> {
  return new Promise((resolve) => {
    const calls: string[] = [];
    clock.defer(() => calls.push('first'));
    clock.defer(() => resolve([...calls, 'second']));
    void Promise.resolve().then(() => calls.push('reaction'));
    calls.push('now');
  });
}
