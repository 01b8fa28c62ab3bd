/**
 * The rows of retries, in bytes. Of `retries`: bucket, 0x00, incarnation as four bytes, length of the key as two bytes, key,
 * id → u8 1 | dot (node, tenure, counter) | until | 16 bytes of fingerprint | u32 CRC-32 of all before it. Of
 * `retry_expiry`: until as eight bytes, name of a row → of each further row the length of its name as two bytes and the name; one
 * byte 0 where there are none.
 */

import type { Dot } from '#causality/dot.ts';
import { MARK_BYTES, type RequestMark } from '#causality/repeats.ts';
import { ByteReader, ByteWriter, MalformedBytes } from '#kernel/binary.ts';
import { concatBytes } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import type { Checksum } from '#kernel/native.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBytes, asInteger } from '#wire/shape.ts';
import type { Place } from './records.ts';
import { recordPrefix } from './tables.ts';

/** What a request has become. */
export interface RetryRow extends RequestMark {
  readonly dot: Dot;
  /** Milliseconds since 1970 until which it may be sent again. */
  readonly until: number;
}

const FORMAT_1 = 1;
const TIME_BYTES = 8;

export function retryPrefix(place: Place, key: Uint8Array): Uint8Array {
  const length = Uint8Array.of(key.length >>> 8, key.length);
  return concatBytes([recordPrefix(place.bucket, place.incarnation), length, key]);
}

export function retryKey(place: Place, key: Uint8Array, id: Uint8Array): Uint8Array {
  return concatBytes([retryPrefix(place, key), id]);
}

export function idOfRow(name: Uint8Array): Uint8Array {
  return name.subarray(name.length - MARK_BYTES);
}

/** What every entry of an earlier time is less than. */
export function timeKey(milliseconds: number): Uint8Array {
  const bytes = new Uint8Array(TIME_BYTES);
  let rest = Math.floor(milliseconds);
  for (let i = TIME_BYTES - 1; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** `until` is the latest of the rows', `name` that of the first. */
export function expiryKey(until: number, name: Uint8Array): Uint8Array {
  return concatBytes([timeKey(until), name]);
}

export function timeOfExpiry(entry: Uint8Array): number {
  return entry.subarray(0, TIME_BYTES).reduce((time, byte) => time * 256 + byte, 0);
}

/** Of the rows beside the one that the key names. */
export function expiryValue(names: readonly Uint8Array[]): Uint8Array {
  if (names.length === 0) return new Uint8Array(1);
  return concatBytes(names.flatMap((name) => [Uint8Array.of(name.length >>> 8, name.length), name]));
}

/** The names of the rows that an entry of `retry_expiry` is about. */
export function namesOf(entry: Uint8Array, value: Uint8Array): readonly Uint8Array[] {
  const names = [entry.subarray(TIME_BYTES)];
  for (let at = 0; at + 2 <= value.length;) {
    const end = at + 2 + value[at]! * 256 + value[at + 1]!;
    names.push(value.subarray(at + 2, end));
    at = end;
  }
  return names;
}

export function encodeRetry({ dot, until, fingerprint }: RetryRow, checksum: Checksum): Uint8Array {
  const writer = new ByteWriter(1 + 4 * 8 + MARK_BYTES + 4);
  writer.u8(FORMAT_1);
  for (const number of [dot.node, dot.tenure, dot.counter, until]) writer.varint(number);
  writer.raw(fingerprint);
  writer.u32(checksum(writer.written(0)));
  return writer.finish();
}

/** Undefined when the bytes are not what {@link encodeRetry} has written. */
export function decodeRetry(id: Uint8Array, bytes: Uint8Array, checksum: Checksum): RetryRow | undefined {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT_1) return undefined;
    const dot = { node: nodeIndex(reader.varint()), tenure: reader.varint(), counter: reader.varint() };
    const until = reader.varint();
    const fingerprint = reader.raw(MARK_BYTES);
    const check = checksum(reader.since(0));
    if (reader.u32() !== check) return undefined;
    reader.end();
    return { id, fingerprint, dot, until };
  } catch (error) {
    if (error instanceof MalformedBytes || error instanceof RangeError) return undefined;
    throw error;
  }
}

export function encodeCount(count: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.varint(count);
  return writer.finish();
}

export function decodeCount(bytes: Uint8Array): number {
  return new ByteReader(bytes).varint();
}

export function retryToWire({ id, fingerprint, dot, until }: RetryRow): readonly unknown[] {
  return [id, fingerprint, dot.node, dot.tenure, dot.counter, until];
}

export function retryFromWire(body: unknown): RetryRow {
  const fields = asArray(body, 6, 'retry');
  return {
    id: asMarkBytes(fields[0], 'retry id'),
    fingerprint: asMarkBytes(fields[1], 'retry fingerprint'),
    dot: {
      node: nodeIndex(asInteger(fields[2], 'retry node', 0, 65_535)),
      tenure: asInteger(fields[3], 'retry tenure', 0),
      counter: asInteger(fields[4], 'retry counter', 1),
    },
    until: asInteger(fields[5], 'retry until', 0),
  };
}

export function asMarkBytes(value: unknown, what: string): Uint8Array {
  const bytes = asBytes(value, what, MARK_BYTES);
  if (bytes.length !== MARK_BYTES)
    throw new MalformedMessage(`${what}: expected ${MARK_BYTES} bytes, got ${bytes.length}`);
  return bytes;
}
