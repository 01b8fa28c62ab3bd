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

import { fromBase64url, fromHex, toBase64url, toHex } from '#kernel/bytes.ts';
import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import type { Mac } from '#kernel/native.ts';
import { hash64ToHex, sipHash64, sipKey } from '#kernel/siphash.ts';
import { beyondHorizon } from './horizon.ts';
import { EMPTY_VECTOR, type VersionVector } from './state.ts';
import { joinVectors } from './vector.ts';
import { readVector, vectorBytes, writeVector } from './vector-codec.ts';

export interface Session {
  /** The key seen longest ago first. Keys are named by 16 hex digits. */
  readonly seen: ReadonlyMap<string, VersionVector>;
  /** Whether keys have left for want of room. */
  readonly forgot: boolean;
}

export const NEW_SESSION: Session = { seen: new Map(), forgot: false };

export const MAX_SESSION_CHARACTERS = 4096;
const MAX_BYTES = (MAX_SESSION_CHARACTERS / 4) * 3;
const FORMAT_1 = 1;
const FORGOT = 1;
const NAME_BYTES = 8;
const MAC_BYTES = 8;
const MAX_KEYS = 1024;
/** Sets what is signed here apart from what is signed elsewhere under the same key. */
const DOMAIN = 0x53;
/** Fixed and public: names tell keys apart, they hide nothing. A change of it makes every session start anew. */
const NAMES = sipKey(new Uint8Array(16));

/** How a session names the key that `scope` stands for, its bucket included. */
export function sessionKey(scope: Uint8Array): string {
  return hash64ToHex(sipHash64(NAMES, scope));
}

/** What a read of the key must know at least; empty when the session has not seen it. */
export function seenOf({ seen }: Session, key: string): VersionVector {
  return seen.get(key) ?? EMPTY_VECTOR;
}

/** Whether what the session has seen of the key may have left the token. */
export function mayHaveForgotten({ seen, forgot }: Session, key: string): boolean {
  return forgot && !seen.has(key);
}

/**
 * The session after it has been shown a state with this vector, or was told of a write with this dot. What lies within a horizon
 * was known to all owners before there was one, so no read has to be asked for it any more.
 */
export function withSeen(session: Session, key: string, vector: VersionVector): Session {
  if (vector.length === 0) return session;
  const seen = new Map(session.seen);
  const before = seen.get(key) ?? EMPTY_VECTOR;
  seen.delete(key);
  seen.set(key, beyondHorizon(joinVectors(before, vector)));
  return { ...session, seen };
}

/** Has seen what either has. */
export function joinSessions(a: Session, b: Session): Session {
  let joined: Session = { ...a, forgot: a.forgot || b.forgot };
  for (const [key, vector] of b.seen) joined = withSeen(joined, key, vector);
  return joined;
}

/** The text form; the keys seen longest ago are left out when there is no room. */
export function encodeSession(session: Session, mac: Mac): string {
  const entries = [...session.seen];
  let room = MAX_BYTES - 2 - 2 - MAC_BYTES;
  let first = entries.length;
  while (first > 0 && entries.length - first < MAX_KEYS) {
    room -= NAME_BYTES + vectorBytes(entries[first - 1]![1]);
    if (room < 0) break;
    first -= 1;
  }
  const writer = new ByteWriter(MAX_BYTES);
  writer.u8(FORMAT_1);
  writer.u8(session.forgot || first > 0 ? FORGOT : 0);
  writer.varint(entries.length - first);
  for (const [key, vector] of entries.slice(first)) {
    writer.raw(fromHex(key)!);
    writeVector(writer, vector);
  }
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
  const seen = new Map<string, VersionVector>();
  const keys = reader.varint();
  for (let i = 0; i < keys; i++) seen.set(toHex(reader.raw(NAME_BYTES)), readVector(reader));
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
