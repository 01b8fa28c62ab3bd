/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash that spreads short inputs evenly and that nobody
 * without the key can steer. JavaScript has no fast 64-bit integers, so every 64-bit word is a pair of 32-bit halves:
 * `h` the high one, `l` the low one.
 */

import { hexOf } from './bytes.ts';
import type { Brand } from './identity.ts';

/** A 64-bit hash as two unsigned 32-bit halves. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

export type SipKey = Brand<readonly [k0h: number, k0l: number, k1h: number, k1l: number], 'SipKey'>;

/** Reads a key from its 16 bytes; throws RangeError for another length. */
export function sipKey(bytes16: Uint8Array): SipKey {
  if (bytes16.length !== 16) throw new RangeError(`SipHash key of ${bytes16.length} bytes: 16`);
  return [
    littleEndian32(bytes16, 4),
    littleEndian32(bytes16, 0),
    littleEndian32(bytes16, 12),
    littleEndian32(bytes16, 8),
  ] as const as SipKey;
}

function littleEndian32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/**
 * The hash of the bytes, or of the first `length` of them, under the key. One long function on purpose: its eight halves of state stay in registers, and
 * carries are computed from sign bits, because a branch on random bits is guessed wrong half of the time.
 */
export function sipHash64(key: SipKey, bytes: Uint8Array, length: number = bytes.length): Hash64 {
  const [k0h, k0l, k1h, k1l] = key;
  let v0h = k0h ^ 0x736f6d65;
  let v0l = k0l ^ 0x70736575;
  let v1h = k1h ^ 0x646f7261;
  let v1l = k1l ^ 0x6e646f6d;
  let v2h = k0h ^ 0x6c796765;
  let v2l = k0l ^ 0x6e657261;
  let v3h = k1h ^ 0x74656462;
  let v3l = k1l ^ 0x79746573;

  // The whole words, then the rest of the bytes with the length as its top byte, then the finalization (four rounds).
  const wholeWords = length >>> 3;
  for (let word = 0; word <= wholeWords + 1; word++) {
    let mh = 0;
    let ml = 0;
    let rounds = 2;
    if (word < wholeWords) {
      ml = littleEndian32(bytes, word * 8);
      mh = littleEndian32(bytes, word * 8 + 4);
    } else if (word === wholeWords) {
      const start = word * 8;
      const rest = length & 7;
      for (let i = 0; i < rest; i++) {
        if (i < 4) ml |= bytes[start + i]! << (i * 8);
        else mh |= bytes[start + i]! << ((i - 4) * 8);
      }
      mh |= length << 24;
    } else {
      v2l ^= 0xff;
      rounds = 4;
    }

    v3h ^= mh;
    v3l ^= ml;
    for (let round = 0; round < rounds; round++) {
      let swap: number;
      let sum: number;
      // v0 += v1; v1 = (v1 <<< 13) ^ v0; v0 <<<= 32
      sum = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~sum)) >>> 31)) | 0;
      v0l = sum;
      swap = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
      v1h = swap;
      swap = v0h;
      v0h = v0l;
      v0l = swap;
      // v2 += v3; v3 = (v3 <<< 16) ^ v2
      sum = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~sum)) >>> 31)) | 0;
      v2l = sum;
      swap = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
      v3h = swap;
      // v0 += v3; v3 = (v3 <<< 21) ^ v0
      sum = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~sum)) >>> 31)) | 0;
      v0l = sum;
      swap = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
      v3h = swap;
      // v2 += v1; v1 = (v1 <<< 17) ^ v2; v2 <<<= 32
      sum = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~sum)) >>> 31)) | 0;
      v2l = sum;
      swap = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
      v1h = swap;
      swap = v2h;
      v2h = v2l;
      v2l = swap;
    }
    v0h ^= mh;
    v0l ^= ml;
  }
  return { high: (v0h ^ v1h ^ v2h ^ v3h) >>> 0, low: (v0l ^ v1l ^ v2l ^ v3l) >>> 0 };
}

/** 16 lower-case hex digits, the high half first. */
export function hash64ToHex(hash: Hash64): string {
  return hex32(hash.high) + hex32(hash.low);
}

/** Made of what stands ready: a number's own text and its padding cost eight times as much. */
function hex32(half: number): string {
  return hexOf(half >>> 24) + hexOf((half >>> 16) & 0xff) + hexOf((half >>> 8) & 0xff) + hexOf(half & 0xff);
}

/** 8 bytes, most significant first, so that the order of the bytes is the order of the hashes. */
export function hash64ToBytes(hash: Hash64): Uint8Array {
  const { high, low } = hash;
  const bytes = new Uint8Array(8);
  bytes[0] = high >>> 24;
  bytes[1] = high >>> 16;
  bytes[2] = high >>> 8;
  bytes[3] = high;
  bytes[4] = low >>> 24;
  bytes[5] = low >>> 16;
  bytes[6] = low >>> 8;
  bytes[7] = low;
  return bytes;
}
