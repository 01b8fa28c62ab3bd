/**
 * Touches on a few replicas, beside the same history without them: they change when things end and nothing else, and every
 * replica knows the latest end that it has heard of.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinStates } from '#causality/join.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE, EMPTY_VECTOR, type Conflicts, type State } from '#causality/state.ts';
import { laterEnd, touched } from '#causality/touch.ts';
import { applyWrite } from '#causality/write.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import { contentOf, dot } from './examples.ts';

const REPLICAS = 3;
const replica = fc.nat(REPLICAS - 1);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('write' as const), replica, blind: fc.boolean(), ends: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), replica }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('touch' as const), replica, ends: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('join' as const), replica, from: replica }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Copy {
  readonly state: State;
  /** Value to the ends that this replica has heard of. */
  readonly ends: ReadonlyMap<string, readonly number[]>;
}

const liveIn = ({ versions }: State): readonly string[] =>
  versions.flatMap(({ content }) => (content === null ? [] : [fromUtf8(content.value)])).toSorted();

/** 0 is never; the others lie after everything that happens. */
const endOf = (which: number): number => (which === 0 ? 0 : 1000 + which);

function run(steps: readonly Step[], conflicts: Conflicts, touches: boolean): readonly (readonly Copy[])[] {
  let copies: readonly Copy[] = Array.from({ length: REPLICAS }, () => ({ state: EMPTY_STATE, ends: new Map() }));
  return steps.map((one, i) => {
    const copy = copies[one.replica]!;
    const next = after(copy, one, i + 1, conflicts, touches, copies);
    copies = copies.with(one.replica, next);
    return copies;
  });
}

function after(
  { state, ends }: Copy,
  one: Step,
  now: number,
  conflicts: Conflicts,
  touches: boolean,
  copies: readonly Copy[],
): Copy {
  const at = dot(one.replica, now);
  switch (one.kind) {
    case 'write':
    case 'delete': {
      const content = one.kind === 'delete' ? null : contentOf(String(now));
      const expiresAt = one.kind === 'delete' ? 0 : endOf(one.ends);
      const context = one.kind === 'write' && one.blind ? EMPTY_VECTOR : state.vector;
      const written = applyWrite(state, { context, dot: at, content, expiresAt, conflicts });
      return { state: written, ends: new Map([...ends, [String(now), [expiresAt]]]) };
    }
    case 'touch': {
      const live = liveIn(state);
      if (!touches || live.length === 0) return { state, ends };
      const expiresAt = endOf(one.ends);
      const known = live.map((name) => [name, [...ends.get(name)!, expiresAt]] as const);
      return {
        state: touched(state, { context: state.vector, dot: at, expiresAt, now }),
        ends: new Map([...ends, ...known]),
      };
    }
    case 'join': {
      const other = copies[one.from]!;
      const sent = decodeState(encodeState(other.state, digest.crc32), digest.crc32);
      const names = new Set([...ends.keys(), ...other.ends.keys()]);
      const both = [...names].map(
        (name) => [name, [...(ends.get(name) ?? []), ...(other.ends.get(name) ?? [])]] as const,
      );
      return { state: joinStates(state, sent, conflicts), ends: new Map(both) };
    }
  }
}

test.each(['siblings', 'lww'] as const)(
  '%s: what is live is as without touches, and ends when it should',
  (conflicts) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const plain = run(steps, conflicts, false);
        for (const [i, copies] of run(steps, conflicts, true).entries()) {
          for (const [at, { state, ends }] of copies.entries()) {
            expect(liveIn(state)).toEqual(liveIn(plain[i]![at]!.state));
            for (const { content, expiresAt } of state.versions)
              if (content !== null) expect(expiresAt).toBe(ends.get(fromUtf8(content.value))!.reduce(laterEnd));
          }
        }
      }),
      { numRuns: 500 },
    );
  },
);

const until = (expiresAt: number, content = contentOf('v')): State => ({
  vector: [dot(1, 10)],
  versions: [{ dot: dot(1, 10), content, expiresAt }],
});
const TOUCH = { context: [dot(1, 10)], dot: dot(2, 20), expiresAt: 300, now: 100 };

test('what was stripped of its content by one that had not heard of the touch gets it back, with the later end', () => {
  const later = touched(until(200), TOUCH);
  const stripped: State = { ...until(200), versions: [{ ...until(200).versions[0]!, content: null }] };
  for (const joined of [joinStates(stripped, later, 'siblings'), joinStates(later, stripped, 'siblings')])
    expect(joined).toEqual(later);
  expect(later.versions[0]).toMatchObject({ dot: dot(1, 10), expiresAt: 300 });
});

test('what has ended, was deleted or was not seen is not touched', () => {
  const refused = 'what was there has ended or was deleted meanwhile';
  expect(() => touched(until(200), { ...TOUCH, now: 200 })).toThrow(refused);
  expect(() => touched({ vector: [dot(1, 10)], versions: [] }, TOUCH)).toThrow(refused);
  expect(() => touched(until(200), { ...TOUCH, context: [dot(1, 9)] })).toThrow(refused);
});
