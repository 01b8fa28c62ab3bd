import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalStates, includes, joinStates } from '#causality/join.ts';
import type { Dot } from '#causality/dot.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { Cluster, history } from './history.ts';
import { contentOf, dot, stateOf } from './examples.ts';

const BOTH: readonly Conflicts[] = ['siblings', 'lww'];

/** Three states that one history has produced: laws need not hold for states that no history can produce. */
function threeStates(conflicts: Conflicts): fc.Arbitrary<readonly [State, State, State]> {
  return fc.tuple(history, fc.nat(), fc.nat(), fc.nat()).map(([operations, ...picks]) => {
    const { states } = new Cluster(conflicts).run(operations);
    const [a, b, c] = picks.map((pick) => states[pick % states.length]!);
    return [a!, b!, c!] as const;
  });
}

for (const conflicts of BOTH) {
  const join = (a: State, b: State): State => joinStates(a, b, conflicts);

  test(`${conflicts}: join is commutative, associative and idempotent`, () => {
    fc.assert(
      fc.property(threeStates(conflicts), ([a, b, c]) => {
        expect(equalStates(join(a, b), join(b, a))).toBe(true);
        expect(equalStates(join(a, join(b, c)), join(join(a, b), c))).toBe(true);
        expect(join(a, a)).toBe(a);
        expect(join(a, EMPTY_STATE)).toBe(a);
      }),
      { numRuns: 400 },
    );
  });

  test(`${conflicts}: join is the least state that includes both, and is the very object that already is it`, () => {
    fc.assert(
      fc.property(threeStates(conflicts), ([a, b, c]) => {
        const both = join(a, b);
        expect(includes(both, a) && includes(both, b)).toBe(true);
        expect(includes(a, b)).toBe(equalStates(both, a));
        expect(both === a || both === b).toBe(includes(a, b) || includes(b, a));
        expect(!includes(a, b) || both === a).toBe(true);
        expect(!(includes(c, a) && includes(c, b)) || includes(c, both)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
}

const a1 = dot(1, 10);
const b2 = dot(2, 20);

test('a version that the other side knew and dropped goes', () => {
  const live = stateOf([a1], [a1]);
  expect(joinStates(live, stateOf([a1], []), 'siblings').versions).toEqual([]);
  expect(joinStates(live, stateOf([b2], [b2]), 'siblings').versions.map((version) => version.dot)).toEqual([a1, b2]);
});

test('equal vectors, one side without a version: that side already is the join', () => {
  const [more, less] = [stateOf([a1, b2], [a1, b2]), stateOf([a1, b2], [b2])];
  expect(joinStates(more, less, 'siblings')).toBe(less);
  expect(joinStates(less, more, 'siblings')).toBe(less);
});

test('content that only one side has taken away comes back', () => {
  const full = stateOf([a1, b2], [a1, b2]);
  const without = (...dots: readonly Dot[]): State => ({
    vector: full.vector,
    versions: full.versions.map((version) => (dots.includes(version.dot) ? { ...version, content: null } : version)),
  });
  const [noA, noB] = [without(a1), without(b2)];
  expect(joinStates(noA, full, 'siblings')).toBe(full);
  expect(joinStates(full, noA, 'siblings')).toBe(full);
  for (const joined of [joinStates(noA, noB, 'siblings'), joinStates(noB, noA, 'siblings')])
    expect(joined).toEqual(full);
  expect([includes(noA, full), includes(full, noA), includes(noA, noA)]).toEqual([false, true, true]);
});

test('lww keeps the latest by time and covers the rest; the actor breaks a tie', () => {
  const joined = joinStates(stateOf([dot(1, 30)], [dot(1, 30)]), stateOf([b2], [b2]), 'lww');
  expect(joined.vector).toEqual([dot(1, 30), b2]);
  expect(joined.versions.map((version) => version.dot)).toEqual([dot(1, 30)]);
  const tie = joinStates(stateOf([dot(1, 20)], [dot(1, 20)]), stateOf([b2], [b2]), 'lww');
  expect(tie.versions.map((version) => version.dot)).toEqual([b2]);
});

test('lww: a deletion marker wins over an earlier write that arrives later, and loses to a later one', () => {
  const marker: State = { vector: [b2], versions: [{ dot: b2, content: null, expiresAt: 0 }] };
  expect(joinStates(stateOf([a1], [a1]), marker, 'lww').versions).toEqual(marker.versions);
  expect(joinStates(marker, stateOf([dot(1, 21)], [dot(1, 21)]), 'lww').versions[0]!.content).toEqual(
    contentOf('1/1/21'),
  );
});

test('why dots must extend causality: with an order that does not, each side drops what the other kept', () => {
  // Node 2, whose clock is behind, supersedes the write of node 1; node 3 writes meanwhile. Nobody deletes anything.
  const [first, second, third] = [dot(1, 100), dot(2, 50), dot(3, 70)];
  const [ahead, behind, between] = [
    stateOf([first], [first]),
    stateOf([first, second], [second]),
    stateOf([third], [third]),
  ];
  const [one, other] = [joinStates(ahead, between, 'lww'), joinStates(behind, between, 'lww')];
  expect(one.versions.map((version) => version.dot)).toEqual([first]);
  expect(other.versions.map((version) => version.dot)).toEqual([third]);
  expect(joinStates(one, other, 'lww').versions).toEqual([]);
});

test('a bucket that becomes lww settles its siblings at the next join', () => {
  const siblings = stateOf([a1, b2], [a1, b2]);
  expect(joinStates(siblings, EMPTY_STATE, 'lww').versions.map((version) => version.dot)).toEqual([b2]);
});
