import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StandIns } from '#coordinator/stand-ins.ts';
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

test('each fallback stands in once, in order, whatever fails and whoever takes a place by itself', () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant('assign' as const), owner: fc.nat(2), fallback: fc.constant(0) }),
    fc.record({ what: fc.constant('release' as const), owner: fc.nat(2), fallback: fc.constant(0) }),
    fc.record({ what: fc.constant('take' as const), owner: fc.nat(2), fallback: fc.nat(6) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const standIns = new StandIns(() => FALLBACKS);
      let left = [...FALLBACKS];
      for (const { what, owner, fallback } of steps) {
        if (what === 'assign') {
          const assigned = standIns.assign(OWNERS[owner]!);
          expect(assigned?.fallback).toBe(left.shift());
          if (assigned !== undefined) expect(standIns.has(OWNERS[owner]!)).toBe(true);
        } else if (what === 'release') {
          standIns.release(OWNERS[owner]!);
          expect(standIns.has(OWNERS[owner]!)).toBe(false);
        } else {
          standIns.take(OWNERS[owner]!, nodeId(`n${fallback}`));
          left = left.filter(({ index }) => index !== fallback);
        }
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
