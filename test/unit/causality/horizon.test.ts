/** Vectors with horizons, against a plain twin: the set of all dots that they cover, of a few nodes and tenures. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compacted, knownWithin, spareEntries, withHorizon } from '#causality/compact.ts';
import type { Dot } from '#causality/dot.ts';
import { beyondHorizon, horizonAt, isHorizon } from '#causality/horizon.ts';
import { NEW_SESSION, seenOf, withSeen } from '#causality/session-token.ts';
import type { State, VersionVector } from '#causality/state.ts';
import { covers, dominates, highestCounter, joinVectors, withDot } from '#causality/vector.ts';
import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { readVector, writeVector } from '#causality/vector-codec.ts';
import { dot, stateOf } from './examples.ts';

const NODES = [0, 1, 2, 3];
/** The last one is of actors that no vector has an entry for: only a horizon speaks of them. */
const TENURES = [1, 2, 9];
const COUNTERS = [1, 2, 3, 4, 5];
const UNIVERSE = NODES.flatMap((node) =>
  TENURES.flatMap((tenure) => COUNTERS.map((counter) => dot(node, counter, tenure))),
);

const counters = fc.constantFrom(...COUNTERS);
const horizons = fc.tuple(fc.constantFrom(...NODES), counters).map(([last, time]) => horizonAt(nodeIndex(last), time));
const entries = fc.tuple(fc.constantFrom(...NODES), fc.constantFrom(1, 2), counters);
const vectors: fc.Arbitrary<VersionVector> = fc
  .tuple(fc.array(entries, { maxLength: 6 }), fc.array(horizons, { maxLength: 2 }))
  .map(([known, all]) =>
    [...known.map(([node, tenure, counter]) => dot(node, counter, tenure)), ...all].reduce<VersionVector>(withDot, []),
  );

/** A state of which some of the dots that it covers, and has entries for, are live. */
const states: fc.Arbitrary<State> = vectors.chain((vector) => {
  const had = UNIVERSE.filter((one) => vector.some((entry) => isEntryOf(entry, one) && entry.counter >= one.counter));
  return fc.subarray(had).map((live) => stateOf(vector, live));
});

function isEntryOf(entry: Dot, { node, tenure }: Dot): boolean {
  return entry.node === node && entry.tenure === tenure;
}

function covered(vector: VersionVector): ReadonlySet<string> {
  const isCovered = (one: Dot): boolean =>
    vector.some((entry) => {
      if (entry.node === 65_535) return one.node <= entry.tenure && one.counter <= entry.counter;
      return isEntryOf(entry, one) && one.counter <= entry.counter;
    });
  return new Set(UNIVERSE.filter(isCovered).map((one) => JSON.stringify(one)));
}

function union(a: VersionVector, b: VersionVector): ReadonlySet<string> {
  return new Set([...covered(a), ...covered(b)]);
}

test('vectors with horizons do what sets of dots do', () => {
  fc.assert(
    fc.property(vectors, vectors, (a, b) => {
      for (const one of UNIVERSE) expect(covers(a, one)).toBe(covered(a).has(JSON.stringify(one)));
      expect(dominates(a, b)).toBe(union(a, b).size === covered(a).size);
      const joined = joinVectors(a, b);
      expect(covered(joined)).toEqual(union(a, b));
      expect(joined.toSorted((x, y) => x.node - y.node || x.tenure - y.tenure)).toEqual(joined);
      expect(highestCounter(joined)).toBe(Math.max(highestCounter(a), highestCounter(b)));
      const beyond = beyondHorizon(a);
      expect(beyond.every((entry) => !isHorizon(entry) && a.includes(entry))).toBe(true);
      expect(covered([...beyond, ...a.filter(isHorizon)])).toEqual(covered(a));
    }),
  );
});

test('compacting takes nothing of what is known or live, and the same has the same form', () => {
  fc.assert(
    fc.property(states, vectors, (state, more) => {
      const small = compacted(state);
      expect(covered(small.vector)).toEqual(covered(state.vector));
      expect(small.versions).toBe(state.versions);
      expect(compacted(small)).toBe(small);
      for (const { dot: live } of small.versions)
        expect(small.vector.some((entry) => isEntryOf(entry, live) && entry.counter >= live.counter)).toBe(true);
      // The same knowledge, come to in another way.
      const within = more.filter((entry) => covers(state.vector, entry));
      const other = within.reduce<VersionVector>(withDot, state.vector);
      expect(compacted({ vector: other, versions: state.versions })).toEqual(small);
      if (small.vector.some(isHorizon)) expect(spareEntries(small)).toBeLessThanOrEqual(spareEntries(state));
      else expect(small).toBe(state);
    }),
  );
});

test('a horizon takes all entries within, and no version', () => {
  fc.assert(
    fc.property(states, horizons, (state, horizon) => {
      const after = withHorizon(state, horizon);
      expect(covered(after.vector)).toEqual(union(state.vector, [horizon]));
      expect(after.versions).toEqual(state.versions);
      for (const entry of beyondHorizon(after.vector)) expect(covers([horizon], entry)).toBe(false);
    }),
  );
});

test('what is known within a horizon is compared, and nothing else', () => {
  fc.assert(
    fc.property(states, states, horizons, (one, other, horizon) => {
      // Owners that have been equal before have the same horizons.
      const own = one.vector.filter(isHorizon);
      const [a, b] = [one, other].map(({ vector }) => [...vector.filter((entry) => !isHorizon(entry)), ...own]);
      const within = covered([...own, horizon]);
      const inside = (vector: VersionVector): readonly string[] =>
        [...covered(vector)].filter((one) => within.has(one));
      const same = JSON.stringify(knownWithin(a!, horizon)) === JSON.stringify(knownWithin(b!, horizon));
      expect(same).toBe(JSON.stringify(inside(a!)) === JSON.stringify(inside(b!)));
    }),
  );
});

test('a session does not ask for what lies within a horizon', () => {
  const key = new Uint8Array(8).fill(7);
  const before = withSeen(NEW_SESSION, key, [dot(0, 3), dot(1, 7), dot(4, 2)]);
  const after = withSeen(before, key, [dot(1, 5), horizonAt(nodeIndex(2), 5)]);
  expect(seenOf(after, key)).toEqual([dot(1, 7), dot(4, 2)]);
});

test('golden bytes: a horizon is stored as an entry, which older programs read as one', () => {
  const vector = [dot(1, 300, 200), horizonAt(nodeIndex(2), 1000)];
  const writer = new ByteWriter();
  writeVector(writer, vector);
  const bytes = writer.finish();
  expect(Buffer.from(bytes).toString('hex')).toBe('0201c801ac02ffff0302e807');
  expect(readVector(new ByteReader(bytes))).toEqual(vector);
});
