/** A disk that was put back to an earlier state is told apart from one that was not. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { storageId } from '#kernel/identity.ts';
import { BootRecords, MEMBERSHIP_TABLES, whyPutBack, type OwnBoots } from '#membership/boot-records.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk, type SimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { Simulation } from '#world/simulated/scheduler.ts';

const DISK = storageId('a'.repeat(32));
const OTHER = storageId('b'.repeat(32));
const KEPT = 5;

/** One start of a disk: the next number and a new life. */
function started(disk: OwnBoots, life: number): OwnBoots {
  return { ...disk, boot: disk.boot + 1, lives: [life, ...disk.lives].slice(0, KEPT) };
}

test('every boot that others saw speaks for a disk that was never put back, and against one that was', () => {
  fc.assert(
    fc.property(fc.nat(12), fc.nat(12), fc.nat(12), (before, lost, since) => {
      let life = 0;
      let disk: OwnBoots = { storageId: DISK, boot: 0, lives: [] };
      const seen: { boot: number; life: number }[] = [];
      const start = (from: OwnBoots): OwnBoots => {
        const now = started(from, ++life);
        seen.push({ boot: now.boot, life });
        return now;
      };
      for (let i = 0; i <= before; i++) disk = start(disk);
      const backup = disk;
      for (let i = 0; i < lost; i++) disk = start(disk);
      for (const record of seen) expect(whyPutBack(disk, { storage: DISK, ...record })).toBeUndefined();
      const lastSeen = seen.at(-1)!;
      let restored = backup;
      for (let i = 0; i <= since; i++) restored = started(restored, ++life);
      const why = whyPutBack(restored, { storage: DISK, ...lastSeen });
      // With nothing lost it is just the same disk; and a boot that is long past cannot be told any more.
      if (lost === 0 || restored.boot - lastSeen.boot >= KEPT) expect(why).toBeUndefined();
      else expect(why).toBeDefined();
      expect(whyPutBack(restored, { storage: OTHER, boot: 99, life: 1 })).toBeUndefined();
    }),
  );
});

async function onDisk(medium: SimulatedMedium, act: (disk: SimulatedDisk) => Promise<void>): Promise<void> {
  const simulation = new Simulation({ seed: 1 });
  const process = new SimulatedHost(simulation, 'n1').start();
  const clock = simulatedClock(process);
  const disk = openSimulatedDisk({ medium, tables: MEMBERSHIP_TABLES, clock, random: process.random });
  await simulation.settle(act(disk).then(async () => await disk.close()));
}

test('the highest boot of each disk is remembered over restarts; of two with one number the first', async () => {
  const medium = new SimulatedMedium();
  await onDisk(medium, async (disk) => {
    const records = new BootRecords(disk);
    await records.note([{ storage: DISK, boot: 3, life: 30 }]);
    await records.note([
      { storage: DISK, boot: 2, life: 20 },
      { storage: OTHER, boot: 1, life: 10 },
    ]);
    await records.note([{ storage: DISK, boot: 3, life: 31 }]);
  });
  await onDisk(medium, (disk) => {
    const records = new BootRecords(disk);
    expect(records.all()).toEqual([
      { storage: DISK, boot: 3, life: 30 },
      { storage: OTHER, boot: 1, life: 10 },
    ]);
    return Promise.resolve();
  });
});
