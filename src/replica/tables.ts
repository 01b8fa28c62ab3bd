/**
 * The tables of one node's share of the data, and the rows of the `node` table that say whose disk this is.
 */

import { concatBytes, utf8 } from '#kernel/bytes.ts';
import type { TableDefinition } from '#world/world.ts';

export const RECORDS = 'records';
export const NODE = 'node';

export const REPLICA_TABLES: readonly TableDefinition[] = [
  { name: RECORDS, rows: 'wide' },
  { name: NODE, rows: 'narrow' },
];

/**
 * The key of a record row: bucket name, 0x00, incarnation as four bytes, key. Keys of one bucket are neighbours in their
 * own byte order, and a bucket that was dropped and created again shares no row with its earlier life.
 */
export function recordKey(bucket: string, incarnation: number, key: Uint8Array): Uint8Array {
  return concatBytes([recordPrefix(bucket, incarnation), key]);
}

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
