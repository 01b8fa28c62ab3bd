/**
 * The rows of requests with idempotency keys, in the order in which they were made: one entry for each commit and not a row for
 * each request, which would be a page to write for each of them, since rows that lie by key lie far apart. Where a row is only the
 * index in memory knows, which is made from the log at each start.
 *
 * Entries go in order, too, when the time of all their rows is over. A row whose time is far away, by a clock that is ahead, would
 * keep all later ones: it moves to the end of the log.
 */

import { sameDot } from '#causality/dot.ts';
import { startsWith, toHex } from '#kernel/bytes.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';
import type { Counter, Digest, Disk, DiskTransaction, Log } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import { decodeEntry, encodeEntry, hashesOf, keyHashOf, type NamedRetry, type RetryRow } from './retry-codec.ts';
import { RetryIndex } from './retry-index.ts';
import { RETRY_LOG } from './tables.ts';

/** Of the names in one entry, before another begins. */
const ENTRY_BYTES = 16_384;
/** More than an entry has rows: a place is the number of the entry, times this, and the row's in the entry. */
const ROWS_OF_ENTRY = 65_536;
/** Entries that are read at once. */
const PAGE = 64;
/** A row stays so much longer than its window, for the clocks of the nodes differ. */
const CLOCK_SLACK_MS = 60_000;

export interface RetryLogOptions {
  readonly disk: Disk;
  readonly log: Log;
  readonly digest: Digest;
  readonly damaged: Counter;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds during which a request may be sent again. */
  readonly window: number;
}

interface Entry {
  readonly number: number;
  readonly rows: NamedRetry[];
  bytes: number;
}

/** An entry whose time has come. */
export interface EndedEntry {
  readonly number: number;
  /** What goes on in a later one. */
  readonly rest: readonly NamedRetry[];
}

export class RetryLog {
  readonly #options: RetryLogOptions;
  readonly #index = new RetryIndex();
  /** Of the group under way: what is written when it ends. */
  #pending: Entry[] = [];
  /** Rows that the group has added. */
  #added = 0;
  /** The number of the next entry. None is given twice: what was not committed leaves a gap. */
  #next = 1;
  /** The entry that was read last: rows of one key are often neighbours. */
  #last: { readonly number: number; readonly rows: readonly NamedRetry[] } | undefined;
  /** Until then there were rows that cannot be read, nobody knows which; 0 when there are none. */
  #damagedUntil = 0;
  /** Entries that have been found not to be readable: meeting one again makes nothing worse. */
  readonly #damaged = new Set<number>();

  constructor(options: RetryLogOptions) {
    this.#options = options;
    this.#load();
  }

  get count(): number {
    return this.#index.size;
  }

  /** Whether rows could not be read that were to be kept until now: of what is not found nobody can say that it never was. */
  isDamaged(): boolean {
    return this.#damagedUntil > 0 && this.#options.now() < this.#damagedUntil;
  }

  /** Rows that were to be kept are not here, nobody knows which. */
  lacks(why: string, where: { readonly entry?: number } = {}): void {
    const { now, window, damaged, log } = this.#options;
    this.#damagedUntil = now() + window;
    damaged.add();
    const detail = 'it does not say of requests with idempotency keys that they are new, so some of them get 503';
    log.error('corrupt-retry', { ...where, reason: why, forMs: window, detail });
  }

  /** An effect of operations that have succeeded. A row takes the place of an earlier one of its name. */
  readonly add = (row: NamedRetry): void => {
    let entry = this.#pending.at(-1);
    if (entry === undefined || entry.bytes + row.name.length > ENTRY_BYTES)
      this.#pending.push((entry = { number: this.#next++, rows: [], bytes: 0 }));
    const { name, key } = hashesOf(row.name);
    this.#index.add(name, key, entry.number * ROWS_OF_ENTRY + entry.rows.length);
    entry.rows.push(row);
    entry.bytes += row.name.length;
    this.#added += 1;
  };

  find(name: Uint8Array): RetryRow | undefined {
    const { equal } = this.#options.digest;
    return this.#index.find('name', hashesOf(name).name, (place) => {
      const row = this.#at(place);
      return row !== undefined && equal(row.name, name) ? row.row : undefined;
    });
  }

  /** At most `limit` of those whose names begin so, the latest of each name. */
  withPrefix(prefix: Uint8Array, limit: number): readonly RetryRow[] {
    // Of a key that is written often there are thousands.
    const rows = new Map<string, RetryRow>();
    this.#index.find('key', keyHashOf(prefix), (place) => {
      const row = this.#at(place);
      if (row === undefined || !startsWith(row.name, prefix)) return undefined;
      const id = toHex(row.row.id);
      if (!rows.has(id)) rows.set(id, row.row);
      return rows.size >= limit ? true : undefined;
    });
    return [...rows.values()];
  }

  groupEnds(transaction: DiskTransaction): void {
    const { crc32 } = this.#options.digest;
    for (const { number, rows } of this.#pending)
      transaction.put(RETRY_LOG, keyOfNumber(number), encodeEntry(rows, crc32));
    this.#pending = [];
  }

  groupSynced(): void {
    this.#added = 0;
  }

  /** What the group has added may not be there. */
  groupFailed(): void {
    this.#index.takeBack(this.#added);
    this.#added = 0;
    this.#pending = [];
  }

  /** The oldest entries before `before` whose time is over, or will not be for longer than rows are kept. */
  ended(before: number): readonly EndedEntry[] {
    const over = this.#options.now() - CLOCK_SLACK_MS;
    const latest = over + this.#options.window + 2 * CLOCK_SLACK_MS;
    const ended: EndedEntry[] = [];
    for (const [key, bytes] of this.#options.disk.range(RETRY_LOG, { to: keyOfNumber(before), limit: PAGE })) {
      const rows = this.#decode(key, bytes) ?? [];
      const rest = rows.filter(({ row }) => row.until > over);
      const number = numberOfKey(key);
      // Behind the last one there is nobody who waits.
      if (rest.some(({ row }) => row.until <= latest || number === before - 1)) break;
      ended.push({ number, rest });
    }
    return ended;
  }

  /** The number of the entry that is written next. */
  get next(): number {
    return this.#next;
  }

  remove(transaction: GroupTransaction, ended: readonly EndedEntry[]): void {
    for (const { number, rest } of ended) {
      transaction.delete(RETRY_LOG, keyOfNumber(number));
      for (const one of rest) if (this.#isLatest(one)) transaction.afterwards(this.add, one);
    }
  }

  /** To be called when what {@link remove} has taken away is off the disk. */
  removed(ended: readonly EndedEntry[]): void {
    const last = ended.at(-1);
    for (const { number } of ended) this.#damaged.delete(number);
    if (last !== undefined) this.#index.dropBelow((last.number + 1) * ROWS_OF_ENTRY);
  }

  #isLatest({ name, row }: NamedRetry): boolean {
    const latest = this.find(name);
    return latest !== undefined && latest.until === row.until && sameDot(latest.dot, row.dot);
  }

  #at(place: number): NamedRetry | undefined {
    const number = Math.floor(place / ROWS_OF_ENTRY);
    const rows = this.#pending.find((entry) => entry.number === number)?.rows ?? this.#read(number);
    return rows?.[place % ROWS_OF_ENTRY];
  }

  #read(number: number): readonly NamedRetry[] | undefined {
    if (this.#last?.number === number) return this.#last.rows;
    const key = keyOfNumber(number);
    const bytes = this.#options.disk.get(RETRY_LOG, key);
    const rows = bytes === undefined ? undefined : this.#decode(key, bytes);
    if (rows !== undefined) this.#last = { number, rows };
    return rows;
  }

  #decode(key: Uint8Array, bytes: Uint8Array): readonly NamedRetry[] | undefined {
    const rows = decodeEntry(bytes, this.#options.digest.crc32);
    if (rows !== undefined) return rows;
    const entry = numberOfKey(key);
    if (!this.#damaged.has(entry)) this.lacks('the checksum of an entry does not fit', { entry });
    this.#damaged.add(entry);
    return undefined;
  }

  #load(): void {
    for (let from = keyOfNumber(0); ; from = keyOfNumber(this.#next)) {
      const page = this.#options.disk.range(RETRY_LOG, { from, limit: PAGE });
      for (const [key, bytes] of page) {
        const number = numberOfKey(key);
        for (const [at, { name }] of (this.#decode(key, bytes) ?? []).entries()) {
          const hashes = hashesOf(name);
          this.#index.add(hashes.name, hashes.key, number * ROWS_OF_ENTRY + at);
        }
        this.#next = number + 1;
      }
      if (page.length < PAGE) return;
    }
  }
}
