/**
 * The Disk port: a journal (journal.ts) before SQLite (sqlite-rows.ts).
 *
 * A commit is written to the journal by a thread of the pool, and is durable when that has ended; its rows go into SQLite later
 * (disk-apply.ts). What is asked for is looked for in the journal's segments first, which are in memory, and then in SQLite.
 *
 * After a failed sync, write or read the disk is closed to commits for good: what the kernel has dropped is not known, and
 * a second attempt would report success for it. The process is to end; the next start brings into SQLite what it finds in the
 * journal, and writes SQLite's log once more, since part of it may only seem to be written (wal-suspect.ts).
 */

import { randomInt } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '#kernel/assert.ts';
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
import { DiskApply } from './disk-apply.ts';
import { toDiskError, toOpeningError, type DiskStep } from './disk-errors.ts';
import { diskFigures, type DiskFigures } from './disk-figures.ts';
import { DEFAULT_CACHE_BYTES, openFiles, type OpenFiles } from './disk-open.ts';
import { journalState, type Migration } from './disk-schema.ts';
import { JournalTransaction, tableOf, type Tables } from './disk-transaction.ts';
import { JournalFile } from './journal-file.ts';
import { Floors, mergeRange } from './journal-range.ts';
import { readJournal, type LeftSegment } from './journal-read.ts';
import { Journal, JOURNAL_FILES } from './journal.ts';
import { SqliteRows, StepError } from './sqlite-rows.ts';
import { fileBytes, syncDirectory } from './directories.ts';
import { leaveMark } from './wal-suspect.ts';

export interface DiskOptions {
  /**
   * The database file. SQLite keeps `-wal` and `-shm` beside it, `-journal-0` and `-journal-1` are the journal's, `-lock` belongs to
   * the process that has it open, and `-unsynced` is left by one whose disk has failed.
   */
  readonly path: string;
  readonly tables: readonly TableDefinition[];
  readonly log: Log;
  readonly metrics?: Metrics;
  /** Memory for pages of the database. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Memory for single rows of the tables that are recalled. Default 0: none. */
  readonly rowCacheBytes?: number;
  /** Size of SQLite's log at which copying it into the database file begins. Default 128 MiB. */
  readonly walBytes?: number;
  /** Bytes of a segment of the journal. Default 32 MiB. */
  readonly segmentBytes?: number;
  /** For tests of the format's changes; default `MIGRATIONS`. */
  readonly migrations?: readonly Migration[];
}

/** Free space beside what is needed for the rows of the journal, as for the index of SQLite's log. */
const ROOM_BYTES = 1024 * 1024;
const SEGMENT_BYTES = 32 * 1024 * 1024;
const NOT_TAKEN = 'rows of the journal cannot be brought into the database';
/** So long writes may go on into files that somebody has removed from their directory, which no later start would find. */
const LOOK_MS = 1000;
/** A range that has walked over so many deleted rows has them deleted in SQLite too. */
const DELETED_MAX = 256;

/**
 * Opens the database, or creates it with its directory. Throws `DataDirectoryError` when the files cannot be used, and
 * DiskError when they fail while they are opened.
 */
export async function openDisk(options: DiskOptions): Promise<Disk> {
  const files = await openFiles(options);
  let disk: JournaledDisk | undefined;
  try {
    disk = new JournaledDisk(options, files);
    await disk.open();
    options.log.info('disk-opened', { path: files.path, bytes: disk.sizeBytes() });
    return disk;
  } catch (error) {
    if (disk === undefined) files.close();
    else await disk.close();
    throw error;
  }
}

class JournaledDisk implements Disk {
  readonly #options: DiskOptions;
  readonly #path: string;
  readonly #log: Log;
  readonly #journalPaths: readonly string[];
  readonly #files: OpenFiles;
  readonly #tables: Tables;
  readonly #rows: SqliteRows;
  readonly #figures: DiskFigures;
  #journal: Journal | undefined;
  #apply: DiskApply | undefined;
  readonly #floors = new Floors();
  #failure: DiskError | undefined;
  #closed = false;
  #isCommitting = false;
  #walkedOver = false;
  /** When the files were last seen to be where they were opened. */
  #lookedAt = 0;

  constructor(options: DiskOptions, files: OpenFiles) {
    this.#options = options;
    this.#path = files.path;
    this.#log = options.log;
    this.#files = files;
    this.#journalPaths = Array.from({ length: JOURNAL_FILES }, (_, number) => `${files.path}-journal-${number}`);
    this.#tables = new Map(
      options.tables.map(({ name, rows, recalled = false }, number) => [
        name,
        { number, isNumbered: rows === 'numbered', isRecalled: recalled },
      ]),
    );
    this.#figures = diskFigures(options.metrics, {
      bytes: () => this.sizeBytes(),
      walBytes: () => fileBytes(`${files.path}-wal`),
      journalRows: () => this.#journal?.rows ?? 0,
      freeBytes: () => this.freeBytes(),
      cacheBytes: options.cacheBytes ?? DEFAULT_CACHE_BYTES,
    });
    this.#rows = new SqliteRows({
      ...{ files, tables: options.tables, figures: this.#figures, log: options.log },
      rowCacheBytes: options.rowCacheBytes ?? 0,
      onError: (error) => this.#fail(error, 'checkpoint'),
    });
  }

  /** Brings into SQLite what the last process has left in the journal, and begins a new one. */
  async open(): Promise<void> {
    const { identity, applied, isOpen } = journalState(this.#files.database);
    const left = isOpen ? readJournal({ paths: this.#journalPaths, identity, applied }) : [];
    try {
      for (const segment of left) await this.#bringIn(segment);
      if (left.length > 0) {
        this.#log.info('journal-recovered', { path: this.#path, segments: left.length });
      }
      const last = left.at(-1)?.number ?? applied;
      const files = this.#journalPaths.map((path) => this.#openFile(path));
      // The names of new files are durable only when their directory is.
      syncDirectory(dirname(this.#path));
      const next = randomInt(2 ** 31);
      this.#begin(next, last, files);
      await this.#rows.write(() => this.#rows.beginJournal(next, last));
      // What a crash left is visible from now on, so it has to be as durable as what is committed from now on.
      await this.#rows.sync();
    } catch (error) {
      const failure = this.#fail(error, 'write');
      // What is in the journal needs space in the database before anything is read.
      throw failure instanceof DiskError && failure.kind === 'full'
        ? toOpeningError(failure.cause, this.#path)
        : failure;
    }
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    const { number } = tableOf(this.#tables, table);
    const recent = this.#journal!.find(number, key, Number.POSITIVE_INFINITY, false);
    if (recent !== undefined) return (recent as Uint8Array | null) ?? undefined;
    this.#figures.reads.add();
    return this.#reading(() => this.#rows.get(number, key));
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.recallUpTo(table, key, Number.POSITIVE_INFINITY) as Uint8Array | undefined;
  }

  recallUpTo(table: string, key: Uint8Array, upTo: number): Uint8Array | number | undefined {
    const { number, isRecalled } = tableOf(this.#tables, table);
    const recent = this.#journal!.find(number, key, upTo, isRecalled);
    if (recent !== undefined) {
      if (isRecalled) this.#figures.hits.add();
      return recent ?? undefined;
    }
    const kept = this.#rows.kept(number, key);
    if (kept !== undefined) return kept;
    this.#figures.reads.add();
    return this.#reading(() => this.#rows.keepUpTo(number, key, upTo));
  }

  range(table: string, options: RangeOptions): Row[] {
    const { number } = tableOf(this.#tables, table);
    this.#figures.reads.add();
    return this.#reading(() => {
      const raised = this.#floors.raise(number, options);
      const stored = { range: (part: RangeOptions) => this.#rows.range(number, part) };
      const { rows, deleted } = mergeRange(this.#journal!.segments(), number, stored, raised);
      this.#floors.learn(number, raised, rows);
      this.#walkedOver ||= deleted > DELETED_MAX;
      if (!this.#isCommitting) this.#deleteWalkedOver();
      return rows;
    });
  }

  commit(run: (transaction: DiskTransaction) => void): Committed {
    assert(!this.#closed, 'the disk is open');
    assert(!this.#isCommitting, 'no commit inside a commit');
    this.#assertWritable();
    const journal = this.#journal!;
    const transaction = new JournalTransaction(this, journal, this.#tables, this.#floors, this.#figures);
    let durable: Promise<void>;
    this.#isCommitting = true;
    try {
      run(transaction);
      if (transaction.failure !== undefined) throw transaction.failure;
      durable = this.#durable(this.#trying('reserve', () => journal.commit()));
    } catch (error) {
      journal.drop();
      this.#floors.forget();
      throw error;
    } finally {
      this.#isCommitting = false;
      transaction.end();
    }
    this.#figures.commits.add();
    // Whoever does not wait for it learns of the failure with the next commit.
    durable.catch(() => undefined);
    this.#heal();
    this.#apply!.afterCommit();
    this.#deleteWalkedOver();
    return { durable };
  }

  failure(): DiskError | undefined {
    return this.#failure;
  }

  sizeBytes(): number {
    return [this.#path, `${this.#path}-wal`, ...this.#journalPaths].reduce((sum, path) => sum + fileBytes(path), 0);
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

  /** All that was committed stands in SQLite then, unless the disk has failed or is full: the next start does the rest. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#failure === undefined)
      await this.#apply?.finish().catch((error: unknown) => this.#failForGood(error, NOT_TAKEN));
    this.#apply?.end();
    await this.#journal?.close();
    await this.#rows.close();
  }

  get #segmentBytes(): number {
    return this.#options.segmentBytes ?? SEGMENT_BYTES;
  }

  /** As later too, in parts: with all of it at once SQLite's log would be many times as long, where there may be no space for that. */
  async #bringIn({ number, show }: LeftSegment): Promise<void> {
    for (let at: number | undefined = 0; at !== undefined;) {
      const from: number = at;
      const held = this.#rows.write((row) => {
        at = show(from, (table, key, value) => row(tableOf(this.#tables, table).number, key, value));
        if (at === undefined) this.#rows.setJournalState(number, true);
      });
      await held;
    }
  }

  #begin(identity: number, last: number, files: readonly JournalFile[]): void {
    this.#journal = new Journal({
      ...{ identity, last, files, tables: [...this.#tables.keys()] },
      segmentBytes: this.#segmentBytes,
      observe: (seconds) => this.#figures.syncs.observe(seconds),
      assertRoom: (longer, rows, bytes) => this.#assertRoom(longer, rows, bytes),
      onWritten: () => this.#apply!.goOn(),
      onError: (error) => this.#failForGood(error, 'the journal cannot be written'),
    });
    this.#apply = new DiskApply({
      journal: this.#journal,
      rows: this.#rows,
      onError: (error) => void this.#failForGood(error, NOT_TAKEN),
    });
  }

  #openFile(path: string): JournalFile {
    try {
      return new JournalFile(path, this.#segmentBytes);
    } catch (error) {
      throw toOpeningError(error, path);
    }
  }

  /** What the journal does not take, or SQLite from the journal, never comes anywhere, whatever the reason is. */
  #failForGood(error: unknown, what: string): unknown {
    const failure = this.#fail(error, 'sync');
    if (failure instanceof DiskError) return failure;
    const message = `${what}: ${String(failure)}`;
    return this.#fail(Object.assign(new Error(message, { cause: failure }), { code: 'EJOURNAL' }), 'sync');
  }

  /** With a full disk only when what waits for SQLite finds space there. */
  #assertWritable(): void {
    if (this.#failure === undefined) return;
    if (this.#failure.kind !== 'full') throw this.#failure;
    try {
      if (this.#apply!.slice() || !this.#journal!.isSealed) return;
    } catch (error) {
      throw this.#fail(error, 'write');
    }
    throw this.#failure;
  }

  /** Who has accepted more than there is space for could neither go on nor start again. */
  #assertRoom(longer: number, rows: number, bytes: number): void {
    const needed = longer + Math.ceil(this.#reading(() => this.#rows.growth(rows, bytes))) + ROOM_BYTES;
    const free = this.freeBytes();
    if (free >= needed) return;
    const message = `${free} bytes are free and ${needed} are needed to bring the journal into the database`;
    throw Object.assign(new Error(message), { code: 'ENOSPC' });
  }

  async #durable(written: Promise<void>): Promise<void> {
    await written;
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    try {
      this.#journal!.assertInPlace();
      this.#rows.assertInPlace();
    } catch (error) {
      throw this.#fail(error, 'sync');
    }
  }

  /** Whoever takes rows out at the front of a table and looks for the next ones is not to meet the former ones for long. */
  #deleteWalkedOver(): void {
    if (!this.#walkedOver) return;
    this.#walkedOver = false;
    this.#journal!.seal();
    this.#apply!.hurry();
  }

  #reading<T>(read: () => T): T {
    return this.#trying('read', read);
  }

  #trying<T>(step: DiskStep, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw this.#fail(error, step);
    }
  }

  /** Remembers a failure of the disk and says it once; returns what to throw. The first final failure stays. */
  #fail(error: unknown, step: DiskStep): unknown {
    if (error instanceof StepError) return this.#fail(error.cause, error.step);
    const failure = toDiskError(error, step, this.#path);
    if (failure === undefined) return error;
    if (failure.kind === 'busy') return failure;
    this.#figures.failures.add();
    if (this.#failure === undefined || (this.#failure.kind === 'full' && failure.kind !== 'full')) {
      this.#failure = failure;
      if (failure.kind !== 'full') {
        this.#apply?.end();
        this.#journal?.end(failure);
        // Nothing is to look well from memory while the disk is not.
        this.#rows.forget();
      }
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
