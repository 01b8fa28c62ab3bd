/** What only lost members had is given up, where an operator says so, and nothing else is. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BucketRow, Facts } from '#consensus/facts.ts';
import { epoch, nodeId, nodeIndex, storageId, type NodeIndex } from '#kernel/identity.ts';
import { isGivenUp, ownersLeft, whatIsGivenUp, withoutLost } from '#operator/given-up.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { changeWaitsFor } from '#operator/too-few-owners.ts';
import { changeMembers } from '#ring/change.ts';
import { MOVE_STAGES, newOwners, oldOwners, stageMayEnd } from '#ring/moving.ts';
import { fillPlacement } from '#ring/placement.ts';
import { planRing } from '#ring/plan.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import type { PartitionOwners } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

function bucket(n: number, more: Record<string, string> = {}): BucketRow {
  return { name: `n${n}`, incarnation: 0, version: epoch(1), dropped: false, properties: { n, ...more } };
}

function disk(id: string): ReturnType<typeof storageId> {
  return storageId(Buffer.from(id).toString('hex').padStart(32, '0'));
}

/** n4 and n5 are dead; n6 and n7 take their places. */
function facts(): Facts {
  const founded = ringOf(['z', 'z', 'z', 'z', 'z'], 32);
  const members = founded.members.map((member) => ({ ...member, storageId: disk(member.id) }));
  const placements = [1, 2].map((n) => fillPlacement(members, n, 32, epoch(1)));
  const ring = { ...founded, members, placements: [...placements, ...founded.placements] };
  return { epoch: epoch(1), ring, buckets: [bucket(1), bucket(2)], tokens: [] };
}

function begun(acceptLossOf: readonly string[]): Facts {
  const before = facts();
  const newcomers = ['n6', 'n7'].map((id) => {
    return { id: nodeId(id), storageId: disk(id), peer: `${id}:1`, url: '', zone: 'z', weight: 1 };
  });
  const replace = [
    ['n4', 'n6'],
    ['n5', 'n7'],
  ] as const;
  const change = { join: [], leave: [], replace, weights: [], zones: [], acceptLossOf };
  const changed = changeMembers(before.ring, change, newcomers);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const result = beginChange(before, 'p', planRing(before.ring, changed), { keys: 0, bytes: 0 });
  if ('refused' in result) throw new Error(result.refused);
  return result;
}

const DEAD: readonly number[] = [3, 4];
const isDead = (index: NodeIndex): boolean => DEAD.includes(index);

/** As nodes find it where two are dead. */
function evidenceOf(): Evidence {
  const enough = (set: readonly NodeIndex[]): boolean =>
    set.filter((index) => !isDead(index)).length >= set.length - Math.floor(set.length / 2);
  return {
    isDone: () => false,
    isStuck: () => false,
    portion: Infinity,
    isReady: ({ index }) => !isDead(index),
    keepsNothing: ({ index }) => !isDead(index),
    isEmpty: () => false,
    mayEnd: (entry) => stageMayEnd(entry, (index) => (isDead(index) ? 'away' : 'installed')) && enough(entry.owners),
    isAway: ({ index }) => isDead(index),
    isGone: ({ index }) => isDead(index),
  };
}

function run(from: Facts): Facts {
  for (let now = from; ;) {
    const taken = (n: number, partition: number): boolean => {
      const entry = now.ring.placements.find((one) => one.n === n)!.partitions[partition]!;
      const old = oldOwners(entry);
      return old.filter((index) => !isDead(index)).length >= old.length - Math.floor(old.length / 2);
    };
    const evidence = {
      ...evidenceOf(),
      isDone: ({ index }: { index: NodeIndex }, n: number, p: number) => !isDead(index) && taken(n, p),
    };
    const after = advanceChange(now, evidence);
    if (after === now) return now;
    expect(ringFromWire(ringToWire(after.ring))).toEqual(after.ring);
    for (const [at, { partitions }] of after.ring.placements.entries()) {
      for (const [p, entry] of partitions.entries()) {
        const before = now.ring.placements[at]!.partitions[p]!;
        if (before.owners.join() !== entry.owners.join()) expect(entry.changedIn).toBe(after.epoch);
      }
    }
    now = after;
  }
}

function members({ ring }: Facts): string {
  return ring.members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

const REPLACED = 'n1 active, n2 active, n3 active, n4 removed, n5 removed, n6 active, n7 active';

describe('two members are dead', () => {
  test('without a word the change waits for them; who accepts the loss of one waits for the other', () => {
    expect(run(begun([])).ring.change?.state).toBe('running');
    const end = run(begun(['n4']));
    expect(end.ring.change?.state).toBe('running');
    expect(changeWaitsFor(end, (id) => id !== 'n4' && id !== 'n5').map(({ node }) => node)).toContain('n5');
  });

  test('with their loss accepted it comes to its end, and all have new owners', () => {
    const first = begun(['n4', 'n5']);
    expect(first.ring.change?.lost).toEqual([3, 4]);
    expect(changeWaitsFor(first, (id) => id !== 'n4' && id !== 'n5')).toEqual([]);
    const end = run(first);
    expect([end.ring.change, members(end)]).toEqual([undefined, REPLACED]);
    for (const { n, partitions } of end.ring.placements) {
      for (const { owners, move } of partitions) expect([owners.length, move]).toEqual([n, undefined]);
    }
  });

  test('taken back before it has begun to move, they are members and owners again', () => {
    const back = run(steerChange(begun(['n4', 'n5']), 'aborting') as Facts);
    expect(back.ring.lastChange?.outcome).toBe('aborted');
    const owners = back.ring.placements[0]!.partitions.flatMap((entry) => entry.owners);
    expect(owners).toContain(3);
    expect(owners).not.toContain(5);
  });

  test.each([
    ['goes on', 'running', 'done', REPLACED],
    [
      'is taken back',
      'aborting',
      'aborted',
      'n1 active, n2 active, n3 active, n4 active, n5 active, n6 active, n7 active',
    ],
  ] as const)('a change that waits for them %s when it is told that they are lost', (_, state, outcome, wanted) => {
    const stuck = run(steerChange(run(begun([])), state) as Facts);
    expect(stuck.ring.change?.state).toBe(state);
    expect(steerChange(stuck, state)).toBe(stuck);
    const told = steerChange(stuck, state, [nodeIndex(4), nodeIndex(3)]) as Facts;
    expect([told.epoch, told.ring.change?.lost]).toEqual([stuck.epoch + 1, [3, 4]]);
    expect(steerChange(told, state, [nodeIndex(3)])).toBe(told);
    const end = run(told);
    expect([end.ring.lastChange?.outcome, members(end)]).toEqual([outcome, wanted]);
    for (const { partitions } of end.ring.placements) {
      for (const { owners } of partitions) expect(owners.every(isDead) && state === 'running').toBe(false);
    }
  });

  test('where others are left they go on as the owners, and who is lost owes what it has', () => {
    const { ring } = begun(['n4', 'n5']);
    const entries = ring.placements.flatMap(({ partitions }) => partitions);
    const short = entries.filter(({ move }) => move?.owed !== undefined);
    expect(short.length).toBeGreaterThan(0);
    for (const { owners, move } of short) {
      expect(owners.some(isDead)).toBe(false);
      expect(move!.owed!.every(isDead)).toBe(true);
    }
  });
});

test('the plan says what nobody will have any more', () => {
  const before = facts();
  expect(whatIsGivenUp(before, [])).toEqual([]);
  const [single, double, triple] = before.ring.placements.map(({ partitions }) => partitions);
  const alone = single!.filter(({ owners }) => isDead(owners[0]!)).length;
  const both = double!.filter(({ owners }) => owners.every(isDead)).length;
  const most = triple!.filter(({ owners }) => owners.filter(isDead).length === 2).length;
  const told = whatIsGivenUp(before, [nodeIndex(3), nodeIndex(4)]);
  expect(told).toEqual([
    `all keys of n=1 in ${alone} of 32 partitions: no other member owns them`,
    `all keys of n=2 in ${both} of 32 partitions: no other member owns them`,
    `acknowledged writes of n=3 in ${most} of 32 partitions that only lost owners had; deleted keys and older values may come back there`,
  ]);
  const strong = { ...before, buckets: [bucket(3, { consistency: 'strong' })] };
  expect(whatIsGivenUp(strong, [nodeIndex(3), nodeIndex(4)])).toEqual([
    told[2],
    `what was decided last for strong keys of n=3 in ${most} of 32 partitions`,
  ]);
  expect(whatIsGivenUp(strong, [nodeIndex(3)])).toEqual([]);
});

const someOwners = fc.uniqueArray(fc.integer({ min: 0, max: 9 }).map(nodeIndex), { minLength: 1, maxLength: 7 });

test('nobody is given up whom a majority can do without, and nobody that is not lost', () => {
  fc.assert(
    fc.property(someOwners, someOwners, fc.constantFrom(...MOVE_STAGES), someOwners, (owners, others, stage, gone) => {
      const lost = new Set(gone);
      const entry: PartitionOwners = { owners, changedIn: epoch(1), move: { stage, others } };
      const after = withoutLost(entry, epoch(2), lost);
      const [was, is] = [oldOwners(entry), oldOwners(after)];
      if (stage !== 'offload') expect(newOwners(after)).toEqual(newOwners(entry));
      const left = was.filter((index) => !lost.has(index));
      const isEnough = left.length >= was.length - Math.floor(was.length / 2);
      if (isEnough || stage === 'offload') expect(after).toBe(entry);
      else if (left.length === 0) expect([after, isGivenUp(after, lost)]).toEqual([entry, true]);
      else expect([is, after.changedIn]).toEqual([left, 2]);
      expect(ownersLeft(was, lost).every((index) => was.includes(index))).toBe(true);
    }),
  );
});
