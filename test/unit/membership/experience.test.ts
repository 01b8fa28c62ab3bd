/** What this node's calls teach it of a peer, and what follows from that. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeId, type NodeId } from '#kernel/identity.ts';
import { Experience } from '#membership/experience.ts';
import { HedgeBudget } from '#membership/hedge-budget.ts';
import { DEFAULT_HEDGE_SETTINGS, Hedging } from '#membership/hedging.ts';
import { HoldDown } from '#membership/hold-down.ts';
import { LatencyDigest } from '#membership/latency-digest.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';
import type { CallEnding } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';

const WORK = ['replica.fetch'];

function ending(result: CallEnding['result'], reason = '', elapsed = 1): CallEnding {
  return { name: 'replica.fetch', result, reason, elapsed };
}

describe('the digest', () => {
  test('its quantile is right within a fifth', () => {
    const latency = fc.double({ min: 0.2, max: 20_000, noNaN: true });
    fc.assert(
      fc.property(fc.array(latency, { minLength: 16, maxLength: 500 }), (all) => {
        const digest = new LatencyDigest(0.95);
        for (const value of all) digest.observe(value);
        const exact = all.toSorted((a, b) => a - b)[Math.ceil(0.95 * all.length) - 1]!;
        const fresh = new LatencyDigest(0.95);
        for (const value of all) fresh.observe(value);
        expect(fresh.quantile()).toBeGreaterThanOrEqual(exact * 0.999);
        expect(fresh.quantile()).toBeLessThanOrEqual(exact * 1.2001);
      }),
    );
  });

  test('the past fades', () => {
    const digest = new LatencyDigest(0.95);
    for (let i = 0; i < 1000; i++) digest.observe(400);
    for (let i = 0; i < 12_000; i++) digest.observe(2);
    expect(digest.quantile()).toBeLessThan(3);
  });

  test('the extremes are counted too', () => {
    const digest = new LatencyDigest(0.95);
    digest.observe(0);
    expect(digest.quantile()).toBeCloseTo(0.1);
    for (let i = 0; i < 100; i++) digest.observe(1e9);
    expect(digest.quantile()).toBeGreaterThan(60_000);
  });
});

describe('the breaker is opened', () => {
  test('by work without an answer and by work that failed', () => {
    for (const failure of [
      ending('lost', 'timeout', 1000),
      ending('refused', 'internal'),
      ending('refused', 'disk-failed'),
    ]) {
      const experience = new Experience(WORK);
      for (let i = 0; i < 5; i++) experience.ended(failure, i, false);
      expect(experience.breaker.state(5)).toBe('open');
    }
  });

  test('by nothing else: not by refusals to do more, by impatient callers, by lost connections, by probes', () => {
    const harmless = [
      ...['overloaded', 'stale', 'not-ready', 'deadline', 'disk-full', 'stopping'].map((code) =>
        ending('refused', code),
      ),
      ending('lost', 'timeout', 100),
      ending('lost', 'disconnected', 1000),
      { ...ending('lost', 'timeout', 1000), name: 'membership.probe' },
    ];
    const experience = new Experience(WORK);
    for (let i = 0; i < 50; i++) experience.ended(ending('lost', 'timeout', 1000), i, true);
    for (const one of harmless) for (let i = 0; i < 50; i++) experience.ended(one, i, false);
    expect(experience.breaker.state(50)).toBe('closed');
  });

  test('a peer that refuses for overload sheds load for a second', () => {
    const experience = new Experience(WORK);
    experience.ended(ending('refused', 'overloaded'), 100, false);
    expect(experience.isShedding(1000)).toBe(true);
    expect(experience.isShedding(1100)).toBe(false);
  });

  test('a few answers are no experience yet', () => {
    const experience = new Experience(WORK);
    for (let i = 0; i < 19; i++) experience.ended(ending('reply', '', 3), i, false);
    expect(experience.usualLatency('replica.fetch')).toBeUndefined();
    experience.ended(ending('reply', '', 3), 20, false);
    expect(experience.usualLatency('replica.fetch')).toBeCloseTo(3, 0);
    expect(experience.usualLatency('other')).toBeUndefined();
  });
});

test('two returns are free, then each is held down twice as long; calm times are forgiving', () => {
  const hold = new HoldDown();
  expect([0, 1, 2, 3, 4].map((second) => hold.returned(second * 1000))).toEqual([0, 0, 1000, 2000, 4000]);
  expect(hold.isHeld(7999)).toBe(true);
  expect(hold.isHeld(8000)).toBe(false);
  expect(hold.returned(5000)).toBe(8000);
  expect(hold.returned(300_000)).toBe(0);
  for (let i = 0; i < 50; i++) hold.returned(301_000 + i);
  expect(hold.returned(302_000)).toBe(30_000);
});

test('second calls stay below their share, but for what was saved up', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 2000 }), (wishes) => {
      const budget = new HedgeBudget(0.05);
      let calls = 0;
      let hedges = 0;
      for (const wish of wishes) {
        budget.earn();
        calls += 1;
        if (wish && budget.spend()) hedges += 1;
        expect(hedges).toBeLessThanOrEqual(20 + 0.05 * calls + 1e-9);
      }
    }),
  );
});

describe('hedging', () => {
  const [FAST, SLOW, DEAD, NEW] = ['fast', 'slow', 'dead', 'new'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];

  function hedging(): { made: Hedging; of: (peer: NodeId) => Experience } {
    const known = new Map<NodeId, Experience>();
    const of = (peer: NodeId): Experience => {
      const experience = known.get(peer) ?? new Experience(WORK);
      known.set(peer, experience);
      return experience;
    };
    for (let i = 0; i < 100; i++) {
      of(FAST).ended(ending('reply', '', 1), i, false);
      of(SLOW).ended(ending('reply', '', 120), i, false);
    }
    const world = { clock: { monotonic: () => 200 }, metrics: new SimulatedMetrics() } as unknown as World;
    const peers = { usable: (peer: NodeId) => peer !== DEAD, experience: of };
    return { made: new Hedging({ world, peers, settings: DEFAULT_HEDGE_SETTINGS }), of };
  }

  test('waits as long as an answer usually takes, within bounds, and not at all for who is not usable', () => {
    const { made } = hedging();
    expect(made.slowAfter(FAST, 'replica.fetch')).toBe(5);
    expect(made.slowAfter(SLOW, 'replica.fetch')).toBeCloseTo(120, -2);
    expect(made.slowAfter(NEW, 'replica.fetch')).toBe(50);
    expect(made.slowAfter(DEAD, 'replica.fetch')).toBe(0);
    expect(made.delay([FAST, NEW], 'replica.fetch')).toBe(50);
    expect(made.delay([DEAD], 'replica.fetch')).toBe(5);
    expect(made.delay([], 'replica.fetch')).toBe(50);
  });

  test('has somebody stand in after twice the usual time, within bounds, and late when that is not known', () => {
    const { made } = hedging();
    expect(made.standInAfter([FAST], 'replica.fetch', 150)).toBe(25);
    expect(made.standInAfter([FAST, SLOW], 'replica.fetch', 150)).toBe(150);
    expect(made.standInAfter([FAST, SLOW], 'replica.fetch', 1000)).toBeCloseTo(240, -2);
    expect(made.standInAfter([NEW], 'replica.fetch', 150)).toBe(150);
    // Somebody stands in for it already.
    expect(made.standInAfter([FAST, DEAD], 'replica.fetch', 150)).toBe(25);
  });

  test('asks again without limit in the place of who is not usable, otherwise within the budget, never who sheds load', () => {
    const { made, of } = hedging();
    for (let i = 0; i < 100; i++) expect(made.mayCall(FAST, [DEAD])).toBe(true);
    const allowed = Array.from({ length: 100 }, () => made.mayCall(FAST, [SLOW]));
    expect(allowed.filter(Boolean)).toHaveLength(20);
    of(FAST).ended(ending('refused', 'overloaded'), 150, false);
    expect(made.mayCall(FAST, [DEAD])).toBe(false);
  });
});
