import { expect, test } from 'vitest';
import { Pace } from '#repair/pace.ts';
import { OneMachine } from '../replica/worlds.ts';

const SETTINGS = { bytesPerSecond: 1_000_000, busyDelay: 50 };
const PAGE = 100_000;

/** Virtual milliseconds that so many pages take. */
async function timeOf(pages: number, throttle: () => number | null | undefined): Promise<number> {
  const machine = new OneMachine();
  const { clock } = machine.boot();
  const pace = new Pace(clock, SETTINGS, throttle);
  const begun = clock.monotonic();
  const all = async (): Promise<void> => {
    for (let i = 0; i < pages; i++) await pace.take(PAGE);
  };
  await machine.simulation.settle(all());
  return clock.monotonic() - begun;
}

test('as fast as the settings say, or a change; or without any waiting', async () => {
  expect(Math.round((await timeOf(50, () => undefined)) / 1000)).toBe(5);
  expect(Math.round((await timeOf(50, () => 5_000_000)) / 1000)).toBe(1);
  expect(await timeOf(50, () => null)).toBe(0);
});

test('the speed may change meanwhile', async () => {
  let taken = 0;
  const time = await timeOf(100, () => (++taken > 50 ? null : 1_000_000));
  expect(Math.round(time / 1000)).toBe(5);
});
