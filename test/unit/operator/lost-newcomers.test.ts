/** A newcomer that is gone for good holds nothing up: the change is taken back without it. */

import { expect, test } from 'vitest';
import type { BucketRow, Facts } from '#consensus/facts.ts';
import { epoch, nodeId, nodeIndex, storageId, type NodeIndex } from '#kernel/identity.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { changeWaitsFor } from '#operator/too-few-owners.ts';
import { changeMembers } from '#ring/change.ts';
import { broughtTo, stageMayEnd } from '#ring/moving.ts';
import { fillPlacement } from '#ring/placement.ts';
import { planRing } from '#ring/plan.ts';
import type { Member, PartitionOwners } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

const NEWCOMER = nodeIndex(3);
const SIZE = { keys: 0, bytes: 0 };

function bucket(n: number, consistency: string): BucketRow {
  return { name: `n${n}`, incarnation: 0, version: epoch(1), dropped: false, properties: { n, consistency } };
}

/** n4 joins three others: keys of one replica, and of three. */
function joining(consistency: string): Facts {
  const founded = ringOf(['z', 'z', 'z'], 16);
  const members = founded.members.map((member) => ({
    ...member,
    storageId: storageId(`${member.index + 1}`.repeat(32)),
  }));
  const ring = { ...founded, members, placements: [fillPlacement(members, 1, 16, epoch(1)), ...founded.placements] };
  const facts = { epoch: epoch(1), ring, buckets: [bucket(1, consistency), bucket(3, consistency)], tokens: [] };
  const n4 = { id: nodeId('n4'), storageId: storageId('4'.repeat(32)), peer: 'n4:1', url: '', zone: 'z', weight: 1 };
  const changed = changeMembers(ring, { join: ['n4'], leave: [], replace: [], weights: [], zones: [] }, [n4]);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const begun = beginChange(facts, 'p', planRing(ring, changed), SIZE);
  if ('refused' in begun) throw new Error(begun.refused);
  return begun;
}

/** As it is seen while the newcomer is dead, or before. */
function evidence(isDead: boolean, isDone: Evidence['isDone'] = () => true): Evidence {
  const dead = (index: NodeIndex): boolean => isDead && index === NEWCOMER;
  return {
    isDone: (member, ...place) => !dead(member.index) && isDone(member, ...place),
    isStuck: () => false,
    portion: Infinity,
    isReady: ({ index }) => !dead(index),
    keepsNothing: ({ index }) => !dead(index),
    isEmpty: () => false,
    mayEnd: (entry) => stageMayEnd(entry, (index) => (dead(index) ? 'away' : 'installed')),
    isAway: ({ index }) => dead(index),
    isGone: ({ index }) => dead(index),
  };
}

function run(from: Facts, given: Evidence): Facts {
  for (let now = from; ;) {
    const after = advanceChange(now, given);
    if (after === now) return now;
    now = after;
  }
}

/** Until all are in this stage; then it dies, and an operator takes the change back. */
function takenBackIn(stage: string, consistency: string): Facts {
  let now = joining(consistency);
  const moving = (): readonly PartitionOwners[] =>
    now.ring.placements.flatMap(({ partitions }) => partitions).filter(({ move }) => move !== undefined);
  while (!moving().every(({ move }) => move!.stage === stage)) now = advanceChange(now, evidence(false));
  return run(steerChange(now, 'aborting') as Facts, evidence(true));
}

const away = (id: string): boolean => id !== 'n4';
const shown = ({ ring }: Facts): string => ring.members.map(({ id, state }) => `${id} ${state}`).join(', ');

test.each([
  ['planned', 'eventual', 'removed'],
  ['planned', 'strong', 'removed'],
  ['dual', 'eventual', 'removed'],
  ['dual', 'strong', 'removed'],
  ['read-new', 'eventual', 'removed'],
  // Owners of strong keys do not go back: it is one of them, and filled before it counts.
  ['read-new', 'strong', 'refilling'],
] as const)('it dies in %s of %s keys: who gives it up has the change taken back', (stage, consistency, end) => {
  const waits = takenBackIn(stage, consistency);
  if (stage !== 'planned') {
    expect(waits.ring.change?.state).toBe('aborting');
    expect(changeWaitsFor(waits, away)[0]!.reason).toContain('(quoral ring abort --accept-loss-of n4)');
  }
  const given = waits.ring.change === undefined ? waits : (steerChange(waits, 'aborting', [NEWCOMER]) as Facts);
  expect(changeWaitsFor(given, away)).toEqual([]);
  const over = run(given, evidence(true));
  expect(over.ring.lastChange).toEqual({ id: 'p', outcome: 'aborted' });
  expect(shown(over)).toBe(`n1 active, n2 active, n3 active, n4 ${end}`);
  const single = over.ring.placements[0]!.partitions.flatMap(({ owners }) => owners);
  expect(single).not.toContain(NEWCOMER);
});

test('a taker that is lost counts as filled later, and no former owner as one that has brought what it has', () => {
  const waits = takenBackIn('read-new', 'strong');
  const given = steerChange(waits, 'aborting', [NEWCOMER]) as Facts;
  const member = given.ring.members.find(({ index }) => index === NEWCOMER) as Member;
  expect(member.state).toBe('refilling');
  const next = advanceChange(
    given,
    evidence(true, () => false),
  );
  const moved = next.ring.placements[1]!.partitions.filter(({ owners }) => owners.includes(NEWCOMER));
  expect(moved.length).toBeGreaterThan(0);
  for (const { move } of moved) expect(move?.stage).toBe('offload');
  expect(
    run(
      next,
      evidence(true, () => false),
    ).ring.change,
  ).toBeDefined();
});

test('nobody is left to bring a partition to: who has brought nothing yet owns it again', () => {
  const at = joining('eventual');
  const [n1, n4] = [nodeIndex(0), NEWCOMER];
  const brings: PartitionOwners = { owners: [n4], changedIn: epoch(2), move: { stage: 'offload', others: [n1] } };
  const change = { ...at.ring.change!, state: 'aborting', lost: [n4] } as const;
  const ring = { ...at.ring, change, placements: [{ n: 1, partitions: [brings] }] };
  const next = advanceChange(
    { ...at, ring },
    evidence(true, () => false),
  );
  const [entry] = next.ring.placements[0]!.partitions;
  // The newcomer, which owns nothing then, goes in the same step, and what it owes with it.
  expect([entry, shown(next)]).toEqual([
    { owners: [n1], changedIn: next.epoch },
    expect.stringContaining('n4 removed') as string,
  ]);
  // Nobody is sure of that before it is given up.
  const { lost: _, ...waits } = change;
  const waiting = advanceChange(
    { ...at, ring: { ...ring, change: waits } },
    evidence(true, () => false),
  );
  expect(waiting.ring.placements[0]!.partitions).toEqual([brings]);
});

test('a former owner lets go when all owners that are not lost have it, a majority at the most', () => {
  const entry = (...owners: number[]): PartitionOwners => ({ owners: owners.map(nodeIndex), changedIn: epoch(1) });
  const needed = (owners: number[], ...lost: number[]): number =>
    broughtTo(entry(...owners), new Set(lost.map(nodeIndex)));
  expect([needed([0, 1, 2]), needed([0, 1]), needed([0])]).toEqual([2, 2, 1]);
  expect([needed([0, 1, 2], 2), needed([0, 1], 1), needed([0, 1, 2], 1, 2), needed([0], 0)]).toEqual([2, 1, 1, 1]);
});

test('of two owners one is dead: what the former owner brings waits for it, and says so, until it is given up', () => {
  const before = joining('eventual');
  const entry: PartitionOwners = {
    owners: [nodeIndex(1), nodeIndex(2)],
    changedIn: epoch(2),
    move: { stage: 'offload', others: [nodeIndex(0)] },
  };
  const ring = { ...before.ring, placements: [{ n: 2, partitions: [entry] }] };
  const facts = { ...before, ring };
  const dead = (id: string): boolean => id !== 'n3';
  expect(changeWaitsFor(facts, dead).map(({ node }) => node)).toEqual(['n3']);
  expect(changeWaitsFor(facts, (id) => dead(id) && id !== 'n1')).toEqual([]);
  const lost = { ...facts, ring: { ...ring, change: { ...ring.change!, lost: [nodeIndex(2)] } } };
  expect(changeWaitsFor(lost, dead)).toEqual([]);
});
