/** Short ways to write down dots and states. */

import fc from 'fast-check';
import type { Dot } from '#causality/dot.ts';
import type { Content, State, Version, VersionVector } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';

export function dot(node: number, counter: number, tenure = 1): Dot {
  return { node: nodeIndex(node), tenure, counter };
}

export function contentOf(text: string): Content {
  return { value: utf8(text), contentType: 'text/plain', contentEncoding: '', meta: [] };
}

/** A state whose versions hold their own dots as text. */
export function stateOf(vector: VersionVector, live: readonly Dot[]): State {
  const versions = live.map((dot) => {
    return { dot, content: contentOf(`${dot.node}/${dot.tenure}/${dot.counter}`), expiresAt: 0 };
  });
  return { vector, versions };
}

const counter = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));

/** Any valid vector, with few different actors so that two vectors often share some. */
export const vectors: fc.Arbitrary<VersionVector> = fc
  .dictionary(fc.tuple(fc.nat(3), fc.nat(2)).map(String), counter, { maxKeys: 8, noNullPrototype: true })
  .map((entries) =>
    Object.entries(entries)
      .map(([key, counter]) => dot(Number(key.split(',')[0]), counter, Number(key.split(',')[1])))
      .toSorted((a, b) => a.node - b.node || a.tenure - b.tenure),
  );

const text = fc.string({ unit: 'grapheme', maxLength: 12 });

const contents: fc.Arbitrary<Content> = fc.record({
  value: fc.uint8Array({ maxLength: 40 }),
  contentType: text,
  contentEncoding: text,
  meta: fc
    .uniqueArray(fc.tuple(text, text), { maxLength: 4, selector: ([name]) => name })
    .map((pairs) => pairs.toSorted(([a], [b]) => (a < b ? -1 : 1))),
});

/** Any state that the binary form must carry, reachable or not. */
export const encodableStates: fc.Arbitrary<State> = vectors.chain((vector) =>
  fc
    .tuple(
      ...vector.map((entry) =>
        fc
          .uniqueArray(fc.integer({ min: Math.max(1, entry.counter - 9), max: entry.counter }), { maxLength: 2 })
          .chain((counters) =>
            fc.tuple(
              ...counters
                .toSorted((a, b) => a - b)
                .map((counter) =>
                  fc.record<Version>({
                    dot: fc.constant({ ...entry, counter }),
                    content: fc.option(contents),
                    expiresAt: fc.oneof(fc.constant(0), fc.maxSafeNat()),
                  }),
                ),
            ),
          ),
      ),
    )
    .map((versions) => ({ vector, versions: versions.flat() })),
);
