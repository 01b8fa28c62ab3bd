/**
 * What becomes of rows that SQLite has no space for, with what it says in the test's hands.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDisk } from '#world/real/disk.ts';
import { diskFigures } from '#world/real/disk-figures.ts';
import { openFiles } from '#world/real/disk-open.ts';
import { SqliteRows, StepError } from '#world/real/sqlite-rows.ts';
import type { Disk, TableDefinition } from '#world/world.ts';
import { until } from '../../until.ts';

const TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide', recalled: true }];
const SEGMENT_BYTES = 16 * 1024;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let directory: string;
let path: string;
let disk: Disk;
let events: string[];
/** So many transactions find space. */
let allowed: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-full-'));
  path = join(directory, 'data.db');
  events = [];
  allowed = Number.POSITIVE_INFINITY;
  disk = await open();
  const write = Reflect.get(SqliteRows.prototype, 'write') as (
    this: SqliteRows,
    run: unknown,
  ) => Promise<void> | undefined;
  vi.spyOn(SqliteRows.prototype, 'write').mockImplementation(function (this: SqliteRows, run) {
    if (allowed-- > 0) return write.call(this, run);
    throw new StepError('write', Object.assign(new Error('no space'), { code: 'SQLITE_FULL' }));
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await disk.close();
  rmSync(directory, { recursive: true });
});

function open(): Promise<Disk> {
  const note = (event: string): void => void events.push(event);
  const log = { ...silent, info: note, error: note };
  return openDisk({ path, tables: TABLES, log, segmentBytes: SEGMENT_BYTES, rowCacheBytes: 64 * 1024 });
}

const key = (i: number): Uint8Array => Uint8Array.of(i >> 8, i);
/** Rows with values of so many bytes in one commit. */
const put = (from: number, rows: number, bytes: number): Promise<void> =>
  disk.commit((transaction) => {
    for (let i = from; i < from + rows; i++) transaction.put('rows', key(i), new Uint8Array(bytes).fill(i));
  }).durable;

test('a commit that SQLite has space before and none after leaves the disk full', async () => {
  allowed = 0;
  // More rows than a slice has, and another record, with which the segment is complete.
  await put(0, 100, 1);
  await put(100, 1, SEGMENT_BYTES);
  await put(101, 1, (15 * SEGMENT_BYTES) / 16);
  await put(102, 1, 1);
  expect(disk.failure()).toMatchObject({ kind: 'full' });
  allowed = 1;
  await put(103, 1, 1);
  expect(disk.failure()).toMatchObject({ kind: 'full' });
  expect(() => put(104, 1, 1)).toThrow('no space');
  allowed = Number.POSITIVE_INFINITY;
  await put(104, 1, 1);
  expect(disk.failure()).toBeUndefined();
  const turns = ['disk-full', 'disk-has-space-again'];
  expect(events).toEqual(['disk-opened', ...turns, ...turns]);
  expect(disk.range('rows', { limit: 1000 })).toHaveLength(105);
});

test('at the close of a full disk whoever waits for a file is told, and all that was durable is there afterwards', async () => {
  allowed = 0;
  const states = Array.from({ length: 8 }, () => 'pending');
  states.forEach((_, i) => {
    put(i, 1, SEGMENT_BYTES / 2 + 1).then(
      () => (states[i] = 'durable'),
      (error: Error) => (states[i] = error.message),
    );
  });
  await until(() => disk.failure() !== undefined);
  await disk.close();
  const closed = 'the disk was closed before the journal was written';
  const durable = states.filter((state) => state === 'durable');
  expect(states).toEqual([...durable, ...states.slice(durable.length).map(() => closed)]);
  expect([durable.length, states.length]).toEqual([4, 8]);
  allowed = Number.POSITIVE_INFINITY;
  disk = await open();
  expect(disk.range('rows', { limit: 10 }).map(([[, i]]) => i)).toEqual([0, 1, 2, 3]);
});

test('whoever waits for a file goes on when there is space again, although nobody commits', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  allowed = 0;
  const durable = Array.from({ length: 8 }, (_, i) => put(i, 1, SEGMENT_BYTES / 2 + 1));
  while (disk.failure() === undefined) await new Promise((resolve) => setImmediate(resolve));
  allowed = Number.POSITIVE_INFINITY;
  vi.advanceTimersByTime(2000);
  await Promise.all(durable);
});

test('rows of a transaction that was rolled back are not kept in memory', async () => {
  const files = await openFiles({ path: join(directory, 'other.db'), tables: TABLES });
  const figures = diskFigures(undefined, {
    ...{ bytes: () => 0, walBytes: () => 0, journalRows: () => 0, freeBytes: () => 0, cacheBytes: 0 },
  });
  const rows = new SqliteRows({ files, tables: TABLES, rowCacheBytes: 64 * 1024, figures, log: silent, onError() {} });
  const [before, after] = [Uint8Array.of(1), Uint8Array.of(2)];
  void rows.write((row) => row(0, key(1), before));
  expect(rows.kept(0, key(1))).toEqual(before);
  const failing = (): unknown =>
    rows.write((row) => {
      row(0, key(1), after);
      row(0, key(2), after);
      throw new Error('on purpose');
    });
  expect(failing).toThrow('write failed');
  expect([rows.kept(0, key(1)), rows.kept(0, key(2))]).toEqual([undefined, undefined]);
  expect([rows.get(0, key(1)), rows.get(0, key(2))]).toEqual([before, undefined]);
  await rows.close();
});
