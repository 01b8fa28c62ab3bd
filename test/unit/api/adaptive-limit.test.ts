/** A server whose loop does one thing at a time, under more and less work than it can do. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AdaptiveLimit } from '#api/adaptive-limit.ts';

const BEARABLE = 200;
const MOST = 4096;
const LEAST = 24;
/** Milliseconds of the loop for a request that is let in, and for one that is turned away. */
const SERVICE = 0.5;
const REFUSAL = 0.03;

class Server {
  readonly limit: AdaptiveLimit;
  now = 0;
  readonly latencies: number[] = [];
  refused = 0;
  slowness = 1;
  #queue: number[] = [];
  #worked = 0;
  #workedBefore = 0;
  #askedAt = 0;

  constructor() {
    this.limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, busy: () => this.#busy() });
  }

  /** Requests come at this rate for so many milliseconds, in bursts of a few. */
  run(perSecond: number, milliseconds: number): void {
    const until = this.now + milliseconds;
    let nextAt = this.now;
    while (this.now < until) {
      for (; nextAt <= this.now; nextAt += 4000 / perSecond) for (let i = 0; i < 4; i++) this.#arrive(nextAt);
      if (!this.#work()) this.now += 0.2;
    }
  }

  /** So many clients wait for their answers, and who was turned away tries again at once. */
  runClients(count: number, milliseconds: number): void {
    const until = this.now + milliseconds;
    while (this.now < until) {
      for (let missing = count - this.#queue.length; missing > 0; missing--) this.#arrive(this.now);
      this.#work();
    }
    // They end when they are answered.
    while (this.#work());
  }

  #arrive(at: number): void {
    if (this.limit.allows(this.#queue.length)) this.#queue.push(at);
    else {
      this.refused += 1;
      this.#spend(REFUSAL);
    }
  }

  #work(): boolean {
    const came = this.#queue.shift();
    if (came === undefined) return false;
    this.#spend(SERVICE);
    this.latencies.push(this.now - came);
    this.limit.ended(this.now - came, this.now);
    return true;
  }

  #spend(milliseconds: number): void {
    this.now += milliseconds * this.slowness;
    this.#worked += milliseconds * this.slowness;
  }

  #busy(): number {
    const share = (this.#worked - this.#workedBefore) / (this.now - this.#askedAt || 1);
    this.#workedBefore = this.#worked;
    this.#askedAt = this.now;
    return share;
  }

  forget(): void {
    this.latencies.length = 0;
    this.refused = 0;
  }

  p99(): number {
    return this.latencies.toSorted((a, b) => a - b)[Math.floor(this.latencies.length * 0.99)]!;
  }
}

test('at half of what it can do nobody is turned away', () => {
  const server = new Server();
  server.run(1000, 5000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
});

test('at three times what it can do it does nearly as much as ever, in time, and afterwards all is as before', () => {
  const server = new Server();
  server.run(1000, 2000);
  server.run(6000, 2000);
  server.forget();
  server.run(6000, 5000);
  // Of 2000 a second, less what saying no costs.
  expect(server.latencies.length).toBeGreaterThan(0.8 * 10_000);
  // A dozen requests at a time, each waiting for those before it.
  expect(server.p99()).toBeLessThan(25);
  expect(server.refused).toBeGreaterThan(10_000);
  server.run(1000, 1000);
  server.forget();
  server.run(1000, 2000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
  expect(server.p99()).toBeLessThan(5);
});

test('many clients that wait for their answers are no storm, however busy the server is', () => {
  const server = new Server();
  server.runClients(256, 5000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
});

test('on a machine that is ten times as slow, clients that wait for their answers are no storm either', () => {
  const server = new Server();
  server.slowness = 10;
  server.runClients(100, 5000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
  expect(server.p99()).toBeGreaterThan(BEARABLE);
});

test('a moment in which the machine does other things is no storm', () => {
  const server = new Server();
  server.runClients(100, 1000);
  for (let i = 0; i < 40; i++) server.limit.ended(300, server.now);
  server.runClients(100, 1000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
});

test('clients that try again at once are let in again when there are few of them', () => {
  const server = new Server();
  server.runClients(1000, 1000);
  expect(server.limit.limit).toBeLessThan(MOST);
  server.runClients(100, 14_000);
  expect(server.refused).toBeGreaterThan(0);
  server.runClients(100, 2000);
  server.forget();
  server.runClients(100, 2000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
});

test('a storm that goes on is looked at ever less often', () => {
  const server = new Server();
  server.run(1000, 2000);
  // The first look comes after 15 s, the next one after 30 s more.
  server.run(6000, 25_000);
  server.forget();
  server.run(6000, 15_000);
  const quiet = server.p99();
  server.forget();
  server.run(6000, 10_000);
  expect(quiet).toBeLessThan(25);
  expect(Math.max(...server.latencies)).toBeGreaterThan(2 * quiet);
});

test('requests that take long while the loop has nothing to do turn nobody away', () => {
  const limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, busy: () => 0.3 });
  for (let i = 0; i < 1000; i++) {
    expect(limit.allows(i)).toBe(true);
    limit.ended(5000, i * 10);
  }
  expect(limit.limit).toBe(MOST);
});

test('a storm is seen before anybody has waited for as long as is bearable', () => {
  const server = new Server();
  server.run(1000, 2000);
  server.forget();
  server.run(6000, 400);
  expect(server.limit.limit).toBeLessThan(MOST);
  expect(server.latencies[0]).toBeLessThan(5);
  expect(Math.max(...server.latencies)).toBeLessThan(1.5 * BEARABLE);
});

test('whatever comes, the number stays between its bounds, and rises back when nobody is turned away', () => {
  const event = fc.oneof(
    fc.record({
      ended: fc.double({ min: 0, max: 5000, noNaN: true }),
      after: fc.double({ min: 0, max: 300, noNaN: true }),
    }),
    fc.record({ came: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ busy: fc.constantFrom(0, 0.5, 0.95, 1, Number.NaN) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 400 }), (events) => {
      let now = 0;
      let busy = 1;
      const limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, busy: () => busy });
      for (const each of events) {
        if ('busy' in each) busy = each.busy;
        else if ('came' in each) expect(limit.allows(each.came)).toBe(each.came < limit.limit);
        else for (let i = 0; i < 16; i++) limit.ended(each.ended, (now += each.after / 16));
        expect(limit.limit).toBeGreaterThanOrEqual(LEAST);
        expect(limit.limit).toBeLessThanOrEqual(MOST);
      }
      // The first may belong to a window in which somebody was turned away.
      for (let window = 0; window < 12; window++) {
        for (let i = 0; i < 32; i++) limit.ended(1, (now += 10));
      }
      expect(limit.limit).toBe(MOST);
    }),
  );
});
