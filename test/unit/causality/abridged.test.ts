/** A state without its value must be taken for that of the same state only. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { abridged, isAbridged } from '#causality/abridged.ts';
import type { State } from '#causality/state.ts';
import { encodeState } from '#causality/state-codec.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { digest } from '#world/digest.ts';

const { crc32 } = digest;
const ANY = Number.NEGATIVE_INFINITY;
const encoded = (state: State): Uint8Array => encodeState(state, crc32);

/** Few of each, so that two states often differ in one thing only. */
const state = fc
  .record({
    others: fc.constantFrom([], [{ node: nodeIndex(2), tenure: 1, counter: 7 }]),
    seen: fc.constantFrom(5, 6),
    counter: fc.constantFrom(4, 5),
    value: fc.constantFrom(...['', 'a', 'b', 'ab', 'ba', 'x'.repeat(300), `${'x'.repeat(299)}y`]),
    contentType: fc.constantFrom('text/plain', 'text/other'),
    meta: fc.constantFrom<[string, string][]>([], [['m', '1']], [['m', '2']]),
    expiresAt: fc.constantFrom(0, 1000, 1001),
    deleted: fc.constantFrom(false, false, true),
    request: fc.constantFrom(undefined, '0'.repeat(32)),
    sibling: fc.constantFrom(false, false, true),
  })
  .map(({ others, seen, counter, value, contentType, meta, expiresAt, deleted, request, sibling }): State => {
    const actor = { node: nodeIndex(1), tenure: 1 };
    const content = deleted ? null : { value: Buffer.from(value), contentType, contentEncoding: '', meta };
    const version = { dot: { ...actor, counter }, content, expiresAt, ...(request === undefined ? {} : { request }) };
    const versions =
      sibling && counter < seen ? [version, { ...version, dot: { ...actor, counter: seen } }] : [version];
    return { vector: [{ ...actor, counter: seen }, ...others], versions };
  });

test('of two states of one version they are the same where the states are, and nowhere else', () => {
  let same = 0;
  let alike = 0;
  fc.assert(
    fc.property(state, state, (a, b) => {
      const known = abridged(encoded(a), a, ANY);
      expect(known === undefined).toBe(a.versions.length !== 1);
      if (known === undefined) return;
      const is = isAbridged(known, encoded(b), b);
      expect(is).toBe(Buffer.compare(encoded(a), encoded(b)) === 0);
      if (is) same += 1;
      else if (encoded(a).length === encoded(b).length) alike += 1;
    }),
    { numRuns: 20_000 },
  );
  expect(same).toBeGreaterThan(10);
  expect(alike).toBeGreaterThan(100);
});

test('it has all but the value, and is made where that saves something', () => {
  const of = (bytes: number): State => ({
    vector: [{ node: nodeIndex(1), tenure: 1, counter: 5 }],
    versions: [
      {
        dot: { node: nodeIndex(1), tenure: 1, counter: 5 },
        content: { value: new Uint8Array(bytes), contentType: 'text/plain', contentEncoding: '', meta: [] },
        expiresAt: 0,
      },
    ],
  });
  const head = encoded(of(400)).length - 400 - 4;
  const long = of(256 + head);
  expect(abridged(encoded(long), long, 256)?.head).toHaveLength(head);
  const short = of(255 + head);
  expect(abridged(encoded(short), short, 256)).toBeUndefined();
});

test('bytes that are no abridged state are that of none', () => {
  const one: State = {
    vector: [{ node: nodeIndex(1), tenure: 1, counter: 5 }],
    versions: [{ dot: { node: nodeIndex(1), tenure: 1, counter: 5 }, content: null, expiresAt: 0 }],
  };
  const { head, check } = abridged(encoded(one), one, ANY)!;
  expect(isAbridged({ head, check }, encoded(one), one)).toBe(true);
  for (const other of [new Uint8Array(), head.subarray(1), Uint8Array.of(...head, 0)])
    expect(isAbridged({ head: other, check }, encoded(one), one)).toBe(false);
  expect(isAbridged({ head, check: check ^ 1 }, encoded(one), one)).toBe(false);
  const nothing: State = { vector: [], versions: [] };
  const bytes = encoded(nothing);
  for (const end of [bytes.length, bytes.length - 4])
    expect(isAbridged({ head: bytes.subarray(0, end), check }, bytes, nothing)).toBe(false);
});
