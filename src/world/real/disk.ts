/**
 * The Disk port on SQLite: one database file with a write-ahead log, and one connection on the node's own thread.
 *
 * COMMIT writes the log without syncing it; a thread of the pool syncs it afterwards (wal-sync.ts) and another thread copies
 * it into the database file (wal-checkpoint.ts), so the event loop waits for the device in neither case. What is durable is
 * what the sync has covered, and only then does the commit's promise resolve.
 *
 * After a failed sync, write or read the disk is closed to commits for good: what the kernel has dropped is not known, and
 * a second attempt would report success for it. The process is to end; the next start recovers the log. (SQLite tries to
 * copy the log once more when it closes; its own descriptor has not seen the error yet, so it does, and copies nothing.)
 */

import { statSync } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { assert, present } from '#kernel/assert.ts';
import {
  DiskError,
  type Committed,
  type Disk,
  type DiskTransaction,
  type Histogram,
  type Log,
  type Metrics,
  type RangeOptions,
  type Row,
  type TableDefinition,
} from '#world/world.ts';
import { toDiskError, type DiskStep } from './disk-errors.ts';
import { openFiles, type OpenFiles } from './disk-open.ts';
import type { Migration } from './disk-schema.ts';
import { DiskTable } from './disk-table.ts';
import { Checkpointer } from './wal-checkpoint.ts';
import { WalSync } from './wal-sync.ts';

export interface DiskOptions {
  /** The database file. SQLite keeps `-wal` and `-shm` beside it, and `-lock` belongs to the process that has it open. */
  readonly path: string;
  readonly tables: readonly TableDefinition[];
  readonly log: Log;
  readonly metrics?: Metrics;
  /** Memory for pages of the database. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Size of the log at which copying it into the database file begins. Default 16 MiB. */
  readonly walBytes?: number;
  /** For tests of the format's changes; default {@link MIGRATIONS}. */
  readonly migrations?: readonly Migration[];
}

const SECONDS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];

/**
 * Opens the database, or creates it with its directory. Throws `DataDirectoryError` when the files cannot be used, and
 * DiskError when they fail while they are opened.
 */
export async function openDisk(options: DiskOptions): Promise<Disk> {
  const files = await openFiles(options);
  try {
    const disk = new SqliteDisk(options, files);
    // What a crash left in the log is visible from now on, so it has to be as durable as what is committed from now on.
    await disk.commit(() => undefined).durable;
    options.log.info('disk-opened', { path: files.path, bytes: disk.sizeBytes() });
    return disk;
  } catch (error) {
    files.close();
    throw error;
  }
}

class SqliteDisk implements Disk {
  readonly #path: string;
  readonly #log: Log;
  readonly #files: OpenFiles;
  readonly #database: Database;
  readonly #tables = new Map<string, DiskTable>();
  readonly #begin: Statement<[]>;
  readonly #commit: Statement<[]>;
  readonly #rollback: Statement<[]>;
  readonly #sync: WalSync;
  readonly #checkpointer: Checkpointer;
  #failure: DiskError | undefined;
  #closed = false;

  constructor(options: DiskOptions, files: OpenFiles) {
    this.#path = files.path;
    this.#log = options.log;
    this.#files = files;
    this.#database = files.database;
    for (const { name } of options.tables) this.#tables.set(name, new DiskTable(files.database, name));
    this.#begin = files.database.prepare('BEGIN IMMEDIATE');
    this.#commit = files.database.prepare('COMMIT');
    this.#rollback = files.database.prepare('ROLLBACK');
    const histogram = (name: string, help: string): Histogram | undefined =>
      options.metrics?.histogram(name, help, SECONDS);
    const syncs = histogram('quoral_disk_sync_seconds', 'Duration of syncs of the write-ahead log');
    const checkpoints = histogram('quoral_disk_checkpoint_seconds', 'Duration of copying the log to the database file');
    this.#sync = new WalSync({
      path: `${files.path}-wal`,
      observe: (seconds) => syncs?.observe(seconds),
    });
    this.#checkpointer = new Checkpointer({
      path: files.path,
      database: files.database,
      log: options.log,
      startPages: files.walPages,
      observe: (seconds) => checkpoints?.observe(seconds),
      onError: (error) => this.#fail(error, 'checkpoint'),
    });
    options.metrics?.gauge('quoral_disk_bytes', 'Bytes that the database and its log take', () => this.sizeBytes());
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#table(table).get(key);
    } catch (error) {
      throw this.#fail(error, 'read');
    }
  }

  range(table: string, options: RangeOptions): Row[] {
    try {
      return this.#table(table).range(options);
    } catch (error) {
      throw this.#fail(error, 'read');
    }
  }

  commit(run: (transaction: DiskTransaction) => void): Committed {
    assert(!this.#closed, 'the disk is open');
    assert(!this.#database.inTransaction, 'no commit inside a commit');
    if (this.#failure !== undefined && this.#failure.kind !== 'full') throw this.#failure;
    this.#attempt('write', () => this.#begin.run());
    const transaction = new SqliteTransaction(this.#tables, (error, step) => this.#fail(error, step));
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
    this.#attempt('commit', () => this.#commit.run());
    this.#heal();
    const held = this.#attempt('checkpoint', () => this.#checkpointer.afterCommit());
    const durable = this.#durable(held);
    // Whoever does not wait for it learns of the failure with the next commit.
    durable.catch(() => undefined);
    return { durable };
  }

  failure(): DiskError | undefined {
    return this.#failure;
  }

  sizeBytes(): number {
    let bytes = 0;
    for (const name of [this.#path, `${this.#path}-wal`]) bytes += statSync(name, { throwIfNoEntry: false })?.size ?? 0;
    return bytes;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#checkpointer.close();
    await this.#sync.close();
    this.#files.close();
  }

  async #durable(held: Promise<void> | undefined): Promise<void> {
    try {
      await this.#sync.sync();
      if (held !== undefined) {
        await held;
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

  /** SQLite may have rolled back by itself already. */
  #undo(): void {
    if (this.#database.inTransaction) this.#rollback.run();
  }

  /** Remembers a failure of the disk and says it once; returns what to throw. The first final failure stays. */
  #fail(error: unknown, step: DiskStep): unknown {
    const failure = toDiskError(error, step, this.#path);
    if (failure === undefined) return error;
    if (this.#failure === undefined || (this.#failure.kind === 'full' && failure.kind !== 'full')) {
      this.#failure = failure;
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

class SqliteTransaction implements DiskTransaction {
  readonly #tables: ReadonlyMap<string, DiskTable>;
  readonly #onError: (error: unknown, step: DiskStep) => unknown;
  #ended = false;
  failure: DiskError | undefined;

  constructor(tables: ReadonlyMap<string, DiskTable>, onError: (error: unknown, step: DiskStep) => unknown) {
    this.#tables = tables;
    this.#onError = onError;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#do(table, 'read', (rows) => rows.get(key));
  }

  range(table: string, options: RangeOptions): Row[] {
    return this.#do(table, 'read', (rows) => rows.range(options));
  }

  put(table: string, key: Uint8Array, value: Uint8Array): void {
    this.#do(table, 'write', (rows) => rows.put(key, value));
  }

  delete(table: string, key: Uint8Array): void {
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
