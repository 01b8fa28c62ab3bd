/**
 * Rows that did not fit their checksum. Such a row is forgotten whole, its version vector too: to keep the vector without a
 * version would be a delete, and would spread. What is left is a mark that says so, until enough other owners have been
 * asked what they hold. While the mark stands the replica takes states of the key, but is no answer for a read and mints
 * nothing on it. In the same transaction a new tenure begins, since dots of this node may have been forgotten.
 */

import { EMPTY_BYTES, toHex } from '#kernel/bytes.ts';
import { Refusal } from '#wire/message.ts';
import type { Digest, Disk, DiskReader, Log, Metrics } from '#world/world.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { GroupCommit, GroupTransaction } from './group-commit.ts';
import { CORRUPT_ROW, type Place, type Records } from './records.ts';
import { DAMAGED, recordKey, recordName, RECORDS, type RecordName } from './tables.ts';

export interface DamagedRow {
  readonly place: Place;
  readonly key: Uint8Array;
}

export interface DamagedRowsOptions {
  readonly disk: Disk;
  readonly digest: Digest;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly commits: Pick<GroupCommit, 'submit'>;
  readonly records: Pick<Records, 'forget'>;
  /** Begins a new tenure. */
  readonly renew: () => void;
}

const PAGE_ROWS = 256;

export class DamagedRows {
  readonly #options: DamagedRowsOptions;
  readonly #marked = new Map<string, DamagedRow>();
  readonly #listeners: (() => void)[] = [];

  constructor(options: DamagedRowsOptions) {
    this.#options = options;
    for (const [rowKey, value] of marks(options.disk)) this.#marked.set(toHex(rowKey), markOf(rowKey, value));
    const help = 'Record rows that were damaged and are being got back from other owners';
    options.metrics.gauge('quoral_damaged_rows', help, () => this.#marked.size);
  }

  /** Whether what the replica has of the key is no answer. */
  has({ bucket, incarnation }: Place, key: Uint8Array): boolean {
    return this.#marked.size > 0 && this.#marked.has(toHex(recordKey(bucket, incarnation, key)));
  }

  /** Throws {@link Refusal} for such a key. */
  requireWhole(place: Place, key: Uint8Array): void {
    if (this.has(place, key))
      throw new Refusal(CORRUPT_ROW, 'the row of this key was damaged and is not got back from the other owners yet');
  }

  list(): readonly DamagedRow[] {
    return [...this.#marked.values()];
  }

  onMarked(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Forgets the row, if it is damaged indeed, in one of the next groups. */
  report(place: Place, key: Uint8Array): void {
    const forgotten = this.#options.commits.submit({
      run: (transaction) => this.#forget(transaction, place, key),
      bytes: 0,
      durable: true,
    });
    // A disk that is full or has failed says so itself; whoever meets the row next reports it again.
    forgotten.then(
      (done) => {
        if (done) for (const listener of this.#listeners) listener();
      },
      () => undefined,
    );
  }

  /** Enough other owners have given what they hold of the key: the replica answers for it again. */
  async mended({ place, key }: DamagedRow): Promise<void> {
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    await this.#options.commits.submit({
      run: (transaction) => {
        transaction.delete(DAMAGED, rowKey);
        transaction.afterwards(() => this.#marked.delete(toHex(rowKey)));
      },
      bytes: 0,
      durable: true,
    });
  }

  #forget(transaction: GroupTransaction, place: Place, key: Uint8Array): boolean {
    const { records, renew, log, digest } = this.#options;
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    const row = transaction.get(RECORDS, rowKey);
    if (row === undefined || isWhole(row, digest)) return false;
    records.forget(transaction, place, key);
    transaction.put(DAMAGED, rowKey, Uint8Array.of(place.n, place.partition >>> 8, place.partition));
    transaction.afterwards(() => this.#marked.set(toHex(rowKey), { place, key }));
    renew();
    log.warn('corrupt-row-forgotten', { bucket: place.bucket, partition: place.partition, key });
    return true;
  }
}

function isWhole(row: Uint8Array, { crc32 }: Digest): boolean {
  try {
    decodeState(row, crc32);
    return true;
  } catch (error) {
    if (error instanceof CorruptState) return false;
    throw error;
  }
}

function markOf(rowKey: Uint8Array, value: Uint8Array): DamagedRow {
  const { bucket, incarnation, key }: RecordName = recordName(rowKey);
  return { place: { n: value[0]!, partition: (value[1]! << 8) | value[2]!, bucket, incarnation }, key };
}

function* marks(reader: DiskReader): Generator<readonly [Uint8Array, Uint8Array]> {
  for (let from: Uint8Array = EMPTY_BYTES; ;) {
    const rows = reader.range(DAMAGED, { from, limit: PAGE_ROWS });
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    from = Uint8Array.of(...last[0], 0);
  }
}
