/**
 * The tables of the hints that wait at this node: the rows themselves, by owner and place, and an index by owner and age,
 * whose narrow rows say which exist and how large they are. Both change in one transaction.
 */

import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import type { Place } from '#replica/records.ts';
import type { TableDefinition } from '#world/world.ts';

export const HINTS = 'hints';
export const HINT_AGES = 'hint_ages';

export const HANDOFF_TABLES: readonly TableDefinition[] = [
  { name: HINTS, rows: 'wide' },
  { name: HINT_AGES, rows: 'narrow' },
];

/** Whom the hint is for, and what it is about. */
export interface HintName extends Place {
  readonly owner: NodeIndex;
  readonly key: Uint8Array;
}

/** owner as two bytes, n, partition as two bytes, bucket, 0x00, incarnation as four bytes, key. */
export function hintKey({ owner, n, partition, bucket, incarnation, key }: HintName): Uint8Array {
  const writer = new ByteWriter(10 + bucket.length + key.length);
  u16(writer, owner);
  writer.u8(n);
  u16(writer, partition);
  writer.raw(utf8(bucket));
  writer.u8(0);
  writer.u32(incarnation);
  writer.raw(key);
  return writer.finish();
}

/** Undoes {@link hintKey}. Throws MalformedBytes or RangeError. */
export function hintName(row: Uint8Array): HintName {
  const reader = new ByteReader(row);
  const owner = nodeIndex(readU16(reader));
  const n = reader.u8();
  const partition = readU16(reader);
  const end = row.indexOf(0, reader.offset);
  if (end < 0) throw new RangeError('hint row without a bucket');
  const bucket = fromUtf8(reader.raw(end - reader.offset));
  reader.u8();
  const incarnation = reader.u32();
  return { owner, n, partition, bucket, incarnation, key: row.slice(reader.offset) };
}

export interface AgeEntry {
  /** Key of the row of {@link HINTS}. */
  readonly row: Uint8Array;
  readonly sole: boolean;
  readonly low: number;
  /** Of the row and its index entry. */
  readonly bytes: number;
}

/** owner as two bytes, 1 for a sole copy, low as eight bytes, the rest of the hint's key: oldest first for each owner. */
export function ageKey(row: Uint8Array, sole: boolean, low: number): Uint8Array {
  const writer = new ByteWriter(row.length + 9);
  writer.raw(row.subarray(0, 2));
  writer.u8(sole ? 1 : 0);
  writer.u32(Math.floor(low / 2 ** 32));
  writer.u32(low % 2 ** 32);
  writer.raw(row.subarray(2));
  return writer.finish();
}

export function ageValue(bytes: number): Uint8Array {
  const writer = new ByteWriter(4);
  writer.varint(bytes);
  return writer.finish();
}

export function ageEntry([key, value]: readonly [Uint8Array, Uint8Array]): AgeEntry {
  const reader = new ByteReader(key);
  const owner = reader.raw(2);
  const sole = reader.u8() === 1;
  const low = reader.u32() * 2 ** 32 + reader.u32();
  const rest = reader.raw(key.length - reader.offset);
  const row = new Uint8Array(2 + rest.length);
  row.set(owner);
  row.set(rest, 2);
  return { row, sole, low, bytes: new ByteReader(value).varint() };
}

/** Where the rows of an owner begin in both tables; with `sole`, those of its sole copies in the index. */
export function ownerPrefix(owner: number, sole?: boolean): Uint8Array {
  const writer = new ByteWriter(4);
  u16(writer, owner);
  if (sole !== undefined) writer.u8(sole ? 1 : 0);
  return writer.finish();
}

/** Where the hints of an owner for one place begin in the table of the rows, by their key; without a partition, those for one n. */
export function placePrefix(owner: number, n: number, partition?: number): Uint8Array {
  const writer = new ByteWriter(5);
  writer.raw(ownerPrefix(owner));
  writer.u8(n);
  if (partition !== undefined) u16(writer, partition);
  return writer.finish();
}

/** The owner that a row of either table is for. */
export function ownerOf(row: Uint8Array): NodeIndex {
  return nodeIndex(readU16(new ByteReader(row)));
}

function u16(writer: ByteWriter, value: number): void {
  writer.u8(value >>> 8);
  writer.u8(value);
}

function readU16(reader: ByteReader): number {
  return reader.u8() * 256 + reader.u8();
}
