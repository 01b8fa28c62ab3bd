/**
 * The rows that stand in SQLite: one database file with a write-ahead log, and one connection on the node's own thread.
 *
 * COMMIT writes the log without syncing it; a thread of the pool syncs it afterwards (wal-sync.ts) and another thread copies it
 * into the database file (wal-checkpoint.ts), so the event loop waits for the device in neither case.
 */

import type { Database, Statement } from 'better-sqlite3';
import { present } from '#kernel/assert.ts';
import type { Log, RangeOptions, Row, TableDefinition } from '#world/world.ts';
import { fileBytes } from './directories.ts';
import type { DiskStep } from './disk-errors.ts';
import type { DiskFigures } from './disk-figures.ts';
import { PAGE_BYTES, type OpenFiles } from './disk-open.ts';
import { DiskTable } from './disk-table.ts';
import { RowCache } from './row-cache.ts';
import { Checkpointer, GROWTH_MAX } from './wal-checkpoint.ts';
import { assertInPlace } from './in-place.ts';
import { WalSync } from './wal-sync.ts';

export interface SqliteRowsOptions {
  readonly files: OpenFiles;
  readonly tables: readonly TableDefinition[];
  readonly rowCacheBytes: number;
  readonly figures: DiskFigures;
  readonly log: Log;
  /** A checkpoint has failed. */
  readonly onError: (error: unknown) => void;
}

/** Pages that a transaction changes besides those of its rows, about. */
const PAGES_BESIDES = 2;
/** Pages that a row changes besides those that its bytes fill, at most but for a few. */
const PAGES_A_ROW = 2;

/** An error of the disk, and what was being done. */
export class StepError extends Error {
  readonly step: DiskStep;

  constructor(step: DiskStep, cause: unknown) {
    super(`${step} failed`, { cause });
    this.step = step;
  }
}

export class SqliteRows {
  readonly #database: Database;
  readonly #files: OpenFiles;
  readonly #tables: readonly DiskTable[];
  readonly #cache: RowCache | undefined;
  readonly #beginReading: Statement<[]>;
  readonly #begin: Statement<[]>;
  readonly #commit: Statement<[]>;
  readonly #rollback: Statement<[]>;
  readonly #setState: Statement<[number, number]>;
  readonly #beginJournal: Statement<[number, number]>;
  readonly #pageCount: Statement<[], number>;
  readonly #sync: WalSync;
  readonly #checkpointer: Checkpointer;
  #transaction: 'none' | 'of reads' | 'of writes' = 'none';

  constructor(options: SqliteRowsOptions) {
    const { files, figures } = options;
    const { database, path, walPages } = files;
    this.#files = files;
    this.#database = database;
    this.#beginReading = database.prepare('BEGIN DEFERRED');
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
    this.#setState = database.prepare('UPDATE journal_state SET applied = ?, is_open = ?');
    this.#beginJournal = database.prepare('UPDATE journal_state SET identity = ?, applied = ?, is_open = 1');
    this.#cache = options.rowCacheBytes > 0 ? new RowCache(options.rowCacheBytes, figures) : undefined;
    this.#tables = options.tables.map((table, number) => new DiskTable(database, table, number, this.#cache));
    this.#pageCount = database.prepare<[], number>('PRAGMA page_count').pluck();
    this.#sync = new WalSync(`${path}-wal`);
    this.#checkpointer = new Checkpointer({
      ...{ path, database, log: options.log, startPages: walPages },
      endReads: () => this.#undo(),
      observe: (seconds) => figures.checkpoints.observe(seconds),
      onError: options.onError,
    });
  }

  get(table: number, key: Uint8Array): Uint8Array | undefined {
    this.#read();
    return this.#table(table).get(key);
  }

  /** What is remembered of the row. */
  kept(table: number, key: Uint8Array): Uint8Array | undefined {
    return this.#table(table).kept(key);
  }

  /** The row, which is remembered from now on; of a value of more than so many bytes only how many it has. */
  keepUpTo(table: number, key: Uint8Array, upTo: number): Uint8Array | number | undefined {
    this.#read();
    return this.#table(table).keepUpTo(key, upTo);
  }

  /** SQLite's number of a row that has this hash (`hashOf`), most likely of the only one; 0 when none is remembered. */
  numberLike(hash: number): number {
    return this.#cache?.numberLike(hash) ?? 0;
  }

  range(table: number, options: RangeOptions): Row[] {
    this.#read();
    return this.#table(table).range(options);
  }

  /**
   * Runs `run` in one transaction, which puts rows by the number of their table, or deletes them; all or nothing. Throws
   * {@link StepError}. What is returned, if anything, is to be waited for before the next transaction.
   */
  write(
    run: (row: (table: number, key: Uint8Array, value: Uint8Array | undefined) => void) => void,
  ): Promise<void> | undefined {
    let pages = PAGES_BESIDES;
    this.#attempt('write', () => {
      this.#undo();
      this.#begin.run();
      this.#transaction = 'of writes';
      run((table, key, value) => {
        // A row changes one page, and those that its bytes fill; and some are above them, or are split.
        pages += 1 + (key.length + (value?.length ?? 0)) / PAGE_BYTES;
        if (value === undefined) this.#table(table).delete(key);
        else this.#table(table).put(key, value);
      });
    });
    this.#attempt('commit', () => this.#commit.run());
    this.#transaction = 'none';
    return this.#attempt('checkpoint', () => this.#checkpointer.afterCommit(pages));
  }

  /** How much longer the files may become when so many rows with so many bytes are written and all that is in the log is copied. */
  growth(rows: number, bytes: number): number {
    const { path, frameBytes, walPages } = this.#files;
    const [log, file] = [fileBytes(`${path}-wal`), fileBytes(path)];
    // A log of its full length is started over.
    const logMax = Math.max(0, GROWTH_MAX * walPages * frameBytes - log);
    const logGrowth = Math.min(logMax, (rows * PAGES_A_ROW + bytes / PAGE_BYTES) * frameBytes);
    this.#read();
    return logGrowth + 2 * bytes + Math.max(0, Number(this.#pageCount.get()) * PAGE_BYTES - file);
  }

  /** To be called inside a transaction: up to which segment the journal's rows are here, and whether a process uses it. */
  setJournalState(applied: number, isOpen: boolean): void {
    this.#setState.run(applied, isOpen ? 1 : 0);
  }

  /** Likewise: no record of another journal than this one counts from now on, and of this one all up to this segment. */
  beginJournal(identity: number, applied: number): void {
    this.#beginJournal.run(identity, applied);
  }

  /** Resolves when all that was written before this call is on stable storage. */
  async sync(): Promise<void> {
    await this.#sync.sync();
    this.assertInPlace();
  }

  /** Throws when a file is no longer where it was opened. */
  assertInPlace(): void {
    assertInPlace(this.#files.path, this.#files.identity);
    this.#sync.assertInPlace();
  }

  /** Nothing is remembered any more. */
  forget(): void {
    this.#cache?.end();
  }

  async close(): Promise<void> {
    await this.#checkpointer.close();
    await this.#sync.close();
    this.#undo();
    this.#cache?.end();
    this.#files.close();
  }

  #table(number: number): DiskTable {
    return present(this.#tables[number], `table ${number}`);
  }

  #attempt<T>(step: DiskStep, action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.#undo();
      throw new StepError(step, error);
    }
  }

  /**
   * Reads between two transactions share one: each of its own would lock and unlock the log, which costs as much as the read. It
   * sees all there is, since only this connection writes, and it ends before the next one begins, so that it is in no
   * checkpoint's way.
   */
  #read(): void {
    if (this.#transaction !== 'none') return;
    this.#beginReading.run();
    this.#transaction = 'of reads';
  }

  /** SQLite may have rolled back by itself already. */
  #undo(): void {
    // Rows are kept as the transaction has them, while it still runs.
    if (this.#transaction === 'of writes') this.#cache?.clear();
    if (this.#transaction !== 'none' && this.#database.inTransaction) this.#rollback.run();
    this.#transaction = 'none';
  }
}
