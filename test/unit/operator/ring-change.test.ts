import { describe, expect, test } from 'vitest';
import type { Facts } from '#consensus/facts.ts';
import { finishRefill, introduceSelf } from '#consensus/introduce-self.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { writersOf } from '#ring/moving.ts';
import { placeableMembers } from '#ring/placement.ts';
import type { Member } from '#ring/ring.ts';
import {
  factsOf,
  diskOf,
  newcomer,
  evidence,
  SIZE,
  begin,
  steered,
  run,
  entries,
  shown,
  stages,
  FOUR,
} from './ring-steps.ts';

describe('a join', () => {
  test('goes through every stage, one epoch each, and ends where the plan leads', () => {
    const facts = factsOf(['z1', 'z1', 'z1']);
    const begun = begin(facts, { join: ['n4'] }, FOUR);
    expect([begun.epoch, shown(begun)]).toEqual([2, 'n1 active, n2 active, n3 active, n4 joining']);
    const steps = run(begun);
    expect(steps.map(stages)).toEqual([
      ['planned', 'stable'],
      ['dual', 'stable'],
      ['read-new', 'stable'],
      ['offload', 'stable'],
      ...steps.slice(4).map(() => ['stable']),
    ]);
    const end = steps.at(-1)!;
    expect(shown(end)).toBe('n1 active, n2 active, n3 active, n4 active');
    expect([end.ring.change, end.ring.voters]).toEqual([undefined, [0, 1, 2, 3]]);
    const share = entries(end.ring).filter(({ owners }) => owners.includes(nodeIndex(3))).length;
    expect(share).toBe(12);
    expect(advanceChange(end, evidence())).toBe(end);
    expect(entries(begin(end, {}).ring).every(({ move }) => move === undefined)).toBe(true);
  });

  test('waits for the newcomer, for what it has to take over, and for those that go by earlier rules', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
    expect(run(begun, evidence({ isReady: () => false }))).toEqual([begun]);
    const noneDone = run(begun, evidence({ isDone: () => false })).at(-1)!;
    expect(stages(noneDone)).toEqual(['dual', 'stable']);
    expect(advanceChange(noneDone, evidence({ mayEnd: () => false }))).toBe(noneDone);
    const read = advanceChange(noneDone, evidence());
    expect(stages(read)).toEqual(['read-new', 'stable']);
    expect(stages(run(read, evidence({ mayEnd: () => false })).at(-1)!)).toEqual(['read-new', 'stable']);
    // Of an earlier stage, or of another disk.
    const old = evidence({ isDone: (_member, _n, _partition, changedIn) => changedIn < noneDone.epoch });
    expect(advanceChange(noneDone, old)).toBe(noneDone);
  });

  test('goes on in portions, and what cannot go on keeps nobody else waiting', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
    const inDual = ({ ring }: Facts): number => entries(ring).filter(({ move }) => move?.stage === 'dual').length;
    const steps = run(begun, evidence({ portion: 5 }));
    expect(Math.max(...steps.map(inDual))).toBe(5);
    expect(steps.at(-1)!.ring.change).toBeUndefined();
    const some = { portion: 5, isDone: (_member: Member, _n: number, partition: number) => partition < 4 };
    const waits = run(begun, evidence(some)).at(-1)!;
    expect([inDual(waits), stages(waits)]).toEqual([5, ['dual', 'planned', 'stable']]);
    const stuck = run(begun, evidence({ ...some, isStuck: (_member, _n, partition) => partition >= 4 })).at(-1)!;
    expect(stages(stuck)).toEqual(['dual', 'stable']);
    const end = run(steered(waits, 'aborting')).at(-1)!;
    expect([end.ring.change, stages(end)]).toEqual([undefined, ['stable']]);
  });

  test('nothing happens while it is paused, and what is aborted stays so', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
    const paused = steered(begun, 'paused');
    expect(advanceChange(paused, evidence())).toBe(paused);
    expect(steered(paused, 'paused')).toBe(paused);
    expect(run(steered(paused, 'running')).at(-1)!.ring.change).toBeUndefined();
    const aborting = steered(paused, 'aborting');
    expect(steerChange(aborting, 'running')).toEqual({ refused: 'the change is being aborted' });
    expect(steerChange(factsOf(['z1']), 'paused')).toEqual({ refused: 'no change is under way' });
    expect(beginChange(begun, 'another', {} as never, SIZE)).toEqual({
      refused: 'another change is under way: some plan',
    });
  });

  test('a change that is named is the one that is steered, and no other', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
    const steer = (facts: Facts, id: string) => steerChange(facts, 'aborting', [], id);
    const aborting = steer(begun, 'some plan') as Facts;
    expect(aborting.ring.change!.state).toBe('aborting');
    const another = 'change another is not under way, and another one is: some plan; nothing was changed';
    for (const facts of [begun, aborting]) expect(steer(facts, 'another')).toEqual({ refused: another });
    const none = 'change some plan is not under way, and no other is; nothing was changed';
    expect(steer(factsOf(['z1']), 'some plan')).toEqual({ refused: none });

    const [done, back] = [run(begun).at(-1)!, run(aborting).at(-1)!];
    const over = 'change some plan is done already, and no other is; nothing was changed';
    expect(steer(done, 'some plan')).toEqual({ refused: over });
    // Sent again after the first answer was lost.
    expect(steer(back, 'some plan')).toBe(back);
    expect(steerChange(back, 'running', [], 'some plan')).toEqual({
      refused: over.replace('is done', 'was taken back'),
    });
  });

  test('who alone decides goes on deciding until another can', () => {
    const begun = begin(factsOf(['z1']), { replace: [['n1', 'n4']] }, FOUR);
    expect(run(begun, evidence({ isReady: () => false })).at(-1)!.ring.voters).toEqual([0]);
    expect(run(begun).at(-1)!.ring.voters).toEqual([1]);
  });

  test('who leaves decides along until the one that comes instead can', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1']), { replace: [['n2', 'n4']] }, FOUR);
    const voters = (given: Evidence): readonly string[] => run(begun, given).map(({ ring }) => ring.voters.join());
    expect(new Set(voters(evidence({ isReady: () => false })))).toEqual(new Set(['0,1,2']));
    expect([...new Set(voters(evidence()))]).toEqual(['0,1,2', '0,1,2,3', '0,2,3']);
    // Of four one can be lost, as of three: the one that leaves may be away already.
    const four = begin(factsOf(['z1', 'z1', 'z1', 'z1']), { replace: [['n2', 'n5']] }, [newcomer('n5')]);
    expect(run(four, evidence({ isReady: () => false })).at(-1)!.ring.voters).toEqual([0, 2, 3]);
    const taken = steered(run(begun, evidence({ isDone: () => false })).at(-1)!, 'aborting');
    // Nobody comes instead, and it goes on as long as it has something to give.
    const leaving = run(begin(factsOf(['z1', 'z1', 'z1']), { leave: ['n3'] })).filter(({ ring }) =>
      entries(ring).some(({ move }) => move !== undefined),
    );
    expect([...new Set(leaving.map(({ ring }) => ring.voters.join()))]).toEqual(['0,1,2']);
    expect([...new Set(run(taken).map(({ ring }) => ring.voters.join()))]).toEqual(['0,1,2']);
  });

  test.each([0, 1, 2])(
    'taken back after %i steps, everything is as before and the node can be planned in again',
    (steps) => {
      const facts = factsOf(['z1', 'z1', 'z1']);
      let now = begin(facts, { join: ['n4'] }, FOUR);
      for (let step = 0; step < steps; step++) now = advanceChange(now, evidence());
      const end = run(steered(now, 'aborting')).at(-1)!;
      expect(entries(end.ring).map(({ owners }) => owners)).toEqual(entries(facts.ring).map(({ owners }) => owners));
      expect([end.ring.change, end.ring.voters]).toEqual([undefined, [0, 1, 2]]);
      expect(end.ring.members[3]).toMatchObject({ state: 'removed', storageId: null });
      const again = run(begin(end, { join: ['n4'] }, FOUR)).at(-1)!;
      expect(shown(again)).toBe('n1 active, n2 active, n3 active, n4 removed, n4 active');
    },
  );

  test('a disk that may have something of it, and is not there to tell, stays out', () => {
    let now = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
    now = advanceChange(now, evidence());
    const away = evidence({
      isDone: () => false,
      isEmpty: () => false,
      keepsNothing: () => false,
      isAway: ({ id }) => id === 'n4',
      isGone: ({ id }) => id === 'n4',
    });
    const end = run(steered(now, 'aborting'), away).at(-1)!;
    expect(end.ring.change).toBeUndefined();
    expect(end.ring.members[3]).toMatchObject({ state: 'removed', storageId: diskOf('n4') });
  });

  test('taken back when it owns some for good, it keeps those and stays', () => {
    const facts = factsOf(['z1', 'z1', 'z1']);
    const begun = begin(facts, { join: ['n4'] }, FOUR);
    const some = evidence({ isReady: () => true, isDone: (_member, _n, partition) => partition < 8 });
    const half = run(begun, some).at(-1)!;
    expect(stages(half)).toEqual(['dual', 'stable']);
    const end = run(steered(half, 'aborting')).at(-1)!;
    expect(shown(end)).toBe('n1 active, n2 active, n3 active, n4 active');
    expect(end.ring.change).toBeUndefined();
    const owned = entries(end.ring).filter(({ owners }) => owners.includes(nodeIndex(3))).length;
    expect(owned).toBeGreaterThan(0);
    expect(owned).toBeLessThan(12);
  });
});

describe('a leave', () => {
  test('ends when the node keeps no only copies, or cannot be reached', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1', 'z1']), { leave: ['n2'] });
    expect(shown(begun)).toBe('n1 active, n2 leaving, n3 active, n4 active');
    const held = run(begun, evidence({ keepsNothing: () => false })).at(-1)!;
    expect([shown(held), stages(held)]).toEqual(['n1 active, n2 leaving, n3 active, n4 active', ['stable']]);
    expect(held.ring.voters).toEqual([0, 2, 3]);
    const free = run(held).at(-1)!;
    expect(shown(free)).toBe('n1 active, n2 removed, n3 active, n4 active');
    expect(free.ring.members[1]!.storageId).toBe(diskOf('n2'));
    const gone = run(
      held,
      evidence({ keepsNothing: () => false, isAway: ({ id }) => id === 'n2', isGone: ({ id }) => id === 'n2' }),
    ).at(-1)!;
    expect(gone.ring.change).toBeUndefined();
  });

  test('a dead one is not waited for where it would have to bring something; one that stays is', () => {
    const facts = factsOf(['z1', 'z1', 'z1', 'z1']);
    const dead = evidence({
      isDone: ({ id }) => id !== 'n2',
      keepsNothing: ({ id }) => id !== 'n2',
      isAway: ({ id }) => id === 'n2',
      isGone: ({ id }) => id === 'n2',
    });
    expect(run(begin(facts, { leave: ['n2'] }), dead).at(-1)!.ring.change).toBeUndefined();
    const moved = begin(facts, { weights: [['n2', 0.5]] });
    const stuck = run(
      moved,
      evidence({
        isDone: ({ id }, _n, _p, since) => id !== 'n2' || since < 0,
        isAway: ({ id }) => id === 'n2',
        isGone: ({ id }) => id === 'n2',
      }),
    );
    expect(stages(stuck.at(-1)!)).toContain('offload');
  });

  test('taken back, the node is active again', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1', 'z1']), { leave: ['n2'] });
    const end = run(steered(advanceChange(begun, evidence()), 'aborting')).at(-1)!;
    expect(shown(end)).toBe('n1 active, n2 active, n3 active, n4 active');
    expect(end.ring.voters).toEqual([0, 1, 2, 3]);
  });

  test('one that has lost its disk is no answer until it is filled, and leaves all the same', () => {
    const begun = begin(factsOf(['z1', 'z1', 'z1', 'z1']), { leave: ['n2'] });
    const self = { ...begun.ring.members[1]!, storageId: diskOf('new') };
    const wiped = introduceSelf(advanceChange(begun, evidence()), self) as Facts;
    expect(shown(wiped)).toBe('n1 active, n2 refilling, n3 active, n4 active');
    for (const entry of entries(wiped.ring)) {
      if (writersOf(entry).includes(nodeIndex(1))) expect(entry.changedIn).toBe(wiped.epoch);
    }
    const filled = finishRefill(wiped, self) as Facts;
    expect(shown(filled)).toBe('n1 active, n2 leaving, n3 active, n4 active');
    expect(shown(run(filled).at(-1)!)).toBe('n1 active, n2 removed, n3 active, n4 active');
    expect(shown(run(wiped).at(-1)!)).toBe('n1 active, n2 removed, n3 active, n4 active');
  });
});

test('a newcomer that loses its disk begins anew, and is filled where it serves reads already', () => {
  const begun = begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR);
  const self = { ...begun.ring.members[3]!, storageId: diskOf('new') };
  const wiped = introduceSelf(advanceChange(begun, evidence()), self) as Facts;
  expect(shown(wiped)).toBe('n1 active, n2 active, n3 active, n4 joining');
  const read = advanceChange(advanceChange(begun, evidence()), evidence());
  expect(shown(introduceSelf(read, self) as Facts)).toBe('n1 active, n2 active, n3 active, n4 refilling');
});

test('one becomes three and one again, and a node is replaced', () => {
  const one = factsOf(['z1']);
  const three = run(begin(one, { join: ['n2', 'n3'] }, [newcomer('n2'), newcomer('n3')])).at(-1)!;
  expect([shown(three), three.ring.voters]).toEqual(['n1 active, n2 active, n3 active', [0, 1, 2]]);
  expect(entries(three.ring).every(({ owners }) => owners.length === 3)).toBe(true);
  const replaced = run(begin(three, { replace: [['n2', 'n4']] }, FOUR)).at(-1)!;
  expect(shown(replaced)).toBe('n1 active, n2 removed, n3 active, n4 active');
  const back = run(begin(replaced, { leave: ['n3', 'n4'] })).at(-1)!;
  expect([placeableMembers(back.ring.members).map(({ id }) => id), back.ring.voters]).toEqual([['n1'], [0]]);
  expect(entries(back.ring).every(({ owners, move }) => owners.join() === '0' && move === undefined)).toBe(true);
});

describe('strong keys', () => {
  const STRONG = [{ name: 's', dropped: false, properties: { consistency: 'strong', n: 3 } }] as never;
  const begun = { ...begin(factsOf(['z1', 'z1', 'z1']), { join: ['n4'] }, FOUR), buckets: STRONG };
  const read = advanceChange(advanceChange(begun, evidence()), evidence());

  test('new owners take over what was chosen before the old ones may go', () => {
    const lacking = evidence({ isDone: (_member, _n, _partition, since) => since < read.epoch });
    expect(stages(run(read, lacking).at(-1)!)).toEqual(['read-new', 'stable']);
    expect(run(read).at(-1)!.ring.change).toBeUndefined();
  });

  test('what new owners vote on is not taken back', () => {
    const end = run(steered(read, 'aborting')).at(-1)!;
    expect(shown(end)).toBe('n1 active, n2 active, n3 active, n4 active');
    expect(entries(end.ring).filter(({ owners }) => owners.includes(nodeIndex(3))).length).toBe(12);
  });

  test('a former owner that has lost its disk does not seem to be one that knows', () => {
    const left = begin(factsOf(['z1', 'z1', 'z1', 'z1']), { leave: ['n2'] });
    const now = advanceChange(advanceChange(left, evidence()), evidence());
    const self = { ...now.ring.members[1]!, storageId: diskOf('new') };
    const wiped = introduceSelf(now, self) as Facts;
    expect(shown(wiped)).toBe('n1 active, n2 refilling, n3 active, n4 active');
    expect(finishRefill(wiped, self)).toEqual({ refused: 'partitions of n2 are on their way to others' });
  });
});
