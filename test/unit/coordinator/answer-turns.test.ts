import { expect, test } from 'vitest';
import { AnswerTurns } from '#coordinator/answer-turns.ts';
import { TURN_BYTES } from '#replica/large-turns.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';
import type { Clock } from '#world/world.ts';

const LATE = 1000;
const MAX = 3 * TURN_BYTES;

/** A turn of the event loop is over when {@link next} is called. */
function loop() {
  let deferred: (() => void)[] = [];
  const at = { now: 0 };
  const clock: Clock = {
    wall: () => 0,
    monotonic: () => at.now,
    after: () => ({ cancel: () => undefined }),
    defer: (callback) => void deferred.push(callback),
  };
  const next = async (): Promise<void> => {
    const due = deferred;
    deferred = [];
    for (const callback of due) callback();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { at, clock, next };
}

test('one large answer is put together in a turn; small ones are not asked to wait', async () => {
  const { clock, next } = loop();
  const metrics = new SimulatedMetrics();
  const turns = new AnswerTurns(clock, metrics, MAX);
  const given: string[] = [];
  const ask = (name: string, bytes = TURN_BYTES): void => {
    const turn = turns.take(bytes, LATE);
    if (turn instanceof Promise) void turn.then((is) => given.push(`${name} ${is}`));
    else given.push(`${name} ${turn}`);
  };
  for (const name of ['a', 'b', 'c']) ask(name);
  ask('small', 1000);
  expect(given).toEqual(['a true', 'small true']);
  expect(metrics.value('quoral_large_answers_waiting')).toBe(2);
  await next();
  expect(given.slice(2)).toEqual(['b true']);
  await next();
  expect(given.slice(3)).toEqual(['c true']);
});

test('what waits has a bound in bytes, but for one; what has waited has left it', async () => {
  const { clock, next } = loop();
  const turns = new AnswerTurns(clock, new SimulatedMetrics(), MAX);
  expect(turns.take(TURN_BYTES, LATE)).toBe(true);
  const beyond = turns.take(2 * MAX, LATE);
  expect(beyond, 'nothing else waits').toBeInstanceOf(Promise);
  expect(turns.take(TURN_BYTES, LATE)).toBe(false);
  await next();
  expect(await beyond).toBe(true);
  const more = [1, 2, 3].map(() => turns.take(TURN_BYTES, LATE));
  expect(more.every((turn) => turn instanceof Promise)).toBe(true);
  expect(turns.take(TURN_BYTES, LATE)).toBe(false);
});

test('a turn that does not come in time is none', async () => {
  const { at, clock, next } = loop();
  const turns = new AnswerTurns(clock, new SimulatedMetrics(), MAX);
  void turns.take(TURN_BYTES, LATE);
  const second = turns.take(TURN_BYTES, LATE);
  at.now = LATE;
  await next();
  expect(await second).toBe(false);
});
