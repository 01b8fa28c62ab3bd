/** Marks that tell a disk from an older copy of it. */

import { beforeEach, expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { takeStorage, type NodeStorage } from '#replica/node-storage.ts';
import { NODE } from '#replica/tables.ts';
import { OneMachine } from './worlds.ts';

let machine: OneMachine;

beforeEach(() => {
  machine = new OneMachine();
  machine.medium.losesAllUnsynced = true;
});

/** A boot that leaves so many marks and loses its power. */
async function boot(marks: number, meanwhile?: (storage: NodeStorage) => Promise<void> | void): Promise<NodeStorage> {
  const { disk, random, clock } = machine.boot();
  const id = nodeId('n1');
  const storage = await machine.simulation.settle(takeStorage({ disk, random, wall: () => clock.wall(), id }));
  for (let i = 0; i < marks; i++) await machine.simulation.settle(storage.marks.raise());
  await meanwhile?.(storage);
  machine.host.kill();
  return storage;
}

test('the last mark of each boot is there in all later ones, and a boot without marks has none', async () => {
  await boot(2);
  await boot(0);
  const third = await boot(130);
  const { marks } = await boot(0);
  expect([1, 2, 3, 4, 5].map((number) => marks.of(number))).toEqual([2, 0, 130, 0, 0]);
  expect([1, 2, 3].map((number) => third.marks.of(number))).toEqual([2, 0, 130]);
  expect(toHex(machine.medium.row(NODE, utf8('marks'))!)).toBe('0382010102');
});

test('a mark that no sync has covered is not told', async () => {
  await boot(3, ({ marks }) => {
    void marks.raise();
    expect(marks.of(1)).toBe(3);
  });
  expect((await boot(0)).marks.of(1)).toBe(3);
});

test('a copy from before a mark does not have it, however often it is started', async () => {
  await boot(1);
  const backup = machine.medium.snapshot();
  await boot(0);
  machine.medium.restore(backup);
  for (let i = 0; i < 3; i++) await boot(5);
  expect((await boot(0)).marks.of(1)).toBe(1);
});

test('a mark that could not be written is not told', async () => {
  await boot(0, async ({ marks }) => {
    machine.medium.capacityBytes = 0;
    await expect(marks.raise()).rejects.toThrow('full');
    expect(marks.of(1)).toBe(0);
    machine.medium.capacityBytes = Number.POSITIVE_INFINITY;
  });
});

test('of boots that nobody can tell any more no mark is kept', async () => {
  for (let i = 0; i < 70; i++) await boot(1);
  const { marks } = await boot(0);
  expect([6, 7, 8, 70].map((number) => marks.of(number))).toEqual([0, 1, 1, 1]);
});
