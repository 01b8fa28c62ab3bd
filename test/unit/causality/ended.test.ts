/** Versions that all replicas agree on to have ended may go at any of them, and no reader is shown anything else for it. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endNoLater, withoutEnded } from '#causality/ended.ts';
import { joinStates } from '#causality/join.ts';
import { EMPTY_STATE, EMPTY_VECTOR, type State } from '#causality/state.ts';
import { touched } from '#causality/touch.ts';
import { applyWrite } from '#causality/write.ts';
import { contentOf, dot } from './examples.ts';

const REPLICAS = 3;
/** After everything that happens; what ends at the first two has ended then. */
const ENDS = [1001, 1002, 1003, 0];
const NOW = 1002;

const replica = fc.nat(REPLICAS - 1);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('write' as const), replica, blind: fc.boolean(), end: fc.nat(3) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('touch' as const), replica, end: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('join' as const), replica, from: replica }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What all have from the beginning, and what ends first. */
const FIRST = after([EMPTY_STATE], { kind: 'write', replica: 0, blind: true, end: 0 }, 1);

function after(states: readonly State[], one: Step, now: number): State {
  const state = states[one.replica]!;
  const fresh = dot(one.replica, now);
  if (one.kind === 'join') return joinStates(state, states[one.from]!, 'siblings');
  const expiresAt = ENDS[one.end]!;
  if (one.kind === 'touch') {
    if (state.versions.length === 0) return state;
    return touched(state, { context: state.vector, dot: fresh, expiresAt, now });
  }
  const context = one.blind ? EMPTY_VECTOR : state.vector;
  return applyWrite(state, { context, dot: fresh, content: contentOf(`${now}`), expiresAt, conflicts: 'siblings' });
}

const joined = (states: readonly State[]): State => states.reduce((a, b) => joinStates(a, b, 'siblings'), EMPTY_STATE);

const liveIn = ({ versions }: State): readonly State['versions'][number][] =>
  versions.filter(({ expiresAt }) => expiresAt === 0 || expiresAt > NOW);

test('what all replicas agree on goes, wherever and whenever, and all else stays', () => {
  let gone = 0;
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 24 }),
      fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      (steps, at) => {
        let states: readonly State[] = Array.from({ length: REPLICAS }, () => FIRST);
        for (const [i, one] of steps.entries()) states = states.with(one.replica, after(states, one, i + 2));
        const ended = states[0]!.versions.filter(({ expiresAt }) => expiresAt !== 0 && expiresAt <= NOW);
        if (ended.length === 0 || !states.every((state) => endNoLater(state, ended))) return;
        const without = states.map((state, i) => (at[i] === true ? withoutEnded(state, ended) : state));
        expect(liveIn(joined(without))).toEqual(liveIn(joined(states)));
        if (at.includes(true)) {
          gone += 1;
          for (const { dot: went } of ended)
            expect(joined(without).versions.map((one) => one.dot)).not.toContainEqual(went);
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(gone).toBeGreaterThan(20);
});

test('a replica that has not heard of a version agrees to nothing', () => {
  expect(endNoLater(EMPTY_STATE, FIRST.versions)).toBe(false);
});
