/**
 * The rows of requests, in bytes. The name of a row: bucket, 0x00, incarnation as four bytes, length of the key as two bytes, key,
 * id. An entry of `retry_log`: u8 1 | of each row length and bytes of its name, dot (node, tenure, counter), until, 16 bytes of
 * fingerprint | u32 CRC-32 of all before it. Earlier releases had a row of `retries` for each: its name → u8 1 | dot | until | 16 bytes of
 * fingerprint | u32 CRC-32.
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
const CHECKSUM_BYTES = 4;

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

/** Of the two hashes of a row's name that the index has: of all of it, and of what the rows of one key share. */
export interface NameHashes {
  readonly name: number;
  readonly key: number;
}

export function hashesOf(name: Uint8Array): NameHashes {
  const key = keyHashOf(name.subarray(0, name.length - MARK_BYTES));
  let hash = key;
  // The id is a hash already.
  for (let i = name.length - MARK_BYTES; i < name.length; i += 4) {
    hash = Math.imul(hash ^ ((name[i]! << 24) | (name[i + 1]! << 16) | (name[i + 2]! << 8) | name[i + 3]!), 0x01000193);
  }
  return { name: hash, key };
}

/** FNV-1a. */
export function keyHashOf(prefix: Uint8Array): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < prefix.length; i++) hash = Math.imul(hash ^ prefix[i]!, 0x01000193);
  return hash;
}

export interface NamedRetry {
  /** As {@link retryKey} makes it. */
  readonly name: Uint8Array;
  readonly row: RetryRow;
}

export function encodeEntry(rows: readonly NamedRetry[], checksum: Checksum): Uint8Array {
  const writer = new ByteWriter(128 * rows.length);
  writer.u8(FORMAT_1);
  for (const { name, row } of rows) {
    writer.bytes(name);
    for (const number of [row.dot.node, row.dot.tenure, row.dot.counter, row.until]) writer.varint(number);
    writer.raw(row.fingerprint);
  }
  writer.u32(checksum(writer.written(0)));
  return writer.finish();
}

/** Undefined when the bytes are not what {@link encodeEntry} has written. */
export function decodeEntry(bytes: Uint8Array, checksum: Checksum): readonly NamedRetry[] | undefined {
  try {
    const end = bytes.length - CHECKSUM_BYTES;
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT_1) return undefined;
    const rows: NamedRetry[] = [];
    while (reader.offset < end) {
      const name = reader.bytes();
      const dot = { node: nodeIndex(reader.varint()), tenure: reader.varint(), counter: reader.varint() };
      const until = reader.varint();
      rows.push({ name, row: { id: idOfRow(name), fingerprint: reader.raw(MARK_BYTES), dot, until } });
    }
    const check = checksum(reader.since(0));
    return reader.u32() === check ? rows : undefined;
  } catch (error) {
    if (error instanceof MalformedBytes || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A row as earlier releases have stored it by itself. Undefined when the bytes are no such row. */
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
