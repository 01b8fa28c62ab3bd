/**
 * Values to bytes and back, as MessagePack. Only what a positional array needs crosses the wire: nil, booleans, numbers,
 * strings, bytes and arrays. Bytes from a peer are walked once before msgpackr builds anything from them, so no map,
 * extension type or record can make an object of another kind, and depth and size are bounded before memory is spent.
 */

import { Packr } from 'msgpackr/pack';
import { asMalformed, MalformedMessage } from './message.ts';

/** Arrays within arrays. */
export const MAXIMUM_DEPTH = 32;
/** Values in one message, arrays included: one byte can cost eight or more in memory. */
export const MAXIMUM_VALUES = 1_000_000;

/** Each message stands alone: no records, no structures, no bundled strings, nothing learnt from an earlier message. */
const packr = new Packr({
  useRecords: false,
  bundleStrings: false,
  structuredClone: false,
  moreTypes: false,
  useToJSON: false,
  encodeUndefinedAsNil: true,
  copyBuffers: false,
});

/**
 * The library writes messages one behind the other into a block, and then into a new one. Its blocks have four times the length of the
 * longest message so far, at first 8 KiB, and a new one for each six messages of 1 KiB costs more than the writing: so it is shown
 * a longer one before there are any.
 */
const BLOCK_BYTES = 64 * 1024;
packr.pack(new Uint8Array(BLOCK_BYTES / 4));

/**
 * Bytes that nobody rewrites. They are a part of a larger buffer, which lives as long as they do: whoever keeps them for
 * long keeps a copy. Integers above 32 bits travel as float64, which is exact up to 2^53.
 */
export function encode(value: unknown): Uint8Array {
  const packed: Uint8Array = packr.pack(value);
  return new Uint8Array(packed.buffer, packed.byteOffset, packed.length);
}

/**
 * The value that the bytes hold, all of them. Byte strings in it are views of `bytes`.
 *
 * @throws MalformedMessage when they are not one well-formed value of the kinds above within the bounds above
 */
export function decode(bytes: Uint8Array): unknown {
  assertWellFormed(bytes);
  // A node's own buffers may be of a subclass, whose `slice` is a view; what comes out is always the plain class.
  const plain = bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return packr.unpack(plain);
  } catch (error) {
    throw asMalformed('message', error);
  }
}

/** Walks the tokens without building anything; accepts exactly the forms that {@link encode} writes. */
function assertWellFormed(bytes: Uint8Array): void {
  const end = bytes.length;
  const unread = [1];
  let depth = 0;
  let values = 0;
  let position = 0;
  while (depth > 0 || unread[0]! > 0) {
    if (unread[depth] === 0) {
      depth--;
      continue;
    }
    unread[depth]!--;
    if (position >= end) throw new MalformedMessage('the message is cut short');
    if (++values > MAXIMUM_VALUES) throw new MalformedMessage(`more than ${MAXIMUM_VALUES} values in one message`);
    const token = bytes[position]!;
    const elements = elementCount(bytes, position, token);
    position += tokenLength(bytes, position, token);
    if (elements > 0) {
      if (elements > end - position) throw new MalformedMessage('an array is longer than its message');
      if (++depth > MAXIMUM_DEPTH) throw new MalformedMessage(`arrays nested more than ${MAXIMUM_DEPTH} deep`);
      unread[depth] = elements;
    }
  }
  if (position > end) throw new MalformedMessage('the message is cut short');
  if (position < end) throw new MalformedMessage(`${end - position} bytes after the end of the message`);
}

/** Elements of the array that begins here, 0 when the token is no array. */
function elementCount(bytes: Uint8Array, position: number, token: number): number {
  if (token >= 0x90 && token < 0xa0) return token - 0x90;
  if (token === 0xdc) return unsigned(bytes, position + 1, 2);
  return token === 0xdd ? unsigned(bytes, position + 1, 4) : 0;
}

/** Bytes of the token with its payload; of an array only its head. */
function tokenLength(bytes: Uint8Array, position: number, token: number): number {
  if (token < 0x80 || token >= 0xe0) return 1;
  if (token >= 0xa0 && token < 0xc0) return 1 + token - 0xa0;
  if (token >= 0x90 && token < 0xa0) return 1;
  switch (token) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return 1;
    case 0xc4: // bytes
    case 0xd9: // string
      return 2 + unsigned(bytes, position + 1, 1);
    case 0xc5:
    case 0xda:
      return 3 + unsigned(bytes, position + 1, 2);
    case 0xc6:
    case 0xdb:
      return 5 + unsigned(bytes, position + 1, 4);
    case 0xcc: // integers
    case 0xd0:
      return 2;
    case 0xcd:
    case 0xd1:
    case 0xdc: // arrays
      return 3;
    case 0xce:
    case 0xd2:
    case 0xdd:
      return 5;
    case 0xcb: // float64
      return 9;
    default:
      throw new MalformedMessage(`0x${token.toString(16)} begins no value that this protocol uses`);
  }
}

/** A big-endian number; what lies after the end reads as 0, and the walk then runs past the end and finds out. */
function unsigned(bytes: Uint8Array, position: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[position + i] ?? 0);
  return value;
}
