import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PendingCalls } from '#wire/calls.ts';
import type { Unanswered } from '#wire/calls.ts';
import { ManualClock } from './fake-world.ts';

const LOST: Unanswered = { kind: 'lost', reason: 'disconnected' };

function addCall(
  calls: PendingCalls,
  clock: ManualClock,
  timeout: number,
  ends: Map<number, [number, Unanswered]>,
): number {
  const id = calls.nextId;
  calls.add({
    deadline: clock.now + timeout,
    bytes: 1,
    reply: () => undefined,
    unanswered: (result) => void ends.set(id, [clock.now, result]),
  });
  return id;
}

describe('pending calls', () => {
  test('each ends at its deadline or up to 10 ms later, whatever the order', async () => {
    const timeouts = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(timeouts, fc.array(fc.nat(29)), async (delays, answered) => {
        const clock = new ManualClock();
        const calls = new PendingCalls(clock);
        const ends = new Map<number, [number, Unanswered]>();
        const start = clock.now;
        const ids = delays.map((delay) => addCall(calls, clock, delay, ends));
        const kept = new Set(ids.map((_, index) => index));
        for (const index of answered) {
          if (index < ids.length) calls.delete(ids[index]!);
          kept.delete(index);
        }
        await clock.advance(400);
        expect([...ends.keys()].sort((a, b) => a - b)).toEqual([...kept].map((index) => ids[index]));
        for (const index of kept) {
          const [at, result] = ends.get(ids[index]!)!;
          expect(result).toEqual({ kind: 'lost', reason: 'timeout' });
          expect(at - start).toBeGreaterThanOrEqual(delays[index]!);
          expect(at - start).toBeLessThanOrEqual(delays[index]! + 10);
        }
        expect(calls.size).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('calls that are answered in time cost no timers', async () => {
    const clock = new ManualClock();
    const calls = new PendingCalls(clock);
    for (let i = 0; i < 1_000; i++) {
      calls.delete(addCall(calls, clock, 600, new Map()));
      await clock.advance(1);
    }
    expect(clock.timersSet).toBeLessThan(5);
  });

  test('all end at once with the connection, and no timer stays behind', async () => {
    const clock = new ManualClock();
    const calls = new PendingCalls(clock);
    const ends = new Map<number, [number, Unanswered]>();
    const first = addCall(calls, clock, 100, ends);
    const second = addCall(calls, clock, 50, ends);
    calls.end(LOST);
    expect([...ends]).toEqual([
      [first, [clock.now, LOST]],
      [second, [clock.now, LOST]],
    ]);
    expect(calls.size).toBe(0);
    expect(clock.timersWaiting).toBe(0);
    await clock.advance(200);
    expect(ends.size).toBe(2);
  });

  test('knows which ids it has given out', () => {
    const clock = new ManualClock();
    const calls = new PendingCalls(clock);
    addCall(calls, clock, 100, new Map());
    expect([0, 1, 2].map((id) => calls.knows(id))).toEqual([false, true, false]);
  });
});
