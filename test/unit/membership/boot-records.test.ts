/** A disk that was put back to an earlier state is told apart from one that was not. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { storageId } from '#kernel/identity.ts';
import {
  BootRecords,
  MEMBERSHIP_TABLES,
  whyPutBack,
  type BootRecord,
  type OwnBoots,
} from '#membership/boot-records.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk, type SimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { Simulation } from '#world/simulated/scheduler.ts';

const DISK = storageId('a'.repeat(32));
const OTHER = storageId('b'.repeat(32));
const KEPT = 5;

/** What a disk remembers of itself. */
interface Remembered {
  readonly boot: number;
  readonly lives: readonly number[];
  readonly marks: ReadonlyMap<number, number>;
}

const NEW: Remembered = { boot: 0, lives: [], marks: new Map() };

/** One start of a disk: the next number and a new life. */
function started(disk: Remembered, life: number): Remembered {
  return { ...disk, boot: disk.boot + 1, lives: [life, ...disk.lives].slice(0, KEPT) };
}

function marked(disk: Remembered): Remembered {
  return { ...disk, marks: new Map(disk.marks).set(disk.boot, (disk.marks.get(disk.boot) ?? 0) + 1) };
}

function own({ boot, lives, marks }: Remembered): OwnBoots {
  const raise = (): Promise<void> => Promise.reject(new Error('nobody raises a mark here'));
  return { storageId: DISK, boot, lives, marks: { of: (number) => marks.get(number) ?? 0, raise } };
}

/** What others have seen of the disk as it is now. */
function seenOf({ boot, lives, marks }: Remembered): BootRecord {
  return { storage: DISK, boot, life: lives[0]!, mark: marks.get(boot) ?? 0 };
}

test('every boot that others saw speaks for a disk that was never put back, and against one that was', () => {
  fc.assert(
    fc.property(fc.nat(12), fc.nat(12), fc.nat(12), (before, lost, since) => {
      let life = 0;
      let disk = NEW;
      const seen: BootRecord[] = [];
      const start = (from: Remembered): Remembered => {
        const now = started(from, ++life);
        seen.push(seenOf(now));
        return now;
      };
      for (let i = 0; i <= before; i++) disk = start(disk);
      const backup = disk;
      for (let i = 0; i < lost; i++) disk = start(disk);
      for (const record of seen) expect(whyPutBack(own(disk), record)).toBeUndefined();
      const lastSeen = seen.at(-1)!;
      let restored = backup;
      for (let i = 0; i <= since; i++) restored = started(restored, ++life);
      const why = whyPutBack(own(restored), lastSeen);
      // With nothing lost it is just the same disk; and a boot that is long past cannot be told any more.
      if (lost === 0 || restored.boot - lastSeen.boot >= KEPT) expect(why).toBeUndefined();
      else expect(why).toBeDefined();
      expect(whyPutBack(own(restored), { storage: OTHER, boot: 99, life: 1, mark: 1 })).toBeUndefined();
    }),
  );
});

test('every mark that others saw speaks for a disk that was never put back, and the last one against a copy from before it', () => {
  fc.assert(
    fc.property(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(KEPT), (boots, marks, lost, since) => {
      let life = 0;
      let disk = started(NEW, ++life);
      for (let i = 0; i < boots; i++) disk = started(marked(disk), ++life);
      for (let i = 0; i < marks; i++) disk = marked(disk);
      const seen: BootRecord[] = [seenOf(disk)];
      const backup = disk;
      for (let i = 0; i < lost; i++) {
        disk = marked(disk);
        seen.push(seenOf(disk));
      }
      const lastSeen = seen.at(-1)!;
      // Of a process that was put back together with its disk.
      const goesOn = whyPutBack(own(backup), lastSeen);
      if (lost === 0) expect(goesOn).toBeUndefined();
      else expect(goesOn).toContain(`mark ${marks + lost} of boot ${boots + 1}`);
      const after = started(disk, ++life);
      for (const record of seen) expect(whyPutBack(own(after), record)).toBeUndefined();
      let restored = backup;
      for (let i = 0; i <= since; i++) restored = marked(started(restored, ++life));
      const why = whyPutBack(own(restored), lastSeen);
      if (lost === 0 || restored.boot - lastSeen.boot >= KEPT) expect(why).toBeUndefined();
      else expect(why).toContain(`no later one than ${marks}`);
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

test('the highest boot of each disk and its last mark are remembered over restarts; of two with one number the first', async () => {
  const medium = new SimulatedMedium();
  await onDisk(medium, async (disk) => {
    const records = new BootRecords(disk);
    await records.note([{ storage: DISK, boot: 3, life: 30, mark: 0 }]);
    await records.note([
      { storage: DISK, boot: 2, life: 20, mark: 9 },
      { storage: OTHER, boot: 1, life: 10, mark: 4 },
    ]);
    await records.note([{ storage: DISK, boot: 3, life: 31, mark: 8 }]);
    await records.note([{ storage: DISK, boot: 3, life: 30, mark: 2 }]);
    await records.note([
      { storage: DISK, boot: 3, life: 30, mark: 1 },
      { storage: OTHER, boot: 2, life: 11, mark: 0 },
    ]);
  });
  await onDisk(medium, (disk) => {
    const records = new BootRecords(disk);
    expect(records.all()).toEqual([
      { storage: DISK, boot: 3, life: 30, mark: 2 },
      { storage: OTHER, boot: 2, life: 11, mark: 0 },
    ]);
    return Promise.resolve();
  });
});

test('a row that a program without marks has written is a boot without any', async () => {
  const medium = new SimulatedMedium();
  await onDisk(medium, async (disk) => {
    await disk.commit((transaction) => transaction.put('boots', utf8(DISK), Uint8Array.of(3, 30))).durable;
    const records = new BootRecords(disk);
    expect(records.get(DISK)).toEqual({ storage: DISK, boot: 3, life: 30, mark: 0 });
    await records.note([{ storage: DISK, boot: 3, life: 30, mark: 200 }]);
    expect(toHex(disk.get('boots', utf8(DISK))!)).toBe('031ec801');
  });
});
