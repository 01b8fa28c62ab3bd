import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDisk } from '#world/real/disk.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import { CONTRACT_TABLES, diskContract, type DiskUnderTest } from './disk.ts';
import { silentLog } from './worlds.ts';

/** A log of a few pages makes every test cross checkpoints, and memory for a few rows has them pushed out. */
function realDisk(walBytes: number, rowCacheBytes: number, segmentBytes: number): DiskUnderTest {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-disk-'));
  const path = join(directory, 'data.db');
  return {
    open: () => openDisk({ path, tables: CONTRACT_TABLES, log: silentLog, walBytes, rowCacheBytes, segmentBytes }),
    settle: (promise) => promise,
    remove: () => Promise.resolve(rmSync(directory, { recursive: true })),
  };
}

diskContract('real', 20, () => realDisk(16 * 1024 * 1024, 0, 16 * 1024 * 1024));
diskContract('real, with rows in memory,', 20, () => realDisk(16 * 1024 * 1024, 1024 * 1024, 16 * 1024));
diskContract('real, with a tiny log and few rows in memory,', 20, () => realDisk(16 * 1024, 512, 512));

diskContract('simulated', 100, () => {
  const simulation = new Simulation({ seed: 'disk' });
  const process = new SimulatedHost(simulation, 'n1').start();
  const medium = new SimulatedMedium();
  const clock = simulatedClock(process);
  return {
    open: () =>
      Promise.resolve(
        openSimulatedDisk({ medium, tables: CONTRACT_TABLES, clock, random: process.random.fork('disk') }),
      ),
    settle: (promise) => simulation.settle(promise),
    remove: () => Promise.resolve(),
  };
});
