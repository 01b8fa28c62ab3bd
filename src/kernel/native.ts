/**
 * Pure functions that only a host implements fast. Rooms take them as arguments; world/digest.ts provides them.
 */

/** CRC-32 (ISO-HDLC, as in gzip) of the bytes, as an unsigned 32-bit number. */
export type Checksum = (bytes: Uint8Array) => number;

/**
 * A message authentication code under a key that the maker of the function has bound. At least eight bytes, of which the
 * first eight serve.
 */
export type Mac = (bytes: Uint8Array) => Uint8Array;
