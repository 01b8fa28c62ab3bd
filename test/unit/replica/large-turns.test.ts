import { expect, test } from 'vitest';
import { LargeTurns, TURN_BYTES, WAITING_MAX } from '#replica/large-turns.ts';
import type { Clock } from '#world/world.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';

/** Turns of the event loop, one after the other; each takes a millisecond. */
class Loop {
  #deferred: (() => void)[] = [];
  now = 0;
  readonly clock: Clock = {
    wall: () => 0,
    monotonic: () => this.now,
    after: () => ({ cancel: () => undefined }),
    defer: (callback) => void this.#deferred.push(callback),
  };

  async turn(): Promise<boolean> {
    this.now += 1;
    const due = this.#deferred;
    this.#deferred = [];
    for (const callback of due) callback();
    await Promise.resolve();
    return due.length > 0;
  }
}

const LATE = 1000;

test('in one turn so many bytes are read, one row at least, in the order in which they were asked for', async () => {
  const loop = new Loop();
  const turns = new LargeTurns(loop.clock, new SimulatedMetrics());
  const read: string[] = [];
  const ask = (name: string, share: number): void => {
    const turn = turns.take(share * TURN_BYTES, LATE);
    if (turn === undefined) read.push(name);
    else void turn.then(() => read.push(name));
  };
  ask('a', 0.5);
  ask('b', 0.5);
  ask('c', 3);
  ask('d', 0.25);
  ask('e', 0.25);
  const seen = [[...read]];
  while (await loop.turn()) seen.push([...read]);
  expect(seen).toEqual([
    ['a', 'b'],
    ['a', 'b', 'c'],
    ['a', 'b', 'c', 'd', 'e'],
    ['a', 'b', 'c', 'd', 'e'],
  ]);
  ask('f', 1);
  expect(read.at(-1)).toBe('f');
});

test('whoever has waited in vain is refused without taking a turn, and so is who comes when too many wait', async () => {
  const loop = new Loop();
  const metrics = new SimulatedMetrics();
  const turns = new LargeTurns(loop.clock, metrics);
  expect(turns.take(TURN_BYTES, LATE)).toBeUndefined();
  const late = turns.take(TURN_BYTES, 1);
  const next = turns.take(TURN_BYTES, LATE);
  const [refused] = await Promise.all([Promise.allSettled([late]), loop.turn()]);
  expect(refused[0]).toMatchObject({ status: 'rejected', reason: { code: 'deadline' } });
  await expect(next).resolves.toBeUndefined();
  for (let i = 0; i < WAITING_MAX; i++) void turns.take(TURN_BYTES, LATE);
  expect(metrics.value('quoral_large_reads_waiting')).toBe(WAITING_MAX);
  expect(() => turns.take(TURN_BYTES, LATE)).toThrow(expect.objectContaining({ code: 'overloaded' }));
});
