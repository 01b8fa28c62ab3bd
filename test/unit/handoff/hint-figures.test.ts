/** Counting the hints that a former process has left. */

import { expect, test } from 'vitest';
import { HintFigures } from '#handoff/hint-figures.ts';
import { ageKey, ageValue, hintKey } from '#handoff/tables.ts';
import type { DiskReader } from '#world/world.ts';
import { OneMachine } from '../replica/worlds.ts';
import { nameFor, OWNERS } from './holder.ts';

const ROWS = Array.from({ length: 1500 }, (_, i) => {
  const row = hintKey(nameFor(OWNERS[0]!, `key${i}`));
  return [ageKey(row, false, i), ageValue(10)] as const;
});

test('a page that cannot be read ends no process; it is counted when it can be', async () => {
  const machine = new OneMachine();
  const { clock, log } = machine.boot();
  let reads = 0;
  const disk: Pick<DiskReader, 'range'> = {
    range: () => {
      reads += 1;
      if (reads === 2) throw new Error('a page of the disk is damaged');
      return reads === 1 ? ROWS.slice(0, 1000) : ROWS.slice(1000);
    },
  };
  const figures = new HintFigures(() => undefined);
  figures.count({ disk: disk as DiskReader, clock, log });
  await machine.simulation.run(machine.simulation.now + 100);
  expect([figures.complete, figures.rows]).toEqual([false, 1000]);
  expect(machine.log.entries.map(({ event }) => event)).toEqual(['hints-not-counted']);
  await machine.simulation.run(machine.simulation.now + 10_000);
  expect([figures.complete, figures.rows, figures.bytes]).toEqual([true, 1500, 15_000]);
});
