/**
 * The record rows: one encoded state a key. Whatever changes a row goes through here, inside a group's transaction, so that
 * what must never differ from the rows (a Merkle leaf, an index) changes in that same transaction.
 */

import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Digest, Disk, DiskTransaction, Log, Metrics } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import { Outlines } from './outlines.ts';
import type { Scope } from './scope.ts';
import { recordKey, recordName, RECORDS } from './tables.ts';

/** Where a row belongs: what {@link Scope} says beside the versions of the facts. */
export type Place = Pick<Scope, 'n' | 'partition' | 'bucket' | 'incarnation'>;

export interface StoredState {
  readonly state: State;
  readonly encoded: Uint8Array;
}

export interface RecordChange {
  readonly place: Place;
  readonly key: Uint8Array;
  /** Its name in the table of records. */
  readonly rowKey: Uint8Array;
  /** Empty when there was no row. */
  readonly before: State;
  /** Empty when the row is taken away. */
  readonly after: State;
}

/**
 * Another room's part in the transactions that change rows. What it throws in `recordChanged` fails the operation; what it
 * keeps in memory it changes in `transaction.afterwards`, and takes back in `groupFailed`.
 */
export interface RecordParticipant {
  recordChanged(transaction: GroupTransaction, change: RecordChange): void;
  /** The row was damaged and is taken away: what it held is not known. */
  recordForgotten?(transaction: GroupTransaction, place: Place, key: Uint8Array): void;
  /** A group begins; the one before has been committed, or has failed. */
  groupBegins?(): void;
  /** All operations of the group have run. */
  groupEnds?(transaction: DiskTransaction): void;
  /** The group is on stable storage. */
  groupSynced?(): void;
  /** The group that has begun last was not committed, or perhaps not. */
  groupFailed?(): void;
}

/** The refusal of a row that does not fit its checksum. */
export const CORRUPT_ROW = 'corrupt-row';

export interface RecordsOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly digest: Digest;
  readonly participants: readonly RecordParticipant[];
  /** Called for each read of a row that does not fit its checksum. */
  readonly damaged: (place: Place, key: Uint8Array) => void;
}

export class Records {
  readonly #options: RecordsOptions;
  readonly #corruptRows: Counter;
  readonly #outlines = new Outlines();

  constructor(options: RecordsOptions) {
    this.#options = options;
    this.#corruptRows = options.metrics.counter('quoral_corrupt_rows_total', 'Record rows whose checksum did not fit');
  }

  /** Undefined when there is no row. Throws {@link Refusal} `corrupt-row`: a damaged row is no answer, not an absence. */
  read(place: Place, key: Uint8Array, from: GroupTransaction | Disk): StoredState | undefined {
    return this.#stored(place, key, from.get(RECORDS, recordKey(place.bucket, place.incarnation, key)));
  }

  /** As {@link read}, for the requests of clients: the row is perhaps in memory, and damage to the medium is not seen then. */
  recall(place: Place, key: Uint8Array, from: GroupTransaction | Disk): StoredState | undefined {
    return this.#stored(place, key, from.recall(RECORDS, recordKey(place.bucket, place.incarnation, key)));
  }

  /** As {@link recall}; of a row of more than `upTo` bytes only how many it has. */
  recallUpTo(place: Place, key: Uint8Array, from: Disk, upTo: number): StoredState | number | undefined {
    const row = from.recallUpTo(RECORDS, recordKey(place.bucket, place.incarnation, key), upTo);
    return typeof row === 'number' ? row : this.#stored(place, key, row);
  }

  /** The outline of a row of more than so many bytes, if it was read before. */
  outline({ bucket, incarnation }: Place, key: Uint8Array, bytes: number): Uint8Array | undefined {
    return this.#outlines.get(recordKey(bucket, incarnation, key), bytes);
  }

  /** Of what was read just now. */
  keepOutline({ bucket, incarnation }: Place, key: Uint8Array, bytes: number, outline: Uint8Array): void {
    this.#outlines.keep(recordKey(bucket, incarnation, key), bytes, outline);
  }

  #stored(place: Place, key: Uint8Array, row: Uint8Array | undefined): StoredState | undefined {
    if (row === undefined) return undefined;
    try {
      return { state: decodeState(row, this.#options.digest.crc32), encoded: row };
    } catch (error) {
      if (!(error instanceof CorruptState)) throw error;
      this.#corruptRows.add();
      const { bucket, partition } = place;
      this.#options.log.error('corrupt-row', { bucket, partition, key, reason: error.message });
      this.#options.damaged(place, key);
      throw new Refusal(CORRUPT_ROW, `the row of this key is damaged: ${error.message}`);
    }
  }

  /** Replaces what {@link read} has returned in the same transaction; `before` is undefined when there was no row. */
  write(
    transaction: GroupTransaction,
    place: Place,
    key: Uint8Array,
    before: State | undefined,
    after: StoredState,
  ): void {
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    this.#outlines.forget(rowKey);
    transaction.put(RECORDS, rowKey, after.encoded);
    const change = { place, key, rowKey, before: before ?? EMPTY_STATE, after: after.state };
    for (const participant of this.#options.participants) participant.recordChanged(transaction, change);
  }

  /** Takes away a row that {@link read} has returned in the same transaction. */
  remove(transaction: GroupTransaction, place: Place, key: Uint8Array, before: State): void {
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    this.#outlines.forget(rowKey);
    transaction.delete(RECORDS, rowKey);
    const change = { place, key, rowKey, before, after: EMPTY_STATE };
    for (const participant of this.#options.participants) participant.recordChanged(transaction, change);
  }

  /** Takes away a row that could not be read. */
  forget(transaction: GroupTransaction, place: Place, key: Uint8Array): void {
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    this.#outlines.forget(rowKey);
    transaction.delete(RECORDS, rowKey);
    for (const participant of this.#options.participants) participant.recordForgotten?.(transaction, place, key);
  }

  /** Takes away a row of an earlier life of its bucket; `of` is undefined when no participant knows it. */
  drop(
    transaction: GroupTransaction,
    rowKey: Uint8Array,
    row: Uint8Array,
    of: Pick<Place, 'n' | 'partition'> | undefined,
  ): void {
    if (of === undefined) {
      this.#outlines.forget(rowKey);
      transaction.delete(RECORDS, rowKey);
      return;
    }
    const { key, ...life } = recordName(rowKey);
    const state = this.#stateOf(row);
    if (state === undefined) this.forget(transaction, { ...of, ...life }, key);
    else this.remove(transaction, { ...of, ...life }, key, state);
  }

  #stateOf(row: Uint8Array): State | undefined {
    try {
      return decodeState(row, this.#options.digest.crc32);
    } catch (error) {
      if (error instanceof CorruptState) return undefined;
      throw error;
    }
  }
}
