/**
 * What is kept about all rows of requests together: how many there are, and when which may go. Requests with idempotency keys are
 * many where clients use them, so both are written once for each group of writes, and not once for each row: the count stands in
 * memory beside its row, and an entry of `retry_expiry` names as many rows as fit.
 */

import type { Disk, DiskTransaction } from '#world/world.ts';
import { decodeCount, encodeCount, expiryKey, expiryValue, namesOf, type RetryRow } from './retry-codec.ts';
import { NODE, RETRY_COUNT, RETRY_EXPIRY } from './tables.ts';

/** Bytes of names in one entry: more would not fit into a page of its table, and go to a page of their own. */
const ENTRY_BYTES = 900;
/** Rows in one entry go together, so they have to end at about the same time. */
const TOGETHER_MS = 1000;

export interface Remembered extends Pick<RetryRow, 'until'> {
  /** Of the row. */
  readonly name: Uint8Array;
}

export class RetryBook {
  readonly #disk: Disk;
  /** With what the group under way has changed; undefined when the disk has to be asked. */
  #count: number | undefined;
  #isWritten = true;
  #remembered: Remembered[] = [];

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get count(): number {
    if (this.#count === undefined) {
      const row = this.#disk.get(NODE, RETRY_COUNT);
      this.#count = row === undefined ? 0 : decodeCount(row);
    }
    return this.#count;
  }

  /** An effect of operations that have succeeded, like the next: so many rows more. */
  readonly add = (rows: number): void => {
    this.#count = Math.max(0, this.count + rows);
    this.#isWritten = false;
  };

  /** The row is to be looked at when its time is over. */
  readonly remember = (row: Remembered): void => {
    this.#remembered.push(row);
  };

  groupEnds(transaction: DiskTransaction): void {
    if (!this.#isWritten) transaction.put(NODE, RETRY_COUNT, encodeCount(this.count));
    this.#isWritten = true;
    if (this.#remembered.length === 0) return;
    for (const [first, ...others] of entriesOf(this.#remembered)) {
      const key = expiryKey(Math.max(first.until, ...others.map(({ until }) => until)), first.name);
      // A row that is written twice in one millisecond may be the first of two entries.
      const before = transaction.get(RETRY_EXPIRY, key);
      const names = [...(before === undefined ? [] : namesOf(key, before).slice(1)), ...others.map(({ name }) => name)];
      transaction.put(RETRY_EXPIRY, key, expiryValue(names));
    }
    this.#remembered = [];
  }

  /** What the group has changed may not be there. */
  groupFailed(): void {
    this.#count = undefined;
    this.#isWritten = true;
    this.#remembered = [];
  }
}

/** Neighbours that end together, as many as an entry has room for. */
function entriesOf(rows: readonly Remembered[]): readonly (readonly [Remembered, ...Remembered[]])[] {
  const entries: [Remembered, ...Remembered[]][] = [];
  let first: Remembered | undefined;
  let bytes = 0;
  for (const row of rows) {
    bytes += row.name.length;
    if (first === undefined || bytes > ENTRY_BYTES || Math.abs(row.until - first.until) > TOGETHER_MS) {
      entries.push([row]);
      first = row;
      bytes = row.name.length;
    } else entries.at(-1)!.push(row);
  }
  return entries;
}
