/**
 * The format of the database file: who made it, which version it has, and how each version becomes the next. Every named
 * table is one SQL table of two columns, key and value.
 */

import type { Database } from 'better-sqlite3';
import { assert, present } from '#kernel/assert.ts';
import type { TableDefinition } from '#world/world.ts';
import { DataDirectoryError } from './disk-errors.ts';
import { numberOfKey } from './disk-number.ts';

/** SQLite's mark for the file's program: `Quor`. */
export const APPLICATION_ID = 0x51756f72;

export type Migration = (database: Database) => void;

/**
 * The migration at place n turns version n into version n + 1; 0 is the empty file. Append only. All that are due run in one
 * transaction, so a process that is killed in between leaves the former version.
 */
export const MIGRATIONS: readonly Migration[] = [
  (database) => {
    database.pragma(`application_id = ${APPLICATION_ID}`);
  },
  (database) => {
    database.function('number_of', { deterministic: true }, (key) => numberOfKey(key as Uint8Array));
    for (const table of ['changes', 'tree_log']) renumber(database, table);
  },
  // What requests with idempotency keys have become stands in a table that programs before it do not look into: without this they
  // would open the file, and make requests anew that are repeated.
  () => undefined,
  // The newest rows stand in the journal beside the file (journal.ts), where programs before it do not look.
  () => undefined,
];

/** Which journal belongs to the file, up to which of its segments all rows are in the file, and whether a process has it in use. */
const JOURNAL_STATE = `
  CREATE TABLE IF NOT EXISTS journal_state (identity INTEGER NOT NULL, applied INTEGER NOT NULL, is_open INTEGER NOT NULL);
  INSERT INTO journal_state SELECT 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM journal_state);
`;

/** Rows that stand in a journal have the format of the program that has written it. */
function assertJournalEmpty(database: Database, format: number): void {
  const isThere = database.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'journal_state'").pluck();
  if (isThere.get() === 0 || !journalState(database).isOpen) return;
  throw new DataDirectoryError(
    `${database.name} has format ${format} and was not closed in order; start the program that has written it once more and stop it, then this one`,
  );
}

export interface JournalState {
  readonly identity: number;
  readonly applied: number;
  readonly isOpen: boolean;
}

export function journalState(database: Database): JournalState {
  const read = database
    .prepare<[], [number, number, number]>('SELECT identity, applied, is_open FROM journal_state')
    .raw();
  const [identity, applied, isOpen] = present(read.get(), 'the state of the journal');
  return { identity, applied, isOpen: isOpen === 1 };
}

/** Until format 2 the rows of this table had an index beside them from bytes to rows. */
function renumber(database: Database, table: string): void {
  const isThere = database.prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?").pluck();
  if (isThere.get(table) === 0) return;
  database.exec(`ALTER TABLE ${quoteName(table)} RENAME TO former`);
  database.exec(createTable({ name: table, rows: 'numbered' }));
  database.exec(`INSERT INTO ${quoteName(table)} SELECT number_of(k), v FROM former ORDER BY k`);
  database.exec('DROP TABLE former');
}

/** SQLite hands every number over as a double; these are small and whole. */
function readNumber(database: Database, pragma: string): number {
  const value = database.pragma(pragma, { simple: true });
  assert(typeof value === 'number', `${pragma} gives a number`);
  return value;
}

/** Throws {@link DataDirectoryError} for a file of another program or of a later version of this one. Changes nothing. */
export function checkSchema(database: Database, path: string, migrations: readonly Migration[]): void {
  const application = readNumber(database, 'application_id');
  const version = readNumber(database, 'user_version');
  const isEmpty = database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
  if (application !== APPLICATION_ID && !(isEmpty && application === 0 && version === 0)) {
    throw new DataDirectoryError(
      `${path} is a database of another program; move the file away or choose another data directory`,
    );
  }
  checkVersion(version, path, migrations);
}

/** Throws {@link DataDirectoryError} for a format that only a newer program knows. */
export function checkVersion(version: number, path: string, migrations: readonly Migration[]): void {
  if (version <= migrations.length) return;
  throw new DataDirectoryError(
    `${path} has format ${version} and this program knows formats up to ${migrations.length}; start a newer program`,
  );
}

/** Brings the file to the newest format and creates the tables that are missing, all or nothing. */
export function migrate(
  database: Database,
  tables: readonly TableDefinition[],
  migrations: readonly Migration[],
): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const former = readNumber(database, 'user_version');
    if (former > 0 && former < migrations.length) assertJournalEmpty(database, former);
    for (let version = former; version < migrations.length; version++) {
      migrations[version]!(database);
      database.pragma(`user_version = ${version + 1}`);
    }
    for (const table of tables) database.exec(createTable(table));
    database.exec(JOURNAL_STATE);
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Narrow rows live in the index itself: one tree, one page to touch. A wide row would overflow there, so it lives in a
 * table of its own and the index leads to it. Numbers need no index: they are what SQLite's tables are sorted by.
 */
function createTable(table: TableDefinition): string {
  const create = `CREATE TABLE IF NOT EXISTS ${quoteName(table.name)}`;
  switch (table.rows) {
    case 'narrow':
      return `${create} (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID`;
    case 'wide':
      return `${create} (k BLOB NOT NULL UNIQUE, v BLOB NOT NULL)`;
    case 'numbered':
      return `${create} (k INTEGER PRIMARY KEY, v BLOB NOT NULL)`;
  }
}

export function quoteName(name: string): string {
  assert(/^[a-z][a-z0-9_]{0,62}$/.test(name) && !name.startsWith('sqlite_'), `table name ${JSON.stringify(name)}`);
  return `"${name}"`;
}
