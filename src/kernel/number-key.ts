/** Whole numbers up to 2^53-1 as eight bytes, most significant first: keys whose order as bytes is that of the numbers. */

const BYTES = 8;
const TWO_POW_32 = 2 ** 32;

export function keyOfNumber(number: number): Uint8Array {
  const key = new Uint8Array(BYTES);
  const view = new DataView(key.buffer);
  view.setUint32(0, Math.floor(number / TWO_POW_32));
  view.setUint32(4, number % TWO_POW_32);
  return key;
}

/** Of what {@link keyOfNumber} has made. */
export function numberOfKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, BYTES);
  return view.getUint32(0) * TWO_POW_32 + view.getUint32(4);
}
