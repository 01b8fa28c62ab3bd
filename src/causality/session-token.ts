/**
 * What a client's session has seen, as an opaque, signed text that the client carries from node to node: for each key the
 * least that a read must know from now on. Nodes keep nothing of sessions.
 *
 *     u8 1 | u8 flags | number of keys | for each, the one seen longest ago first: 8 bytes that name it, vector
 *          | first 8 bytes of the MAC over 'S' and all before it
 *
 * A token has at most 4096 characters, which is room for some fifty keys. When there are more, those that were seen longest
 * ago leave and the token remembers that some have left: a key that it does not know is then read at a strict quorum. So what
 * the session has written or read at a quorum stays seen; what it knew from fewer replicas it may lose sight of.
 */

import { fromBase64url, toBase64url } from '#kernel/base64.ts';
import { equalBytes } from '#kernel/bytes.ts';
import { ByteReader, ByteWriter, varintBytes } from '#kernel/binary.ts';
import type { Mac } from '#kernel/native.ts';
import { hash64ToBytes, sipHash64, sipKey } from '#kernel/siphash.ts';
import { beyondHorizon } from './horizon.ts';
import { EMPTY_VECTOR, type VersionVector } from './state.ts';
import { joinVectors } from './vector.ts';
import { passVector, readVector, vectorBytes, writeVector } from './vector-codec.ts';

/**
 * A request looks at one key of its session, and all others go into its answer as they came. So they stay bytes: to make
 * vectors of them and bytes of the vectors cost more than the rest of a GET.
 */
export interface Session {
  /** What was seen of each key as it stands in a token, with its name; the key seen longest ago first. */
  readonly seen: readonly Uint8Array[];
  /** Whether keys have left for want of room. */
  readonly forgot: boolean;
}

export const NEW_SESSION: Session = { seen: [], forgot: false };

export const MAX_SESSION_CHARACTERS = 4096;
const MAX_BYTES = (MAX_SESSION_CHARACTERS / 4) * 3;
const FORMAT_1 = 1;
const FORGOT = 1;
const NAME_BYTES = 8;
const MAC_BYTES = 8;
/** For keys: what the format, the flags, the number of keys and the signature leave. */
const ROOM = MAX_BYTES - 2 - 2 - MAC_BYTES;
/** Sets what is signed here apart from what is signed elsewhere under the same key. */
const DOMAIN = 0x53;
/** Fixed and public: names tell keys apart, they hide nothing. A change of it makes every session start anew. */
const NAMES = sipKey(new Uint8Array(16));

/** How a session names the key that `scope` stands for, its bucket included. */
export function sessionKey(scope: Uint8Array): Uint8Array {
  return hash64ToBytes(sipHash64(NAMES, scope));
}

/** What a read of the key must know at least; empty when the session has not seen it. */
export function seenOf({ seen }: Session, key: Uint8Array): VersionVector {
  const at = placeOf(seen, key);
  return at < 0 ? EMPTY_VECTOR : vectorIn(seen[at]!);
}

/** Whether what the session has seen of the key may have left the token. */
export function mayHaveForgotten({ seen, forgot }: Session, key: Uint8Array): boolean {
  return forgot && placeOf(seen, key) < 0;
}

/**
 * The session after it has been shown a state with this vector, or was told of a write with this dot. What lies within a horizon
 * was known to all owners before there was one, so no read has to be asked for it any more.
 */
export function withSeen(session: Session, key: Uint8Array, vector: VersionVector): Session {
  if (vector.length === 0) return session;
  const seen = [...session.seen];
  show(seen, key, vector);
  return { ...session, seen };
}

/** The key is the one seen last now. */
function show(seen: Uint8Array[], key: Uint8Array, vector: VersionVector): void {
  const at = placeOf(seen, key);
  const before = at < 0 ? EMPTY_VECTOR : vectorIn(seen[at]!);
  if (at >= 0) seen.splice(at, 1);
  const now = beyondHorizon(joinVectors(before, vector));
  const writer = new ByteWriter(NAME_BYTES + vectorBytes(now));
  writer.raw(key);
  writeVector(writer, now);
  seen.push(writer.finish());
}

/** `key` begins with the name of the key. */
function placeOf(seen: readonly Uint8Array[], key: Uint8Array): number {
  for (let at = 0; at < seen.length; at++) {
    const entry = seen[at]!;
    let same = 0;
    while (same < NAME_BYTES && entry[same] === key[same]) same += 1;
    if (same === NAME_BYTES) return at;
  }
  return -1;
}

function vectorIn(entry: Uint8Array): VersionVector {
  return readVector(new ByteReader(entry.subarray(NAME_BYTES)));
}

/** Has seen what either has. */
export function joinSessions(a: Session, b: Session): Session {
  const forgot = a.forgot || b.forgot;
  if (a.seen.length === 0) return { ...b, forgot };
  const seen = [...a.seen];
  for (const entry of b.seen) {
    const at = placeOf(seen, entry);
    if (at < 0) seen.push(entry);
    // Nearly all of what tokens of one session know is the same.
    else if (equalBytes(seen[at]!, entry)) seen.push(...seen.splice(at, 1));
    else show(seen, entry.subarray(0, NAME_BYTES), vectorIn(entry));
  }
  return { seen, forgot };
}

/** The text form; the keys seen longest ago are left out when there is no room. */
export function encodeSession({ seen, forgot }: Session, mac: Mac): string {
  let first = seen.length;
  let bytes = 0;
  while (first > 0 && bytes + seen[first - 1]!.length <= ROOM) bytes += seen[--first]!.length;
  const keys = seen.length - first;
  const writer = new ByteWriter(2 + varintBytes(keys) + bytes + MAC_BYTES);
  writer.u8(FORMAT_1);
  writer.u8(forgot || first > 0 ? FORGOT : 0);
  writer.varint(keys);
  for (let i = first; i < seen.length; i++) writer.raw(seen[i]!);
  writer.raw(signature(writer.written(0), mac));
  return toBase64url(writer.finish());
}

export type DecodedSession =
  | { readonly kind: 'session'; readonly session: Session }
  /** The reason completes a sentence such as "Quoral-Session …". */
  | { readonly kind: 'invalid'; readonly reason: string };

/** Reads what {@link encodeSession} wrote under the same key; anything else is `invalid`, never a new session. */
export function decodeSession(text: string, mac: Mac): DecodedSession {
  if (text.length > MAX_SESSION_CHARACTERS)
    return invalid(`has ${text.length} characters: up to ${MAX_SESSION_CHARACTERS}`);
  const bytes = fromBase64url(text);
  if (bytes === undefined) return invalid('is not base64url without padding');
  if (bytes.length < 3 + MAC_BYTES) return invalid('is too short');
  if (bytes[0] !== FORMAT_1) return invalid(`has the unknown format ${bytes[0]}`);
  const signed = bytes.subarray(0, bytes.length - MAC_BYTES);
  if (!equalSignatures(bytes.subarray(signed.length), signature(signed, mac)))
    return invalid('was not given out by this cluster');
  try {
    return { kind: 'session', session: readSession(new ByteReader(signed)) };
  } catch (error) {
    if (error instanceof RangeError) return invalid(`is malformed: ${error.message}`);
    throw error;
  }
}

function readSession(reader: ByteReader): Session {
  reader.u8();
  const flags = reader.u8();
  if (flags > FORGOT) throw new RangeError(`unknown flags ${flags}`);
  const seen: Uint8Array[] = [];
  for (let keys = reader.varint(); keys > 0; keys--) {
    const start = reader.offset;
    reader.raw(NAME_BYTES);
    passVector(reader);
    seen.push(reader.since(start));
  }
  reader.end();
  return { seen, forgot: flags === FORGOT };
}

function signature(signed: Uint8Array, mac: Mac): Uint8Array {
  const writer = new ByteWriter(1 + signed.length);
  writer.u8(DOMAIN);
  writer.raw(signed);
  return mac(writer.finish()).subarray(0, MAC_BYTES);
}

/** Takes the same time wherever the difference is, so that a signature cannot be found byte by byte. */
function equalSignatures(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

function invalid(reason: string): DecodedSession {
  return { kind: 'invalid', reason };
}
