/** Outlines: what a state knows without what it holds. They fill to the same joins, and are never taken for a state. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalStates, includes, joinStates } from '#causality/join.ts';
import { decodeOutline, encodeOutline, filledFrom, type Outline } from '#causality/outline.ts';
import { CorruptState, decodeState, encodeState } from '#causality/state-codec.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import { dot, encodableStates, stateOf } from './examples.ts';
import { Cluster, history } from './history.ts';

const { crc32 } = digest;

function bare({ vector, versions }: State): Outline {
  const outlined = versions.map(({ dot, content, expiresAt }) => ({
    dot,
    content: content === null ? null : {},
    expiresAt,
  }));
  return { vector, versions: outlined };
}

test('golden bytes', () => {
  const state = stateOf([dot(1, 10), dot(2, 300)], [dot(2, 299), dot(2, 300)]);
  const bytes = encodeOutline(state, crc32);
  expect(toHex(bytes)).toBe('810201010a0201ac020201ab020101ac0201' + toHex(bytes).slice(-8));
  expect(decodeOutline(bytes, crc32)).toEqual(bare(state));
});

test('an outline tells what its state knows; neither is taken for the other', () => {
  fc.assert(
    fc.property(encodableStates, (state) => {
      const bytes = encodeOutline(state, crc32);
      expect(decodeOutline(bytes, crc32)).toEqual(bare(state));
      expect(() => decodeState(bytes, crc32)).toThrow(CorruptState);
      expect(() => decodeOutline(encodeState(state, crc32), crc32)).toThrow(CorruptState);
    }),
  );
});

test('damage is seen, of every byte', () => {
  const bytes = encodeOutline(stateOf([dot(1, 10), dot(2, 20)], [dot(1, 9), dot(2, 20)]), crc32);
  for (let i = 0; i < bytes.length; i++) {
    const damaged = Uint8Array.from(bytes);
    damaged[i]! ^= 4;
    expect(() => decodeOutline(damaged, crc32)).toThrow(CorruptState);
    expect(() => decodeOutline(bytes.subarray(0, i), crc32)).toThrow(CorruptState);
  }
});

for (const conflicts of ['siblings', 'lww'] satisfies Conflicts[]) {
  test(`${conflicts}: what is filled joins to what the state itself would; what cannot be filled is news`, () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.nat(), (operations, one, other) => {
        const { states } = new Cluster(conflicts).run(operations);
        const known = states[one % states.length]!;
        const state = states[other % states.length]!;
        const filled = filledFrom(known, bare(state));
        const joined = joinStates(known, state, conflicts);
        if (filled === undefined) {
          expect(includes(known, state)).toBe(false);
          return;
        }
        expect(equalStates(joinStates(known, filled, conflicts), joined)).toBe(true);
        expect(joinStates(known, filled, conflicts).versions).toEqual(joined.versions);
      }),
      { numRuns: 400 },
    );
  });
}

test('content that only the outlined state still has is news, content that only the others have is not', () => {
  const full = stateOf([dot(1, 10)], [dot(1, 10)]);
  const expired: State = { vector: full.vector, versions: [{ dot: dot(1, 10), content: null, expiresAt: 5 }] };
  expect(filledFrom(expired, bare(full))).toBeUndefined();
  expect(filledFrom(full, bare(expired))).toEqual(full);
  expect(includes(bare(expired), full)).toBe(false);
  expect(includes(bare(full), expired)).toBe(true);
});

test('an end that only the outlined state knows is taken from it', () => {
  const until = (expiresAt: number): State => ({
    vector: [dot(1, 10)],
    versions: [{ ...stateOf([dot(1, 10)], [dot(1, 10)]).versions[0]!, expiresAt }],
  });
  expect(toHex(encodeOutline(until(300), crc32)).slice(0, -8)).toBe('810101010a01000a03ac02');
  for (const [known, outlined, end] of [
    [200, 300, 300],
    [300, 200, 300],
    [300, 0, 0],
    [0, 300, 0],
  ] as const) {
    expect(filledFrom(until(known), bare(until(outlined)))).toEqual(until(end));
    expect(includes(bare(until(known)), until(outlined))).toBe(end === known);
  }
});
