import { expect, test } from 'vitest';
import { Floors } from '#replica/floors.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { OneMachine, type OneProcess } from './worlds.ts';

const PLACE = { n: 3, partition: 7 };

function commitsOf(process: OneProcess): GroupCommit {
  const nothing = (): void => undefined;
  const bounds = { groupSizeMax: 8, queueMax: 16, queueBytesMax: 1000 };
  return new GroupCommit({
    ...process,
    prologue: nothing,
    epilogue: nothing,
    beforeCommit: nothing,
    takeBack: nothing,
    onFailure: nothing,
    ...bounds,
  });
}

test('what is promised is on the disk, also after a higher promise that could not be put there', async () => {
  const machine = new OneMachine();
  const process = machine.boot();
  const floors = new Floors(process.disk, () => false);
  const commits = commitsOf(process);
  const promise = (floor: number): Promise<void> =>
    machine.simulation.settle(
      commits.submit({ run: (transaction) => floors.raise(transaction, PLACE, floor), bytes: 0, durable: true }),
    );
  machine.medium.capacityBytes = 1;
  await expect(promise(300)).rejects.toThrow('full');
  machine.medium.capacityBytes = Infinity;
  // Of another node that asked earlier.
  await promise(200);
  expect(floors.of(PLACE)).toBe(300);
  await promise(150);
  machine.host.kill();
  expect(new Floors(machine.boot().disk, () => false).of(PLACE)).toBe(200);
});
