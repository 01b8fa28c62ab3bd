/**
 * The Disk port on SQLite: one database file with a write-ahead log, and one connection on the node's own thread.
 *
 * COMMIT writes the log without syncing it; a thread of the pool syncs it afterwards (wal-sync.ts) and another thread copies
 * it into the database file (wal-checkpoint.ts), so the event loop waits for the device in neither case. What is durable is
 * what the sync has covered, and only then does the commit's promise resolve.
 *
 * After a failed sync, write or read the disk is closed to commits for good: what the kernel has dropped is not known, and
 * a second attempt would report success for it. The process is to end; the next start writes the log once more, since part
 * of it may only seem to be written (wal-suspect.ts), and recovers it. (SQLite tries to copy the log once more when it
 * closes; its own descriptor has not seen the error yet, so it does, and copies nothing.)
 */

import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { assert, present } from '#kernel/assert.ts';
import {
  DiskError,
  type Committed,
  type Disk,
  type DiskTransaction,
  type Log,
  type Metrics,
  type RangeOptions,
  type Row,
  type TableDefinition,
} from '#world/world.ts';
import { toDiskError, type DiskStep } from './disk-errors.ts';
import { diskFigures, type DiskFigures } from './disk-figures.ts';
import { DEFAULT_CACHE_BYTES, openFiles, PAGE_BYTES, type OpenFiles } from './disk-open.ts';
import type { Migration } from './disk-schema.ts';
import { DiskTable } from './disk-table.ts';
import { RowCache } from './row-cache.ts';
import { WalAhead } from './wal-ahead.ts';
import { Checkpointer } from './wal-checkpoint.ts';
import { leaveMark } from './wal-suspect.ts';
import { WalSync } from './wal-sync.ts';

export interface DiskOptions {
  /**
   * The database file. SQLite keeps `-wal` and `-shm` beside it, `-lock` belongs to the process that has it open, and
   * `-unsynced` is left by one whose disk has failed.
   */
  readonly path: string;
  readonly tables: readonly TableDefinition[];
  readonly log: Log;
  readonly metrics?: Metrics;
  /** Memory for pages of the database. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Memory for single rows of the tables that are recalled. Default 0: none. */
  readonly rowCacheBytes?: number;
  /** Size of the log at which copying it into the database file begins. Default 128 MiB. */
  readonly walBytes?: number;
  /** For tests of the format's changes; default {@link MIGRATIONS}. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the database, or creates it with its directory. Throws `DataDirectoryError` when the files cannot be used, and
 * DiskError when they fail while they are opened.
 */
export async function openDisk(options: DiskOptions): Promise<Disk> {
  const files = await openFiles(options);
  let disk: SqliteDisk | undefined;
  try {
    disk = new SqliteDisk(options, files);
    // What a crash left in the log is visible from now on, so it has to be as durable as what is committed from now on.
    await disk.commit(() => undefined).durable;
    options.log.info('disk-opened', { path: files.path, bytes: disk.sizeBytes() });
    return disk;
  } catch (error) {
    if (disk === undefined) files.close();
    else await disk.close();
    throw error;
  }
}

/** So long writes may go on into files that somebody has removed from their directory, which no later start would find. */
const LOOK_MS = 1000;

class SqliteDisk implements Disk {
  readonly #path: string;
  readonly #log: Log;
  readonly #files: OpenFiles;
  readonly #database: Database;
  readonly #tables = new Map<string, DiskTable>();
  readonly #rows: RowCache | undefined;
  readonly #beginReading: Statement<[]>;
  readonly #begin: Statement<[]>;
  readonly #commit: Statement<[]>;
  readonly #rollback: Statement<[]>;
  readonly #ahead: WalAhead;
  readonly #sync: WalSync;
  readonly #checkpointer: Checkpointer;
  readonly #figures: DiskFigures;
  #failure: DiskError | undefined;
  #closed = false;
  /** When the files were last seen to be where they were opened. */
  #lookedAt = 0;
  #transaction: 'none' | 'of reads' | 'of a commit' = 'none';

  constructor(options: DiskOptions, files: OpenFiles) {
    this.#path = files.path;
    this.#log = options.log;
    this.#files = files;
    this.#database = files.database;
    this.#beginReading = files.database.prepare('BEGIN DEFERRED');
    this.#begin = files.database.prepare('BEGIN IMMEDIATE');
    this.#commit = files.database.prepare('COMMIT');
    this.#rollback = files.database.prepare('ROLLBACK');
    this.#figures = diskFigures(options.metrics, {
      bytes: () => this.sizeBytes(),
      walBytes: () => fileBytes(`${files.path}-wal`),
      freeBytes: () => this.freeBytes(),
      cacheBytes: options.cacheBytes ?? DEFAULT_CACHE_BYTES,
    });
    const { rowCacheBytes = 0 } = options;
    this.#rows = rowCacheBytes > 0 ? new RowCache(rowCacheBytes, this.#figures) : undefined;
    for (const [number, table] of options.tables.entries())
      this.#tables.set(table.name, new DiskTable(files.database, table, number, this.#rows));
    this.#sync = new WalSync({
      path: `${files.path}-wal`,
      observe: (seconds) => this.#figures.syncs.observe(seconds),
    });
    const { walPages, frameBytes, index } = files;
    this.#ahead = new WalAhead({
      descriptor: this.#sync.descriptor,
      index,
      bytes: walPages * frameBytes,
      frameBytes,
    });
    this.#checkpointer = new Checkpointer({
      path: files.path,
      database: files.database,
      log: options.log,
      startPages: walPages,
      endReads: () => this.#undo(),
      observe: (seconds) => this.#figures.checkpoints.observe(seconds),
      onError: (error) => this.#fail(error, 'checkpoint'),
    });
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    this.#figures.reads.add();
    try {
      this.#read();
      return this.#table(table).get(key);
    } catch (error) {
      throw this.#fail(error, 'read');
    }
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#recall(table, key, (rows) => rows.keep(key));
  }

  recallUpTo(table: string, key: Uint8Array, upTo: number): Uint8Array | number | undefined {
    return this.#recall(table, key, (rows) => rows.keepUpTo(key, upTo));
  }

  #recall<T>(table: string, key: Uint8Array, keep: (rows: DiskTable) => T): Uint8Array | T {
    const rows = this.#table(table);
    const kept = rows.kept(key);
    if (kept !== undefined) return kept;
    this.#figures.reads.add();
    try {
      this.#read();
      return keep(rows);
    } catch (error) {
      throw this.#fail(error, 'read');
    }
  }

  range(table: string, options: RangeOptions): Row[] {
    this.#figures.reads.add();
    try {
      this.#read();
      return this.#table(table).range(options);
    } catch (error) {
      throw this.#fail(error, 'read');
    }
  }

  commit(run: (transaction: DiskTransaction) => void): Committed {
    assert(!this.#closed, 'the disk is open');
    assert(this.#transaction !== 'of a commit', 'no commit inside a commit');
    if (this.#failure !== undefined && this.#failure.kind !== 'full') throw this.#failure;
    this.#attempt('write', () => this.#beginWriting());
    const transaction = new SqliteTransaction(this.#tables, this.#figures, (error, step) => this.#fail(error, step));
    try {
      run(transaction);
    } catch (error) {
      this.#undo();
      throw error;
    } finally {
      transaction.end();
    }
    if (transaction.failure !== undefined) {
      // `run` may have caught it, but what SQLite could not do is missing from the transaction.
      this.#undo();
      throw transaction.failure;
    }
    this.#ahead.beforeCommit(this.#checkpointer.pages + transaction.pages);
    this.#attempt('commit', () => this.#commit.run());
    this.#transaction = 'none';
    this.#figures.commits.add();
    this.#heal();
    const held = this.#attempt('checkpoint', () => this.#checkpointer.afterCommit(transaction.pages));
    const durable = this.#durable(held);
    // Whoever does not wait for it learns of the failure with the next commit.
    durable.catch(() => undefined);
    return { durable };
  }

  failure(): DiskError | undefined {
    return this.#failure;
  }

  sizeBytes(): number {
    return fileBytes(this.#path) + fileBytes(`${this.#path}-wal`);
  }

  freeBytes(): number {
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      return bavail * bsize;
    } catch {
      // Not every file system tells; what is not known is no reason for alarm.
      return Number.POSITIVE_INFINITY;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#checkpointer.close();
    await this.#sync.close();
    this.#undo();
    this.#rows?.end();
    this.#files.close();
  }

  async #durable(held: Promise<void> | undefined): Promise<void> {
    try {
      await this.#sync.sync();
      if (held !== undefined) await held;
      const now = performance.now();
      if (held !== undefined || now - this.#lookedAt >= LOOK_MS) {
        this.#lookedAt = now;
        this.#sync.assertInPlace();
      }
    } catch (error) {
      throw this.#fail(error, 'sync');
    }
  }

  #table(name: string): DiskTable {
    return present(this.#tables.get(name), `table ${name}`);
  }

  #attempt<T>(step: DiskStep, action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.#undo();
      throw this.#fail(error, step);
    }
  }

  /**
   * Reads between two commits share a transaction: each of its own would lock and unlock the log, which costs as much as the
   * read. It sees all there is, since only this connection writes, and it ends before the next commit begins, so that it is
   * in no checkpoint's way.
   */
  #read(): void {
    if (this.#transaction !== 'none') return;
    this.#beginReading.run();
    this.#transaction = 'of reads';
  }

  #beginWriting(): void {
    this.#undo();
    this.#begin.run();
    this.#transaction = 'of a commit';
  }

  /** SQLite may have rolled back by itself already. */
  #undo(): void {
    // Rows are kept as the transaction has them, while it still runs.
    if (this.#transaction === 'of a commit') this.#rows?.clear();
    if (this.#transaction !== 'none' && this.#database.inTransaction) this.#rollback.run();
    this.#transaction = 'none';
  }

  /** Remembers a failure of the disk and says it once; returns what to throw. The first final failure stays. */
  #fail(error: unknown, step: DiskStep): unknown {
    const failure = toDiskError(error, step, this.#path);
    if (failure === undefined) return error;
    this.#figures.failures.add();
    if (this.#failure === undefined || (this.#failure.kind === 'full' && failure.kind !== 'full')) {
      this.#failure = failure;
      // Nothing is to look well from memory while the disk is not.
      if (failure.kind !== 'full') this.#rows?.end();
      if (failure.kind === 'failed') leaveMark(this.#path);
      this.#log.error(failure.kind === 'full' ? 'disk-full' : 'disk-failed', {
        kind: failure.kind,
        reason: failure.message,
      });
    }
    return failure;
  }

  #heal(): void {
    if (this.#failure?.kind !== 'full') return;
    this.#failure = undefined;
    this.#log.info('disk-has-space-again', { path: this.#path });
  }
}

/** Pages that a commit changes besides those of its rows, about. */
const PAGES_BESIDES = 2;

class SqliteTransaction implements DiskTransaction {
  readonly #tables: ReadonlyMap<string, DiskTable>;
  readonly #figures: DiskFigures;
  readonly #onError: (error: unknown, step: DiskStep) => unknown;
  #ended = false;
  failure: DiskError | undefined;
  /** Those that have changed, about: a row has one, and those that its bytes fill; and some are above them, or are split. */
  pages = PAGES_BESIDES;

  constructor(
    tables: ReadonlyMap<string, DiskTable>,
    figures: DiskFigures,
    onError: (error: unknown, step: DiskStep) => unknown,
  ) {
    this.#tables = tables;
    this.#figures = figures;
    this.#onError = onError;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    this.#figures.reads.add();
    return this.#do(table, 'read', (rows) => rows.get(key));
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#do(table, 'read', (rows) => {
      const kept = rows.kept(key);
      if (kept !== undefined) return kept;
      this.#figures.reads.add();
      return rows.keep(key);
    });
  }

  range(table: string, options: RangeOptions): Row[] {
    this.#figures.reads.add();
    return this.#do(table, 'read', (rows) => rows.range(options));
  }

  put(table: string, key: Uint8Array, value: Uint8Array): void {
    const bytes = key.length + value.length;
    this.#figures.writtenBytes.add(bytes);
    this.pages += 1 + bytes / PAGE_BYTES;
    this.#do(table, 'write', (rows) => rows.put(key, value));
  }

  delete(table: string, key: Uint8Array): void {
    this.pages += 1;
    this.#do(table, 'write', (rows) => rows.delete(key));
  }

  end(): void {
    this.#ended = true;
  }

  #do<T>(name: string, step: DiskStep, action: (rows: DiskTable) => T): T {
    assert(!this.#ended, 'the transaction is not used after its commit');
    if (this.failure !== undefined) throw this.failure;
    const rows = present(this.#tables.get(name), `table ${name}`);
    try {
      return action(rows);
    } catch (error) {
      const thrown = this.#onError(error, step);
      if (thrown instanceof DiskError) this.failure = thrown;
      throw thrown;
    }
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
