/** What answers come to together when some of them are outlines: the same as with all values, or who has to be asked. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalStates } from '#causality/join.ts';
import { encodeOutline } from '#causality/outline.ts';
import { encodeState } from '#causality/state-codec.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { joinAnswers, knows, type Answer } from '#coordinator/join-answers.ts';
import { nodeId } from '#kernel/identity.ts';
import { staleReplicas } from '#repair/stale-replicas.ts';
import { digest } from '#world/digest.ts';
import { dot, stateOf } from '../causality/examples.ts';
import { Cluster, history } from '../causality/history.ts';

const { crc32 } = digest;

function whole(state: State, i: number): Answer {
  return { from: nodeId(`n${i}`), isOwner: true, state: encodeState(state, crc32) };
}

function outlined(state: State, i: number): Answer {
  return { from: nodeId(`n${i}`), isOwner: true, outline: encodeOutline(state, crc32) };
}

for (const conflicts of ['siblings', 'lww'] satisfies Conflicts[]) {
  test(`${conflicts}: outlines and the values that are asked for come to what all values come to`, () => {
    fc.assert(
      fc.property(history, fc.array(fc.tuple(fc.nat(), fc.boolean()), { minLength: 1 }), (operations, picks) => {
        const { states } = new Cluster(conflicts).run(operations);
        const chosen = picks.map(([pick]) => states[pick % states.length]!);
        const expected = joinAnswers(chosen.map(whole), conflicts, digest);
        const answers = chosen.map((state, i) => (picks[i]![1] ? whole : outlined)(state, i));
        let joined = joinAnswers(answers, conflicts, digest);
        while (joined.kind === 'lacking') {
          const { from } = joined;
          const place = answers.findIndex((answer) => answer.from === from);
          expect(answers[place]!.outline).toBeDefined();
          answers[place] = whole(chosen[place]!, place);
          joined = joinAnswers(answers, conflicts, digest);
        }
        if (expected.kind !== 'joined') throw new Error('all values are there');
        expect(equalStates(joined.merged, expected.merged)).toBe(true);
        expect(joined.merged.versions).toEqual(expected.merged.versions);
        const stale = staleReplicas(expected.merged, expected.parts);
        expect(staleReplicas(joined.merged, joined.parts).toSorted()).toEqual(stale.toSorted());
      }),
      { numRuns: 200 },
    );
  });
}

test('what the own replica has decoded is taken as it is', () => {
  const state = stateOf([dot(1, 10)], [dot(1, 10)]);
  const own: Answer = { ...whole(state, 0), decoded: state } as Answer;
  for (const answers of [
    [own, whole(state, 1)],
    [whole(state, 1), own],
  ]) {
    const joined = joinAnswers(answers, 'siblings', digest);
    expect(joined).toEqual({ kind: 'joined', merged: state, parts: [] });
    expect(joined).toHaveProperty('merged', state);
  }
  const newer = stateOf([dot(1, 20)], [dot(1, 20)]);
  expect(joinAnswers([own, whole(newer, 1)], 'lww', digest)).toMatchObject({ merged: newer, parts: [{ state }, {}] });
});

test('the value is asked of whoever has the latest version', () => {
  const [older, newer] = [stateOf([dot(1, 10)], [dot(1, 10)]), stateOf([dot(1, 20)], [dot(1, 20)])];
  const none: Answer = { from: nodeId('n0'), isOwner: true, state: null };
  const joined = joinAnswers([none, outlined(older, 1), outlined(newer, 2)], 'siblings', digest);
  expect(joined).toMatchObject({ kind: 'lacking', from: 'n2' });
});

test('a second answer has to know what the first one did, and have the values', () => {
  const [older, newer] = [stateOf([dot(1, 10)], [dot(1, 10)]), stateOf([dot(1, 20)], [dot(1, 20)])];
  expect(knows(whole(newer, 1), older, crc32)).toBe(true);
  expect(knows(whole(older, 1), newer, crc32)).toBe(false);
  expect(knows({ state: null }, older, crc32)).toBe(false);
  expect(knows(outlined(newer, 1), older, crc32)).toBe(false);
});
