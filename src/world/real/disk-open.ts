/**
 * Opens the files of a data directory, and says in one line what is wrong when that cannot be.
 */

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { assert } from '#kernel/assert.ts';
import type { TableDefinition } from '#world/world.ts';
import { makeDirectory, syncDirectory } from './directories.ts';
import { DataDirectoryError, toOpeningError } from './disk-errors.ts';
import { peek } from './disk-peek.ts';
import { APPLICATION_ID, checkSchema, checkVersion, migrate, MIGRATIONS, type Migration } from './disk-schema.ts';
import type { FileIdentity } from './in-place.ts';
import { GROWTH_MAX } from './wal-checkpoint.ts';
import { writeAgainIfMarked } from './wal-suspect.ts';

export interface OpenOptions {
  readonly path: string;
  readonly tables: readonly TableDefinition[];
  readonly cacheBytes?: number;
  readonly walBytes?: number;
  readonly migrations?: readonly Migration[];
}

export interface OpenFiles {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly database: Database;
  /** Pages in the log at which copying it begins, and what each takes there. */
  readonly walPages: number;
  readonly frameBytes: number;
  /** Copies the log into the database file, removes it, and lets other processes in. */
  close(): void;
}

/** The native addon crashes the process on older versions. */
const NODE_MAJOR_MIN = 22;
/** 3.51.3 repaired a race between a checkpoint and the restart of the log that could damage the file. */
const SQLITE_MIN = [3, 51, 3] as const;
const SYNCHRONOUS_NORMAL = 1;
export const PAGE_BYTES = 4096;
/** What precedes each page in the log. */
const FRAME_HEADER_BYTES = 24;
const WAL_BYTES = 128 * 1024 * 1024;
export const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;
/** Another program that reads the file may hold a lock for a moment; the event loop waits for no longer than this. */
const BUSY_MILLISECONDS = 250;

type DatabaseConstructor = typeof import('better-sqlite3');

export async function openFiles(options: OpenOptions): Promise<OpenFiles> {
  const Sqlite = await loadSqlite();
  const path = resolve(options.path);
  const marks = peek(path);
  if (marks?.application === APPLICATION_ID) checkVersion(marks.version, path, options.migrations ?? MIGRATIONS);
  const walBytes = options.walBytes ?? WAL_BYTES;
  let lock: Database | undefined;
  let database: Database | undefined;
  try {
    makeDirectory(dirname(path));
    lock = takeLock(Sqlite, path);
    writeAgainIfMarked(path);
    const opened = new Sqlite(path, { timeout: BUSY_MILLISECONDS });
    database = opened;
    prepare(opened, path, { ...options, walBytes });
    // The names of new files are durable only when their directory is.
    syncDirectory(dirname(path));
    const held = lock;
    const frameBytes = Number(opened.pragma('page_size', { simple: true })) + FRAME_HEADER_BYTES;
    return {
      path,
      identity: statSync(path),
      database: opened,
      walPages: Math.ceil(walBytes / frameBytes),
      frameBytes,
      close() {
        opened.close();
        held.close();
      },
    };
  } catch (error) {
    database?.close();
    lock?.close();
    throw error instanceof DataDirectoryError ? error : toOpeningError(error, path);
  }
}

async function loadSqlite(): Promise<DatabaseConstructor> {
  checkNodeVersion(process.versions.node);
  return (await import('better-sqlite3')).default;
}

/** To be called before the addon is loaded. */
export function checkNodeVersion(version: string): void {
  if (Number.parseInt(version, 10) >= NODE_MAJOR_MIN) return;
  throw new DataDirectoryError(`Node.js ${version} is too old for the database: ${NODE_MAJOR_MIN} or later`);
}

function prepare(database: Database, path: string, options: OpenOptions & { readonly walBytes: number }): void {
  const migrations = options.migrations ?? MIGRATIONS;
  checkSqliteVersion(database);
  checkSchema(database, path, migrations);
  // Takes effect in an empty file only, and only before the log is chosen.
  database.pragma(`page_size = ${PAGE_BYTES}`);
  assert(database.pragma('journal_mode = WAL', { simple: true }) === 'wal', `${path}: the file system allows a WAL`);
  // Syncs the log when it is started over and both files at a checkpoint; commits are synced by wal-sync.ts.
  database.pragma('synchronous = NORMAL');
  assert(database.pragma('synchronous', { simple: true }) === SYNCHRONOUS_NORMAL, `${path}: synchronous is NORMAL`);
  database.pragma('fullfsync = ON');
  database.pragma('checkpoint_fullfsync = ON');
  // Checkpoints run in a thread of their own.
  database.pragma('wal_autocheckpoint = 0');
  // Overwriting a log that keeps its size is cheaper than growing it anew; what a burst added is given back.
  database.pragma(`journal_size_limit = ${GROWTH_MAX * options.walBytes}`);
  database.pragma(`cache_size = -${Math.ceil((options.cacheBytes ?? DEFAULT_CACHE_BYTES) / 1024)}`);
  migrate(database, options.tables, migrations);
}

function checkSqliteVersion(database: Database): void {
  const version = String(database.prepare('SELECT sqlite_version()').pluck().get());
  const parts = version.split('.').map(Number);
  const first = SQLITE_MIN.findIndex((part, index) => parts[index] !== part);
  const isOld = first >= 0 && (parts[first] ?? 0) < SQLITE_MIN[first]!;
  assert(!isOld, `SQLite ${version} can damage a database under load: ${SQLITE_MIN.join('.')} or later`);
}

/**
 * One process at a time. The database's own locks let several in, and the log's checkpoint thread needs a second
 * connection, so the lock stands on an empty file beside it; it ends with the process, however that ends.
 */
function takeLock(Sqlite: DatabaseConstructor, path: string): Database {
  const lock = new Sqlite(`${path}-lock`, { timeout: 0 });
  try {
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}
