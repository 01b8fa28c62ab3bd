/** Indexes of rows by partition: n u8 | partition u16 | row key → what is kept of the row. */

import { EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import type { DiskReader } from '#world/world.ts';
import { placeOfKey, treeKey, type TreePlace } from './tree-tables.ts';

export const PLACE_BYTES = 3;

const PAGE_ROWS = 1024;

export interface IndexedRow {
  readonly rowKey: Uint8Array;
  readonly value: Uint8Array;
}

export function indexKey(place: TreePlace, rowKey: Uint8Array): Uint8Array {
  return joinedBytes(treeKey(place), rowKey);
}

/** Rows of a partition, at most so many, from this row key on. */
export function indexedRows(
  reader: DiskReader,
  table: string,
  place: TreePlace,
  { limit, from = EMPTY_BYTES }: { readonly limit: number; readonly from?: Uint8Array },
): readonly IndexedRow[] {
  return reader
    .range(table, { from: indexKey(place, from), to: treeKey(after(place)), limit })
    .map(([key, value]) => ({ rowKey: key.subarray(PLACE_BYTES), value }));
}

/** The partitions that have rows in the index. */
export function indexedPlaces(reader: DiskReader, table: string): readonly TreePlace[] {
  const places: TreePlace[] = [];
  for (let from: Uint8Array = EMPTY_BYTES; ;) {
    const [row] = reader.range(table, { from, limit: 1 });
    if (row === undefined) return places;
    const place = placeOfKey(row[0]);
    places.push(place);
    from = treeKey(after(place));
  }
}

/** The rows of all partitions. */
export function countIndexed(reader: DiskReader, table: string): number {
  let count = 0;
  for (let from: Uint8Array = EMPTY_BYTES; ;) {
    const rows = reader.range(table, { from, limit: PAGE_ROWS });
    count += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return count;
    from = successor(last[0]);
  }
}

export function joinedBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function after({ n, partition }: TreePlace): TreePlace {
  return partition < 65_535 ? { n, partition: partition + 1 } : { n: n + 1, partition: 0 };
}
