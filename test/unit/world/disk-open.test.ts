/**
 * Data directories that cannot be used, and files of other formats: each gets one line that says what is wrong.
 */

import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DataDirectoryError } from '#world/real/disk-errors.ts';
import { checkNodeVersion } from '#world/real/disk-open.ts';
import { APPLICATION_ID, MIGRATIONS, type Migration } from '#world/real/disk-schema.ts';
import { openDisk } from '#world/real/disk.ts';
import { DiskError, type Disk, type Log, type TableDefinition } from '#world/world.ts';

const TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide' }];
const KEY = new Uint8Array([1]);

let directory: string;
let path: string;
let events: string[];

const log: Log = {
  debug: (event) => void events.push(event),
  info: (event) => void events.push(event),
  warn: (event) => void events.push(event),
  error: (event) => void events.push(event),
};

const open = (migrations?: readonly Migration[]): Promise<Disk> =>
  openDisk({ path, tables: TABLES, log, ...(migrations && { migrations }) });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-open-'));
  path = join(directory, 'data.db');
  events = [];
});

afterEach(() => rmSync(directory, { recursive: true }));

async function refusal(): Promise<string> {
  const error = await open().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DataDirectoryError);
  const { message } = error as DataDirectoryError;
  expect(message).not.toContain('\n');
  return message;
}

function contents(place: string): readonly string[] {
  const names = readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isFile());
  return names.map(({ name }) => `${name} ${readFileSync(join(place, name)).toString('base64')}`).sort();
}

async function fill(rows: number): Promise<void> {
  const disk = await open();
  await disk.commit((transaction) => {
    for (let i = 0; i < rows; i++) transaction.put('rows', new Uint8Array([i >> 8, i]), new Uint8Array(500).fill(i));
  }).durable;
  await disk.close();
}

describe('a new data directory', () => {
  test('is created, with the directories above it', async () => {
    path = join(directory, 'a', 'b', 'data.db');
    const disk = await open();
    await disk.close();
    expect(events).toEqual(['disk-opened']);
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('SQLite format 3');
  });

  test('cannot lie below a file', async () => {
    writeFileSync(join(directory, 'file'), '');
    path = join(directory, 'file', 'data', 'data.db');
    expect(await refusal()).toBe(`${path} is below something that is not a directory; choose another data directory`);
  });

  test('cannot be where nothing can be written', async () => {
    path = '/proc/quoral/data.db';
    expect(await refusal()).toContain(path);
  });

  test('cannot have a directory in the place of the database', async () => {
    mkdirSync(path);
    expect(await refusal()).toBe(`${path} cannot be opened or created; check the path and its permissions`);
  });
});

describe('a file of something else', () => {
  test('that is no database is left as it is', async () => {
    for (const content of ['hello', 'x'.repeat(10_000)]) {
      writeFileSync(path, content);
      expect(await refusal()).toContain('is not a database of this program');
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
  });

  test('that is another program’s database is left as it is', async () => {
    const other = new Database(path);
    other.exec('CREATE TABLE notes (text)');
    other.close();
    const before = readFileSync(path);
    expect(await refusal()).toContain('is a database of another program');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('that says it is another program’s is refused even when it is empty', async () => {
    const other = new Database(path);
    other.pragma('application_id = 7');
    other.close();
    expect(await refusal()).toContain('is a database of another program');
  });
});

describe('the format', () => {
  test('of a newer program is refused', async () => {
    const disk = await open([...MIGRATIONS, () => undefined, () => undefined]);
    await disk.close();
    expect(await refusal()).toBe(
      `${path} has format ${MIGRATIONS.length + 2} and this program knows formats up to ${MIGRATIONS.length}; start a newer program`,
    );
  });

  test('is newer than that of programs that had no log of requests: they would not find what requests have become', async () => {
    await (await open()).close();
    await expect(open(MIGRATIONS.slice(0, 2))).rejects.toThrow('and this program knows formats up to 2');
  });

  test('is newer than that of programs that do not look into the journal', async () => {
    await (await open()).close();
    await expect(open(MIGRATIONS.slice(0, 3))).rejects.toThrow('has format 4 and this program knows formats up to 3');
  });

  test('of a newer program is refused without touching anything, even when only the log says so', async () => {
    await (await open()).close();
    const newer = new Database(path);
    newer.pragma('wal_autocheckpoint = 0');
    newer.pragma(`user_version = ${MIGRATIONS.length + 7}`);
    // As a killed process leaves it: the log is there, and nothing of it in the file.
    const copy = join(directory, 'copy');
    mkdirSync(copy);
    for (const name of ['data.db', 'data.db-wal']) copyFileSync(join(directory, name), join(copy, name));
    newer.close();
    for (const place of [directory, copy]) {
      path = join(place, 'data.db');
      const before = contents(place);
      expect(await refusal()).toContain(`has format ${MIGRATIONS.length + 7} and this program knows formats up to`);
      expect(contents(place)).toEqual(before);
    }
  });

  test('is not taken for newer because of what a migration wrote and never committed', async () => {
    await fill(500);
    const copy = join(directory, 'copy');
    mkdirSync(copy);
    const unfinished: Migration = (database) => {
      database.pragma(`user_version = ${MIGRATIONS.length + 1}`);
      database.pragma('cache_size = 10');
      database.exec('UPDATE rows SET v = randomblob(2000)');
      for (const name of ['data.db', 'data.db-wal', 'data.db-journal-0', 'data.db-journal-1'])
        copyFileSync(join(directory, name), join(copy, name));
      throw new Error('killed here');
    };
    await expect(open([...MIGRATIONS, unfinished])).rejects.toThrow('killed here');
    expect(statSync(join(copy, 'data.db-wal')).size, 'some of it reached the log').toBeGreaterThan(100_000);
    path = join(copy, 'data.db');
    const disk = await open();
    expect(disk.range('rows', { limit: 1000 }).every(([, value]) => value.length === 500)).toBe(true);
    await disk.close();
  });

  test('of an older program is brought up to date once, and its rows are kept', async () => {
    await fill(3);
    let runs = 0;
    const migrations: Migration[] = [
      ...MIGRATIONS,
      (database) => void database.exec(`DELETE FROM rows WHERE k = x'0001'`),
    ];
    migrations.push(() => void runs++);
    for (let i = 0; i < 2; i++) {
      const disk = await open(migrations);
      expect(disk.range('rows', { limit: 10 }).map(([key]) => key[1])).toEqual([0, 2]);
      await disk.close();
    }
    expect(runs).toBe(1);
  });

  test('1 had an index for rows that are numbered since: they are all kept, in their order', async () => {
    const first = await openDisk({ path, tables: [], log, migrations: MIGRATIONS.slice(0, 1) });
    await first.close();
    const former = new Database(path);
    former.exec('CREATE TABLE changes (k BLOB NOT NULL UNIQUE, v BLOB NOT NULL)');
    const put = former.prepare('INSERT INTO changes (k, v) VALUES (?, ?)');
    const keyOf = (number: bigint): Buffer => {
      const key = Buffer.alloc(8);
      key.writeBigUInt64BE(number);
      return key;
    };
    const numbers = [3n, 1n, 2n ** 40n, 2n ** 32n, 2n];
    for (const number of numbers) put.run(keyOf(number), Buffer.from(String(number)));
    former.close();
    for (let i = 0; i < 2; i++) {
      const disk = await openDisk({ path, tables: [{ name: 'changes', rows: 'numbered' }], log });
      const rows = disk.range('changes', { limit: 10 });
      expect(rows.map(([, value]) => Buffer.from(value).toString())).toEqual([
        '1',
        '2',
        '3',
        `${2n ** 32n}`,
        `${2n ** 40n}`,
      ]);
      expect(rows.map(([key]) => Buffer.from(key))).toEqual([1n, 2n, 3n, 2n ** 32n, 2n ** 40n].map(keyOf));
      await disk.close();
    }
    const database = new Database(path, { readonly: true });
    const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
    expect(names).toEqual(['journal_state', 'changes']);
    database.close();
  });

  test('stays what it was when bringing it up to date fails', async () => {
    await fill(3);
    const failing: Migration = (database) => {
      database.exec('DELETE FROM rows');
      throw new Error('no');
    };
    await expect(open([...MIGRATIONS, failing])).rejects.toThrow('no');
    const disk = await open();
    expect(disk.range('rows', { limit: 10 })).toHaveLength(3);
    await disk.close();
  });

  test('carries the program’s mark', async () => {
    await fill(1);
    const database = new Database(path, { readonly: true });
    expect(database.pragma('application_id', { simple: true })).toBe(APPLICATION_ID);
    expect(database.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length);
    expect(database.pragma('page_size', { simple: true })).toBe(4096);
    database.close();
  });
});

test('a database that is open is refused, and free again after closing', async () => {
  const first = await open();
  expect(await refusal()).toBe(`${path} is in use by another process; stop that one, or choose another data directory`);
  await first.close();
  await (await open()).close();
});

describe('a damaged file', () => {
  const damage = (from: number, bytes: number): void => {
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, new Uint8Array(bytes).fill(0x5a), 0, bytes, from);
    closeSync(descriptor);
  };

  test('is refused when its first page is gone', async () => {
    await fill(10);
    damage(0, 4096);
    expect(await refusal()).toContain('is not a database of this program');
  });

  test('is refused when its list of tables is gone', async () => {
    await fill(10);
    damage(100, 3000);
    expect(await refusal()).toBe(`${path} is damaged; start with an empty data directory under the same node name`);
  });

  test('fails for good when a page further behind cannot be understood', async () => {
    await fill(2000);
    expect(statSync(path).size).toBeGreaterThan(500_000);
    damage(16_384, 900_000);
    const disk = await open();
    const reading = (): unknown => disk.range('rows', { limit: 10_000 });
    expect(reading).toThrow(DiskError);
    expect(reading).toThrow('SQLITE_CORRUPT');
    expect(disk.failure()).toMatchObject({ kind: 'corrupt', uncertain: false });
    expect(() => disk.commit((transaction) => transaction.put('rows', KEY, KEY))).toThrow(disk.failure());
    expect(events).toEqual(['disk-opened', 'disk-opened', 'disk-failed']);
    await disk.close();
  });

  test('is refused or fails for good when its end is missing', async () => {
    await fill(2000);
    truncateSync(path, 40_960);
    const reading = async (): Promise<void> => {
      const disk = await open();
      try {
        disk.range('rows', { limit: 10_000 });
      } finally {
        await disk.close();
      }
    };
    await expect(reading()).rejects.toThrow(/damaged|SQLITE_CORRUPT/);
  });
});

test('a failed read inside a transaction is not swallowed with the operation that met it', async () => {
  await fill(2000);
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, new Uint8Array(900_000).fill(0x5a), 0, 900_000, 16_384);
  closeSync(descriptor);
  const disk = await open();
  const attempt = (): unknown =>
    disk.commit((transaction) => {
      try {
        transaction.range('rows', { limit: 10_000 });
      } catch {
        // What a caller does that lets each operation of a group fail alone.
      }
    });
  expect(attempt).toThrow(DiskError);
  expect(disk.failure()?.kind).toBe('corrupt');
  await disk.close();
});

test('an old Node.js is refused before the database is touched', () => {
  expect(() => checkNodeVersion('20.19.0')).toThrow('Node.js 20.19.0 is too old for the database: 22 or later');
  expect(() => checkNodeVersion(process.versions.node)).not.toThrow();
  expect(existsSync(path)).toBe(false);
});
