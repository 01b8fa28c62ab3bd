/** A server whose loop does one thing at a time, under more and less work than it can do. */

import { expect, test } from 'vitest';
import { AdaptiveLimit } from '#api/adaptive-limit.ts';

const TARGET = 50;
const MOST = 4096;
/** Milliseconds of the loop for a request that is let in, and for one that is turned away. */
const SERVICE = 0.5;
const REFUSAL = 0.05;

class Server {
  readonly limit: AdaptiveLimit;
  now = 0;
  readonly latencies: number[] = [];
  refused = 0;
  #queue: number[] = [];
  #worked = 0;
  #workedBefore = 0;
  #askedAt = 0;

  constructor() {
    this.limit = new AdaptiveLimit({ most: MOST, target: TARGET, busy: () => this.#busy() });
  }

  get underWay(): number {
    return this.#queue.length;
  }

  /** Requests come at this rate for so many milliseconds, in bursts of a few. */
  run(perSecond: number, milliseconds: number): void {
    const until = this.now + milliseconds;
    let nextAt = this.now;
    while (this.now < until) {
      for (; nextAt <= this.now; nextAt += 4000 / perSecond) for (let i = 0; i < 4; i++) this.#arrive(nextAt);
      this.#work();
    }
  }

  #arrive(at: number): void {
    if (this.limit.allows(this.#queue.length)) this.#queue.push(at);
    else {
      this.refused += 1;
      this.#spend(REFUSAL);
    }
  }

  #work(): void {
    const came = this.#queue.shift();
    if (came === undefined) {
      this.now += 0.2;
      return;
    }
    this.#spend(SERVICE);
    this.latencies.push(this.now - came);
    this.limit.ended(this.now - came, this.now);
  }

  #spend(milliseconds: number): void {
    this.now += milliseconds;
    this.#worked += milliseconds;
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
  server.run(6000, 2000);
  server.forget();
  server.run(6000, 5000);
  // Of 2000 a second, less what saying no costs.
  expect(server.latencies.length).toBeGreaterThan(0.75 * 10_000);
  expect(server.p99()).toBeLessThan(2 * TARGET);
  expect(server.refused).toBeGreaterThan(10_000);
  server.run(1000, 1000);
  server.forget();
  server.run(1000, 2000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
  expect(server.p99()).toBeLessThan(10);
});

test('requests that take long while the loop has nothing to do turn nobody away', () => {
  const limit = new AdaptiveLimit({ most: MOST, target: TARGET, busy: () => 0.3 });
  for (let i = 0; i < 1000; i++) {
    expect(limit.allows(i)).toBe(true);
    limit.ended(5000, i * 10);
  }
  expect(limit.limit).toBe(MOST);
});
