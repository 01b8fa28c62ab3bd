/**
 * Which rows are dead, and which will be: two indexes that change in the transaction of the rows. A dead row has no version
 * with a value: it is a tombstone, in whichever of its forms (nothing live, a deletion marker, versions that have expired and
 * were stripped of their values), and waits to be given up. Of a row that lives, versions that have expired wait for the same.
 *
 *     dead_rows  n u8 | partition u16 | row key                       →  since when, a hybrid time u64
 *     expiring   milliseconds since 1970 u64 | n u8 | partition u16 | row key  →  nothing
 */

import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import type { State, Version } from '#causality/state.ts';
import { highestCounter } from '#causality/vector.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { Place, RecordChange, RecordParticipant } from '#replica/records.ts';
import { recordKey } from '#replica/tables.ts';
import type { Disk, DiskReader, Metrics, TableDefinition } from '#world/world.ts';
import { countIndexed, indexedPlaces, indexedRows, indexKey, joinedBytes, PLACE_BYTES } from './place-index.ts';
import { placeOfKey, type TreePlace } from './tree-tables.ts';

export const DEAD_ROWS = 'dead_rows';
export const EXPIRING = 'expiring';
export const DEAD_TABLES: readonly TableDefinition[] = [
  { name: DEAD_ROWS, rows: 'narrow' },
  { name: EXPIRING, rows: 'narrow' },
];

const TIME_BYTES = 8;

/** Whether nobody will ever be shown anything of it. A row that has expired is dead once it is stripped. */
export function isDead({ vector, versions }: State): boolean {
  return vector.length > 0 && versions.every(({ content }) => content === null);
}

/** Versions that have expired and were stripped of their values: all that is left of them is that they are there. */
export function strippedOf({ versions }: State): readonly Version[] {
  return versions.filter(({ content, expiresAt }) => content === null && expiresAt !== 0);
}

/** Since when it waits to be given up, all of it or what has expired of it; 0 when nothing does. */
function waitsSince(state: State): number {
  if (isDead(state)) return highestCounter(state.vector);
  if (state.versions.length === 1) return 0;
  const ends = strippedOf(state).map(({ expiresAt }) => expiresAt);
  return ends.length === 0 ? 0 : Math.max(1, hybridTimeAt(ends.reduce((a, b) => Math.min(a, b))));
}

/** When the first of its values expires; 0 when none does. */
export function expiryOf({ versions }: State): number {
  let first = 0;
  for (const { content, expiresAt } of versions) {
    if (content !== null && expiresAt !== 0 && (first === 0 || expiresAt < first)) first = expiresAt;
  }
  return first;
}

export interface DeadRow {
  readonly rowKey: Uint8Array;
  /** The hybrid time of its newest dot; of a row that lives that at which the first version has expired. */
  readonly since: number;
}

export interface ExpiringRow {
  readonly place: TreePlace;
  readonly rowKey: Uint8Array;
  /** Of the index. */
  readonly key: Uint8Array;
}

export class DeadRows implements RecordParticipant {
  #count = 0;
  #before = 0;

  constructor(disk: Disk, metrics: Metrics) {
    this.#count = countIndexed(disk, DEAD_ROWS);
    const help =
      'Rows that wait to be given up: of deleted and expired keys, and of keys of which a version has expired';
    metrics.gauge('quoral_tombstones', help, () => this.#count);
  }

  recordChanged(transaction: GroupTransaction, { place, rowKey, before, after }: RecordChange): void {
    const expired = expiryOf(before);
    const expires = expiryOf(after);
    if (expired !== expires) {
      if (expired !== 0) transaction.delete(EXPIRING, expiringKey(expired, place, rowKey));
      if (expires !== 0) transaction.put(EXPIRING, expiringKey(expires, place, rowKey), EMPTY_BYTES);
    }
    const waited = waitsSince(before);
    const waits = waitsSince(after);
    const inPart = (waited !== 0 && !isDead(before)) || (waits !== 0 && !isDead(after));
    if (waited === waits && !inPart) return;
    const name = indexKey(place, rowKey);
    // Earlier releases did not note what has expired in a row that lives.
    const there = inPart ? transaction.get(DEAD_ROWS, name) !== undefined : waited !== 0;
    if (waited === waits && there) return;
    if (waits === 0) transaction.delete(DEAD_ROWS, name);
    else transaction.put(DEAD_ROWS, name, keyOfNumber(waits));
    const change = Number(waits !== 0) - Number(there);
    if (change !== 0) transaction.afterwards(() => (this.#count += change));
  }

  recordForgotten(transaction: GroupTransaction, place: Place, key: Uint8Array): void {
    const name = indexKey(place, recordKey(place.bucket, place.incarnation, key));
    if (transaction.get(DEAD_ROWS, name) === undefined) return;
    transaction.delete(DEAD_ROWS, name);
    transaction.afterwards(() => (this.#count -= 1));
  }

  groupBegins(): void {
    this.#before = this.#count;
  }

  groupFailed(): void {
    this.#count = this.#before;
  }

  /** Dead rows of a partition, and those with dead versions, at most so many. */
  of(reader: DiskReader, place: TreePlace, limit: number): readonly DeadRow[] {
    const rows = indexedRows(reader, DEAD_ROWS, place, { limit });
    return rows.map(({ rowKey, value }) => ({ rowKey, since: numberOfKey(value) }));
  }

  /** The partitions that have dead rows. */
  places(reader: DiskReader): readonly TreePlace[] {
    return indexedPlaces(reader, DEAD_ROWS);
  }

  /** Rows of which some value has expired by then. */
  expired(reader: DiskReader, before: number, limit: number): readonly ExpiringRow[] {
    return reader.range(EXPIRING, { to: keyOfNumber(before + 1), limit }).map(([key]) => ({
      key,
      place: placeOfKey(key.subarray(TIME_BYTES)),
      rowKey: key.subarray(TIME_BYTES + PLACE_BYTES),
    }));
  }
}

function expiringKey(expiresAt: number, place: TreePlace, rowKey: Uint8Array): Uint8Array {
  return joinedBytes(keyOfNumber(expiresAt), indexKey(place, rowKey));
}
