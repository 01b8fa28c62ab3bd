/**
 * The tables of one node's share of the data, and the rows of the `node` table that say whose disk this is.
 */

import { endsWith, fromUtf8, utf8 } from '#kernel/bytes.ts';
import type { TableDefinition } from '#world/world.ts';

export const RECORDS = 'records';
/** Strong keys, by the same names as {@link RECORDS}: a bucket has rows in one of the two. */
export const REGISTERS = 'registers';
export const NODE = 'node';
/** What requests with idempotency keys have become: see retry-log.ts. */
export const RETRY_LOG = 'retry_log';
/** As earlier releases had it, with a count in the node table: see retry-migration.ts. */
export const RETRIES = 'retries';
export const RETRY_EXPIRY = 'retry_expiry';
export const RETRY_COUNT: Uint8Array = utf8('retries');
/** Row keys of records that were damaged and forgotten, with n and partition: see damaged-rows.ts. */
export const DAMAGED = 'damaged_records';

/** n and partition → the hybrid time below which nothing is news any more: see floors.ts. */
export const FLOORS = 'floors';

export const REPLICA_TABLES: readonly TableDefinition[] = [
  { name: RECORDS, rows: 'wide', recalled: true },
  { name: REGISTERS, rows: 'wide' },
  { name: NODE, rows: 'narrow' },
  { name: RETRY_LOG, rows: 'numbered' },
  { name: RETRIES, rows: 'narrow' },
  { name: RETRY_EXPIRY, rows: 'narrow' },
  { name: DAMAGED, rows: 'narrow' },
  { name: FLOORS, rows: 'narrow' },
];

/**
 * The key of a record row: bucket name, 0x00, incarnation as four bytes, key. Keys of one bucket are neighbours in their
 * own byte order, and a bucket that was dropped and created again shares no row with its earlier life.
 */
export function recordKey(bucket: string, incarnation: number, key: Uint8Array): Uint8Array {
  if (lastPrefix?.bucket !== bucket || lastPrefix.incarnation !== incarnation) {
    lastPrefix = { bucket, incarnation, bytes: recordPrefix(bucket, incarnation) };
    lastRow = undefined;
  }
  const { bytes } = lastPrefix;
  if (lastRow !== undefined && endsWith(lastRow, bytes.length, key)) return lastRow;
  const row = new Uint8Array(bytes.length + key.length);
  row.set(bytes);
  row.set(key, bytes.length);
  lastRow = row;
  return row;
}

/** With the last prefix: one operation needs the same several times. Nobody writes into a row key. */
let lastRow: Uint8Array | undefined;

/** The next operation most often needs it, too. */
let lastPrefix: { readonly bucket: string; readonly incarnation: number; readonly bytes: Uint8Array } | undefined;

/** What all record rows of a bucket's incarnation begin with. */
export function recordPrefix(bucket: string, incarnation: number): Uint8Array {
  const name = utf8(bucket);
  const prefix = new Uint8Array(name.length + 5);
  prefix.set(name);
  prefix[name.length + 1] = incarnation >>> 24;
  prefix[name.length + 2] = incarnation >>> 16;
  prefix[name.length + 3] = incarnation >>> 8;
  prefix[name.length + 4] = incarnation;
  return prefix;
}

export interface RecordName {
  readonly bucket: string;
  readonly incarnation: number;
  readonly key: Uint8Array;
}

/** Reads what {@link recordKey} wrote; throws RangeError for anything else. */
export function recordName(row: Uint8Array): RecordName {
  const end = row.indexOf(0);
  if (end < 1 || row.length < end + 5)
    throw new RangeError(`row key of ${row.length} bytes: bucket, 0x00, incarnation, key`);
  const [a, b, c, d] = row.subarray(end + 1, end + 5);
  const incarnation = ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
  return { bucket: fromUtf8(row.subarray(0, end)), incarnation, key: row.subarray(end + 5) };
}
