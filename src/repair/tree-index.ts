/**
 * Finding the rows of a tree: those of a leaf, those with a hash, and what a leaf would be if it were computed anew.
 */

import { decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { compareBytes, EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import type { Checksum } from '#kernel/native.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { RECORDS } from '#replica/tables.ts';
import { PAGE_BYTES } from '#world/pages.ts';
import type { DiskReader } from '#world/world.ts';
import type { TreeHash } from './tree-hash.ts';
import { entryOfKey, rangeOfLeaves, TREE_KEYS, treeKeysKey, type TreeEntry, type TreePlace } from './tree-tables.ts';

const PAGE_ROWS = 256;

/** A key of a leaf with its state, or with undefined when its row is missing or damaged. */
export interface LeafRow extends TreeEntry {
  readonly state: State | undefined;
  readonly encoded: Uint8Array | undefined;
}

/** A page of them. */
export interface LeafRows {
  readonly rows: readonly LeafRow[];
  readonly isLast: boolean;
}

export class TreeIndex {
  readonly #hash: TreeHash;
  readonly #checksum: Checksum;

  constructor(hash: TreeHash, checksum: Checksum) {
    this.#hash = hash;
    this.#checksum = checksum;
  }

  /** The keys of some leaves of a partition, from the first one after `after` on, in the order of their hashes. */
  entries(
    reader: DiskReader,
    place: TreePlace,
    leaves: readonly [first: number, end: number],
    limit: number,
    after?: TreeEntry,
  ): readonly TreeEntry[] {
    const range = rangeOfLeaves(place, ...leaves);
    const from = after === undefined ? range.from! : successor(treeKeysKey(place, after.hash, after.rowKey));
    return reader.range(TREE_KEYS, { ...range, from, limit }).map(([key]) => entryOfKey(key));
  }

  /** The same with their rows, as far as these fit into a page. */
  rows(
    reader: DiskReader,
    place: TreePlace,
    leaves: readonly [first: number, end: number],
    limit: number,
    after?: TreeEntry,
  ): LeafRows {
    const entries = this.entries(reader, place, leaves, limit, after);
    const rows: LeafRow[] = [];
    for (let bytes = 0; rows.length < entries.length && bytes < PAGE_BYTES;) {
      const row = this.row(reader, entries[rows.length]!);
      rows.push(row);
      bytes += row.encoded?.length ?? 0;
    }
    return { rows, isLast: rows.length === entries.length && entries.length < limit };
  }

  /** The rows with this hash: one, or none. */
  rowsOf(reader: DiskReader, place: TreePlace, hash: Hash64): readonly LeafRow[] {
    const from = treeKeysKey(place, hash, EMPTY_BYTES);
    const found: LeafRow[] = [];
    for (const [key] of reader.range(TREE_KEYS, { from, limit: 4 })) {
      if (compareBytes(key.subarray(0, from.length), from) !== 0) break;
      found.push(this.row(reader, entryOfKey(key)));
    }
    return found;
  }

  /** What the leaf would be if it were computed from its rows now. */
  leafHash(reader: DiskReader, place: TreePlace, leaf: number): Hash64 {
    let high = 0;
    let low = 0;
    let after: TreeEntry | undefined;
    for (;;) {
      const { rows, isLast } = this.rows(reader, place, [leaf, leaf + 1], PAGE_ROWS, after);
      for (const { hash, state } of rows) {
        if (state === undefined) continue;
        const stateHash = this.#hash.stateHash(hash, state);
        high ^= stateHash.high;
        low ^= stateHash.low;
      }
      after = rows.at(-1);
      if (isLast) return { high: high >>> 0, low: low >>> 0 };
    }
  }

  /** The row of an entry. */
  row(reader: DiskReader, entry: TreeEntry): LeafRow {
    const encoded = reader.get(RECORDS, entry.rowKey);
    if (encoded === undefined) return { ...entry, state: undefined, encoded: undefined };
    try {
      return { ...entry, state: decodeState(encoded, this.#checksum), encoded };
    } catch {
      // Whoever scrubs finds it: here it only cannot be compared.
      return { ...entry, state: undefined, encoded: undefined };
    }
  }
}
