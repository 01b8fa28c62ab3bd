/** When what was committed to the journal goes into SQLite. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DiskApply, type DiskApplyOptions } from '#world/real/disk-apply.ts';
import { openDisk } from '#world/real/disk.ts';
import { SLICE_ROWS } from '#world/real/journal-format.ts';
import { createMetrics } from '#world/real/metrics.ts';
import type { Disk } from '#world/world.ts';

const SEGMENT_BYTES = 64 * 1024;
const log = { debug() {}, info() {}, warn() {}, error() {} };

let directory: string;
let path: string;
let disk: Disk;
let metrics = createMetrics();

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  directory = mkdtempSync(join(tmpdir(), 'quoral-apply-'));
  path = join(directory, 'data.db');
  metrics = createMetrics();
  const tables = [{ name: 'rows', rows: 'wide' } as const];
  disk = await openDisk({ path, tables, log, metrics, segmentBytes: SEGMENT_BYTES });
});

afterEach(async () => {
  vi.useRealTimers();
  await disk.close();
  rmSync(directory, { recursive: true });
});

const key = (i: number): Uint8Array => Uint8Array.of(i >> 8, i);
const put = (i: number, bytes = 100): Promise<void> =>
  disk.commit((transaction) => transaction.put('rows', key(i), new Uint8Array(bytes).fill(i))).durable;
/** Rows that stand in SQLite. */
function stored(): number {
  const file = new Database(path, { readonly: true });
  const count = file.prepare<[], number>('SELECT count(*) FROM rows').pluck().get()!;
  file.close();
  return count;
}
/** Rows that stand in the journal only. */
async function waiting(): Promise<number> {
  return Number(/quoral_disk_journal_rows (\d+)/.exec(await metrics.render())![1]);
}
/** Until what there is time for begins, and a slice of it is done: where its rows are is looked up before. */
async function oneSlice(milliseconds: number): Promise<void> {
  for (const advance of [milliseconds, 2]) {
    vi.advanceTimersByTime(advance);
    await turns();
  }
}
async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a row that is written again and again before its segment is full goes there once', async () => {
  for (let i = 0; i < 200; i++) await put(i % 5);
  expect(await waiting()).toBe(5);
  expect(stored()).toBe(0);
});

test('the rows of a segment are there before the next one is full, little by little', async () => {
  let segments = 0;
  let steps = 0;
  let before = 0;
  for (let i = 0; i < 2000; i++) {
    await put(i);
    const now = await waiting();
    // Never more than two segments.
    expect(now).toBeLessThan((2 * SEGMENT_BYTES) / 130);
    if (now < before) steps += 1;
    if (now < before - 300) segments += 1;
    before = now;
  }
  expect(segments).toBeGreaterThan(1);
  expect(stored()).toBeGreaterThan(1000);
  expect(stored() + (await waiting())).toBeGreaterThanOrEqual(2000);
  expect(steps).toBeGreaterThan(1);
});

test('a segment begins to go there at two fifths of the next one, and is there at nine tenths', async () => {
  // So many records of one row each fill it.
  const rows = 455;
  for (let i = 0; i < rows * 1.39; i++) await put(i);
  expect([await waiting(), stored()]).toEqual([Math.ceil(rows * 1.39), 0]);
  for (let i = Math.ceil(rows * 1.39); i < Math.ceil(rows * 1.93); i++) await put(i);
  expect([await waiting(), stored()]).toEqual([Math.ceil(rows * 1.93) - rows, rows]);
});

test('a row that is written again in the next segment goes there with that one only', async () => {
  // So many of 1,000 bytes fill it, with the heads of their records.
  const rows = 63;
  for (let i = 0; i < rows; i++) await put(i, 1000);
  for (let i = 0; i < 20; i++) await put(i % 5, 1000);
  for (let i = 0; i < 20; i++) await put(100 + i, 0);
  expect([await waiting(), stored()]).toEqual([rows + 25, 0]);
  // It is done before the next one is full.
  for (let i = 0; i < 40; i++) await put(200, 1000);
  await turns();
  expect(await waiting()).toBe(26);
  const inSqlite = new Database(path, { readonly: true });
  const firsts = inSqlite.prepare<[], Buffer>('SELECT k FROM rows ORDER BY k LIMIT 2').pluck().all();
  inSqlite.close();
  expect([stored(), [...firsts[0]!]]).toEqual([rows - 5, [...key(5)]]);
  expect(disk.get('rows', key(4))).toEqual(new Uint8Array(1000).fill(4));
  await disk.close();
  expect(stored()).toBe(rows + 21);
});

test('after a second without a commit everything is there, and not before', async () => {
  for (let i = 0; i < 10; i++) await put(i);
  vi.advanceTimersByTime(900);
  await put(10);
  vi.advanceTimersByTime(900);
  await turns();
  expect([await waiting(), stored()]).toEqual([11, 0]);
  await oneSlice(100);
  expect([await waiting(), stored()]).toEqual([0, 11]);
  // And again.
  await put(11);
  await oneSlice(1000);
  expect([await waiting(), stored()]).toEqual([0, 12]);
});

test('who walks over rows that were taken out does so once: they are taken out in SQLite soon', async () => {
  for (let i = 0; i < 400; i++) await put(i, 10);
  await oneSlice(1000);
  // There is time, so whoever comes meanwhile finds the loop free after each slice.
  expect(stored()).toBeLessThan(100);
  for (let slices = 1; slices < 7; slices++) {
    vi.advanceTimersByTime(2);
    await turns(100);
  }
  expect(stored()).toBe(400);
  await disk.commit((transaction) => {
    for (let i = 20; i < 400; i++) transaction.delete('rows', key(i));
  }).durable;
  expect(disk.range('rows', { from: key(20), limit: 1 })).toEqual([]);
  await turns(100);
  expect(stored()).toBe(20);
});

test('closing waits for commits that have no file yet, and leaves all in SQLite', async () => {
  const durable = Array.from({ length: 3000 }, (_, i) => put(i));
  await disk.close();
  await Promise.all(durable);
  expect(stored()).toBe(3000);
});

test('commits that nobody waits for fill more than two segments, and all of it is durable and there in the end', async () => {
  const durable = Array.from({ length: 3000 }, (_, i) => put(i));
  expect(disk.range('rows', { limit: 10_000 })).toHaveLength(3000);
  await Promise.all(durable);
  expect(disk.range('rows', { limit: 10_000 })).toHaveLength(3000);
  await disk.close();
  expect(stored()).toBe(3000);
});

/** A segment whose rows go into SQLite in so many slices. */
function segmentOf(number: number, slices: number) {
  const rows = slices * SLICE_ROWS;
  return {
    ...{ number, rows, slots: rows, finished: rows },
    eachRow(from: number, to: number, row: (at: number, hash: number) => void) {
      for (let at = from; at < Math.min(to, rows); at++) row(at, at);
    },
    ...{ tableAt: () => 0, keyAt: (at: number) => key(at), valueAt: () => new Uint8Array(1) },
  };
}

/** A segment that is complete, of as many slices as are said, before a database that counts them and has to wait after the first. */
function heldAfterFirst(slices: number) {
  const copy = Promise.withResolvers<void>();
  const onError = vi.fn<(error: unknown) => void>();
  let written = 0;
  const rows = {
    write(run: (row: () => void) => void): Promise<void> | undefined {
      run(() => undefined);
      written += 1;
      return written === 1 ? copy.promise : undefined;
    },
    ...{ setJournalState: () => undefined, numberLike: () => 0 },
    sync: () => Promise.resolve(),
  };
  const segment = segmentOf(1, slices);
  const journal = {
    ...{ isSealed: true, rows: 0, newest: 2, seal: () => undefined, idle: () => turns(1), isOutdated: () => false },
    complete: (): typeof segment | undefined => (journal.isSealed ? segment : undefined),
    forgetOldest() {
      journal.isSealed = false;
      return () => undefined;
    },
  };
  const apply = new DiskApply({ journal, rows, onError } as unknown as DiskApplyOptions);
  return { apply, journal, copy, onError, written: () => written, next: () => (journal.isSealed = true) };
}

test('while the last of a log is copied nothing is added to it, and what was held goes on by itself', async () => {
  const { apply, written, copy } = heldAfterFirst(3);
  expect(apply.slice()).toBe(true);
  expect(apply.slice()).toBe(false);
  apply.hurry();
  await turns();
  expect(written()).toBe(1);
  copy.resolve();
  await turns();
  expect(written()).toBe(3);
});

test('the last segments wait for that too', async () => {
  const { apply, written, copy } = heldAfterFirst(3);
  apply.slice();
  const finished = apply.finish();
  await turns();
  expect(written()).toBe(1);
  copy.resolve();
  await finished;
  // And the mark of an orderly end.
  expect(written()).toBe(4);
});

test('hurry ends with the segments that were complete', async () => {
  const { apply, written, copy, next } = heldAfterFirst(2);
  apply.hurry();
  await turns();
  copy.resolve();
  await turns();
  expect(written()).toBe(2);
  next();
  apply.goOn();
  await turns();
  expect(written()).toBe(2);
});

test('rows that are all outdated are looked at a thousand at a time', async () => {
  const { apply, journal, written, copy } = heldAfterFirst(40);
  journal.isOutdated = () => true;
  copy.resolve();
  apply.hurry();
  await turns();
  expect(written()).toBe(Math.ceil((40 * SLICE_ROWS) / 1024));
});

test('a copy that fails is told, and what was held stays so', async () => {
  const { apply, written, copy, onError } = heldAfterFirst(3);
  apply.hurry();
  await turns();
  copy.reject(new Error('on purpose'));
  await turns();
  expect(onError.mock.calls).toEqual([[new Error('on purpose')]]);
  expect(written()).toBe(1);
});

test('a close goes on with the last segment when the one before has been brought in while it waited for that', async () => {
  const { apply, journal, copy, written } = heldAfterFirst(1);
  // Not written yet; then it is in the database, and the last one is not complete.
  journal.complete = () => undefined;
  journal.idle = () => {
    journal.isSealed = false;
    return Promise.resolve();
  };
  const segment = segmentOf(2, 1);
  journal.seal = () => {
    if (journal.isSealed || written() > 0) return;
    journal.isSealed = true;
    journal.complete = () => (written() === 0 ? segment : undefined);
  };
  const finished = apply.finish();
  await turns();
  copy.resolve();
  await finished;
  expect(written()).toBe(2);
});
