/** Glimpses: whether a key is live, without its values. They join as their states do, and are taken for nothing else. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeGlimpse, encodeGlimpse } from '#causality/glimpse.ts';
import { joinStates } from '#causality/join.ts';
import { decodeOutline } from '#causality/outline.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import { dot, encodableStates, stateOf } from './examples.ts';
import { Cluster, history } from './history.ts';

const { crc32 } = digest;

/** What has to be known to say what is live. */
function seen({ vector, versions }: State): unknown {
  return {
    vector,
    versions: versions.map(({ dot, content, expiresAt }) => ({ dot, expiresAt, has: content !== null })),
  };
}

test('golden bytes', () => {
  const state = stateOf([dot(1, 10), dot(2, 300)], [dot(2, 299), dot(2, 300)]);
  expect(toHex(encodeGlimpse(state))).toBe('820201010a0201ac020201ab020101ac0201');
  const [first] = state.versions;
  const expiring = { vector: state.vector, versions: [{ ...first!, content: null, expiresAt: 1000 }] };
  expect(toHex(encodeGlimpse(expiring))).toBe('820201010a0201ac020101ab0202e807');
});

test('a glimpse tells what is live; it is taken for no state and no outline', () => {
  fc.assert(
    fc.property(encodableStates, (state) => {
      const bytes = encodeGlimpse(state);
      expect(seen(decodeGlimpse(bytes))).toEqual(seen(state));
      expect(() => decodeState(bytes, crc32)).toThrow(CorruptState);
      expect(() => decodeOutline(bytes, crc32)).toThrow(CorruptState);
    }),
  );
});

test('whatever it is read from, nothing but a glimpse comes out', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, marked) => {
      if (marked && bytes.length > 0) bytes[0] = 130;
      try {
        expect(toHex(encodeGlimpse(decodeGlimpse(bytes)))).toBe(toHex(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptState);
      }
    }),
  );
});

for (const conflicts of ['siblings', 'lww'] satisfies Conflicts[]) {
  test(`${conflicts}: glimpses join to the glimpse of what their states join to`, () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.nat(), (operations, one, other) => {
        const { states } = new Cluster(conflicts).run(operations);
        const [a, b] = [states[one % states.length]!, states[other % states.length]!];
        const joined = joinStates(decodeGlimpse(encodeGlimpse(a)), decodeGlimpse(encodeGlimpse(b)), conflicts);
        expect(seen(joined)).toEqual(seen(joinStates(a, b, conflicts)));
      }),
    );
  });
}
