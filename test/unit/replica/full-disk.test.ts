import { expect, test } from 'vitest';
import { DiskError } from '#world/world.ts';
import { OneReplica } from './one-replica.ts';

test('a full disk that has cost all tenures is written to again when it has space, whoever asks for it or not', async () => {
  const one = await OneReplica.boot();
  const { machine, storage, process } = one;
  const { disk } = process;
  const commit = disk.commit.bind(disk);
  let full = true;
  disk.commit = (run) =>
    commit((transaction) => {
      run(transaction);
      if (full) throw new DiskError('full', 'no space for anything', false);
    });
  while (one.replica.tenureForOnce() !== undefined);
  // The others have it, and this node has not: the next one has to be of another tenure.
  await expect(one.settle(one.mint(1, undefined, true))).rejects.toThrow('no space');
  expect(storage.tenure.valid()).toBe(false);
  await machine.simulation.run(machine.simulation.now + 3000);
  full = false;
  // Nobody asks a node to mint that says of itself that it cannot.
  await machine.simulation.run(machine.simulation.now + 3000);
  expect(storage.tenure.valid()).toBe(true);
  const { dot } = await one.settle(one.mint(1));
  expect(dot.tenure).toBe(storage.tenure.current());
});

test('a disk that turns out to be full when its node stops is no reason not to stop in order', async () => {
  const one = await OneReplica.boot();
  one.process.disk.commit = () => {
    throw new DiskError('full', 'no space for anything', false);
  };
  await one.settle(one.replica.stop());
  expect(one.storage.tenure.valid()).toBe(true);
});
