/**
 * Where a client goes on: a place in a listing or a watch as an opaque, signed text. Base64url of: u8 format | place |
 * first 8 bytes of the MAC over (format, what the place is in, place). What it is in (the bucket, the prefix) is signed and not
 * held, so a cursor of another listing is refused, and so is one that somebody made up.
 */

import { fromBase64url, toBase64url } from '#kernel/base64.ts';
import { concatBytes, equalBytes, utf8 } from '#kernel/bytes.ts';
import { ByteWriter } from '#kernel/binary.ts';
import type { Mac } from '#kernel/native.ts';
import { invalid, type Problem } from './problem.ts';

const FORMAT_1 = 1;
const MAC_BYTES = 8;
const CHARACTERS_MAX = 16_384;

export interface CursorScope {
  readonly of: 'list' | 'watch';
  readonly bucket: string;
  readonly prefix: string;
}

export function encodeCursor(place: Uint8Array, scope: CursorScope, mac: Mac): string {
  return toBase64url(concatBytes([Uint8Array.of(FORMAT_1), place, signature(place, scope, mac)]));
}

/** `field` is where the client has put it. */
export function decodeCursor(text: string, scope: CursorScope, mac: Mac, field: string): Uint8Array | Problem {
  const bytes = text.length > CHARACTERS_MAX ? undefined : fromBase64url(text);
  const place = bytes?.subarray(1, Math.max(1, bytes.length - MAC_BYTES));
  const known =
    bytes !== undefined &&
    place !== undefined &&
    bytes.length > MAC_BYTES &&
    bytes[0] === FORMAT_1 &&
    equalBytes(bytes.subarray(bytes.length - MAC_BYTES), signature(place, scope, mac));
  if (known) return place;
  return invalid(field, `is not a cursor that this cluster gave out for this bucket and prefix`);
}

/** Every part goes in with its length, so that no other split of the same bytes has the same signature. */
function signature(place: Uint8Array, { of, bucket, prefix }: CursorScope, mac: Mac): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FORMAT_1);
  writer.text(`cursor-${of}`);
  writer.text(bucket);
  writer.bytes(utf8(prefix));
  writer.raw(place);
  return mac(writer.finish()).subarray(0, MAC_BYTES);
}
