import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HybridClock, timeOf, hybridTimeAt } from '#causality/hybrid-clock.ts';

const NOW = Date.UTC(2026, 6, 1);
const first = (milliseconds: number): number => (milliseconds - Date.UTC(2025, 0, 1)) * 4096;

test('golden: a hybrid time is milliseconds since 2025 times 4096', () => {
  const clock = new HybridClock({ wall: () => Date.UTC(2025, 0, 1) + 1000 });
  expect(clock.last()).toBe(4_096_001);
  expect(timeOf(4_096_001)).toBe(Date.UTC(2025, 0, 1) + 1000);
  expect(timeOf(4_095_999)).toBe(Date.UTC(2025, 0, 1) + 999);
});

const event = fc.oneof(
  fc.record({ kind: fc.constant('tick' as const), value: fc.constant(0) }),
  fc.record({ kind: fc.constant('wall' as const), value: fc.integer({ min: -10_000, max: 10_000 }) }),
  fc.record({ kind: fc.constant('receive' as const), value: fc.integer({ min: -2000, max: 2000 }) }),
);

test('ticks always rise, never trail the wall clock or a believed time, and no far time is believed', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), (events) => {
      let wall = NOW;
      let highestWall = wall;
      const clock = new HybridClock({ wall: () => wall, maxDriftMilliseconds: 700 });
      for (const { kind, value } of events) {
        const before = clock.last();
        if (kind === 'wall') wall += value;
        highestWall = Math.max(highestWall, wall);
        const time = first(wall + value) + 5;
        const believed = kind === 'receive' && clock.receive(time);
        expect(believed).toBe(kind === 'receive' && value < 700);
        const ticked = kind === 'tick' ? clock.tick() : undefined;
        const expected = believed ? Math.max(before, time) : before;
        expect(clock.last()).toBe(ticked === undefined ? expected : Math.max(before + 1, first(wall)));
        expect(ticked ?? clock.last()).toBe(clock.last());
        expect(clock.last()).toBeLessThanOrEqual(first(highestWall + 700) + events.length + 1);
      }
    }),
  );
});

test('exactly the drift bound is believed, one more is not; 500 ms is the default', () => {
  const clock = new HybridClock({ wall: () => NOW });
  expect(clock.receive(first(NOW + 500) + 1)).toBe(false);
  expect(clock.receive(first(NOW + 500))).toBe(true);
  expect(clock.tick()).toBe(first(NOW + 500) + 1);
});

test('what is no hybrid time is not believed', () => {
  const clock = new HybridClock({ wall: () => NOW });
  const before = clock.last();
  for (const time of [-1, 0.5, Number.NaN, 2 ** 53]) expect(clock.receive(time), String(time)).toBe(false);
  expect(clock.last()).toBe(before);
});

test('more ticks than a millisecond has borrow from the next one, which the wall clock then absorbs', () => {
  let wall = NOW;
  const clock = new HybridClock({ wall: () => wall });
  for (let i = 0; i < 5000; i++) clock.tick();
  expect(timeOf(clock.last())).toBe(NOW + 1);
  wall = NOW + 2;
  expect(clock.tick()).toBe(first(NOW + 2));
});

test('a restarted clock goes on after what it stored, also when the wall clock went back', () => {
  const stored = first(NOW) + 77;
  expect(new HybridClock({ wall: () => NOW - 60_000, start: stored }).tick()).toBe(stored + 2);
  expect(new HybridClock({ wall: () => NOW + 1, start: stored }).tick()).toBe(first(NOW + 1) + 2);
});

test('a wall clock with fractions, or from before 2025, still gives whole rising times', () => {
  let wall = NOW + 0.75;
  const clock = new HybridClock({ wall: () => wall });
  expect(clock.tick()).toBe(first(NOW) + 2);
  wall = 0;
  expect(clock.tick()).toBe(first(NOW) + 3);
  expect(new HybridClock({ wall: () => 0 }).tick()).toBe(2);
});

test('a clock beyond the last hybrid time, or started from none, says so', () => {
  expect(() => new HybridClock({ wall: () => Date.UTC(2200, 0, 1) })).toThrow(/no times left/);
  expect(() => new HybridClock({ wall: () => NOW, start: -1 })).toThrow(RangeError);
});

test('reserved times are never given', () => {
  const clock = new HybridClock({ wall: () => NOW });
  const first = clock.reserve(4096);
  expect(clock.last()).toBe(first + 4095);
  expect(clock.tick()).toBe(first + 4096);
});

test('it goes ahead by more than a minute at once only for a wall clock that is believed', () => {
  let wall = NOW;
  let isBelieved = true;
  const clock = new HybridClock({ wall: () => wall });
  clock.followIf(() => isBelieved);
  const before = clock.tick();
  isBelieved = false;
  wall = NOW + 59_000;
  expect(clock.tick()).toBe(hybridTimeAt(wall));
  const last = clock.last();
  wall = NOW + 3_600_000;
  expect([clock.tick(), clock.receive(hybridTimeAt(wall))]).toEqual([last + 1, false]);
  isBelieved = true;
  expect(clock.tick()).toBe(hybridTimeAt(wall));
  expect(before).toBeLessThan(last);
});
