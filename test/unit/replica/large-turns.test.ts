import { expect, test } from 'vitest';
import { LargeTurns, ROOM_POLL_MS, TURN_BYTES, WAITING_MAX } from '#replica/large-turns.ts';
import type { Clock } from '#world/world.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';

/** Turns of the event loop, one after the other; each takes a millisecond. */
class Loop {
  #deferred: (() => void)[] = [];
  #timers: { readonly at: number; readonly callback: () => void }[] = [];
  now = 0;
  readonly clock: Clock = {
    wall: () => 0,
    monotonic: () => this.now,
    after: (delay, callback) => {
      this.#timers.push({ at: this.now + delay, callback });
      return { cancel: () => undefined };
    },
    defer: (callback) => void this.#deferred.push(callback),
  };

  async turn(): Promise<boolean> {
    this.now += 1;
    const due = this.#deferred;
    this.#deferred = [];
    const timers = this.#timers.filter(({ at }) => at <= this.now);
    this.#timers = this.#timers.filter(({ at }) => at > this.now);
    for (const { callback } of timers) callback();
    for (const callback of due) callback();
    await Promise.resolve();
    return due.length > 0;
  }
}

const LATE = 1000;

/** Turns until those who wait for room have looked again, and then some. */
async function polled(loop: Loop): Promise<void> {
  for (let i = 0; i < ROOM_POLL_MS + 3; i++) await loop.turn();
}

test('what has no room on its way is not read, holds up nothing else, and keeps its place among what goes the same way', async () => {
  const loop = new Loop();
  const metrics = new SimulatedMetrics();
  const turns = new LargeTurns(loop.clock, metrics);
  const read: string[] = [];
  const full = { room: 0 };
  const free = { room: 2 * TURN_BYTES };
  const ask = (name: string, way?: { readonly room: number }): void => {
    const turn = turns.take(TURN_BYTES, LATE, way);
    if (turn === undefined) read.push(name);
    else void turn.then(() => read.push(name));
  };
  for (const name of ['a', 'b']) ask(name, full);
  ask('c', free);
  ask('d');
  await polled(loop);
  expect(read).toEqual(['c', 'd']);
  expect(metrics.value('quoral_large_reads_waiting')).toBe(2);
  full.room = 2 * TURN_BYTES;
  ask('e', full);
  expect(read, 'a and b were there first').toEqual(['c', 'd']);
  await polled(loop);
  expect(read).toEqual(['c', 'd', 'a', 'b', 'e']);
  ask('f', full);
  expect(read.at(-1)).toBe('f');
});

test('a way that fills up again holds the next ones, and whoever has waited for room in vain is refused', async () => {
  const loop = new Loop();
  const turns = new LargeTurns(loop.clock, new SimulatedMetrics());
  const way = { room: 0 };
  const begun: number[] = [];
  const [first, second] = [LATE, 5 * ROOM_POLL_MS].map(async (deadline, i) => {
    await turns.take(TURN_BYTES, deadline, way);
    begun.push(i);
    way.room = 0;
  });
  const refused = Promise.allSettled([second]);
  way.room = 1;
  await polled(loop);
  expect(begun).toEqual([0]);
  await first;
  for (let i = 0; i < 5; i++) await polled(loop);
  expect(await refused).toMatchObject([{ status: 'rejected', reason: { code: 'deadline' } }]);
});

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

test('who waits for room counts among those who may wait', () => {
  const metrics = new SimulatedMetrics();
  const turns = new LargeTurns(new Loop().clock, metrics);
  const full = { room: 0 };
  for (let i = 0; i < WAITING_MAX; i++) void turns.take(1, LATE, full);
  expect(metrics.value('quoral_large_reads_waiting')).toBe(WAITING_MAX);
  expect(() => turns.take(1, LATE, full)).toThrow(expect.objectContaining({ code: 'overloaded' }));
});
