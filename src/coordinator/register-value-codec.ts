/**
 * The bytes of a register's value: MessagePack of
 *
 *     [1, version, state, [holder, token, expiresAt] or nil, fence, [[id, version, dot, true if it was retried], …], [[id, fingerprint, dot, until], …],
 *      forgotten unless it is 0]
 *
 * with [series, number, answeredBelow] at the end of what is remembered of a numbered request, the state in its own format and a dot as three numbers. The first element names the format; the owners store the bytes
 * with a checksum of their own.
 */

import { CorruptState, decodeState, encodeState } from '#causality/state-codec.ts';
import type { Checksum } from '#kernel/native.ts';
import { retryFromWire, retryToWire, type RetryRow } from '#replica/retry-codec.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { INTEGER_BYTES, PackedReader, PackedWriter } from './packed.ts';
import { KEYED_MAX } from './register-keyed.ts';
import { dotFromWire, isGiven, numberedFromWire, numberedToWire } from './request-codec.ts';
import {
  RECENT_MAX,
  RETRIED_MAX,
  type Lease,
  type RecentChange,
  type RegisterValue,
  type ShownValue,
} from './register-value.ts';

const FORMAT_1 = 1;
const ID_BYTES = 16;
/** Of a row of a request, before what an earlier program does not know. */
const RETRY_ELEMENTS = 6;
const RECENT_BYTES = 5 + ID_BYTES + 4 * INTEGER_BYTES;
/** Packed: nothing, and a list of nothing. */
const NIL: Uint8Array = Uint8Array.of(0xc0);
const NO_ELEMENTS: Uint8Array = Uint8Array.of(0x90);
export const HOLDER_MAX = 256;

export function encodeValue(value: RegisterValue, checksum: Checksum): Uint8Array {
  const { version, state, lease, fence, recent, keyed, forgotten } = value;
  const stateBytes = encodeState(state, checksum);
  const leaseBytes = lease === null ? NIL : encode(leaseToWire(lease));
  const keyedBytes = keyed.length === 0 ? NO_ELEMENTS : encode(keyed.map(keyedToWire));
  const lengths = stateBytes.length + leaseBytes.length + keyedBytes.length;
  const writer = new PackedWriter(64 + lengths + recent.length * RECENT_BYTES);
  writer.array(forgotten === 0 ? 7 : 8);
  writer.integer(FORMAT_1);
  writer.integer(version);
  writer.bytes(stateBytes);
  writer.raw(leaseBytes);
  writer.integer(fence);
  writer.array(recent.length);
  for (const change of recent) writeRecent(writer, change);
  writer.raw(keyedBytes);
  if (forgotten !== 0) writer.integer(forgotten);
  return writer.written();
}

/** @throws MalformedMessage for bytes that no version of this program wrote */
export function decodeValue(bytes: Uint8Array, checksum: Checksum): RegisterValue {
  const fields = asArray(decode(bytes), 7, 'value of a register');
  if (fields[0] !== FORMAT_1) throw new MalformedMessage(`format ${String(fields[0])} of a register's value`);
  return {
    version: asInteger(fields[1], 'version'),
    state: stateFrom(asBytes(fields[2], 'state', MAX_MESSAGE_BYTES), checksum),
    lease: leaseFromWire(fields[3]),
    fence: asInteger(fields[4], 'fence'),
    recent: asListOf(fields[5], 'recent changes', RECENT_MAX + RETRIED_MAX, recentFromWire),
    keyed: asListOf(fields[6], 'idempotency keys', KEYED_MAX, keyedFromWire),
    forgotten: fields[7] === undefined ? 0 : asInteger(fields[7], 'forgotten'),
  };
}

/**
 * What {@link decodeValue} says of the state and the lease. Whoever does not change the value needs no more of it, and what it
 * remembers is most of the work. The owners' checksum has said that the bytes are those that were written.
 *
 * @throws MalformedMessage as that does, but for what it does not look at
 */
export function decodeShown(bytes: Uint8Array, checksum: Checksum): ShownValue {
  const reader = new PackedReader(bytes);
  reader.array(7, 1);
  if (reader.integer() !== FORMAT_1) return decodeValue(bytes, checksum);
  reader.integer();
  const state = reader.bytes();
  const leased = !reader.nil();
  return leased || !reader.ok ? decodeValue(bytes, checksum) : { state: stateFrom(state, checksum), lease: null };
}

function stateFrom(bytes: Uint8Array, checksum: Checksum): RegisterValue['state'] {
  try {
    return decodeState(bytes, checksum);
  } catch (error) {
    throw error instanceof CorruptState ? new MalformedMessage(`state of a register: ${error.message}`) : error;
  }
}

export function leaseToWire(lease: Lease | null): unknown {
  return lease === null ? null : [lease.holder, lease.token, lease.expiresAt];
}

export function leaseFromWire(body: unknown): Lease | null {
  if (body === null || body === undefined) return null;
  const fields = asArray(body, 3, 'lease');
  return {
    holder: asString(fields[0], 'holder', HOLDER_MAX),
    token: asInteger(fields[1], 'token'),
    expiresAt: asInteger(fields[2], 'expiresAt'),
  };
}

function writeRecent(writer: PackedWriter, { id, version, dot, retried }: RecentChange): void {
  writer.array(retried ? 4 : 3);
  writer.bytes(id);
  writer.integer(version);
  writer.array(3);
  writer.integer(dot.node);
  writer.integer(dot.tenure);
  writer.integer(dot.counter);
  if (retried) writer.true();
}

function recentFromWire(body: unknown): RecentChange {
  const fields = asArray(body, 3, 'recent change');
  const id = asBytes(fields[0], 'id', ID_BYTES);
  if (id.length !== ID_BYTES) throw new MalformedMessage(`id of ${id.length} bytes`);
  return { id, version: asInteger(fields[1], 'version'), dot: dotFromWire(fields[2]), retried: fields[3] === true };
}

function keyedToWire(row: RetryRow): unknown {
  const { numbered } = row;
  return numbered === undefined ? retryToWire(row) : [...retryToWire(row), ...numberedToWire(numbered)];
}

function keyedFromWire(body: unknown): RetryRow {
  const row = retryFromWire(body);
  const numbered = asArray(body, RETRY_ELEMENTS, 'retry').slice(RETRY_ELEMENTS);
  return isGiven(numbered[0]) ? { ...row, numbered: numberedFromWire(numbered) } : row;
}
