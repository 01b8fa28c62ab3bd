/**
 * Keys of numbered tables: eight bytes in the port, an integer in SQLite.
 */

import { assert } from '#kernel/assert.ts';

const KEY_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** The number of a row's key. */
export function numberOfKey(key: Uint8Array): number {
  assertNumberKey(key);
  return firstNumber(key);
}

export function assertNumberKey(key: Uint8Array): void {
  assert(key.length === KEY_BYTES, 'the key of a numbered row has eight bytes');
  assert(firstNumber(key) <= Number.MAX_SAFE_INTEGER, 'the key of a numbered row is a number up to 2^53-1');
}

/** The number of the first key that a range from here on can have. Bytes that are missing are the least, further ones lie behind. */
export function firstNumber(from: Uint8Array): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) high = high * 256 + (from[i] ?? 0);
  for (let i = 4; i < KEY_BYTES; i++) low = low * 256 + (from[i] ?? 0);
  return high * TWO_POW_32 + low + (from.length > KEY_BYTES ? 1 : 0);
}
