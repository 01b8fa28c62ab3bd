import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventHash } from '#world/simulated/event-hash.ts';
import { EventQueue, type QueuedEvent } from '#world/simulated/event-queue.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SeededRandom } from '#world/simulated/random.ts';
import { Simulation } from '#world/simulated/scheduler.ts';

describe('event queue', () => {
  test('equals a sorted list under additions, removals and cancellations', () => {
    type Action = { readonly add: readonly [number, number] } | 'take' | { readonly cancel: number };
    const action: fc.Arbitrary<Action> = fc.oneof(
      { weight: 5, arbitrary: fc.record({ add: fc.tuple(fc.nat(20), fc.nat(3)) }) },
      { weight: 3, arbitrary: fc.constant('take' as const) },
      { weight: 2, arbitrary: fc.record({ cancel: fc.nat() }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const queue = new EventQueue<QueuedEvent>();
        const all: QueuedEvent[] = [];
        let expected: QueuedEvent[] = [];
        for (const step of actions) {
          if (step === 'take') {
            expected.sort((a, b) => a.time - b.time || a.tieBreak - b.tieBreak || a.sequence - b.sequence);
            expect(queue.take()).toBe(expected.shift());
          } else if ('add' in step) {
            const event = { time: step.add[0], tieBreak: step.add[1], sequence: all.length, over: false };
            all.push(event);
            expected.push(event);
            queue.add(event);
          } else if (all.length > 0) {
            const event = all[step.cancel % all.length]!;
            queue.cancel(event);
            expected = expected.filter((other) => other !== event);
          }
          expect(queue.size).toBe(expected.length);
        }
      }),
    );
  });

  test('cancelled events do not pile up', () => {
    const queue = new EventQueue<QueuedEvent>();
    for (let i = 0; i < 10_000; i++) {
      const event = { time: 1_000_000 - i, tieBreak: 0, sequence: i, over: false };
      queue.add(event);
      if (i % 10 !== 0) queue.cancel(event);
    }
    expect(queue.size).toBe(1000);
    let last = 0;
    for (let event = queue.take(); event !== undefined; event = queue.take()) {
      expect(event.time).toBeGreaterThan(last);
      last = event.time;
    }
    expect(last).toBe(1_000_000);
  });
});

describe('simulation', () => {
  test('runs events in the order of their times and jumps from one to the next', async () => {
    const simulation = new Simulation({ seed: 1 });
    const seen: number[] = [];
    for (const delay of [30, 10, 20]) simulation.schedule(delay, 'test', () => seen.push(simulation.now));
    await simulation.run(25);
    expect(seen).toEqual([10, 20]);
    expect(simulation.now).toBe(25);
    await simulation.run(() => seen.length === 3);
    expect(simulation.now).toBe(30);
  });

  test('all promise reactions of an event run before the next event', async () => {
    const simulation = new Simulation({ seed: 1 });
    const seen: string[] = [];
    simulation.schedule(1, 'test', () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        seen.push('reaction');
      })();
    });
    simulation.schedule(1.001, 'test', () => seen.push('next event'));
    await simulation.run(5);
    expect(seen).toEqual(['reaction', 'next event']);
  });

  test('seeds differ in the order of what is due at one time', async () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const simulation = new Simulation({ seed });
      const order: string[] = [];
      for (const name of ['a', 'b', 'c']) simulation.schedule(1, name, () => order.push(name));
      await simulation.run(2);
      orders.add(order.join(''));
    }
    expect(orders.size).toBe(6);
  });

  test('says so when the condition never holds, when time stands still, and passes on what an event threw', async () => {
    const simulation = new Simulation({ seed: 1 });
    await expect(simulation.run(() => false, 100)).rejects.toThrow('the condition does not hold at 100 ms');
    simulation.schedule(1, 'broken', () => {
      throw new RangeError('of the event');
    });
    await expect(simulation.run(200)).rejects.toThrow('of the event');
    expect(await simulation.settle(Promise.resolve('result'))).toBe('result');
    await expect(simulation.settle(Promise.reject(new Error('reason')))).rejects.toThrow('reason');
  });

  test('the trace tells each event', async () => {
    const lines: string[] = [];
    const simulation = new Simulation({ seed: 1, trace: (line) => lines.push(line) });
    simulation.schedule(1.5, 'timer n1', () => {}, 7);
    await simulation.run(2);
    expect(lines).toEqual(['1.500 timer n1 7']);
  });

  test('the hash depends on order, time, label and detail', () => {
    const hashes = [
      [
        [1, 'a', 0],
        [2, 'b', 0],
      ],
      [
        [2, 'b', 0],
        [1, 'a', 0],
      ],
      [
        [1, 'a', 0],
        [2.0000001, 'b', 0],
      ],
      [
        [1, 'a', 0],
        [2, 'c', 0],
      ],
      [
        [1, 'a', 0],
        [2, 'b', 1],
      ],
      [[1, 'a', 0]],
    ].map((events) => {
      const hash = new EventHash();
      for (const [time, label, detail] of events) hash.add(time as number, label as string, detail as number);
      return hash.toString();
    });
    expect(new Set(hashes).size).toBe(hashes.length);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('seeded randomness', () => {
  test('a seed means the same numbers for good', () => {
    const random = new SeededRandom('quoral');
    expect([random.uint32(), random.uint32(), random.uint32()]).toEqual([2343366318, 3986527833, 2107936832]);
  });

  test('a fork does not depend on what was drawn', () => {
    const [a, b] = [new SeededRandom(7), new SeededRandom(7)];
    b.uint32();
    expect(a.fork('disk').uint32()).toBe(b.fork('disk').uint32());
    expect(a.fork('disk').uint32()).not.toBe(a.fork('network').uint32());
  });

  test('seeds that look alike give unrelated numbers', () => {
    const firsts = new Set(Array.from({ length: 5000 }, (_, seed) => new SeededRandom(seed).uint32()));
    expect(firsts.size).toBeGreaterThan(4990);
    const tops = new Set(Array.from({ length: 100 }, (_, seed) => new SeededRandom(seed).uint32() >>> 28));
    expect(tops.size).toBe(16);
  });

  test('distributions have their means', () => {
    const random = new SeededRandom('means');
    let [sum, hits] = [0, 0];
    for (let i = 0; i < 20_000; i++) {
      sum += random.exponential(5);
      if (random.chance(0.1)) hits++;
      expect(random.below(3)).toBeLessThan(3);
    }
    expect(sum / 20_000).toBeCloseTo(5, 0);
    expect(hits / 20_000).toBeCloseTo(0.1, 1);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });
});

describe('host', () => {
  test('nothing of a killed process runs, and the next one starts afresh', async () => {
    const simulation = new Simulation({ seed: 1 });
    const host = new SimulatedHost(simulation, 'n1');
    const seen: string[] = [];
    const first = host.start();
    const firstClock = simulatedClock(first);
    firstClock.after(10, () => seen.push('first'));
    let ended = 0;
    first.onEnd(() => ended++);
    const takeBack = first.onEnd(() => ended++);
    takeBack();
    host.kill();
    host.kill();
    const second = host.start();
    expect(() => host.start()).toThrow('a process runs on n1 already');
    simulatedClock(second).after(20, () => seen.push('second'));
    firstClock.after(1, () => seen.push('ghost'));
    firstClock.defer(() => seen.push('ghost'));
    await simulation.run(30);
    expect(seen).toEqual(['second']);
    expect([first.alive, second.alive, second.generation, ended]).toEqual([false, true, 2, 1]);
  });

  test('a paused process gets everything, in order, when it goes on', async () => {
    const simulation = new Simulation({ seed: 1 });
    const host = new SimulatedHost(simulation, 'n1');
    const clock = simulatedClock(host.start());
    const seen: string[] = [];
    for (const delay of [3, 1, 2]) clock.after(delay, () => seen.push(`${delay} at ${Math.round(clock.monotonic())}`));
    const cancelled = clock.after(2, () => seen.push('cancelled'));
    host.pause();
    await simulation.run(100);
    expect(seen).toEqual([]);
    cancelled.cancel();
    host.resume();
    await simulation.run(200);
    expect(seen).toEqual(['1 at 100', '2 at 100', '3 at 100']);
  });

  test('a process killed while paused is gone', async () => {
    const simulation = new Simulation({ seed: 1 });
    const host = new SimulatedHost(simulation, 'n1');
    simulatedClock(host.start()).after(1, () => expect.unreachable());
    host.pause();
    await simulation.run(10);
    host.resume();
    host.kill();
    await simulation.run(20);
    expect(host.process).toBeUndefined();
  });

  test('clocks drift and jump', async () => {
    const simulation = new Simulation({ seed: 1 });
    const host = new SimulatedHost(simulation, 'n1');
    const clock = simulatedClock(host.start());
    const wall = clock.wall();
    host.clock.setDrift(100_000);
    await simulation.run(1000);
    expect(clock.monotonic()).toBeCloseTo(1100);
    host.clock.setDrift(0);
    host.clock.jump(-5000);
    await simulation.run(2000);
    expect(clock.monotonic()).toBeCloseTo(2100);
    expect(clock.wall() - wall).toBe(2100 - 5000);
  });
});
