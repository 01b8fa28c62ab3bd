/**
 * How the journal's records lie in its files, one behind the other, all numbers little-endian as the processor has them.
 *
 * A record is a head of eight words and a body that is a multiple of four bytes. The body of the first record of a segment is the
 * names of its tables, the body of every other one what a commit has changed: for each row the number of its table with the
 * length of its key, the length of its value, the key and the value.
 */

import { crc32 } from 'node:zlib';

/** `QuJ1`. */
export const RECORD_MAGIC = 0x314a7551;
export const HEAD_BYTES = 32;
export const ENTRY_HEAD_BYTES = 8;
const KEY_BITS = 24;
const KEY_MASK = 2 ** KEY_BITS - 1;
export const KEY_BYTES_MAX = KEY_MASK;
export const TABLES_MAX = 127;
/** The length of the value of a row that is deleted. */
export const DELETED = -1;

/** Words of a head. */
export const HEAD = {
  magic: 0,
  /** Bytes of the record with its head. */
  length: 1,
  /** Of all words that follow and of the body. */
  checksum: 2,
  /** Which journal it is, of another database or by an earlier process: what these have left in the files counts for nothing. */
  identity: 3,
  segment: 4,
  kind: 5,
  /** Up to here, with all segments before, everything was on stable storage when this record was made. */
  syncedSegment: 6,
  syncedBytes: 7,
} as const;

/** Of rows that go into SQLite in one transaction: it holds the event loop, and SQLite's log has to take it. */
export const SLICE_ROWS = 64;
export const SLICE_BYTES = 256 * 1024;

export const ROWS = 0;
export const NAMES = 1;

/** Up to which byte of which segment. */
export interface JournalPlace {
  readonly segment: number;
  readonly bytes: number;
}

export function isBefore(a: JournalPlace, b: JournalPlace): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.bytes < b.bytes);
}

export function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

export function entryHead(table: number, keyBytes: number): number {
  return (table << KEY_BITS) | keyBytes;
}

export function tableOf(head: number): number {
  return head >>> KEY_BITS;
}

export function keyBytesOf(head: number): number {
  return head & KEY_MASK;
}

/** Of the record that lies there. */
export function checksumOf(bytes: Uint8Array, from: number, to: number): number {
  return crc32(bytes.subarray(from + 4 * (HEAD.checksum + 1), to)) | 0;
}
