/** Partitions of an n that no bucket has any more: they change hands without anybody who is dead, and last. */

import { describe, expect, test } from 'vitest';
import type { BucketRow, Facts } from '#consensus/facts.ts';
import { epoch, nodeId, storageId } from '#kernel/identity.ts';
import { factorsInUse } from '#operator/nothing-to-take.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { changeMembers } from '#ring/change.ts';
import { fillPlacement } from '#ring/placement.ts';
import { planRing } from '#ring/plan.ts';
import { ringOf } from '../ring/rings.ts';

const SINGLE: BucketRow = { name: 's', incarnation: 0, version: epoch(1), dropped: false, properties: { n: 1 } };
const DROPPED: BucketRow = { name: 's', incarnation: 1, version: epoch(9), dropped: true, properties: {} };

/** n3 is dead, and n4 shall take its place; it alone owns a third of what has one replica. */
function begun(bucket: BucketRow): Facts {
  const founded = ringOf(['z', 'z', 'z'], 16);
  const disk = (id: string) => storageId(Buffer.from(id).toString('hex').padStart(32, '0'));
  const members = founded.members.map((member) => ({ ...member, storageId: disk(member.id) }));
  const single = fillPlacement(members, 1, 16, epoch(1));
  const ring = { ...founded, members, placements: [single, ...founded.placements] };
  const n4 = { id: nodeId('n4'), storageId: disk('n4'), peer: 'n4:1', url: '', zone: 'z', weight: 1 };
  const replace = [['n3', 'n4']] as const;
  const changed = changeMembers(ring, { join: [], leave: [], replace, weights: [], zones: [] }, [n4]);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const facts = { epoch: epoch(1), ring, buckets: [bucket], tokens: [] };
  const result = beginChange(facts, 'p', planRing(ring, changed), { keys: 0, bytes: 0 });
  if ('refused' in result) throw new Error(result.refused);
  return result;
}

const OWNER_DEAD: Evidence = {
  isDone: ({ id }, n) => id !== 'n3' && n !== 1,
  isStuck: () => false,
  portion: Infinity,
  isReady: () => true,
  keepsNothing: ({ id }) => id !== 'n3',
  isEmpty: () => false,
  mayEnd: ({ owners, move }) => owners.length > 1 && move!.others.length > 1,
  isAway: ({ id }) => id === 'n3',
  isGone: ({ id }) => id === 'n3',
};

function run(facts: Facts, evidence: Evidence = OWNER_DEAD): Facts {
  for (;;) {
    const after = advanceChange(facts, evidence);
    if (after === facts) return facts;
    facts = after;
  }
}

function steered(facts: Facts, state: 'aborting'): Facts {
  return steerChange(facts, state) as Facts;
}

function singleStages({ ring }: Facts): readonly string[] {
  return [...new Set(ring.placements[0]!.partitions.map(({ move }) => move?.stage ?? 'stable'))].toSorted();
}

function members({ ring }: Facts): string {
  return ring.members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

test('the n of the buckets that there are, and that of all others', () => {
  expect([...factorsInUse([])]).toEqual([3]);
  expect(factorsInUse([SINGLE, { ...DROPPED, name: 't' }])).toEqual(new Set([1, 3]));
});

describe('the only owner is dead', () => {
  test('a bucket with that n waits for it', () => {
    const end = run(begun(SINGLE));
    expect([end.ring.change?.state, singleStages(end)]).toEqual(['running', ['dual', 'stable']]);
    const back = run(steered(end, 'aborting'));
    expect([back.ring.change?.state, singleStages(back)]).toEqual(['aborting', ['dual', 'stable']]);
  });

  test('of a bucket that was dropped before nobody waits for it', () => {
    const end = run(begun(DROPPED));
    expect([end.ring.change, members(end)]).toEqual([undefined, 'n1 active, n2 active, n3 removed, n4 active']);
    expect(end.ring.placements[0]!.partitions.some(({ owners }) => owners[0] === 3)).toBe(true);
    expect(singleStages(end)).toEqual(['stable']);
  });

  test.each([
    ['goes on', 'running', 'n1 active, n2 active, n3 removed, n4 active', 'done'],
    // It owns what had three replicas for good by then.
    ['is taken back', 'aborting', 'n1 active, n2 active, n3 active, n4 active', 'aborted'],
  ] as const)('the bucket is dropped while the change waits, which %s', (_, state, wanted, outcome) => {
    const stuck = run(begun(SINGLE));
    const dropped = { ...stuck, buckets: [DROPPED] };
    const end = run(state === 'aborting' ? steered(dropped, state) : dropped);
    expect([end.ring.lastChange?.outcome, members(end)]).toEqual([outcome, wanted]);
  });
});

test('they come last, so that a change can be taken back until all others are in place', () => {
  const early = run(begun(DROPPED), { ...OWNER_DEAD, isDone: () => false });
  expect([early.ring.change?.state, singleStages(early)]).toEqual(['running', ['planned', 'stable']]);
  const end = run(steered(early, 'aborting'), { ...OWNER_DEAD, isDone: ({ id }) => id !== 'n3' });
  expect([end.ring.lastChange?.outcome, members(end)]).toEqual([
    'aborted',
    'n1 active, n2 active, n3 active, n4 removed',
  ]);
});

test('the newcomer must take writes first, and a bucket that has the n again is moved as any other', () => {
  const notReady = run(begun(DROPPED), { ...OWNER_DEAD, isReady: () => false });
  expect(singleStages(notReady)).toEqual(['planned', 'stable']);
  const again = run({ ...notReady, buckets: [{ ...SINGLE, incarnation: 1, version: epoch(11) }] });
  expect(singleStages(again)).toEqual(['dual', 'stable']);
});

test('each change of owners is fenced by its epoch', () => {
  let facts = begun(DROPPED);
  for (;;) {
    const after = advanceChange(facts, OWNER_DEAD);
    if (after === facts) return;
    for (const [at, { partitions }] of after.ring.placements.entries()) {
      for (const [p, entry] of partitions.entries()) {
        const before = facts.ring.placements[at]!.partitions[p]!;
        if (before.owners.join() !== entry.owners.join()) expect(entry.changedIn).toBe(after.epoch);
      }
    }
    facts = after;
  }
});
