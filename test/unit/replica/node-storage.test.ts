import { beforeEach, expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import {
  ClockRow,
  storeCleanStop,
  takeStorage,
  Tenure,
  TENURES_RESERVED,
  StorageMismatch,
  type NodeStorage,
} from '#replica/node-storage.ts';
import { OneMachine } from './worlds.ts';

const ID = nodeId('n1');
let machine: OneMachine;

beforeEach(() => {
  machine = new OneMachine();
});

/** Boots, and ends the process cleanly or not. */
async function boot(end: 'clean' | 'crash', id = ID): Promise<NodeStorage> {
  const { disk, random, clock } = machine.boot();
  try {
    const storage = await machine.simulation.settle(takeStorage({ disk, random, wall: () => clock.wall(), id }));
    // As every group commit does.
    const row = new ClockRow();
    await machine.simulation.settle(disk.commit((transaction) => row.keep(transaction, storage.clock)).durable);
    if (end === 'clean') {
      const { durable } = disk.commit((transaction) =>
        storeCleanStop(transaction, storage.clock.last(), storage.tenure.current()),
      );
      await machine.simulation.settle(durable);
    }
    return storage;
  } finally {
    machine.host.kill();
  }
}

test('a disk keeps its identity and counts its boots', async () => {
  const first = await boot('crash');
  const second = await boot('clean');
  expect([first.boot, second.boot]).toEqual([1, 2]);
  expect(second.storageId).toBe(first.storageId);
  machine.medium.wipe();
  const wiped = await boot('clean');
  expect(wiped.storageId).not.toBe(first.storageId);
  expect(wiped.boot).toBe(1);
});

test('a tenure goes on after a clean stop only', async () => {
  const first = (await boot('crash')).tenure.current();
  const second = (await boot('clean')).tenure.current();
  const third = (await boot('clean')).tenure.current();
  const fourth = (await boot('crash')).tenure.current();
  const fifth = (await boot('crash')).tenure.current();
  expect(second).not.toBe(first);
  expect(third).toBe(second);
  expect(fourth).toBe(second);
  expect([first, second]).not.toContain(fifth);
});

test('no tenure comes back, whatever the calendar does', async () => {
  const seen = new Set<number>();
  for (const jump of [0, -3_600_000, 0, 7_200_000, -86_400_000, 0]) {
    machine.host.clock.jump(jump);
    const { tenure } = await boot('crash');
    for (let i = 0; i < 4000; i++) {
      expect(seen.has(tenure.current())).toBe(false);
      seen.add(tenure.current());
      tenure.renew();
    }
  }
});

test('a renewed tenure of a resumed boot is a reserved one', () => {
  const tenure = new Tenure(17, 1000);
  expect(tenure.current()).toBe(17);
  tenure.renew();
  expect(tenure.current()).toBe(1000);
  tenure.renew();
  expect(tenure.current()).toBe(1001);
});

test('each tenure is given once, for good or for one write; when all are spent nothing is minted until more are reserved', () => {
  const tenure = new Tenure(undefined, 1000);
  const seen = new Set([tenure.current()]);
  for (let i = 1; i < TENURES_RESERVED; i++) {
    if (i % 3 === 0) tenure.renew();
    const given = i % 3 === 0 ? tenure.current() : tenure.once();
    expect(seen.has(given!)).toBe(false);
    seen.add(given!);
  }
  expect(seen).toEqual(new Set(Array.from({ length: TENURES_RESERVED }, (_, i) => 1000 + i)));
  expect([tenure.once(), tenure.runsOut(), tenure.valid()]).toEqual([undefined, true, true]);
  tenure.renew();
  expect(tenure.valid()).toBe(false);
  tenure.extend(90_000);
  expect([tenure.valid(), tenure.current(), tenure.once(), tenure.runsOut()]).toEqual([true, 90_000, 90_001, false]);
});

test('the clock never runs behind what was stored', async () => {
  const before = (await boot('clean')).clock.last();
  machine.host.clock.jump(-86_400_000);
  expect((await boot('crash')).clock.tick()).toBeGreaterThan(before);
});

test('the clock is stored ahead, so that few commits write it, and no crash brings it back', async () => {
  const { disk, random, clock } = machine.boot();
  const { simulation } = machine;
  const storage = await simulation.settle(takeStorage({ disk, random, wall: () => clock.wall(), id: ID }));
  const row = new ClockRow();
  let written = 0;
  const commit = async (): Promise<void> => {
    const { durable } = disk.commit((transaction) => {
      const put = (...args: Parameters<typeof transaction.put>): void => {
        written += 1;
        transaction.put(...args);
      };
      row.keep({ ...transaction, put }, storage.clock);
    });
    await simulation.settle(durable);
  };
  const started = simulation.now;
  while (simulation.now < started + 1000) {
    storage.clock.tick();
    await commit();
  }
  expect([written > 5, written < 15]).toEqual([true, true]);
  // What is far ahead, as reserved tenures are, is on the disk with the next commit.
  storage.clock.reserve(4_000_000);
  const before = written;
  await commit();
  await commit();
  expect(written).toBe(before + 1);
  // What a failed commit has written is not known.
  row.forget();
  await commit();
  expect(written).toBe(before + 2);
  const last = storage.clock.last();
  machine.host.kill();
  machine.host.clock.jump(-86_400_000);
  expect((await boot('crash')).clock.tick()).toBeGreaterThan(last);
});

test('the disk of another node is refused', async () => {
  await boot('clean');
  await expect(boot('clean', nodeId('n2'))).rejects.toThrow(StorageMismatch);
  expect((await boot('clean')).boot).toBe(2);
});
