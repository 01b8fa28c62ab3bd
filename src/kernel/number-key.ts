/** Whole numbers up to 2^53-1 as eight bytes, most significant first: keys whose order as bytes is that of the numbers. */

const BYTES = 8;
const TWO_POW_32 = 2 ** 32;

export function keyOfNumber(number: number): Uint8Array {
  const key = new Uint8Array(BYTES);
  const high = Math.floor(number / TWO_POW_32);
  const low = number % TWO_POW_32;
  // A view of it to write into would cost several times as much, and some read millions of rows.
  for (let i = 0; i < 4; i++) {
    key[i] = high >>> (24 - 8 * i);
    key[4 + i] = low >>> (24 - 8 * i);
  }
  return key;
}

/** Of what {@link keyOfNumber} has made. */
export function numberOfKey(key: Uint8Array): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) {
    high = high * 256 + key[i]!;
    low = low * 256 + key[4 + i]!;
  }
  return high * TWO_POW_32 + low;
}
