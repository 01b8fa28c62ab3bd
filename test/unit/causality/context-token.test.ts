import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeContext, encodeContext, MAX_CONTEXT_CHARACTERS } from '#causality/context-token.ts';
import { EMPTY_VECTOR } from '#causality/state.ts';
import { fromBase64url, toBase64url } from '#kernel/base64.ts';
import { concatBytes, utf8 } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';
import type { Mac } from '#kernel/native.ts';
import { dot, vectors } from './examples.ts';

function macOf(key: string): Mac {
  return (bytes) => Uint8Array.from(createHmac('sha256', key).update(bytes).digest());
}

const mac = macOf('secret');
const scope = utf8('bucket/key');

test('contexts read back for their key, and for no other key, bucket or cluster', () => {
  fc.assert(
    fc.property(vectors, fc.uint8Array(), fc.uint8Array(), (vector, scope, other) => {
      const text = encodeContext(vector, scope, mac);
      expect(decodeContext(text, scope, mac)).toEqual({ kind: 'context', vector });
      expect(decodeContext(text, scope, macOf('other')).kind).toBe('invalid');
      expect(decodeContext(text, concatBytes([scope, other, Uint8Array.of(1)]), mac).kind).toBe('invalid');
    }),
  );
});

test('golden', () => {
  expect(encodeContext(EMPTY_VECTOR, scope, mac)).toBe('AQCU8N8lZdlpHg');
  expect(encodeContext([dot(1, 300, 7), dot(2, 2 ** 47, 2 ** 47 - 1)], scope, mac)).toBe(
    'AQIBB6wCAv_______x-AgICAgIAgug6pZt4Iw_g',
  );
});

test('the signature is over format, length and bytes of the scope, and vector', () => {
  const seen: Uint8Array[] = [];
  const spy: Mac = (bytes) => {
    seen.push(Uint8Array.from(bytes));
    return new Uint8Array(32);
  };
  encodeContext([dot(3, 5, 4)], Uint8Array.of(9, 9), spy);
  expect(seen).toEqual([Uint8Array.of(1, 2, 9, 9, 1, 3, 4, 5)]);
});

test('every flipped bit, cut and addition is refused', () => {
  fc.assert(
    fc.property(vectors, (vector) => {
      const bytes = present(fromBase64url(encodeContext(vector, scope, mac)), 'bytes');
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(decodeContext(toBase64url(bytes), scope, mac).kind, `bit ${bit}`).toBe('invalid');
        bytes[bit >> 3]! ^= 1 << (bit & 7);
      }
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeContext(toBase64url(bytes.subarray(0, length)), scope, mac).kind).toBe('invalid');
      }
      expect(decodeContext(toBase64url(Uint8Array.of(...bytes, 0)), scope, mac).kind).toBe('invalid');
    }),
    { numRuns: 10 },
  );
});

test('any text gets an answer, and says why it is no context', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(decodeContext(text, scope, mac).kind).toBe('invalid');
    }),
  );
  const reasons: readonly (readonly [string, RegExp])[] = [
    ['', /too short/],
    ['a b', /not base64url/],
    ['AA==', /not base64url/],
    ['A'.repeat(MAX_CONTEXT_CHARACTERS + 1), /characters: up to/],
    [toBase64url(new Uint8Array(20).fill(2)), /unknown format 2/],
    [toBase64url(new Uint8Array(20).fill(1)), /was not given out for this key by this cluster/],
  ];
  for (const [text, reason] of reasons) {
    expect(decodeContext(text, scope, mac), text.slice(0, 20)).toEqual({
      kind: 'invalid',
      reason: expect.stringMatching(reason) as string,
    });
  }
});

test('a signed text whose vector is malformed is refused, not thrown', () => {
  for (const vector of [
    [1, 3, 4, 0],
    [2, 3, 4, 5, 3, 4, 5],
    [1, 3, 4],
    [1, 3, 4, 5, 6],
  ]) {
    const signed = concatBytes([Uint8Array.of(1, scope.length), scope, Uint8Array.from(vector)]);
    const text = toBase64url(concatBytes([Uint8Array.of(1, ...vector), mac(signed).subarray(0, 8)]));
    expect(decodeContext(text, scope, mac)).toEqual({
      kind: 'invalid',
      reason: expect.stringContaining('is malformed') as string,
    });
  }
});

test('the longest possible context still fits its bound', () => {
  const longest = Array.from({ length: 4096 }, (_, i) => dot(65_535, Number.MAX_SAFE_INTEGER, 2 ** 52 + i));
  const text = encodeContext(longest, scope, mac);
  expect(text.length).toBeLessThanOrEqual(MAX_CONTEXT_CHARACTERS);
  expect(decodeContext(text, scope, mac)).toEqual({ kind: 'context', vector: longest });
});
