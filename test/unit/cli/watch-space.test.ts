import { expect, test } from 'vitest';
import { watchSpace } from '#cli/watch-space.ts';
import { ManualClock } from '../wire/fake-world.ts';
import { silentLog } from '../../contract/worlds.ts';

test('space that runs low is told once, and once that there is enough again', async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const tell = (event: string): void => void told.push(event);
  let free = 100;
  watchSpace({
    world: { clock, disk: { freeBytes: () => free }, log: { ...silentLog, warn: tell, info: tell } },
    lowBytes: 50,
    interval: 1000,
  });
  await clock.advance(5000);
  expect(told).toEqual([]);
  free = 49;
  await clock.advance(5000);
  expect(told).toEqual(['disk-space-low']);
  free = Number.POSITIVE_INFINITY;
  await clock.advance(5000);
  expect(told).toEqual(['disk-space-low', 'disk-space-enough']);
});
