import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VersionVector } from '#causality/state.ts';
import { counterOf, covers, dominates, highestCounter, joinVectors, withDot } from '#causality/vector.ts';
import { dot, vectors } from './examples.ts';

/** The plain twin: a map from actor to counter. */
function mapOf(vector: VersionVector): Map<string, number> {
  return new Map(vector.map((entry) => [`${entry.node},${entry.tenure}`, entry.counter]));
}

test('vectors do what maps from actor to counter do', () => {
  fc.assert(
    fc.property(vectors, vectors, (a, b) => {
      const [mapA, mapB] = [mapOf(a), mapOf(b)];
      const expected = new Map(mapA);
      for (const [actor, counter] of mapB) expected.set(actor, Math.max(counter, expected.get(actor) ?? 0));
      const joined = joinVectors(a, b);
      expect(mapOf(joined)).toEqual(expected);
      expect(joined).toEqual(joined.toSorted((x, y) => x.node - y.node || x.tenure - y.tenure));
      expect(dominates(a, b)).toBe([...mapB].every(([actor, counter]) => (mapA.get(actor) ?? 0) >= counter));
      expect(highestCounter(a)).toBe(Math.max(0, ...mapA.values()));
      for (let node = 0; node < 4; node++) {
        for (let tenure = 0; tenure < 3; tenure++) {
          const counter = mapA.get(`${node},${tenure}`) ?? 0;
          expect(counterOf(a, dot(node, 1, tenure))).toBe(counter);
          expect(covers(a, dot(node, counter + 1, tenure))).toBe(false);
          expect(covers(a, dot(node, Math.max(1, counter), tenure))).toBe(counter > 0);
        }
      }
    }),
  );
});

test('the join is the very vector that dominates already', () => {
  fc.assert(
    fc.property(vectors, vectors, (a, b) => {
      const joined = joinVectors(a, b);
      expect(joinVectors(joined, b)).toBe(joined);
      expect(joinVectors(b, joined)).toBe(dominates(b, joined) ? b : joined);
    }),
  );
});

test('tenures far apart are still ordered', () => {
  const [old, young] = [dot(1, 5, 0), dot(1, 7, Number.MAX_SAFE_INTEGER)];
  expect(withDot([young], old)).toEqual([old, young]);
  expect(withDot([old], dot(1, 6, 0))).toEqual([dot(1, 6, 0)]);
  expect(withDot([old], dot(1, 4, 0))).toEqual([old]);
});
