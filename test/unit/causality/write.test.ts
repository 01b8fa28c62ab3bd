import { expect, test } from 'vitest';
import { joinStates } from '#causality/join.ts';
import { EMPTY_STATE, EMPTY_VECTOR } from '#causality/state.ts';
import type { Conflicts, State, VersionVector } from '#causality/state.ts';
import { applyWrite, counterFor } from '#causality/write.ts';
import { AssertionError } from '#kernel/assert.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { contentOf, dot, stateOf } from './examples.ts';

let ticks = 0;

/** A write by the given node with the rules that a coordinator follows; null deletes. */
function put(
  state: State,
  node: number,
  text: string | null,
  context: VersionVector = EMPTY_VECTOR,
  conflicts: Conflicts = 'siblings',
): State {
  const counter = counterFor(++ticks, context, state);
  const content = text === null ? null : contentOf(text);
  return applyWrite(state, { context, dot: dot(node, counter), content, expiresAt: 0, conflicts });
}

function texts(state: State): readonly (string | null)[] {
  return state.versions.map(({ content }) => (content === null ? null : fromUtf8(content.value)));
}

test('blind writes stand side by side, a write with the context of both replaces them', () => {
  const a = put(EMPTY_STATE, 1, 'A');
  const b = put(a, 2, 'B');
  expect(texts(b)).toEqual(['A', 'B']);
  expect(texts(put(b, 1, 'C', b.vector))).toEqual(['C']);
});

test('blind A, blind B, then a write with the context of B’s answer: A, unseen, stays', () => {
  // At a replica that has not heard of A, B is alone and its answer carries a context.
  const a = put(EMPTY_STATE, 1, 'A');
  const b = put(EMPTY_STATE, 2, 'B');
  const c = put(b, 2, 'C', b.vector);
  expect(texts(joinStates(c, a, 'siblings'))).toEqual(['A', 'C']);
  expect(texts(put(a, 1, 'C', b.vector))).toEqual(['A', 'C']);
  // At a replica that holds A, the vector after B covers A: this is why such an answer must carry no context.
  const beside = put(a, 1, 'B');
  expect(texts(put(beside, 1, 'C'))).toEqual(['A', 'B', 'C']);
  expect(texts(put(beside, 1, 'C', beside.vector))).toEqual(['C']);
});

test('a delete removes what its context covers and leaves the key as its own tombstone', () => {
  const a = put(EMPTY_STATE, 1, 'A');
  const deleted = put(a, 2, null, a.vector);
  expect(deleted.versions).toEqual([]);
  expect(texts(joinStates(deleted, a, 'siblings'))).toEqual([]);
  const b = put(a, 3, 'B');
  expect(texts(joinStates(deleted, b, 'siblings'))).toEqual(['B']);
});

test('lww: the latest write wins where it is made, seen or not; a delete leaves a marker', () => {
  const a = put(EMPTY_STATE, 1, 'A', EMPTY_VECTOR, 'lww');
  const b = put(a, 2, 'B', EMPTY_VECTOR, 'lww');
  expect(texts(b)).toEqual(['B']);
  const deleted = put(b, 1, null, EMPTY_VECTOR, 'lww');
  expect(texts(deleted)).toEqual([null]);
  expect(deleted.vector.length).toBe(2);
  expect(texts(joinStates(b, deleted, 'lww'))).toEqual([null]);
  expect(texts(put(deleted, 2, 'C', deleted.vector, 'lww'))).toEqual(['C']);
});

test('a deletion marker does not expire', () => {
  const write = { context: EMPTY_VECTOR, dot: dot(1, 1), content: null, expiresAt: 99, conflicts: 'lww' } as const;
  expect(applyWrite(EMPTY_STATE, write).versions).toEqual([{ dot: dot(1, 1), content: null, expiresAt: 0 }]);
  const value = { ...write, content: contentOf('A') };
  expect(applyWrite(EMPTY_STATE, value).versions[0]!.expiresAt).toBe(99);
});

test('versions stay sorted by actor, whatever the order of the writes', () => {
  const dots = [dot(2, 1), dot(3, 2), dot(1, 3), dot(2, 4), dot(1, 5, 0)];
  let state = EMPTY_STATE;
  for (const each of dots) {
    const write = {
      context: EMPTY_VECTOR,
      dot: each,
      content: contentOf('x'),
      expiresAt: 0,
      conflicts: 'siblings',
    } as const;
    state = applyWrite(state, write);
  }
  expect(state.versions.map((version) => version.dot)).toEqual([dots[4], dots[2], dots[0], dots[3], dots[1]]);
});

test('the counter is above the clock, the context and the state', () => {
  expect(counterFor(7, EMPTY_VECTOR, EMPTY_STATE)).toBe(7);
  expect(counterFor(7, [dot(1, 9)], EMPTY_STATE)).toBe(10);
  expect(counterFor(7, [dot(1, 9)], stateOf([dot(2, 12)], []))).toBe(13);
  expect(() => counterFor(7, [dot(1, Number.MAX_SAFE_INTEGER)], EMPTY_STATE)).toThrow(RangeError);
});

test('a dot that is not above all that is known is refused', () => {
  const content = contentOf('x');
  for (const [state, context] of [
    [stateOf([dot(1, 10)], []), EMPTY_VECTOR],
    [EMPTY_STATE, [dot(3, 10)]],
  ] as const) {
    const write = { context, dot: dot(2, 10), content, expiresAt: 0, conflicts: 'siblings' } as const;
    expect(() => applyWrite(state, write)).toThrow(AssertionError);
  }
});
