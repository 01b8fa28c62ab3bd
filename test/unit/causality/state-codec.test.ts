import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CorruptState, decodeState, encodeState, stateBytes } from '#causality/state-codec.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import type { State, Version } from '#causality/state.ts';
import { AssertionError } from '#kernel/assert.ts';
import { ByteWriter } from '#kernel/binary.ts';
import { toHex } from '#kernel/bytes.ts';
import { contentOf, dot, encodableStates, stateOf } from './examples.ts';
import { Cluster, history } from './history.ts';

const decode = (bytes: Uint8Array): State => decodeState(bytes, crc32);
const encode = (state: State): Uint8Array => encodeState(state, crc32);

/** A check value that any bytes pass, to reach what lies behind the checksums. */
const unchecked = (): number => 0;

test('states read back, equal states have equal bytes, and the size is known beforehand', () => {
  fc.assert(
    fc.property(encodableStates, (state) => {
      const bytes = encode(state);
      expect(decode(bytes)).toEqual(state);
      expect(encode(decode(bytes))).toEqual(bytes);
      expect(stateBytes(state)).toBe(bytes.length);
    }),
  );
});

test('states of real histories read back', () => {
  fc.assert(
    fc.property(history, (operations) => {
      for (const state of new Cluster('lww').run(operations).states) expect(decode(encode(state))).toEqual(state);
    }),
    { numRuns: 20 },
  );
});

/** Whether decoding says that the bytes are corrupt; any other error than that is thrown. */
function isRefused(bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return false;
  } catch (error) {
    if (error instanceof CorruptState) return true;
    throw error;
  }
}

test('every flipped bit is noticed', () => {
  fc.assert(
    fc.property(encodableStates, (state) => {
      const bytes = encode(state);
      const passed: number[] = [];
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        if (!isRefused(bytes)) passed.push(bit);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
      }
      expect(passed).toEqual([]);
    }),
    { numRuns: 10 },
  );
});

test('every cut and every addition is noticed', () => {
  fc.assert(
    fc.property(encodableStates, (state) => {
      const bytes = encode(state);
      const lengths = Array.from(bytes, (_, length) => length);
      expect(lengths.filter((length) => !isRefused(bytes.subarray(0, length)))).toEqual([]);
      expect(isRefused(Uint8Array.of(...bytes, 0))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('golden: the empty state', () => {
  expect(toHex(encode(EMPTY_STATE))).toBe(`010000${crc(Uint8Array.of(1, 0, 0))}`);
  expect(toHex(encode(EMPTY_STATE))).toBe('010000fe83b325');
});

const golden: State = {
  vector: [dot(1, 300, 7), dot(2, 2 ** 40, 2 ** 40 - 1), dot(65_535, 9, 0)],
  versions: [
    { dot: dot(1, 299, 7), content: null, expiresAt: 0 },
    {
      dot: dot(2, 2 ** 40, 2 ** 40 - 1),
      content: {
        value: Uint8Array.of(0, 255),
        contentType: 'text/plain',
        contentEncoding: 'br',
        meta: [
          ['a', 'é'],
          ['b', ''],
        ],
      },
      expiresAt: 1_800_000_000_000,
    },
  ],
};

test('golden: a state with a marker and an expiring value', () => {
  expect(toHex(encode(golden))).toBe(
    '01030107ac0202ffffffffff1f808080808020ffff03000902fac87b4600ab02014b9044cf018080808080200280a0f1c2b1340a746578742f706c61696e02627202016102c3a90162000200ff0bb32082',
  );
});

function crc(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

test('a version does not pass under the vector of another state', () => {
  const [mine, other] = [encode(stateOf([dot(1, 5)], [dot(1, 5)])), encode(stateOf([dot(2, 5)], [dot(2, 5)]))];
  const headLength = encode(stateOf([dot(1, 5)], [])).length;
  const mixed = Uint8Array.of(...mine.subarray(0, headLength), ...other.subarray(headLength));
  expect(() => decode(mixed)).toThrow('the checksum of version 1 of 1 does not match');
});

interface Parts {
  readonly format?: number;
  readonly vector?: readonly (readonly [node: number, tenure: number, counter: number])[];
  readonly actors?: number;
  readonly versions?: readonly (readonly [index: number, counter: number, flags: number, ...rest: number[]])[];
  readonly count?: number;
}

/** Bytes in the form of a state, with checks that `unchecked` accepts, but free to break its rules. */
function forged({ format = 1, vector = [[1, 1, 9]], versions = [], ...counts }: Parts): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(format);
  writer.varint(counts.actors ?? vector.length);
  for (const entry of vector) for (const number of entry) writer.varint(number);
  writer.varint(counts.count ?? versions.length);
  writer.u32(0);
  for (const [index, counter, flags, ...rest] of versions) {
    for (const number of [index, counter, flags, ...rest]) writer.varint(number);
    writer.u32(0);
  }
  return writer.finish();
}

test('forms that encode no state are refused even when the checksums are right', () => {
  const valid = { versions: [[0, 8, 1] as const, [0, 9, 1] as const] };
  expect(decodeState(forged(valid), unchecked).versions.length).toBe(2);
  const cases: readonly (readonly [Parts, RegExp])[] = [
    [{ format: 0 }, /format 0/],
    [{ format: 2 }, /state in format 2: this release reads format 1/],
    [
      {
        vector: [
          [2, 1, 9],
          [1, 1, 9],
        ],
      },
      /vector not sorted/,
    ],
    [
      {
        vector: [
          [1, 1, 9],
          [1, 1, 9],
        ],
      },
      /vector not sorted/,
    ],
    [{ vector: [[1, 1, 0]] }, /covers nothing/],
    [{ vector: [[65_536, 1, 9]] }, /node index 65536/],
    [{ actors: 4097 }, /4097 actors: up to 4096/],
    [{ count: 100_001 }, /100001 versions: up to 100000/],
    [{ count: 2, versions: [[0, 9, 1]] }, /bytes wanted/],
    [{ versions: [[1, 9, 1]] }, /actor 1 in a vector of 1/],
    [{ versions: [[0, 10, 1]] }, /does not cover/],
    [
      {
        versions: [
          [0, 9, 1],
          [0, 8, 1],
        ],
      },
      /versions not sorted/,
    ],
    [
      {
        versions: [
          [0, 9, 1],
          [0, 9, 1],
        ],
      },
      /versions not sorted/,
    ],
    [{ versions: [[0, 9, 8]] }, /unknown flags 8/],
    [{ versions: [[0, 9, 4, 1, 2, 3]] }, /16 bytes wanted/],
    [{ versions: [[0, 9, 3, 0]] }, /never does/],
    // Flags, content type '', encoding '', two meta pairs with the names 'b' and 'a', an empty value.
    [{ versions: [[0, 9, 0, 0, 0, 2, 1, 98, 0, 1, 97, 0, 0]] }, /meta headers not sorted/],
    [{ versions: [[0, 9, 0, 0, 0, 2, 1, 97, 0, 1, 97, 0, 0]] }, /meta headers not sorted/],
  ];
  for (const [parts, reason] of cases) {
    expect(() => decodeState(forged(parts), unchecked), String(reason)).toThrow(reason);
    expect(() => decodeState(forged(parts), unchecked), String(reason)).toThrow(CorruptState);
  }
});

function withMeta(value: string): State {
  const version: Version = { dot: dot(1, 1), content: { ...contentOf('x'), meta: [['name', value]] }, expiresAt: 0 };
  return { vector: [dot(1, 1)], versions: [version] };
}

test('bounds: exactly the bound is accepted, one more is refused', () => {
  const many = (count: number): State => {
    const dots = Array.from({ length: count }, (_, i) => dot(1, i + 1));
    return stateOf(dots.slice(-1), dots);
  };
  expect(decode(encode(many(100_000))).versions.length).toBe(100_000);
  expect(() => encode(many(100_001))).toThrow(RangeError);
  const actors = (count: number): State =>
    stateOf(
      Array.from({ length: count }, (_, i) => dot(1, 1, i)),
      [],
    );
  expect(decode(encode(actors(4096))).vector.length).toBe(4096);
  expect(() => encode(actors(4097))).toThrow(RangeError);
  const full = 'é'.repeat(8192 - 'name'.length);
  expect(decode(encode(withMeta(full)))).toEqual(withMeta(full));
  expect(() => encode(withMeta(`${full}x`))).toThrow('meta headers of 8193 characters: up to 8192');
});

test('what is no state is never encoded', () => {
  const [a, b] = [dot(1, 5), dot(2, 5)];
  for (const state of [
    stateOf([b, a], []),
    stateOf([a, a], []),
    stateOf([dot(1, 0)], []),
    stateOf([a, b], [b, a]),
    stateOf([a], [a, a]),
    stateOf([a], [b]),
    stateOf([a], [dot(1, 6)]),
  ]) {
    expect(() => encode(state)).toThrow(AssertionError);
  }
});

test('values are views of the bytes, not copies', () => {
  const bytes = encode(stateOf([dot(1, 5)], [dot(1, 5)]));
  expect(decode(bytes).versions[0]!.content!.value.buffer).toBe(bytes.buffer);
});
