/**
 * Merkle trees on disk.
 *
 *     tree_keys  n u8 | partition u16 | key hash u64 | row key         →  nothing
 *     trees      n u8 | partition u16   →  u8 1 | fingerprint u32 | as of u64 | 1024 leaves of u64 | CRC-32 of all that
 *                nothing                →  u8 1 | fingerprint u32: all rows are in the trees
 *     tree_log   sequence number u64    →  (n u8 | partition u16 | leaf u16 | change u64)… | CRC-32 of all that
 *
 * `tree_keys` finds the keys of a leaf, or of a partition in the order of their hashes. A row of `trees` holds the changes
 * up to the log's sequence number `as of`.
 */

import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import type { Checksum } from '#kernel/native.ts';
import type { RangeOptions, TableDefinition } from '#world/world.ts';
import { LEAVES, MerkleTree, TREE_BYTES } from './merkle-tree.ts';

export const TREE_KEYS = 'tree_keys';
export const TREES = 'trees';
export const TREE_LOG = 'tree_log';

export const TREE_TABLES: readonly TableDefinition[] = [
  { name: TREE_KEYS, rows: 'narrow' },
  { name: TREES, rows: 'wide' },
  { name: TREE_LOG, rows: 'numbered' },
];

const FORMAT = 1;
const MARK_BYTES = 5;
const CHECK_BYTES = 4;
const TREE_ROW_BYTES: number = MARK_BYTES + 8 + TREE_BYTES + CHECK_BYTES;
const CHANGE_BYTES = 13;
const PLACE_BYTES = 3;
const HASH_END: number = PLACE_BYTES + 8;
const TWO_POW_32 = 2 ** 32;

/** The row of `trees` that says for which hash they are complete. */
export const MARK_KEY: Uint8Array = EMPTY_BYTES;

export interface TreePlace {
  readonly n: number;
  readonly partition: number;
}

/** How one leaf has changed. */
export interface LeafChange extends TreePlace {
  readonly leaf: number;
  readonly high: number;
  readonly low: number;
}

export function treeKey({ n, partition }: TreePlace): Uint8Array {
  return Uint8Array.of(n, partition >>> 8, partition);
}

export function placeOfKey(key: Uint8Array): TreePlace {
  return { n: key[0]!, partition: (key[1]! << 8) | key[2]! };
}

/** The key in `tree_keys`. */
export function treeKeysKey({ n, partition }: TreePlace, hash: Hash64, rowKey: Uint8Array): Uint8Array {
  const key = new Uint8Array(HASH_END + rowKey.length);
  key[0] = n;
  key[1] = partition >>> 8;
  key[2] = partition;
  const view = new DataView(key.buffer);
  view.setUint32(PLACE_BYTES, hash.high);
  view.setUint32(PLACE_BYTES + 4, hash.low);
  key.set(rowKey, HASH_END);
  return key;
}

export interface TreeEntry {
  readonly hash: Hash64;
  readonly rowKey: Uint8Array;
}

export function entryOfKey(key: Uint8Array): TreeEntry {
  const view = new DataView(key.buffer, key.byteOffset);
  return {
    hash: { high: view.getUint32(PLACE_BYTES), low: view.getUint32(PLACE_BYTES + 4) },
    rowKey: key.subarray(HASH_END),
  };
}

/** Comes after every row key with the same hash. */
const LAST_ROW_KEY = new Uint8Array(8).fill(0xff);

/** Behind the entries with this hash. */
export function lastWith(hash: Hash64): TreeEntry {
  return { hash, rowKey: LAST_ROW_KEY };
}

export const ALL_LEAVES = [0, LEAVES] as const;

/** The range in `tree_keys` of some leaves of a partition. */
export function rangeOfLeaves(place: TreePlace, first: number, end: number): Pick<RangeOptions, 'from' | 'to'> {
  const border = (leaf: number): Uint8Array => {
    if (leaf < LEAVES) return treeKeysKey(place, { high: leaf * 2 ** 22, low: 0 }, EMPTY_BYTES);
    return treeKey(
      place.partition < 65_535 ? { n: place.n, partition: place.partition + 1 } : { n: place.n + 1, partition: 0 },
    );
  };
  return { from: border(first), to: border(end) };
}

export function markRow(fingerprint: number): Uint8Array {
  const row = new Uint8Array(MARK_BYTES);
  row[0] = FORMAT;
  new DataView(row.buffer).setUint32(1, fingerprint);
  return row;
}

export function isMark(row: Uint8Array | undefined, fingerprint: number): boolean {
  if (row?.length !== MARK_BYTES || row[0] !== FORMAT) return false;
  return new DataView(row.buffer, row.byteOffset).getUint32(1) === fingerprint;
}

export function treeRow(tree: MerkleTree, fingerprint: number, asOf: number, checksum: Checksum): Uint8Array {
  const row = new Uint8Array(TREE_ROW_BYTES);
  const view = new DataView(row.buffer);
  row[0] = FORMAT;
  view.setUint32(1, fingerprint);
  view.setUint32(MARK_BYTES, Math.floor(asOf / TWO_POW_32));
  view.setUint32(MARK_BYTES + 4, asOf >>> 0);
  row.set(tree.toBytes(), MARK_BYTES + 8);
  view.setUint32(TREE_ROW_BYTES - CHECK_BYTES, checksum(row.subarray(0, TREE_ROW_BYTES - CHECK_BYTES)));
  return row;
}

export interface StoredTree {
  readonly tree: MerkleTree;
  readonly asOf: number;
}

/** Undefined when the row is not one of this fingerprint, or damaged. */
export function treeOfRow(row: Uint8Array, fingerprint: number, checksum: Checksum): StoredTree | undefined {
  if (row.length !== TREE_ROW_BYTES || !isMark(row.subarray(0, MARK_BYTES), fingerprint)) return undefined;
  const view = new DataView(row.buffer, row.byteOffset);
  const check = view.getUint32(TREE_ROW_BYTES - CHECK_BYTES);
  if (check !== checksum(row.subarray(0, TREE_ROW_BYTES - CHECK_BYTES))) return undefined;
  const asOf = view.getUint32(MARK_BYTES) * TWO_POW_32 + view.getUint32(MARK_BYTES + 4);
  return { tree: MerkleTree.fromBytes(row.subarray(MARK_BYTES + 8)), asOf };
}

export function logRow(changes: readonly LeafChange[], checksum: Checksum): Uint8Array {
  const row = new Uint8Array(changes.length * CHANGE_BYTES + CHECK_BYTES);
  const view = new DataView(row.buffer);
  let at = 0;
  for (const { n, partition, leaf, high, low } of changes) {
    row[at] = n;
    view.setUint16(at + 1, partition);
    view.setUint16(at + 3, leaf);
    view.setUint32(at + 5, high);
    view.setUint32(at + 9, low);
    at += CHANGE_BYTES;
  }
  view.setUint32(at, checksum(row.subarray(0, at)));
  return row;
}

/** How many changes a row of the log holds. */
export function countOfRow(row: Uint8Array): number {
  return (row.length - CHECK_BYTES) / CHANGE_BYTES;
}

/** Undefined when the row is damaged. */
export function changesOfRow(row: Uint8Array, checksum: Checksum): readonly LeafChange[] | undefined {
  const end = row.length - CHECK_BYTES;
  const view = new DataView(row.buffer, row.byteOffset, row.length);
  if (end < 0 || end % CHANGE_BYTES !== 0 || view.getUint32(end) !== checksum(row.subarray(0, end))) return undefined;
  const changes: LeafChange[] = [];
  for (let at = 0; at < end; at += CHANGE_BYTES) {
    changes.push({
      n: row[at]!,
      partition: view.getUint16(at + 1),
      leaf: view.getUint16(at + 3),
      high: view.getUint32(at + 5),
      low: view.getUint32(at + 9),
    });
  }
  return changes;
}
