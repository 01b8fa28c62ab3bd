import { expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { ClockRow, takeStorage } from '#replica/node-storage.ts';
import { TenureSupply } from '#replica/tenure-supply.ts';
import { OneMachine } from './worlds.ts';

const ID = nodeId('n1');

test('far more tenures than one block are given, none twice, also across a crash', async () => {
  const machine = new OneMachine();
  const seen = new Set<number>();
  for (let boot = 0; boot < 2; boot++) {
    const process = machine.boot();
    const { disk, random, clock } = process;
    const storage = await machine.simulation.settle(takeStorage({ disk, random, wall: () => clock.wall(), id: ID }));
    const row = new ClockRow();
    const commits = new GroupCommit({
      ...process,
      prologue: (transaction) => row.keep(transaction, storage.clock),
      beforeCommit: () => undefined,
      epilogue: () => undefined,
      takeBack: () => undefined,
      onFailure: () => undefined,
      groupSizeMax: 8,
      queueMax: 16,
      queueBytesMax: 1000,
    });
    const supply = new TenureSupply({ log: process.log, storage, commits });
    for (let i = 0; i < 10_000; i++) {
      const tenure = supply.once();
      expect(tenure === undefined || seen.has(tenure)).toBe(false);
      seen.add(tenure!);
      if (i % 100 === 0) await machine.simulation.run(machine.simulation.now + 10);
    }
    for (let i = 0; i < 5000; i++) expect(seen.has(supply.once() ?? -1)).toBe(false);
    expect(supply.once()).toBeUndefined();
    await machine.simulation.run(machine.simulation.now + 50);
    expect(supply.once()).toBeDefined();
    machine.host.kill();
    machine.host.clock.jump(-3_600_000);
  }
});
