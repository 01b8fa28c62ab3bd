/** For how long a member is away is what a change of the ring goes by. */

import { expect, test } from 'vitest';
import { nodeId, nodeIndex, type NodeId } from '#kernel/identity.ts';
import { Away } from '#membership/away.ts';
import type { Member } from '#ring/ring.ts';
import type { Clock } from '#world/world.ts';

function bench(): {
  readonly at: { now: number };
  readonly away: Away;
  readonly set: (id: string, is: boolean) => void;
} {
  const at = { now: 1000 };
  const there = new Set<string>();
  let told: (peer: NodeId, reachable: boolean) => void = () => undefined;
  const messaging = {
    reachable: (id: NodeId) => there.has(id),
    onReachability: (listener: typeof told) => (told = listener),
  };
  const away = new Away({ messaging, clock: { monotonic: () => at.now } as Clock });
  const set = (id: string, is: boolean): void => {
    if (is) there.add(id);
    else there.delete(id);
    told(nodeId(id), is);
  };
  return { at, away, set };
}

const member = (index: number, state: Member['state'] = 'active'): Pick<Member, 'id' | 'index' | 'state'> => ({
  id: nodeId('n1'),
  index: nodeIndex(index),
  state,
});

test('a member is away since it was last there, or since this node runs', () => {
  const { at, away, set } = bench();
  away.note([member(0)]);
  at.now = 3000;
  expect(away.for(nodeId('n1'))).toBe(2000);
  set('n1', true);
  expect(away.for(nodeId('n1'))).toBe(0);
  at.now = 5000;
  set('n1', false);
  at.now = 5500;
  away.note([member(0)]);
  expect(away.for(nodeId('n1'))).toBe(500);
});

test('a newcomer that is not connected yet has not been away for as long as this node runs, nor as one of its name before', () => {
  const { at, away, set } = bench();
  at.now = 1_000_000;
  away.note([member(0)]);
  expect(away.for(nodeId('n1'))).toBe(0);
  set('n1', true);
  set('n1', false);
  away.note([member(0, 'removed')]);
  at.now = 2_000_000;
  away.note([member(0, 'removed'), member(7, 'joining')]);
  at.now = 2_000_100;
  expect(away.for(nodeId('n1'))).toBe(100);
});
