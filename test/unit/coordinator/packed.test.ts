import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PackedReader, PackedWriter } from '#coordinator/packed.ts';
import { decodeRegister, encodeRegister, type Vote } from '#coordinator/register-row-codec.ts';
import { decodeShown, decodeValue, encodeValue } from '#coordinator/register-value-codec.ts';
import type { RegisterValue } from '#coordinator/register-value.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { digest } from '#world/digest.ts';

const { crc32 } = digest;
const integers = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.nat(70_000),
  fc.constantFrom(127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(255, 256, 65_535, 65_536).map((n) => new Uint8Array(n)),
);
const ballots = fc.record({ time: integers, node: fc.nat(65_535).map(nodeIndex), boot: integers });
const votes: fc.Arbitrary<Vote> = fc.record({
  promised: fc.option(ballots),
  accepted: fc.option(fc.record({ ballot: ballots, value: bytes })),
});
const dots = fc.record({ node: fc.nat(65_535).map(nodeIndex), tenure: fc.nat(1000), counter: fc.integer({ min: 1 }) });
const ids = fc.uint8Array({ minLength: 16, maxLength: 16 });
const content = fc.record({
  value: bytes,
  contentType: fc.string({ unit: 'grapheme-ascii' }),
  contentEncoding: fc.constant(''),
  meta: fc.constant([]),
});
const values: fc.Arbitrary<RegisterValue> = fc.record({
  version: integers,
  state: fc.tuple(dots, fc.option(content), fc.nat(5)).map(([dot, there, expiresAt]) => ({
    vector: [dot],
    versions: there === null ? [] : [{ dot, content: there, expiresAt }],
  })),
  lease: fc.option(fc.record({ holder: fc.string(), token: integers, expiresAt: integers })),
  fence: integers,
  recent: fc.array(fc.record({ id: ids, version: integers, dot: dots, retried: fc.boolean() }), { maxLength: 64 }),
  forgotten: fc.oneof(fc.constant(0), integers),
  keyed: fc.array(fc.record({ id: ids, fingerprint: ids, dot: dots, until: integers }), { maxLength: 3 }),
});

describe('what is packed by hand', () => {
  it('has the bytes of the codec', () => {
    fc.assert(
      fc.property(fc.array(integers, { maxLength: 40 }), bytes, (numbers, string) => {
        const writer = new PackedWriter(400 + string.length);
        writer.array(numbers.length + 3);
        for (const number of numbers) writer.integer(number);
        writer.bytes(string);
        writer.nil();
        writer.true();
        expect(writer.written()).toEqual(new Uint8Array(encode([...numbers, string, null, true])));
      }),
    );
  });

  it('has its own room, and no more', () => {
    const written = [300, 5, 20_000, 40].map((length, i) => {
      const writer = new PackedWriter(length + 5);
      writer.bytes(new Uint8Array(length).fill(i));
      return [writer.written(), encode(new Uint8Array(length).fill(i))] as const;
    });
    for (const [own, expected] of written) expect(toHex(own)).toBe(toHex(expected));
    const small = new PackedWriter(3);
    small.bytes(Uint8Array.of(1, 2));
    expect(() => small.written()).toThrow('fits into its capacity');
  });

  it('is read back, and what is cut short or goes on is noticed', () => {
    fc.assert(
      fc.property(integers, bytes, fc.nat(), (number, string, at) => {
        const packed = encode([number, string]);
        const read = (from: Uint8Array) => {
          const reader = new PackedReader(from);
          reader.array(2);
          return { number: reader.integer(), string: reader.bytes(), complete: reader.complete };
        };
        expect(read(packed)).toEqual({ number, string, complete: true });
        expect(read(packed.subarray(0, at % packed.length)).complete).toBe(false);
        expect(read(Uint8Array.of(...packed.subarray(0, 20), ...packed.subarray(20), 0)).complete).toBe(false);
      }),
    );
  });
});

describe('the row of a register', () => {
  it('says what was put into it, and of damage that it is damaged', () => {
    fc.assert(
      fc.property(votes, fc.nat(), (vote, at) => {
        const row = encodeRegister(vote, crc32);
        expect(decodeRegister(row, crc32)).toEqual(vote);
        row[at % row.length]! ^= 1;
        expect(() => decodeRegister(row, crc32)).toThrow(MalformedMessage);
      }),
    );
  });

  it('may have more than this release knows', () => {
    const body = encode([null, [[5, 1, 2], Uint8Array.of(7), 'later'], 'later']);
    const row = new Uint8Array(body.length + 4);
    row.set(body);
    new DataView(row.buffer).setUint32(body.length, crc32(body));
    const ballot = { time: 5, node: nodeIndex(1), boot: 2 };
    expect(decodeRegister(row, crc32)).toEqual({ promised: null, accepted: { ballot, value: Uint8Array.of(7) } });
  });
});

describe('the value of a register', () => {
  it('says what was put into it, and to readers the same', () => {
    fc.assert(
      fc.property(values, (value) => {
        const packed = encodeValue(value, crc32);
        expect(toHex(encode(decode(packed)))).toBe(toHex(packed));
        expect(decodeValue(packed, crc32)).toEqual(value);
        const { state, lease } = decodeShown(packed, crc32);
        expect({ state, lease }).toEqual({ state: value.state, lease: value.lease });
      }),
    );
  });

  it('of another format or kind is refused', () => {
    for (const wrong of [
      encode([2, 1, new Uint8Array(3), null, 0, [], []]),
      encode([]),
      encode('x'),
      encode([1, 1, 'x']),
    ]) {
      expect(() => decodeShown(wrong, crc32)).toThrow(MalformedMessage);
    }
  });
});
