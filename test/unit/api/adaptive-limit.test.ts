/** A server whose loop does one thing at a time, under more and less work than it can do. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AdaptiveLimit, type LoopTime } from '#api/adaptive-limit.ts';
import { quantile, TurningNode } from './turning-node.ts';

const BEARABLE = 100;
const MOST = 4096;
/** Half of a node's own: the models here say no for next to nothing, and what the limit does is seen where it may be low. */
const LEAST = 48;
const CROWD = 128;
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

  constructor() {
    this.limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, loop: () => this.#loop() });
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

  #loop(): LoopTime {
    return { atWork: this.#worked, waited: this.now - this.#worked };
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
  // 48 at a time, each waiting for those before it.
  expect(server.p99()).toBeLessThan(30);
  expect(server.refused).toBeGreaterThan(10_000);
  server.run(1000, 1000);
  server.forget();
  server.run(1000, 2000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
  expect(server.p99()).toBeLessThan(5);
});

test('many clients that wait for their answers are no storm, however busy the server is', () => {
  const server = new Server();
  server.runClients(180, 5000);
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
  server.slowness = 20;
  server.runClients(100, 100);
  server.slowness = 1;
  server.runClients(100, 1000);
  expect([server.refused, server.limit.limit]).toEqual([0, MOST]);
});

test('clients that try again at once are let in again when there are few of them', () => {
  const server = new Server();
  server.runClients(10, 1000);
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
  expect(quiet).toBeLessThan(30);
  expect(Math.max(...server.latencies)).toBeGreaterThan(2 * quiet);
});

test('requests that take long while the loop has nothing to do turn nobody away', () => {
  let now = 0;
  const loop = (): LoopTime => ({ atWork: 0.8 * now, waited: 0.2 * now });
  const limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, loop });
  for (let i = 0; i < MOST; i++) {
    now += 3;
    expect(limit.allows(i)).toBe(true);
    if (i % 2 === 0) limit.ended(5000, now);
  }
  expect(limit.allows(MOST)).toBe(false);
  expect(limit.limit).toBe(MOST);
});

test('a turn that brings many requests at once to a loop with time is no storm', () => {
  let now = 0;
  const limit = new AdaptiveLimit({
    ...{ most: MOST, least: LEAST, bearable: BEARABLE },
    loop: () => ({ atWork: now / 2, waited: now / 2 }),
  });
  for (let i = 0; i < 100; i++) limit.ended(2, (now += 10));
  for (let underWay = 0; underWay < 1000; underWay++) expect(limit.allows(underWay)).toBe(true);
});

test('more are let in during a storm when the loop has time', () => {
  let now = 0;
  let atWork = 0;
  const loop = (): LoopTime => ({ atWork, waited: now - atWork });
  const limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, loop });
  const end = (requests: number, busy: number): void => {
    for (let i = 0; i < requests; i++) {
      limit.allows(MOST - 1);
      limit.ended(20, (now += 1));
      atWork += busy;
    }
  };
  end(1000, 1);
  const before = limit.limit;
  expect(before).toBeLessThan(CROWD);
  end(1000, 0.5);
  expect(limit.limit).toBeGreaterThan(4 * before);
  end(200, 1);
  expect(limit.limit).toBeLessThan(CROWD);
});

test('when requests take long after a storm, others are let in all the same while the loop has time', () => {
  const server = new Server();
  server.run(6000, 3000);
  expect(server.limit.limit).toBeLessThan(MOST);
  // Nothing ends any more: all that are under way wait for somebody else.
  let underWay = 0;
  for (let ms = 0; ms < 5000; ms++) {
    server.now += 1;
    if (server.limit.allows(underWay)) underWay += 1;
  }
  expect(underWay).toBeGreaterThan(1000);
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
      took: fc.double({ min: 0, max: 5000, noNaN: true }),
      after: fc.double({ min: 0, max: 300, noNaN: true }),
    }),
    fc.record({ came: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ busy: fc.constantFrom(0, 0.5, 0.95, 1) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 400 }), (events) => {
      let now = 0;
      let busy = 1;
      let atWork = 0;
      const loop = (): LoopTime => ({ atWork, waited: now - atWork });
      const pass = (milliseconds: number): void => {
        now += milliseconds;
        atWork += milliseconds * busy;
      };
      const limit = new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, loop });
      const end = (took: number, after: number): void => {
        pass(after);
        limit.ended(took, now);
      };
      for (const each of events) {
        if ('busy' in each) busy = each.busy;
        else if ('came' in each) expect(limit.allows(each.came) && each.came >= limit.limit).toBe(false);
        else for (let i = 0; i < 16; i++) end(each.took, each.after / 16);
        expect(limit.limit).toBeGreaterThanOrEqual(LEAST);
        expect(limit.limit).toBeLessThanOrEqual(MOST);
      }
      // The first may belong to a window in which somebody was turned away.
      for (let i = 0; i < 12 * 32; i++) end(1, 10);
      expect(limit.limit).toBe(MOST);
    }),
    // Two times that differ by less than the clock can tell make no pace.
    { examples: [[[{ took: 0, after: 4.4e-323 }, { took: 0, after: 100 }, { came: 0 }]]] },
  );
});

const modelled = (connections: number): TurningNode =>
  new TurningNode((loop) => new AdaptiveLimit({ most: MOST, least: LEAST, bearable: BEARABLE, loop }), connections);

test.each([
  [1, 1, 21],
  [4, 1, 21],
  [1, 20, 160],
])(
  'a node that works in turns does nearly what it can from the first moment of a storm on, and in time (%d times as slow, %d ms away)',
  (slowness, away, clients) => {
    const node = modelled(500);
    node.slowness = slowness;
    node.away = away;
    const seconds = (of: () => void): number => {
      node.forget();
      const begun = node.now;
      of();
      return (node.now - begun) / 1000;
    };
    node.closedLoop(clients, 2000);
    const peakSeconds = seconds(() => node.closedLoop(clients, 4000));
    const peak = node.answered.length / peakSeconds;
    node.openLoop(peak / 2, 2000);
    seconds(() => node.openLoop(peak / 2, 4000));
    const unloaded = quantile(node.answered, 0.99);
    expect(node.refused).toEqual([]);
    const stormSeconds = seconds(() => node.openLoop(peak * 3, 10_000));
    expect(node.answered.length / stormSeconds / peak).toBeGreaterThan(0.8);
    expect(quantile(node.answered.slice(node.answered.length >> 4), 0.99) / unloaded).toBeLessThan(2);
    // The very first too.
    expect(quantile(node.answered, 1) / unloaded).toBeLessThan(3);
    expect(quantile(node.refused, 0.99)).toBeLessThan(2 * unloaded);
    node.openLoop(peak / 2, 1000);
    seconds(() => node.openLoop(peak / 2, 4000));
    expect(node.refused).toEqual([]);
    expect(quantile(node.answered, 0.99) / unloaded).toBeLessThan(1.2);
  },
);

test('a storm upon a node that has just begun and knows nothing of its pace is over in a moment too', () => {
  const node = modelled(500);
  node.openLoop(6000, 1000);
  node.forget();
  node.openLoop(6000, 2000);
  expect(quantile(node.answered, 0.99)).toBeLessThan(60);
});

test('one window in which the machine had other things to do is no storm, many of them are', () => {
  let worked = 0;
  const limit = new AdaptiveLimit({
    most: MOST,
    least: LEAST,
    bearable: BEARABLE,
    loop: () => ({ atWork: worked, waited: 0 }),
  });
  const work = (milliseconds: number, millisecondsEach: number): void => {
    for (const until = worked + milliseconds; worked < until;) limit.ended(5, (worked += millisecondsEach));
  };
  work(2000, 0.5);
  // One window whole, and the end of the one before.
  work(150, 2);
  // At two for each millisecond 200 end in time, at a half 50.
  expect([limit.allows(140), limit.limit]).toEqual([true, MOST]);
  work(2000, 2);
  expect(limit.allows(140)).toBe(false);
  expect(limit.limit).toBeLessThan(CROWD);
});
