/**
 * The context that a client gets with what it reads and sends back with what it writes: a version vector as an opaque,
 * signed text. Base64url of: u8 format | vector | first 8 bytes of the MAC over (format, scope, vector).
 *
 * The scope names the one key that the context is about, its bucket included. Counters are clock values and actors serve
 * many keys, so a context of another key, sent by mistake, would cover versions that the client never saw: the write
 * would silently erase them. The signature keeps out contexts of other clusters and invented ones, too; a counter from the
 * far future would hide every later write of its actor.
 */

import { fromBase64url, toBase64url } from '#kernel/base64.ts';
import { ByteReader, ByteWriter, varintBytes } from '#kernel/binary.ts';
import type { Mac } from '#kernel/native.ts';
import type { VersionVector } from './state.ts';
import { MAX_ACTORS, readVector, vectorBytes, writeVector } from './vector-codec.ts';

const FORMAT_1 = 1;
const MAC_BYTES = 8;
/** Three varints of an entry: a node index and two hybrid times. */
const MAX_ENTRY_BYTES = 3 + 8 + 8;
const MAX_TOKEN_BYTES = 1 + 2 + MAX_ACTORS * MAX_ENTRY_BYTES + MAC_BYTES;
/** Characters of the longest context. Real ones have some 30, and 20 more for each further actor. */
export const MAX_CONTEXT_CHARACTERS = Math.ceil((MAX_TOKEN_BYTES * 4) / 3);

export type DecodedContext =
  | { readonly kind: 'context'; readonly vector: VersionVector }
  /** The reason completes a sentence such as "Quoral-Context …". */
  | { readonly kind: 'invalid'; readonly reason: string };

/** The text form of the vector for the key that `scope` names, signed with `mac`. */
export function encodeContext(vector: VersionVector, scope: Uint8Array, mac: Mac): string {
  // Written twice: that costs less than a view of what was written once.
  const size = vectorBytes(vector);
  const signed = signedWriter(scope, size);
  writeVector(signed, vector);
  const writer = new ByteWriter(1 + size + MAC_BYTES);
  writer.u8(FORMAT_1);
  writeVector(writer, vector);
  const signature = mac(signed.finish());
  for (let i = 0; i < MAC_BYTES; i++) writer.u8(signature[i]!);
  return toBase64url(writer.finish());
}

/** Reads what {@link encodeContext} wrote for the same scope under the same key; anything else is `invalid`, never empty. */
export function decodeContext(text: string, scope: Uint8Array, mac: Mac): DecodedContext {
  if (text.length > MAX_CONTEXT_CHARACTERS) {
    return invalid(`has ${text.length} characters: up to ${MAX_CONTEXT_CHARACTERS}`);
  }
  const bytes = fromBase64url(text);
  if (bytes === undefined) return invalid('is not base64url without padding');
  if (bytes.length < 1 + 1 + MAC_BYTES) return invalid('is too short');
  if (bytes[0] !== FORMAT_1) return invalid(`has the unknown format ${bytes[0]}`);
  const signed = bytes.subarray(1, bytes.length - MAC_BYTES);
  if (!equalSignatures(bytes.subarray(bytes.length - MAC_BYTES), signature(signed, scope, mac))) {
    return invalid('was not given out for this key by this cluster');
  }
  try {
    const reader = new ByteReader(signed);
    const vector = readVector(reader);
    reader.end();
    return { kind: 'context', vector };
  } catch (error) {
    if (error instanceof RangeError) return invalid(`is malformed: ${error.message}`);
    throw error;
  }
}

function signature(vector: Uint8Array, scope: Uint8Array, mac: Mac): Uint8Array {
  const writer = signedWriter(scope, vector.length);
  writer.raw(vector);
  return mac(writer.finish()).subarray(0, MAC_BYTES);
}

/** What is signed, but for the vector. The scope goes in with its length, so that no other split of the same bytes has the same signature. */
function signedWriter(scope: Uint8Array, vectorSize: number): ByteWriter {
  const writer = new ByteWriter(1 + varintBytes(scope.length) + scope.length + vectorSize);
  writer.u8(FORMAT_1);
  writer.bytes(scope);
  return writer;
}

/** Takes the same time wherever the difference is, so that a signature cannot be found byte by byte. */
function equalSignatures(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

function invalid(reason: string): DecodedContext {
  return { kind: 'invalid', reason };
}
