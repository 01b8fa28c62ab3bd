/**
 * When a commit counts as durable, with the operating system's synced writes in the test's hands.
 */

import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import { DiskError, type Disk, type TableDefinition } from '#world/world.ts';
import { until } from '../../until.ts';

type Written = (error: NodeJS.ErrnoException | null, written: number) => void;

/** Writes to the journal that have ended and of which nobody knows yet, or that are to fail. */
const held: { readonly length: number; readonly end: (error?: NodeJS.ErrnoException) => void }[] = [];
let holding = false;
/** What the file system tells; undefined: as it is. */
let freeBytes: number | undefined;

vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs')>();
  return {
    ...original,
    statfsSync: (path: string) =>
      freeBytes === undefined ? original.statfsSync(path) : { bavail: freeBytes, bsize: 1 },
    write(descriptor: number, bytes: Uint8Array, from: number, length: number, at: number, done: Written) {
      const end = (error?: NodeJS.ErrnoException): void => {
        if (error === undefined) original.write(descriptor, bytes, from, length, at, done);
        else done(error, 0);
      };
      if (holding) held.push({ length, end });
      else end();
    },
  };
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide', recalled: true }];

let directory: string;
let path: string;
let disk: Disk;
let events: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-sync-'));
  path = join(directory, 'data.db');
  events = [];
  const note = (event: string): void => void events.push(event);
  const log = { debug: note, info: note, warn: note, error: note };
  disk = await openDisk({ path, tables: TABLES, log, rowCacheBytes: 1024 * 1024 });
  holding = true;
});

afterEach(async () => {
  holding = false;
  freeBytes = undefined;
  for (const { end } of held.splice(0)) end();
  await disk.close();
  rmSync(directory, { recursive: true });
});

interface Watched {
  state: 'pending' | 'durable' | 'failed';
  error: unknown;
}

function put(...values: number[]): Watched {
  const watched: Watched = { state: 'pending', error: undefined };
  const bytes = new Uint8Array(values);
  disk
    .commit((transaction) => transaction.put('rows', bytes, bytes))
    .durable.then(
      () => (watched.state = 'durable'),
      (error: unknown) => Object.assign(watched, { state: 'failed', error }),
    );
  return watched;
}

/** Lets every promise reaction run that can. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a commit is durable when the write with its rows has ended', async () => {
  const first = put(1);
  await settle();
  expect(held).toHaveLength(1);
  expect(disk.get('rows', new Uint8Array([1]))).toEqual(new Uint8Array([1]));
  const second = put(2);
  const third = put(3);
  await settle();
  expect([first.state, second.state, held.length]).toEqual(['pending', 'pending', 1]);
  held.shift()!.end();
  await until(() => first.state === 'durable');
  // The write that has ended began before the other two were made; they share the next.
  expect([second.state, third.state, held.length]).toEqual(['pending', 'pending', 1]);
  const [{ length, end }] = held.splice(0) as [(typeof held)[number]];
  expect(length).toBe(2 * (32 + 8 + 4));
  end();
  await until(() => second.state === 'durable' && third.state === 'durable');
  expect(held).toHaveLength(0);
});

test.each([
  ['EIO', 'EIO'],
  // Node.js has no name for a quota that is used up, nor for some other ends of a file system.
  [`Unknown system error -${constants.errno.EDQUOT}`, 'EDQUOT'],
  ['Unknown system error -9999', 'E9999'],
  ['ERR_OUT_OF_RANGE', 'the journal cannot be written'],
])('after a write that failed with %s nothing is durable any more, and nothing is written again', async (code, why) => {
  const first = put(1);
  const second = put(2);
  held.shift()!.end(Object.assign(new Error('i/o error'), { code }));
  await settle();
  expect([first.state, second.state]).toEqual(['failed', 'failed']);
  expect(first.error).toBeInstanceOf(DiskError);
  expect(first.error).toMatchObject({ kind: 'failed', uncertain: true });
  expect((first.error as DiskError).message).toContain(why);
  expect(disk.failure()).toBe(first.error);
  expect(() => put(3)).toThrow(first.error);
  expect(held).toHaveLength(0);
  expect(disk.get('rows', new Uint8Array([3]))).toBeUndefined();
  expect(events).toEqual(['disk-opened', 'disk-failed']);
});

test('nothing is taken that SQLite would have no space for', async () => {
  holding = false;
  await disk.close();
  const segmentBytes = 256 * 1024;
  events = [];
  const note = (event: string): void => void events.push(event);
  disk = await openDisk({ path, tables: TABLES, log: { ...silent, info: note, error: note }, segmentBytes });
  freeBytes = 0;
  expect(() => put(1)).toThrow('0 bytes are free');
  const { message } = disk.failure()!;
  expect(disk.failure()).toMatchObject({ kind: 'full', uncertain: false });
  const needed = Number(/ and (\d+) are needed/.exec(message)![1]);
  freeBytes = needed - 1;
  expect(() => put(1)).toThrow(`${freeBytes} bytes are free and ${needed} are needed`);
  freeBytes = needed;
  const first = put(1);
  await until(() => first.state === 'durable');
  // It was looked at: there is space for a few more.
  freeBytes = 0;
  const second = put(2);
  await until(() => second.state === 'durable');
  expect(events).toEqual(['disk-opened', 'disk-full', 'disk-has-space-again']);
});

test('short rows need a page of the log each, at the least', async () => {
  holding = false;
  const rows = 1000;
  freeBytes = 4096 * rows;
  const putMany = (): unknown =>
    disk.commit((transaction) => {
      for (let i = 0; i < rows; i++) transaction.put('rows', Uint8Array.of(i >> 8, i), Uint8Array.of(1));
    });
  expect(putMany).toThrow(/4096000 bytes are free and \d+ are needed/);
  expect(disk.failure()).toMatchObject({ kind: 'full' });
});

test('for space is looked anew when a segment has gone into the database, which takes some of it', async () => {
  holding = false;
  await disk.close();
  disk = await openDisk({ path, tables: TABLES, log: silent, segmentBytes: 1024 });
  const putAll = async (): Promise<void> => {
    for (let i = 0; i < 80; i++) {
      const bytes = new Uint8Array([i]);
      await disk.commit((transaction) => transaction.put('rows', bytes, bytes)).durable;
    }
  };
  await putAll();
  freeBytes = 0;
  await expect(putAll()).rejects.toThrow('0 bytes are free');
});

test('when too much waits for the database, the disk is too slow: that is no failure, and nothing is lost', async () => {
  holding = false;
  await disk.close();
  const [key, value] = [new Uint8Array([0]), new Uint8Array(1000)];
  disk = await openDisk({ path, tables: TABLES, log: silent, segmentBytes: 4096 });
  holding = true;
  const durable: Promise<void>[] = [];
  const putMore = (): unknown =>
    durable.push(disk.commit((transaction) => transaction.put('rows', key, value)).durable);
  expect(() => {
    for (let i = 0; i < 1000; i++) putMore();
  }).toThrow(/^the disk is too slow: \d+ bytes wait already/);
  expect(durable.length).toBeGreaterThan(8 * 4);
  expect(putMore).toThrow(expect.objectContaining({ kind: 'busy', uncertain: false }));
  expect(disk.failure()).toBeUndefined();
  holding = false;
  for (const { end } of held.splice(0)) end();
  await Promise.all(durable);
  putMore();
  await durable.at(-1);
});

test('a number that SQLite would not take is not taken', async () => {
  holding = false;
  await disk.close();
  disk = await openDisk({ path, tables: [...TABLES, { name: 'numbers', rows: 'numbered' }], log: silent });
  const key = new Uint8Array(8).fill(0xff);
  expect(() => disk.commit((transaction) => transaction.put('numbers', key, key))).toThrow('up to 2^53-1');
  expect(disk.range('numbers', { limit: 1 })).toEqual([]);
});

test('after a failed write whoever waits is told, also for a file or for space', async () => {
  holding = false;
  await disk.close();
  disk = await openDisk({ path, tables: TABLES, log: silent, segmentBytes: 64 });
  holding = true;
  const waiting = Array.from({ length: 10 }, (_, i) => put(i));
  held.shift()!.end(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  await settle();
  expect(new Set(waiting.map(({ state }) => state))).toEqual(new Set(['failed']));
  await disk.close();
});

test('when the database fails, whoever waits for a segment before to stand in it is told', async () => {
  holding = false;
  await disk.close();
  disk = await openDisk({ path, tables: TABLES, log: silent, segmentBytes: 256 });
  renameSync(`${path}-wal`, `${path}-gone`);
  const waiting = Array.from({ length: 30 }, (_, i) => put(i));
  await until(() => waiting.every(({ state }) => state !== 'pending'));
  expect(waiting.at(-1)).toMatchObject({ state: 'failed', error: { kind: 'failed' } });
});

test('after a failed write nothing is recalled from memory that stands in the database', async () => {
  const [key, other] = [new Uint8Array([1]), new Uint8Array([2])];
  holding = false;
  put(1);
  await disk.close();
  disk = await openDisk({ path, tables: TABLES, log: silent, rowCacheBytes: 1024 * 1024, segmentBytes: 64 });
  expect(disk.recall('rows', key)).toEqual(key);
  const file = new Database(path);
  file.prepare('UPDATE rows SET v = ? WHERE k = ?').run(other, key);
  file.close();
  // Reads see what was there when they began, until something else is written to the database.
  for (const value of [4, 5, 6]) {
    const other = put(value);
    await until(() => other.state === 'durable');
  }
  expect(disk.recall('rows', key)).toEqual(key);
  holding = true;
  put(3);
  held.shift()!.end(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  await settle();
  expect(disk.recall('rows', key)).toEqual(other);
});

test('a log that was taken away is noticed when a segment of the journal stands in it, at the latest', async () => {
  holding = false;
  await disk.close();
  disk = await openDisk({ path, tables: TABLES, log: silent, walBytes: 16_384, segmentBytes: 8192 });
  renameSync(`${path}-wal`, `${path}-gone`);
  let failure: unknown;
  for (let i = 0; i < 1000 && failure === undefined; i++) {
    const bytes = new Uint8Array(2000).fill(i);
    try {
      await disk.commit((transaction) => transaction.put('rows', bytes, bytes)).durable;
    } catch (error) {
      failure = error;
    }
    await settle();
  }
  expect(failure).toMatchObject({ kind: 'failed', uncertain: true });
});

test.each([
  ['all files, with their directory', '', /data\.db-journal-\d was removed or replaced \(ESTALE\)/],
  ['the database alone', 'data.db', /data\.db was removed or replaced \(ESTALE\)/],
  ['its write-ahead log', 'data.db-wal', /data\.db-wal was removed or replaced \(ESTALE\)/],
  ['one file of the journal', 'data.db-journal-1', /data\.db-journal-1 was removed or replaced \(ESTALE\)/],
])('a write is durable no longer than a second when somebody has taken away %s', async (_what, name, message) => {
  holding = false;
  const taken = join(directory, name).replace(/\/$/, '');
  // A whole number: with a fraction, a thousand more can be less than a thousand later.
  const at = Math.ceil(performance.now()) + 10_000;
  const time = vi.spyOn(performance, 'now').mockReturnValue(at);
  try {
    const first = put(1);
    await until(() => first.state === 'durable');
    renameSync(taken, `${taken}-gone`);
    const second = put(2);
    await until(() => second.state === 'durable');
    time.mockReturnValue(at + 1000);
    const third = put(3);
    await until(() => third.state === 'failed');
    expect(third.error).toMatchObject({ kind: 'failed', uncertain: true });
    expect((third.error as Error).message).toMatch(message);
    expect(disk.failure()).toBe(third.error);
  } finally {
    time.mockRestore();
    renameSync(`${taken}-gone`, taken);
  }
});
