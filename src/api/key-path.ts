/**
 * Bucket names and keys as they stand in a path.
 */

import { isBucketName } from '#buckets/schema.ts';
import { fromBase64url } from '#kernel/base64.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { invalid, type Problem } from './problem.ts';
import { escapedByte, quoted } from './raw-path.ts';

export const MAX_KEY_BYTES = 1024;
const PERCENT = 0x25;

/** The bucket's name from its raw segment. */
export function decodeBucket(segment: string): string | Problem {
  // A name has ASCII characters only, so each byte can be looked at as a character.
  return checkedBucket(segment.includes('%') ? String.fromCharCode(...percentDecode(segment.slice(0, 1000))) : segment);
}

export function checkedBucket(name: string): string | Problem {
  if (!isBucketName(name)) {
    return invalid('bucket', `${quoted(name)} must be 1-128 characters of A-Z a-z 0-9 . _ - other than "." and ".."`);
  }
  return name;
}

/** The key's bytes from its raw segment, in the form that the name of the path's family says. */
export function decodeKeyOf(family: string, segment: string): Uint8Array | Problem {
  return family.endsWith('64') ? decodeKey64(segment) : decodeKey(segment);
}

/** The key's bytes from its raw segment in `/v1/kv`. */
export function decodeKey(segment: string): Uint8Array | Problem {
  const bytes = percentDecode(segment);
  // Without escapes all is ASCII: what needs no escape was checked with the target.
  return checkedKey(bytes, bytes.length < segment.length);
}

/** The key's bytes from their base64url in `/v1/kv64`: control bytes and dot segments are welcome here. */
export function decodeKey64(segment: string): Uint8Array | Problem {
  const bytes = fromBase64url(segment);
  if (bytes === undefined) return invalid('key', `${quoted(segment)} is not canonical base64url without padding`);
  return checkedKey(bytes, true);
}

function checkedKey(bytes: Uint8Array, mayBeMalformed: boolean): Uint8Array | Problem {
  if (bytes.length === 0) return invalid('key', 'must not be empty');
  if (bytes.length > MAX_KEY_BYTES) {
    return invalid('key', `has ${bytes.length} bytes; at most ${MAX_KEY_BYTES} are allowed`);
  }
  return mayBeMalformed && !isUtf8(bytes) ? invalid('key', 'is not UTF-8') : bytes;
}

/** Escapes become their bytes; the target's parser has made sure that all are well formed and the rest is ASCII. */
function percentDecode(segment: string): Uint8Array {
  const bytes = new Uint8Array(segment.length);
  let length = 0;
  for (let i = 0; i < segment.length; i++) {
    const code = segment.charCodeAt(i);
    bytes[length++] = code === PERCENT ? escapedByte(segment, i) : code;
    if (code === PERCENT) i += 2;
  }
  return length === bytes.length ? bytes : bytes.slice(0, length);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    fromUtf8(bytes);
    return true;
  } catch {
    return false;
  }
}
