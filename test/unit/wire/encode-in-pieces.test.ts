import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes, concatBytes } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { encode } from '#wire/codec.ts';
import { encodeInPieces, PIECE_BYTES } from '#wire/encode-in-pieces.ts';
import { decodeEnvelope, encodeCall, encodeEnvelope, type CallEnvelope } from '#wire/envelope.ts';

/** The same few for all runs: it is their place that matters. */
const LARGE = [PIECE_BYTES, 0xffff, 0x10000, 200_000].map((length, i) => patterned(length, i));
/** Not far from where MessagePack, or this encoder, changes its form. */
const SMALL = [0, 255, 256, PIECE_BYTES - 1].map((length, i) => patterned(length, i));

function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) + seed) & 0xff;
  return bytes;
}

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false),
    fc.double({ noNaN: true }),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.constantFrom(...SMALL),
    fc.constantFrom(...LARGE),
    fc.array(tie('value'), { maxLength: 20 }),
  ),
}));

function whole(bytes: Uint8Array | Pieces): Uint8Array {
  return bytes instanceof Pieces ? concatBytes(bytes.parts) : bytes;
}

function largeIn(input: unknown): readonly Uint8Array[] {
  if (Array.isArray(input)) return input.flatMap(largeIn);
  return input instanceof Uint8Array && input.length >= PIECE_BYTES ? [input] : [];
}

function isSame(pieces: Uint8Array | Pieces, plain: Uint8Array): boolean {
  return pieces.length === plain.length && compareBytes(whole(pieces), plain) === 0;
}

describe('bytes in pieces', () => {
  test('are those of the plain encoder, and what is large in them is what was given', () => {
    fc.assert(
      fc.property(value, (input) => {
        const encoded = encodeInPieces(input);
        expect(isSame(encoded, encode(input))).toBe(true);
        const large = largeIn(input);
        expect(encoded instanceof Pieces).toBe(large.length > 0);
        if (!(encoded instanceof Pieces)) return;
        const given = encoded.parts.filter((part) => LARGE.includes(part));
        expect(given.length).toBe(large.length);
        given.forEach((part, i) => expect(part).toBe(large[i]));
      }),
    );
  });

  test('are the same for lists of every length at which MessagePack changes its form', () => {
    for (const length of [1, 14, 15, 16, 17, 65_535, 65_536, 65_537]) {
      for (const place of [0, length >>> 1, length]) {
        const list: unknown[] = Array.from({ length }, (_, i) => i);
        list.splice(place, 0, LARGE[0]);
        expect(isSame(encodeInPieces(list), encode(list)), `${length} elements, ${place} before it`).toBe(true);
      }
    }
  });

  test('hold no part of a memory that is more than twice as large', () => {
    const memory = new Uint8Array(4 * PIECE_BYTES);
    const [half, less] = [memory.subarray(0, 2 * PIECE_BYTES), memory.subarray(1, 2 * PIECE_BYTES)];
    expect((encodeInPieces([half]) as Pieces).parts).toContain(half);
    expect(encodeInPieces([less])).toEqual(encode([less]));
  });

  test('stay as they are, whatever is encoded later', () => {
    const input = [1, 'text', LARGE[0], [2, LARGE[1], new Uint8Array(300).fill(7)]];
    const encoded = encodeInPieces(input);
    const before = encode(input).slice();
    for (let i = 0; i < 1000; i++) encodeInPieces([i, LARGE[i % LARGE.length], new Uint8Array(i)]);
    expect(isSame(encoded, before)).toBe(true);
  });
});

test('a call has the bytes of the plain encoder, and the other end reads them', () => {
  const body = [[1, 3, 17, 'bench', 1, 1], 'request', new Uint8Array(8), LARGE[3], true, [], 1];
  const trace = { traceparent: '0'.repeat(55), tracestate: '' };
  const calls: CallEnvelope[] = [
    { kind: 'request', callId: 7, name: 'replica.store', remaining: 2000, body },
    { kind: 'request', callId: 7, name: 'replica.store', remaining: 2000, body, trace, sentAt: 2 ** 40 },
    { kind: 'request', callId: 7, name: 'replica.stores', remaining: 2000, body: [[body, body]], sentAt: 5 },
    { kind: 'reply', callId: 7, body: [LARGE[2], null] },
    { kind: 'refusal', callId: 7, code: 'no', detail: 'x'.repeat(40_000), value: -1 },
  ];
  for (const call of calls) {
    const encoded = encodeCall(call);
    expect(isSame(encoded, encodeEnvelope(call))).toBe(true);
    expect(decodeEnvelope(whole(encoded))).toMatchObject({ kind: call.kind, callId: 7 });
  }
});
