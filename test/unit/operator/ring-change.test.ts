import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Facts } from '#consensus/facts.ts';
import { finishRefill, introduceSelf } from '#consensus/introduce-self.ts';
import { epoch, nodeId, nodeIndex, storageId, type NodeIndex } from '#kernel/identity.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { changeMembers, type Newcomer, type RingChange } from '#ring/change.ts';
import { MOVE_STAGES, newOwners, oldOwners, stageMayEnd, writersOf, type Installed } from '#ring/moving.ts';
import { planRing } from '#ring/plan.ts';
import { placeableMembers } from '#ring/placement.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import { VOTERS_MAX, type Member, type PartitionOwners, type Ring } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

const NOTHING: RingChange = { join: [], leave: [], replace: [], weights: [], zones: [] };

function factsOf(zones: readonly string[], partitions = 16): Facts {
  const ring = ringOf(zones, partitions);
  const members = ring.members.map((member) => ({ ...member, storageId: diskOf(member.id) }));
  return { epoch: epoch(1), ring: { ...ring, members }, buckets: [], tokens: [] };
}

function diskOf(id: string): NonNullable<Member['storageId']> {
  return storageId(Buffer.from(id).toString('hex').padStart(32, '0'));
}

function newcomer(id: string, zone = 'z1'): Newcomer {
  return { id: nodeId(id), storageId: diskOf(id), peer: `${id}:1`, url: `http://${id}`, zone, weight: 1 };
}

/** Everybody has done everything, as long as nothing else is said. */
function evidence(but: Partial<Evidence> = {}): Evidence {
  const yes = (): boolean => true;
  return {
    isDone: yes,
    isStuck: () => false,
    portion: Infinity,
    isReady: yes,
    keepsNothing: yes,
    isEmpty: yes,
    mayEnd: yes,
    isAway: () => false,
    isGone: () => false,
    ...but,
  };
}

const SIZE = { keys: 0, bytes: 0 };

function begin(facts: Facts, change: Partial<RingChange>, newcomers: readonly Newcomer[] = []): Facts {
  const changed = changeMembers(facts.ring, { ...NOTHING, ...change }, newcomers);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const begun = beginChange(facts, 'some plan', planRing(facts.ring, changed), SIZE);
  if ('refused' in begun) throw new Error(begun.refused);
  return begun;
}

function steered(facts: Facts, state: 'running' | 'paused' | 'aborting'): Facts {
  const after = steerChange(facts, state);
  if ('refused' in after) throw new Error(after.refused);
  return after;
}

/** Goes on as far as the evidence carries, and checks each step. */
function run(begun: Facts, given: Evidence = evidence(), most = 100): readonly Facts[] {
  const all = [begun];
  for (let step = 0; step < most; step++) {
    const before = all.at(-1)!;
    const after = advanceChange(before, given);
    if (after === before) {
      checkVoters(all);
      return all;
    }
    checkStep(before, after);
    all.push(after);
  }
  throw new Error('it never comes to rest');
}

/** On the way no fewer voters may be lost than before or in the end, but for one where there are as many as there may be. */
function checkVoters(steps: readonly Facts[]): void {
  const spare = (count: number): number => Math.ceil(count / 2) - 1;
  const spares = steps.map(({ ring }) => spare(ring.voters.length));
  const isFull = steps.some(({ ring }) => ring.voters.length === VOTERS_MAX);
  // Where it was to lead before it was taken back.
  const planned = steps[0]!.ring.members.filter(({ state }) => state !== 'removed' && state !== 'leaving').length;
  const least = Math.min(spares[0]!, spares.at(-1)!, spare(planned)) - Number(isFull);
  expect(Math.min(...spares)).toBeGreaterThanOrEqual(least);
}

function entries({ placements }: Ring): readonly PartitionOwners[] {
  return placements.flatMap(({ partitions }) => partitions);
}

const same = (a: readonly NodeIndex[], b: readonly NodeIndex[]): boolean => a.join() === b.join();

/** What every step has to keep, whoever drives. */
function checkStep(before: Facts, after: Facts): void {
  expect(after.epoch).toBe(before.epoch + 1);
  expect(ringFromWire(ringToWire(after.ring))).toEqual(after.ring);
  const [was, is] = [entries(before.ring), entries(after.ring)];
  for (const [i, entry] of is.entries()) {
    const former = was[i]!;
    if (entry === former || JSON.stringify(entry) === JSON.stringify(former)) continue;
    const stages = [former.move?.stage, entry.move?.stage].map((stage) => MOVE_STAGES.indexOf(stage!));
    const moved = !same(former.owners, entry.owners) || !same(writersOf(former), writersOf(entry));
    // Whoever knows only the stage before must be refused where it would do something else now.
    if (moved) expect(entry.changedIn).toBe(after.epoch);
    if (stages[0] === 1 && stages[1] === 2) expect(entry.owners).toEqual(newOwners(former));
    if (stages[0] === 0 && stages[1] === 1)
      expect([entry.owners, newOwners(entry)]).toEqual([former.owners, newOwners(former)]);
    // Only neighbours: no stage is left out on the way to the new owners, and none on the way back.
    const legal = [
      [-1, -1],
      [0, 1],
      [0, -1],
      [1, 2],
      [2, 1],
      [1, 3],
      [1, -1],
      [2, 3],
      [2, -1],
      [3, -1],
      // Some of those that have something to bring have done so; or had it to bring from before, when a plan is taken back.
      [3, 3],
      [0, 3],
    ];
    expect(legal).toContainEqual(stages);
    if (stages[0] === 1 && stages[1] !== 2) expect(entry.owners).toEqual(oldOwners(former));
    if (stages[0] === 2 && stages[1] !== 1) expect(entry.owners).toEqual(newOwners(former));
  }
  const [voted, votes] = [new Set(before.ring.voters), new Set(after.ring.voters)];
  const difference = [...voted, ...votes].filter((index) => voted.has(index) !== votes.has(index));
  expect(difference.length, 'voters change one at a time').toBeLessThanOrEqual(1);
  const states = new Map(after.ring.members.map(({ index, state }) => [index, state]));
  for (const index of [...after.ring.voters, ...is.flatMap(writersOf)]) expect(states.get(index)).not.toBe('removed');
}

function shown({ ring }: Facts): string {
  return ring.members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

function stages({ ring }: Facts): readonly string[] {
  return [...new Set(entries(ring).map(({ move }) => move?.stage ?? 'stable'))].sort();
}

const FOUR = [newcomer('n4')];

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

test('of two former owners one is done, and the other is away: the change is over', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1', 'z1']);
  const begun = begin(facts, {
    weights: [
      ['n1', 0.1],
      ['n2', 0.1],
    ],
  });
  const steps = run(begun, HALF);
  expect(steps.some(({ ring }) => entries(ring).some(({ move }) => move?.others.length === 2))).toBe(true);
  const end = steps.at(-1)!;
  expect(end.ring.change).toBeUndefined();
  expect(debtors(end)).toEqual([1]);
});

/** Members that have something to bring, now or later. */
function debtors({ ring }: Facts): readonly number[] {
  const all = entries(ring).flatMap(({ move }) => [
    ...(move?.stage === 'offload' ? move.others : []),
    ...(move?.owed ?? []),
  ]);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The second node is away, and its part is done by nobody. */
const HALF = evidence({ isDone: ({ id }) => id !== 'n2', isAway: ({ id }) => id === 'n2' });

describe('a plan for partitions of which a former owner that is away has something to bring', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1', 'z1']);
  const owed = run(begin(facts, { weights: [['n2', 0.1]] }), HALF).at(-1)!;
  const replaces = begin(
    owed,
    {
      replace: [
        ['n1', 'n6'],
        ['n2', 'n7'],
      ],
    },
    [newcomer('n6'), newcomer('n7')],
  );
  const moved = entries(replaces.ring).filter(({ move }) => move?.owed !== undefined);

  test('taken back, that one has it to bring still', () => {
    expect(moved.length).toBeGreaterThan(0);
    for (const steps of [0, 1, 2]) {
      let begun = replaces;
      for (let step = 0; step < steps; step++) begun = advanceChange(begun, HALF);
      const back = run(steered(begun, 'aborting'), HALF).at(-1)!;
      expect([steps, shown(back)]).toEqual([steps, expect.stringContaining('n2 active')]);
      expect([steps, debtors(back)]).toEqual([steps, [1]]);
      expect(entries(back.ring).filter(({ move }) => move !== undefined).length).toBeGreaterThanOrEqual(moved.length);
      expect(entries(run(back).at(-1)!.ring).filter(({ move }) => move !== undefined)).toEqual([]);
    }
  });

  test('it is not let go before it has brought it when it is back, and owes nothing when it is gone', () => {
    const there = evidence({ isDone: ({ id }) => id !== 'n2' });
    const waits = run(replaces, there).at(-1)!;
    expect([shown(waits), debtors(waits)]).toEqual([
      expect.stringContaining('n2 leaving'),
      expect.arrayContaining([1]),
    ]);
    expect(debtors(run(waits).at(-1)!)).toEqual([]);
    const gone = run(replaces, { ...HALF, isGone: ({ id }) => id === 'n2' }).at(-1)!;
    expect([shown(gone), debtors(gone), gone.ring.change]).toEqual([
      expect.stringContaining('n2 removed'),
      [],
      undefined,
    ]);
  });
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

/** Some of what is asked is true, some not, otherwise at each step. */
function someEvidence(draw: () => boolean): Evidence {
  return {
    isDone: draw,
    isStuck: draw,
    portion: 4,
    isReady: draw,
    keepsNothing: draw,
    isEmpty: draw,
    mayEnd: draw,
    isAway: () => false,
    isGone: () => false,
  };
}

test('whatever is known when, and however often it is taken back: each step is legal, and it comes to an end', () => {
  const change = fc.record({
    zones: fc.array(fc.constantFrom('z1', 'z2', 'z3'), { minLength: 1, maxLength: 6 }),
    joins: fc.array(fc.constantFrom('z1', 'z2', 'z4'), { maxLength: 3 }),
    leaves: fc.nat(2),
    abortAt: fc.option(fc.nat(6), { nil: undefined }),
    answers: fc.infiniteStream(fc.boolean()),
  });
  fc.assert(
    fc.property(change, ({ zones, joins, leaves, abortAt, answers }) => {
      const facts = factsOf(zones);
      const newcomers = joins.map((zone, i) => newcomer(`m${i}`, zone));
      const leave = zones.slice(0, Math.min(leaves, zones.length + joins.length - 1)).map((_, i) => `n${i + 1}`);
      let now = begin(facts, { join: newcomers.map(({ id }) => id), leave }, newcomers);
      const all = [now];
      const draw = (): boolean => answers.next().value as boolean;
      for (let step = 0; step < 12 && now.ring.change !== undefined; step++) {
        if (step === abortAt) now = steered(now, 'aborting');
        const after = advanceChange(now, someEvidence(draw));
        if (after !== now) checkStep(now, after);
        now = after;
        all.push(now);
      }
      all.push(...run(now));
      checkVoters(all);
      const end = all.at(-1)!;
      expect(end.ring.change).toBeUndefined();
      const left = placeableMembers(end.ring.members);
      expect(end.ring.members.every(({ state }) => state === 'active' || state === 'removed')).toBe(true);
      for (const { owners } of entries(end.ring)) {
        expect(new Set(owners).size).toBe(owners.length);
        if (abortAt === undefined) expect(owners.length).toBe(Math.min(3, left.length));
      }
    }),
    { numRuns: 150 },
  );
});

test('a stage may end when nobody goes by the one before, and those who cannot be asked are no majority', () => {
  const [a, b, c, d] = [0, 1, 2, 3].map(nodeIndex) as [NodeIndex, NodeIndex, NodeIndex, NodeIndex];
  const entry: PartitionOwners = { owners: [a, b, c], changedIn: epoch(3), move: { stage: 'dual', others: [b, c, d] } };
  const may = (standing: Readonly<Record<number, Installed>>): boolean =>
    stageMayEnd(entry, (index) => standing[index] ?? 'installed');
  expect(may({})).toBe(true);
  expect(may({ 3: 'behind' })).toBe(false);
  expect(may({ 0: 'away' })).toBe(true);
  expect(may({ 0: 'away', 3: 'away' })).toBe(true);
  expect(may({ 0: 'away', 1: 'away' })).toBe(false);
  expect(may({ 1: 'away', 3: 'away' })).toBe(false);
});
