/** A change that is taken back leaves nothing: weights, zones and the order of owners are as before. */

import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Facts } from '#consensus/facts.ts';
import { introduceSelf } from '#consensus/introduce-self.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { advanceChange, steerChange } from '#operator/ring-change.ts';
import { forced } from '#operator/ring-force.ts';
import { changeMembers, type RingChange } from '#ring/change.ts';
import { planRing, type RingPlan } from '#ring/plan.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import type { Ring } from '#ring/ring.ts';
import { begin, checkStep, diskOf, entries, evidence, factsOf, newcomer, run, steered } from './ring-steps.ts';

const NOTHING: RingChange = { join: [], leave: [], replace: [], weights: [], zones: [] };
const NEVER_DONE = evidence({ isDone: () => false });

function takenBack(facts: Facts): Facts {
  const aborting = steered(facts, 'aborting');
  checkStep(facts, aborting);
  return run(aborting).at(-1)!;
}

/** What the change of the ring has not taken from anybody: who they are, where, how heavy, and whom each partition asks first. */
function shapeOf({ members, placements }: Ring, count: number): unknown {
  return {
    members: members.slice(0, count).map(({ id, zone, weight, state }) => [id, zone, weight, state]),
    owners: placements.map(({ partitions }) => partitions.map(({ owners }) => owners)),
  };
}

function leftToDo({ ring }: Facts): Pick<RingPlan, 'moves' | 'dropped' | 'reordered'> {
  const changed = changeMembers(ring, NOTHING, []);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const { moves, dropped, reordered } = planRing(ring, changed);
  return { moves, dropped, reordered };
}

describe.each<[string, readonly string[], Partial<RingChange>]>([
  ['a weight', ['z1', 'z1', 'z1', 'z1'], { weights: [['n2', 2]] }],
  ['a zone', ['z1', 'z2', 'z3', 'z3'], { zones: [['n4', 'z1']] }],
  [
    'both, of several',
    ['z1', 'z1', 'z1', 'z1'],
    {
      zones: [['n4', 'z2']],
      weights: [
        ['n1', 3],
        ['n4', 0.5],
      ],
    },
  ],
  [
    'a join beside it',
    ['z1', 'z1', 'z1', 'z1'],
    {
      join: ['n5'],
      weights: [
        ['n5', 2],
        ['n1', 2],
      ],
    },
  ],
  ['a leave beside it', ['z1', 'z1', 'z1', 'z1', 'z2'], { leave: ['n3'], zones: [['n1', 'z2']] }],
])('%s', (_, zones, change) => {
  test.each([0, 1, 2])('taken back after %i steps leaves nothing, and the next plan has nothing to do', (steps) => {
    const facts = factsOf(zones, 64);
    expect(leftToDo(facts)).toEqual({ moves: [], dropped: [], reordered: 0 });
    let now = begin(facts, change, [newcomer('n5')]);
    expect(shapeOf(now.ring, zones.length)).not.toEqual(shapeOf(facts.ring, zones.length));
    for (let step = 0; step < steps; step++) now = advanceChange(now, NEVER_DONE);
    const end = takenBack(now);
    expect(shapeOf(end.ring, zones.length)).toEqual(shapeOf(facts.ring, zones.length));
    expect(leftToDo(end)).toEqual({ moves: [], dropped: [], reordered: 0 });
  });
});

test('where nothing moves, it is put back as long as the change is under way', () => {
  const facts = factsOf(['z1', 'z1', 'z1'], 64);
  const begun = begin(facts, { weights: [['n2', 2]] });
  expect(entries(begun.ring).some(({ move }) => move !== undefined)).toBe(false);
  expect(shapeOf(begun.ring, 3)).not.toEqual(shapeOf(facts.ring, 3));
  expect(shapeOf(takenBack(begun).ring, 3)).toEqual(shapeOf(facts.ring, 3));
});

test('of a change that comes to its end nothing is put back, nor kept', () => {
  const end = run(begin(factsOf(['z1', 'z1', 'z1', 'z1']), { weights: [['n2', 2]], zones: [['n1', 'z2']] })).at(-1)!;
  expect(end.ring.members.map(({ zone, weight }) => [zone, weight])).toEqual([
    ['z2', 1],
    ['z1', 2],
    ['z1', 1],
    ['z1', 1],
  ]);
  expect(leftToDo(end)).toEqual({ moves: [], dropped: [], reordered: 0 });
  expect(end.ring.change).toBeUndefined();
});

test('paused first, or aborted twice, or with a member given up: it is put back once', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1']);
  const paused = steered(begin(facts, { weights: [['n2', 2]] }), 'paused');
  const aborting = steered(steered(paused, 'running'), 'aborting');
  expect(steerChange(aborting, 'aborting')).toBe(aborting);
  const lost = steerChange(aborting, 'aborting', [nodeIndex(3)]) as Facts;
  for (const one of [steered(paused, 'aborting'), aborting, lost]) {
    expect(one.ring.members.map(({ weight }) => weight)).toEqual([1, 1, 1, 1]);
    expect(ringFromWire(ringToWire(one.ring))).toEqual(one.ring);
  }
});

test('what has come to its end before stays, with the former weights: the next plan brings the rest back', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1']);
  const some = evidence({ isDone: (_member, _n, partition) => partition < 8 });
  const half = run(begin(facts, { weights: [['n2', 2]] }), some).at(-1)!;
  const end = takenBack(half);
  expect(end.ring.members.map(({ weight }) => weight)).toEqual([1, 1, 1, 1]);
  expect(leftToDo(end).moves.length).toBeGreaterThan(0);
  const again = run(begin(end, {})).at(-1)!;
  const owned = entries(again.ring).flatMap(({ owners }) => owners);
  expect([0, 1, 2, 3].map((index) => owned.filter((owner) => owner === index).length)).toEqual([12, 12, 12, 12]);
});

test('a member that lost its disk meanwhile has its place as before, and a founder seen since keeps what it said', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1']);
  const begun = begin(facts, { weights: [['n2', 2]] });
  const wiped = introduceSelf(begun, { ...begun.ring.members[1]!, storageId: diskOf('new') }) as Facts;
  expect(steered(wiped, 'aborting').ring.members[1]).toMatchObject({ weight: 1, storageId: diskOf('new') });

  const unseen = facts.ring.members.map((member) => (member.id === 'n2' ? { ...member, storageId: null } : member));
  const asked = begin({ ...facts, ring: { ...facts.ring, members: unseen } }, { weights: [['n2', 2]] });
  const self = { ...facts.ring.members[1]!, storageId: diskOf('n2'), zone: 'z7', weight: 3 };
  const back = steered(introduceSelf(asked, self) as Facts, 'aborting');
  expect(back.ring.members[1]).toMatchObject({ zone: 'z7', weight: 3 });
});

test('a ring that is forced takes back what was under way, with its weights', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1', 'z1']);
  const begun = begin(facts, { weights: [['n2', 2]], zones: [['n4', 'z2']] });
  const { next } = forced(begun, ['n1', 'n3', 'n5'], nodeOf(begun, 'n2'), 'forced');
  expect(next.ring.lastChange).toEqual({ id: 'some plan', outcome: 'aborted' });
  expect(next.ring.members.map(({ zone, weight }) => `${zone} ${weight}`)).toEqual(Array(5).fill('z1 1'));
});

function nodeOf({ ring }: Facts, id: string): Ring['members'][number]['id'] {
  return ring.members.find((member) => member.id === id)!.id;
}

test('an older node that decides a step on the way forgets what was before: then the new weights stay', () => {
  const facts = factsOf(['z1', 'z1', 'z1', 'z1']);
  const begun = begin(facts, { weights: [['n2', 2]] });
  const wire = ringToWire(begun.ring) as unknown[];
  const known = ringFromWire(wire.with(6, (wire[6] as unknown[]).slice(0, 8)));
  const { before: _, ...change } = begun.ring.change!;
  expect(known).toEqual({ ...begun.ring, change });
  const end = takenBack({ ...begun, ring: known });
  expect(end.ring.members[1]!.weight).toBe(2);
  expect(entries(end.ring).map(({ owners }) => new Set(owners))).toEqual(
    entries(facts.ring).map(({ owners }) => new Set(owners)),
  );
});

test('whatever is changed, and whenever it is taken back before anything has come to its end: all is as before', () => {
  const any = fc.record({
    zones: fc.array(fc.constantFrom('z1', 'z2', 'z3'), { minLength: 2, maxLength: 6 }),
    joins: fc.boolean(),
    leaves: fc.boolean(),
    weights: fc.array(fc.constantFrom(0.5, 1, 2, 3), { maxLength: 6 }),
    moved: fc.array(fc.constantFrom('z1', 'z4'), { maxLength: 2 }),
    steps: fc.nat(3),
  });
  fc.assert(
    fc.property(any, ({ zones, joins, leaves, weights, moved, steps }) => {
      const facts = factsOf(zones);
      const name = (i: number): string => `n${i + 1}`;
      const stay = zones.length - Number(leaves);
      let now = begin(
        facts,
        {
          join: joins ? ['new'] : [],
          leave: leaves ? [name(stay)] : [],
          weights: weights.slice(0, stay).map((weight, i) => [name(i), weight]),
          zones: moved.slice(0, stay).map((zone, i) => [name(i), zone]),
        },
        [newcomer('new')],
      );
      for (let step = 0; step < steps; step++) {
        const after = advanceChange(now, NEVER_DONE);
        if (after.ring.change !== undefined) now = after;
      }
      expect(shapeOf(takenBack(now).ring, zones.length)).toEqual(shapeOf(facts.ring, zones.length));
    }),
    { numRuns: 200 },
  );
});
