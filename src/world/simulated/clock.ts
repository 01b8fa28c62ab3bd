/**
 * The clocks and timers of a simulated process.
 */

import type { Clock } from '#world/world.ts';
import type { SimulatedProcess } from './host.ts';

/** Rounding of virtual times must not make a timer early. */
const ROUNDING_MS = 1e-6;

export function simulatedClock(process: SimulatedProcess): Clock {
  const { clock } = process.host;
  const deferred: (() => void)[] = [];
  return {
    wall: () => clock.wall(),
    monotonic: () => clock.monotonic(),
    after: (delay, callback) => process.schedule(clock.virtual(Math.max(0, delay)) + ROUNDING_MS, 'timer', callback),
    // In the order of the calls, whichever of the simultaneous events comes first.
    defer(callback) {
      deferred.push(callback);
      process.schedule(0, 'deferred', () => deferred.shift()!());
    },
  };
}
