import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Facts } from '#consensus/facts.ts';
import { epoch, nodeId, storageId, type NodeId } from '#kernel/identity.ts';
import { advanceChange, beginChange, type Evidence } from '#operator/ring-change.ts';
import { forced, RingForce } from '#operator/ring-force.ts';
import { changeMembers } from '#ring/change.ts';
import { keepersOf } from '#ring/moving.ts';
import { placeableMembers } from '#ring/placement.ts';
import { planRing } from '#ring/plan.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import { ringOf } from '../ring/rings.ts';

const YES = (): boolean => true;
const EVERYTHING: Evidence = {
  ...{
    isStuck: () => false,
    portion: Infinity,
    isDone: YES,
    isReady: YES,
    keepsNothing: YES,
    isEmpty: YES,
    mayEnd: YES,
  },
  isAway: () => false,
  isGone: () => false,
};

/** Six nodes, of which one joins or leaves, so many steps after that has begun. */
function midway(change: 'join' | 'leave' | 'none', steps: number): Facts {
  const ring = ringOf(['a', 'b', 'a', 'b', 'a'], 16);
  const members = ring.members.map((member, i) => ({ ...member, storageId: storageId(String(i).repeat(32)) }));
  let facts: Facts = { epoch: epoch(7), ring: { ...ring, members }, buckets: [], tokens: [] };
  if (change === 'none') return facts;
  const waits = {
    id: nodeId('new'),
    storageId: storageId('f'.repeat(32)),
    peer: 'new:1',
    url: '',
    zone: 'b',
    weight: 1,
  };
  const none = { join: [], leave: [], replace: [], weights: [], zones: [] };
  const wish = change === 'join' ? { ...none, join: ['new'] } : { ...none, leave: [members[1]!.id] };
  const changed = changeMembers(facts.ring, wish, [waits]);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const begun = beginChange(facts, 'before', planRing(facts.ring, changed), { keys: 0, bytes: 0 });
  if ('refused' in begun) throw new Error(begun.refused);
  facts = begun;
  for (let step = 0; step < steps; step++) facts = advanceChange(facts, EVERYTHING);
  return facts;
}

test('whatever was under way: survivors own all, nobody else does, and a change brings them up to their number', () => {
  const changes = fc.constantFrom('join' as const, 'leave' as const, 'none' as const);
  fc.assert(
    fc.property(changes, fc.nat(6), fc.integer({ min: 1, max: 4 }), fc.nat(4), (change, steps, count, first) => {
      const facts = midway(change, steps);
      const present = facts.ring.members.filter(({ state }) => state !== 'removed');
      const lost = present
        .map((_, i) => present[(first + i) % present.length]!.id)
        .slice(0, Math.min(count, present.length - 1));
      const self = present.find(({ id }) => !lost.includes(id))!.id;
      const { next, view } = forced(facts, lost, self, 'forced');
      expect(ringFromWire(ringToWire(next.ring))).toEqual(next.ring);
      expect(next.epoch).toBeGreaterThan(facts.epoch + 999_999);
      const alive = placeableMembers(next.ring.members).map(({ index }) => index);
      expect(view.survivors.length).toBe(present.length - lost.length);
      expect(next.ring.voters.every((index) => alive.includes(index))).toBe(true);
      for (const [p, entry] of next.ring.placements[0]!.partitions.entries()) {
        const was = facts.ring.placements[0]!.partitions[p]!;
        expect(entry.owners.length).toBeGreaterThan(0);
        expect([...entry.owners, ...(entry.move?.others ?? [])].every((index) => alive.includes(index))).toBe(true);
        const left = was.owners.filter((index) => alive.includes(index));
        expect(left.every((index) => entry.owners.includes(index))).toBe(true);
        if (left.length < was.owners.length) expect(entry.changedIn).toBe(next.epoch);
        // Nobody who has rows by right is forgotten with them.
        const had = [...keepersOf(was), ...(was.move?.owed ?? [])].filter((index) => alive.includes(index));
        const known = [...entry.owners, ...(entry.move?.others ?? []), ...(entry.move?.owed ?? [])];
        expect(had.every((index) => known.includes(index))).toBe(true);
      }
      let after = next;
      for (let step = 0; step < 60 && after.ring.change !== undefined; step++) after = advanceChange(after, EVERYTHING);
      expect(after.ring.change).toBeUndefined();
      const owners = after.ring.placements[0]!.partitions.map((entry) => entry.owners.length);
      expect(new Set(owners)).toEqual(new Set([Math.min(3, alive.length)]));
    }),
    { numRuns: 40 },
  );
});

test('two nodes that force at once never make the same epoch', () => {
  const facts = midway('none', 0);
  const [one, other] = facts.ring.members.map(({ id }) => id);
  const rest = facts.ring.members.slice(2).map(({ id }) => id);
  const epochs = [one!, other!].map((self) => forced(facts, rest, self, 'x').next.epoch);
  expect(new Set(epochs).size).toBe(2);
});

test('two survivors that are asked at once make different epochs, and do not come to those of each other, however far behind one is', () => {
  const facts = midway('none', 0);
  const [one, other, ...lost] = facts.ring.members.map(({ id }) => id);
  const target = (self: NodeId, behind: number): number =>
    forced({ ...facts, epoch: epoch(facts.epoch - behind) }, lost, self, 'forced').next.epoch;
  for (const behind of [0, 1, 5]) {
    expect(Math.abs(target(one!, 0) - target(other!, behind))).toBeGreaterThan(100_000);
    expect(Math.abs(target(one!, behind) - target(other!, 0))).toBeGreaterThan(100_000);
  }
});

test('what this node alone decides and cannot store says that it was needed', async () => {
  const facts = midway('none', 0);
  const [self, ...lost] = facts.ring.members.map(({ id }) => id);
  const options = { self: self!, facts: () => facts, reachable: () => false, newId: () => 'forced' };
  const force = new RingForce({ ...options, install: async () => false });
  const failure = { kind: 'failed', outcome: 'not-applied', votes: { needed: 1, got: 0 } };
  expect(await force.force(lost, true)).toMatchObject(failure);
});
