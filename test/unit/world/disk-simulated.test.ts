/**
 * What a simulated disk can do to a node, and that it does the same for the same seed.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes } from '#kernel/bytes.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { SortedTable } from '#world/simulated/disk-table.ts';
import { openSimulatedDisk, type SimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SeededRandom } from '#world/simulated/random.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import { DiskError, type TableDefinition } from '#world/world.ts';

const TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide' }];

function setUp(seed: string | number = 'disk') {
  const simulation = new Simulation({ seed });
  const process = new SimulatedHost(simulation, 'n1').start();
  const medium = new SimulatedMedium();
  const random = process.random.fork('disk');
  const open = (): SimulatedDisk =>
    openSimulatedDisk({ medium, tables: TABLES, clock: simulatedClock(process), random });
  return { simulation, medium, open, disk: open() };
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

/** Commits a group of two rows. */
function putGroup(disk: SimulatedDisk, group: number): Promise<void> {
  return disk.commit((transaction) => {
    transaction.put('rows', bytes(group, 0), bytes(group));
    transaction.put('rows', bytes(group, 1), bytes(group));
  }).durable;
}

function groups(disk: SimulatedDisk): number[] {
  const rows = disk.range('rows', { limit: 1000 });
  const first = rows.filter(([key]) => key[1] === 0).map(([key]) => key[0]!);
  const second = rows.filter(([key]) => key[1] === 1).map(([key]) => key[0]!);
  expect(first).toEqual(second);
  return first;
}

describe('a crash', () => {
  test('keeps what was durable and, whole and in order, some of what was not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 40 }), fc.nat({ max: 8 }), async (seed, commits, milliseconds) => {
        const { simulation, disk, open } = setUp(seed);
        const durable: number[] = [];
        for (let group = 0; group < commits; group++) {
          if (group % 5 === 0) await simulation.run(simulation.now + 0.3);
          void putGroup(disk, group).then(() => durable.push(group));
        }
        await simulation.run(simulation.now + milliseconds);
        disk.crash();
        const kept = groups(open());
        expect(kept).toEqual(Array.from({ length: kept.length }, (_, group) => group));
        expect(kept.length).toBeGreaterThanOrEqual(durable.length);
      }),
      { numRuns: 50 },
    );
  });

  test('leaves every number of the unsynced commits for some seed, and the same for the same', () => {
    const outcome = (seed: number): number => {
      const { disk, open } = setUp(seed);
      for (let group = 0; group < 3; group++) void putGroup(disk, group);
      disk.crash();
      return groups(open()).length;
    };
    const outcomes = Array.from({ length: 60 }, (_, seed) => outcome(seed));
    expect(new Set(outcomes)).toEqual(new Set([0, 1, 2, 3]));
    expect(Array.from({ length: 60 }, (_, seed) => outcome(seed))).toEqual(outcomes);
  });

  test('takes back overwritten and deleted rows', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { simulation, disk, open } = setUp(seed);
      await simulation.settle(putGroup(disk, 1));
      disk.commit((transaction) => {
        transaction.put('rows', bytes(1, 0), bytes(99));
        transaction.delete('rows', bytes(1, 1));
        transaction.put('rows', bytes(2), bytes(2));
        transaction.put('rows', bytes(2), bytes(3));
      });
      disk.crash();
      const rows = open().range('rows', { limit: 10 });
      expect([
        [
          [bytes(1, 0), bytes(1)],
          [bytes(1, 1), bytes(1)],
        ],
        [
          [bytes(1, 0), bytes(99)],
          [bytes(2), bytes(3)],
        ],
      ]).toContainEqual(rows);
    }
  });

  test('ends the disk: promises stay open and nothing can be read or written', async () => {
    const { simulation, disk } = setUp();
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    putGroup(disk, 1).then(settle, settle);
    disk.crash();
    disk.crash();
    await simulation.run(simulation.now + 1000);
    expect(settled).toBe(false);
    expect(() => disk.get('rows', bytes(1))).toThrow('open');
    expect(() => putGroup(disk, 2)).toThrow('open');
  });
});

describe('faults', () => {
  test('a failed sync rejects, is final, and leaves open what survives', async () => {
    const survivors = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const { simulation, medium, disk, open } = setUp(seed);
      await simulation.settle(putGroup(disk, 0));
      medium.failNextSync();
      const failing = putGroup(disk, 1);
      const waiting = putGroup(disk, 2);
      await expect(simulation.settle(failing)).rejects.toMatchObject({ kind: 'failed', uncertain: true });
      await expect(waiting).rejects.toBeInstanceOf(DiskError);
      expect(disk.failure()?.kind).toBe('failed');
      expect(() => putGroup(disk, 3)).toThrow(disk.failure());
      await simulation.settle(disk.close());
      survivors.add(groups(open()).length);
    }
    expect(survivors).toEqual(new Set([1, 2, 3]));
  });

  test('a full disk refuses certainly, still reads and deletes, and heals', async () => {
    const { simulation, medium, disk } = setUp();
    await simulation.settle(putGroup(disk, 0));
    medium.capacityBytes = disk.sizeBytes() + 3;
    expect(() => putGroup(disk, 1)).toThrow(DiskError);
    expect(disk.failure()).toMatchObject({ kind: 'full', uncertain: false });
    expect(groups(disk)).toEqual([0]);
    disk.commit((transaction) => {
      transaction.delete('rows', bytes(0, 0));
      transaction.delete('rows', bytes(0, 1));
    });
    expect(disk.failure()).toBeUndefined();
    await simulation.settle(putGroup(disk, 1));
    expect(groups(disk)).toEqual([1]);
  });

  test('a slow sync takes the time that was added', async () => {
    const { simulation, medium, disk } = setUp();
    medium.extraSyncMilliseconds = 5000;
    await simulation.settle(putGroup(disk, 0));
    expect(simulation.now).toBeGreaterThanOrEqual(5000);
  });

  test('a medium can be wiped, put back to an old state and damaged', async () => {
    const { simulation, medium, disk, open } = setUp();
    await simulation.settle(putGroup(disk, 0));
    const backup = medium.snapshot();
    await simulation.settle(putGroup(disk, 1));
    expect(() => medium.wipe()).toThrow('no process');
    disk.crash();
    medium.restore(backup);
    const restored = open();
    expect(groups(restored)).toEqual([0]);
    medium.flipByte('rows', bytes(0, 1), 0);
    expect(restored.get('rows', bytes(0, 1))).toEqual(bytes(1));
    restored.crash();
    medium.wipe();
    expect(medium.bytes).toBe(0);
    expect(groups(open())).toEqual([]);
  });

  test('one process has it open at a time', async () => {
    const { simulation, disk, open } = setUp();
    expect(open).toThrow('in use');
    await simulation.settle(disk.close());
    expect(() => open().crash()).not.toThrow();
  });
});

test('equal seeds give equal times', async () => {
  const times = async (): Promise<number[]> => {
    const { simulation, disk } = setUp('times');
    const result: number[] = [];
    for (let i = 0; i < 10; i++) {
      await simulation.settle(putGroup(disk, i));
      result.push(simulation.now);
    }
    return result;
  };
  expect(await times()).toEqual(await times());
});

test('a table of many rows stays in order through inserts and deletes', () => {
  const random = new SeededRandom('rows');
  const table = new SortedTable();
  const keys = new Map<number, Uint8Array>();
  for (let i = 0; i < 8000; i++) {
    const number = random.below(1 << 13);
    const key = bytes(number >> 8, number);
    const isThere = keys.has(number);
    expect(table.set(key, isThere ? undefined : key) !== undefined).toBe(isThere);
    if (isThere) keys.delete(number);
    else keys.set(number, key);
  }
  const expected = [...keys.values()].toSorted(compareBytes);
  expect([...table.rows()].map(([key]) => key)).toEqual(expected);
  expect(table.range({ limit: 100_000, reverse: true }).map(([key]) => key)).toEqual(expected.toReversed());
  for (const key of keys.values()) expect(table.set(key, undefined)).toEqual(key);
  expect(table.range({ limit: 1 })).toEqual([]);
});
