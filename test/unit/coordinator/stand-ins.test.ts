import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StandIns, type StandIn } from '#coordinator/stand-ins.ts';
import { nodeId, nodeIndex } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';

function member(index: number): Member {
  return {
    index: nodeIndex(index),
    id: nodeId(`n${index}`),
    storageId: null,
    peer: '',
    url: '',
    zone: 'z',
    weight: 1,
    state: 'active',
  };
}

const OWNERS = [0, 1, 2].map(member);
const FALLBACKS = [3, 4, 5, 6].map(member);

test('each fallback stands in once, in order, whatever fails, is silent or takes a place by itself', () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant('assign' as const), owner: fc.nat(2) }),
    fc.record({ what: fc.constantFrom('release' as const, 'answer' as const), which: fc.nat(6) }),
    fc.record({ what: fc.constant('releaseSilent' as const) }),
    fc.record({ what: fc.constant('take' as const), owner: fc.nat(2), fallback: fc.nat(6) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const standIns = new StandIns(() => FALLBACKS);
      let left = [...FALLBACKS];
      let standing: StandIn[] = [];
      for (const one of steps) {
        if (one.what === 'assign') {
          const assigned = standIns.assign(OWNERS[one.owner]!);
          expect(assigned?.fallback).toBe(left.shift());
          if (assigned !== undefined) standing.push(assigned);
        } else if (one.what === 'take') {
          const taken = left.find(({ index }) => index === one.fallback);
          standIns.take(OWNERS[one.owner]!, nodeId(`n${one.fallback}`));
          if (taken !== undefined) standing.push({ owner: OWNERS[one.owner]!, fallback: taken, hasIt: true });
          left = left.filter((fallback) => fallback !== taken);
        } else if (one.what === 'releaseSilent') {
          const silent = standing.filter(({ hasIt }) => !hasIt).map(({ owner }) => owner);
          expect(standIns.releaseSilent()).toEqual(silent);
          standing = standing.filter(({ hasIt }) => hasIt);
        } else {
          const chosen = standing[one.which];
          if (chosen !== undefined && one.what === 'answer') chosen.hasIt = true;
          if (chosen !== undefined && one.what === 'release' && !chosen.hasIt) {
            standIns.release(chosen);
            standing = standing.filter((standIn) => standIn !== chosen);
          }
        }
        for (const owner of OWNERS)
          expect(standIns.has(owner)).toBe(standing.some((standIn) => standIn.owner === owner));
      }
    }),
  );
});

test('fallbacks are worked out only when one is needed', () => {
  let asked = 0;
  const standIns = new StandIns(() => {
    asked += 1;
    return FALLBACKS;
  });
  expect([standIns.has(OWNERS[0]!), asked]).toEqual([false, 0]);
  standIns.assign(OWNERS[0]!);
  standIns.assign(OWNERS[1]!);
  expect(asked).toBe(1);
});

test('a fallback that is an owner by now stands in for nobody any more', () => {
  const standIns = new StandIns(() => FALLBACKS);
  standIns.assign(OWNERS[0]!);
  standIns.withdraw([member(3), member(4)]);
  expect(standIns.assign(OWNERS[1]!)?.fallback.index).toBe(5);
  expect(standIns.has(OWNERS[0]!)).toBe(true);
});
