import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { equalStates, joinStates } from '#causality/join.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { MalformedBytes } from '#kernel/binary.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { decodeHint, encodeHint, mergeHints, type Hint, type NewHint } from '#handoff/hint.ts';
import { ageEntry, ageKey, ageValue, hintKey, hintName, ownerOf } from '#handoff/tables.ts';
import { compareBytes, utf8 } from '#kernel/bytes.ts';
import { history, Cluster } from '../causality/history.ts';
import { dot, stateOf } from '../causality/examples.ts';

const STATE = encodeState(stateOf([dot(1, 7)], [dot(1, 7)]), crc32);

const newHints: fc.Arbitrary<readonly NewHint[]> = history.chain((operations) => {
  const { states } = new Cluster('siblings').run(operations);
  const hint = fc.record({
    state: fc.option(fc.constantFrom(...states, EMPTY_STATE).map((state) => encodeState(state, crc32))),
    own: fc.boolean(),
    sole: fc.boolean(),
    low: fc.maxSafeNat(),
  });
  return fc.array(hint, { minLength: 1, maxLength: 6 });
});

function mergeAll(hints: readonly NewHint[]): Hint {
  let row: Hint | undefined;
  hints.forEach((hint, i) => {
    row = mergeHints(row, hint, i + 1, 'siblings', crc32).hint;
  });
  return row!;
}

test('merging hints joins their states, in any order, keeps the oldest time and what must not be lost', () => {
  fc.assert(
    fc.property(newHints, fc.infiniteStream(fc.nat(1000)), (hints, order) => {
      const row = mergeAll(hints);
      const states = hints.flatMap(({ state }) => (state === null ? [] : [decodeState(state, crc32)]));
      const expected = states.reduce((a, b) => joinStates(a, b, 'siblings'), EMPTY_STATE);
      expect(row.state === null).toBe(states.length === 0);
      if (row.state !== null) expect(equalStates(decodeState(row.state, crc32), expected)).toBe(true);
      expect(row.low).toBe(Math.min(...hints.map(({ low }) => low)));
      expect(row.sole).toBe(hints.some(({ sole }) => sole));
      expect(row.own).toBe(hints.some(({ own }) => own));
      expect(row.revision).toBe(hints.length);
      const shuffled = hints.map((hint) => ({ hint, at: order.next().value })).toSorted((a, b) => a.at - b.at);
      const other = mergeAll(shuffled.map(({ hint }) => hint));
      expect({ ...other, state: null }).toEqual({ ...row, state: null });
      if (row.state !== null) expect(toHex(other.state!)).toBe(toHex(row.state));
    }),
  );
});

test('a hint tells whether it includes what waited before', () => {
  const old = { state: STATE, own: false, sole: true, low: 5 };
  const newer = { ...old, state: encodeState(stateOf([dot(1, 9)], [dot(1, 9)]), crc32) };
  const beside = { ...old, state: encodeState(stateOf([dot(2, 9)], [dot(2, 9)]), crc32) };
  const row = mergeHints(undefined, old, 1, 'siblings', crc32);
  expect(row.includesBefore).toBe(true);
  expect(mergeHints(row.hint, newer, 2, 'siblings', crc32).includesBefore).toBe(true);
  expect(mergeHints(row.hint, beside, 2, 'siblings', crc32).includesBefore).toBe(false);
});

test('hints read back; the format is fixed and every flipped bit of its head is noticed', () => {
  const hint: Hint = { state: STATE, own: false, sole: true, low: 5_000_000_000, revision: 300 };
  const bytes = encodeHint(hint, crc32);
  expect(decodeHint(bytes, crc32)).toEqual(hint);
  const note: Hint = { state: null, own: true, sole: false, low: 1, revision: 2 };
  expect(decodeHint(encodeHint(note, crc32), crc32)).toEqual(note);
  expect(toHex(encodeHint(note, crc32))).toBe('010201026d693c7a');
  expect(toHex(bytes.subarray(0, bytes.length - STATE.length))).toBe('010580e497d012ac020a3d1aa1');
  for (let bit = 0; bit < (bytes.length - STATE.length) * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => decodeHint(flipped, crc32), `bit ${bit}`).toThrow(MalformedBytes);
  }
});

const names = fc.record({
  owner: fc.nat(65_535).map(nodeIndex),
  n: fc.integer({ min: 1, max: 7 }),
  partition: fc.nat(16_383),
  bucket: fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/),
  incarnation: fc.nat(0xffff_ffff),
  key: fc.uint8Array({ minLength: 1, maxLength: 20 }),
});

test('rows name what they are for, and the index keeps each owner apart and the oldest first', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, fc.boolean(), fc.maxSafeNat()), { maxLength: 8 }), (entries) => {
      for (const [name] of entries) expect(hintName(hintKey(name))).toEqual(name);
      const rows = entries.map(([name, sole, low]) => [ageKey(hintKey(name), sole, low), ageValue(77)] as const);
      const sorted = rows.toSorted(([a], [b]) => compareBytes(a, b)).map(ageEntry);
      const wanted = entries
        .map(([name, sole, low]) => ({ row: hintKey(name), sole, low, bytes: 77 }))
        .toSorted(
          (a, b) =>
            ownerOf(a.row) - ownerOf(b.row) ||
            Number(a.sole) - Number(b.sole) ||
            a.low - b.low ||
            compareBytes(a.row, b.row),
        );
      expect(sorted).toEqual(wanted);
    }),
  );
});

test('the form of rows and index entries is fixed', () => {
  const name = { owner: nodeIndex(258), n: 3, partition: 513, bucket: 'b', incarnation: 7, key: utf8('k') };
  expect(toHex(hintKey(name))).toBe('010203020162000000000' + '76b');
  expect(toHex(ageKey(hintKey(name), true, 2 ** 33 + 5))).toBe(
    '010201' + '0000000200000005' + '03020162000000000' + '76b',
  );
});
