import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, JSON_DEPTH_MAX } from '#causality/canonical-json.ts';
import { DATA_TYPES } from '#causality/data-type.ts';
import { entryBytes, readEntry, readStep, type Entry, type Leaf } from '#causality/entry.ts';
import { fromHex, toHex } from '#kernel/bytes.ts';
import { MalformedBytes } from '#kernel/binary.ts';

test('golden: the bytes of each kind of entry', () => {
  const golden: readonly (readonly [Entry, string])[] = [
    [{ path: [], leaf: { kind: 'total', amount: 300 } }, '1000ac02'],
    [{ path: [], leaf: { kind: 'increment', amount: -5 } }, '110105'],
    [{ path: [], leaf: { kind: 'element', json: '"é"' } }, '120422c3a922'],
    [{ path: [], leaf: { kind: 'value', json: '{"a":1}' } }, '13077b2261223a317d'],
    [{ path: [], leaf: { kind: 'flag', enabled: true } }, '1401'],
    [{ path: [], leaf: { kind: 'present' } }, '15'],
    [
      {
        path: [
          { type: 'map', field: 'm' },
          { type: 'flag', field: 'on' },
        ],
        leaf: { kind: 'flag', enabled: false },
      },
      '02016d04026f6e1400',
    ],
  ];
  for (const [entry, hex] of golden) {
    expect(toHex(entryBytes(entry))).toBe(hex);
    expect(readEntry(fromHex(hex)!)).toEqual(entry);
  }
});

const json = fc.jsonValue().map((value) => canonicalJson(value)!);
const amounts = fc.maxSafeInteger().map((amount) => amount + 0);
const leaves: fc.Arbitrary<Leaf> = fc.oneof(
  fc.record({ kind: fc.constantFrom('total' as const, 'increment' as const), amount: amounts }),
  fc.record({ kind: fc.constantFrom('element' as const, 'value' as const), json }),
  fc.record({ kind: fc.constant('flag' as const), enabled: fc.boolean() }),
  fc.constant({ kind: 'present' as const }),
);
const steps = fc.record({ field: fc.string({ unit: 'grapheme' }), type: fc.constantFrom(...DATA_TYPES) });

test('an entry survives its bytes, and damaged bytes are another entry or none', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 3 }), leaves, fc.nat(), fc.nat(255), (path, leaf, at, byte) => {
      const entry = { path, leaf };
      const bytes = entryBytes(entry);
      expect(readEntry(bytes)).toEqual(entry);
      expect(readStep(bytes)).toEqual(path[0]);
      const damaged = bytes.slice();
      damaged[at % damaged.length] = byte;
      let read: Entry | undefined;
      try {
        read = readEntry(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedBytes);
      }
      if (read !== undefined) expect(entryBytes(read)).toEqual(damaged);
    }),
  );
});

test('equal JSON has one text, whatever the order of its members', () => {
  expect(canonicalJson({ b: [1, -0, 1e21], a: { d: null, c: '\ud800' } })).toBe(
    '{"a":{"c":"\\ud800","d":null},"b":[1,0,1e+21]}',
  );
  expect(canonicalJson(JSON.parse('{"__proto__":1}'))).toBe('{"__proto__":1}');
  expect([canonicalJson(Infinity), canonicalJson([undefined]), canonicalJson({ a: NaN })]).toEqual(
    new Array(3).fill(undefined),
  );
  let deep: unknown = 1;
  for (let depth = 0; depth < JSON_DEPTH_MAX; depth++) deep = [deep];
  expect(canonicalJson(deep)).toBeDefined();
  expect(canonicalJson([deep])).toBeUndefined();
});
