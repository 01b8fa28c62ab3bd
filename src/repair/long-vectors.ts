/**
 * Which rows have long version vectors: an index that changes in the transaction of the rows, so that nobody has to look through
 * all rows for those that are to be compacted (compaction.ts). A row that an older program made long comes in when it is next written.
 *
 *     long_vectors  n u8 | partition u16 | row key  →  nothing
 */

import { spareEntries } from '#causality/compact.ts';
import type { State } from '#causality/state.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { Place, RecordChange, RecordParticipant } from '#replica/records.ts';
import { recordKey } from '#replica/tables.ts';
import type { Disk, DiskReader, Metrics, TableDefinition } from '#world/world.ts';
import { countIndexed, indexedPlaces, indexedRows, indexKey } from './place-index.ts';
import type { TreePlace } from './tree-tables.ts';

export const LONG_VECTORS = 'long_vectors';
export const LONG_VECTORS_TABLES: readonly TableDefinition[] = [{ name: LONG_VECTORS, rows: 'narrow' }];

/** Entries of a vector that only say what is gone; with more of them it is long. */
export const SPARE_ENTRIES_MAX = 16;

export class LongVectors implements RecordParticipant {
  #count: number;
  #before = 0;

  constructor(disk: Disk, metrics: Metrics) {
    this.#count = countIndexed(disk, LONG_VECTORS);
    const help = 'Rows with long version vectors, which wait to be compacted';
    metrics.gauge('quoral_long_vectors', help, () => this.#count);
  }

  recordChanged(transaction: GroupTransaction, { place, rowKey, before, after }: RecordChange): void {
    const [was, is] = [isLong(before), isLong(after)];
    if (was || is) this.#put(transaction, indexKey(place, rowKey), is);
  }

  recordForgotten(transaction: GroupTransaction, place: Place, key: Uint8Array): void {
    this.#put(transaction, indexKey(place, recordKey(place.bucket, place.incarnation, key)), false);
  }

  groupBegins(): void {
    this.#before = this.#count;
  }

  groupFailed(): void {
    this.#count = this.#before;
  }

  places(reader: DiskReader): readonly TreePlace[] {
    return indexedPlaces(reader, LONG_VECTORS);
  }

  /** The row keys of a partition's long ones, at most so many. */
  of(reader: DiskReader, place: TreePlace, limit: number): readonly Uint8Array[] {
    return indexedRows(reader, LONG_VECTORS, place, { limit }).map(({ rowKey }) => rowKey);
  }

  #put(transaction: GroupTransaction, name: Uint8Array, is: boolean): void {
    const was = transaction.get(LONG_VECTORS, name) !== undefined;
    if (was === is) return;
    if (is) transaction.put(LONG_VECTORS, name, EMPTY_BYTES);
    else transaction.delete(LONG_VECTORS, name);
    transaction.afterwards(() => (this.#count += is ? 1 : -1));
  }
}

export function isLong(state: State): boolean {
  return state.vector.length > SPARE_ENTRIES_MAX && spareEntries(state) > SPARE_ENTRIES_MAX;
}
