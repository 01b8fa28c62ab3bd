/** What is recalled from memory beside what the medium has. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDisk } from '#world/real/disk.ts';
import { createMetrics } from '#world/real/metrics.ts';
import type { Disk, TableDefinition } from '#world/world.ts';

const TABLES: readonly TableDefinition[] = [
  { name: 'rows', rows: 'wide', recalled: true },
  { name: 'others', rows: 'wide', recalled: true },
  { name: 'plain', rows: 'wide' },
];
const KEY = new Uint8Array([1]);
const log = { debug() {}, info() {}, warn() {}, error() {} };

let directory: string;
let path: string;
let disk: Disk;
let file: Database.Database;
let metrics = createMetrics();

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-recall-'));
  path = join(directory, 'data.db');
  await open();
  file = new Database(path);
});

async function open(): Promise<void> {
  metrics = createMetrics();
  disk = await openDisk({ path, tables: TABLES, log, metrics, rowCacheBytes: 1024 * 1024, segmentBytes: 64 });
}

/** What was put stands in the database, and nothing is remembered. */
async function reopen(): Promise<void> {
  await disk.close();
  await open();
}

afterEach(async () => {
  file.close();
  await disk.close();
  rmSync(directory, { recursive: true });
});

/** The database is read anew: until something is written to it, reads see it as it was. */
async function refresh(): Promise<void> {
  const other = new Uint8Array([99]);
  for (let i = 0; i < 3; i++) {
    await disk.commit((transaction) => transaction.put('plain', other, new Uint8Array([i]))).durable;
  }
}

const put = (table: string, value: number): Promise<void> =>
  disk.commit((transaction) => transaction.put(table, KEY, new Uint8Array([value]))).durable;

/** Changes the row behind the back of the disk. */
async function harm(table: string, value: number): Promise<void> {
  file.prepare(`UPDATE ${table} SET v = ? WHERE k = ?`).run(new Uint8Array([value]), KEY);
  await refresh();
}

async function counted(name: string): Promise<number> {
  const line = (await metrics.render()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

test('damage to the medium is found by get, and recalled no differently from then on', async () => {
  await put('rows', 1);
  await put('others', 2);
  await reopen();
  for (const table of ['rows', 'others']) disk.recall(table, KEY);
  await harm('rows', 9);
  await harm('others', 9);
  expect(disk.recall('rows', KEY)).toEqual(new Uint8Array([1]));
  expect(disk.get('rows', KEY)).toEqual(new Uint8Array([9]));
  expect(disk.recall('rows', KEY)).toEqual(new Uint8Array([9]));
  disk.commit((transaction) => {
    expect(transaction.recall('others', KEY)).toEqual(new Uint8Array([2]));
    expect(transaction.get('others', KEY)).toEqual(new Uint8Array([9]));
    expect(transaction.recall('others', KEY)).toEqual(new Uint8Array([9]));
  });
});

test('ranges are read from the medium', async () => {
  await put('rows', 1);
  await reopen();
  disk.recall('rows', KEY);
  await harm('rows', 9);
  expect(disk.range('rows', { limit: 1 })).toEqual([[KEY, new Uint8Array([9])]]);
});

test('a table that is not declared so is never recalled from memory', async () => {
  await put('plain', 1);
  await reopen();
  disk.recall('plain', KEY);
  await harm('plain', 9);
  expect(disk.recall('plain', KEY)).toEqual(new Uint8Array([9]));
  expect(await counted('quoral_row_cache_hits_total')).toBe(0);
});

test('what a transaction that failed has written is not recalled, and what was there before is', async () => {
  await put('rows', 1);
  const failing = (): unknown =>
    disk.commit((transaction) => {
      transaction.put('rows', KEY, new Uint8Array([2]));
      transaction.put('others', KEY, new Uint8Array([2]));
      throw new Error('on purpose');
    });
  expect(failing).toThrow('on purpose');
  expect(disk.recall('rows', KEY)).toEqual(new Uint8Array([1]));
  expect(disk.recall('others', KEY)).toBeUndefined();
});

test('a row is written by its number only where that is still the row of the key', async () => {
  const keys = [1, 2, 3].map((byte) => new Uint8Array([byte]));
  await disk.commit((transaction) => keys.forEach((key) => transaction.put('rows', key, key))).durable;
  await reopen();
  for (const key of keys) disk.recall('rows', key);
  file.exec('CREATE TEMP TABLE former AS SELECT k, v FROM rows; DELETE FROM rows');
  file.exec("INSERT INTO rows (k, v) SELECT k, v FROM former WHERE k != x'03' ORDER BY k DESC");
  const changed = new Uint8Array([9, 9]);
  for (const key of [keys[0]!, keys[2]!]) disk.commit((transaction) => transaction.put('rows', key, changed));
  // Closing brings them into the database, by the numbers that are remembered.
  await reopen();
  const rows = [
    [keys[0], changed],
    [keys[1], keys[1]],
    [keys[2], changed],
  ];
  expect(disk.range('rows', { limit: 10 })).toEqual(rows);
  for (const [key, value] of rows) expect(disk.recall('rows', key!)).toEqual(value);
});

test('counts what was in memory and what was not', async () => {
  await put('rows', 1);
  disk.recall('rows', KEY);
  expect(await counted('quoral_row_cache_hits_total')).toBe(1);
  await reopen();
  for (let i = 0; i < 3; i++) disk.recall('rows', KEY);
  disk.recall('rows', new Uint8Array([2]));
  expect(await counted('quoral_row_cache_hits_total')).toBe(2);
  expect(await counted('quoral_row_cache_misses_total')).toBe(2);
});
