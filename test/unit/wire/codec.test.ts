import { Packr } from 'msgpackr';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { decode, encode, MAXIMUM_DEPTH, MAXIMUM_VALUES } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

// The first: whoever encodes something longer makes the blocks larger.
test('messages of 1 KiB lie close together in few large blocks', () => {
  const blocks = new Set(Array.from({ length: 100 }, (_, i) => encode([11, i, [new Uint8Array(1024)]]).buffer));
  expect(blocks.size).toBeLessThanOrEqual(3);
});

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    // MessagePack's integers have no negative zero.
    fc.double({ noNaN: true }).map((number) => (number === 0 ? 0 : number)),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme', maxLength: 400 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
  ),
}));

describe('codec', () => {
  test('golden bytes of each kind of value', () => {
    const golden: [unknown, string][] = [
      [null, 'c0'],
      [undefined, 'c0'],
      [false, 'c2'],
      [true, 'c3'],
      [0, '00'],
      [127, '7f'],
      [-1, 'ff'],
      [200, 'ccc8'],
      [65_535, 'cdffff'],
      [2 ** 32 - 1, 'ceffffffff'],
      [-(2 ** 31), 'd280000000'],
      [2 ** 53 - 1, 'cb433fffffffffffff'],
      [0.5, 'cb3fe0000000000000'],
      ['é', 'a2c3a9'],
      [new Uint8Array([1, 2]), 'c4020102'],
      [[1, [], 'a'], '930190a161'],
    ];
    for (const [input, bytes] of golden) expect(toHex(encode(input))).toBe(bytes);
  });

  test('everything that a body may hold comes back as it was', () => {
    fc.assert(
      fc.property(value, (input) => {
        expect(decode(encode(input))).toEqual(input);
      }),
    );
  });

  test('sizes at which MessagePack changes its form come back', () => {
    for (const length of [15, 16, 31, 32, 255, 256, 65_535, 65_536, 200_000]) {
      expect(decode(encode('x'.repeat(length)))).toBe('x'.repeat(length));
      expect(decode(encode(new Uint8Array(length).fill(7)))).toEqual(new Uint8Array(length).fill(7));
      expect(decode(encode(Array.from({ length }, () => 1)))).toHaveLength(length);
    }
  });

  test('an encoded message is not touched by later ones', () => {
    const messages = Array.from({ length: 200 }, (_, index) => [index, new Uint8Array(index * 37).fill(index)]);
    const encoded = messages.map((message) => encode(message));
    expect(encoded.map((bytes) => decode(bytes))).toEqual(messages);
    expect(encoded.every((bytes) => bytes.constructor === Uint8Array)).toBe(true);
  });

  test('bytes come out as plain views, also from a buffer of a subclass', () => {
    const [bytes] = decode(Buffer.from(encode([new Uint8Array([1, 2, 3])]))) as [Uint8Array];
    expect(bytes.constructor).toBe(Uint8Array);
    expect(bytes).toEqual(new Uint8Array([1, 2, 3]));
  });

  test('maps and extension types are refused, whatever msgpackr could make of them', () => {
    const everything = new Packr({ structuredClone: true, moreTypes: true, useRecords: false });
    const records = new Packr({ useRecords: true });
    const foreign = [
      everything.pack({ a: 1 }),
      everything.pack([{ ['__proto__']: 1 }]),
      everything.pack(new Date(0)),
      everything.pack(new Map([[1, 2]])),
      everything.pack(new Set([1])),
      everything.pack(new Error('no')),
      everything.pack(/x/),
      everything.pack(new Float64Array(2)),
      everything.pack(2n ** 60n),
      records.pack([{ a: 1 }, { a: 2 }]),
      new Packr({ bundleStrings: true }).pack(['one', 'two', 'three']),
      new Packr({ useFloat32: 1 }).pack(0.5),
      Uint8Array.of(0xc1),
      Uint8Array.of(0xd4, 0, 0),
    ];
    for (const bytes of foreign) expect(() => decode(bytes)).toThrow(/begins no value that this protocol uses/);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  test('what is cut short, too long, too deep or too much is refused', () => {
    const whole = encode([1, 'text', new Uint8Array(300), [70_000, 0.5]]);
    for (let length = 0; length < whole.length; length++) {
      expect(() => decode(whole.slice(0, length))).toThrow(MalformedMessage);
    }
    expect(() => decode(Uint8Array.of(0x01, 0x01))).toThrow('1 bytes after the end of the message');
    const nested = (depth: number): Uint8Array => new Uint8Array(depth + 1).fill(0x91, 0, depth);
    expect(() => decode(nested(MAXIMUM_DEPTH))).not.toThrow();
    expect(() => decode(nested(MAXIMUM_DEPTH + 1))).toThrow('nested more than');
    expect(() => decode(nested(5_000_000))).toThrow('nested more than');
    expect(() => decode(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 0))).toThrow('longer than its message');
    expect(() => decode(Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff, 0))).toThrow('cut short');
    expect(() => decode(encode(Array.from({ length: MAXIMUM_VALUES }, () => 0)))).toThrow('values in one message');
  });

  test('random bytes are read or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('flipped bits are read or refused, never anything else', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), (input, at, xor) => {
        const bytes = encode(input).slice();
        bytes[at % bytes.length]! ^= xor;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
