/** When what was committed to the journal goes into SQLite. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DiskApply, type DiskApplyOptions } from '#world/real/disk-apply.ts';
import { openDisk } from '#world/real/disk.ts';
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

test('after a second without a commit everything is there, and not before', async () => {
  for (let i = 0; i < 10; i++) await put(i);
  vi.advanceTimersByTime(900);
  await put(10);
  vi.advanceTimersByTime(900);
  await turns();
  expect([await waiting(), stored()]).toEqual([11, 0]);
  vi.advanceTimersByTime(100);
  await turns();
  expect([await waiting(), stored()]).toEqual([0, 11]);
  // And again.
  await put(11);
  vi.advanceTimersByTime(1000);
  await turns();
  expect([await waiting(), stored()]).toEqual([0, 12]);
});

test('who walks over rows that were taken out does so once: they are taken out in SQLite soon', async () => {
  for (let i = 0; i < 400; i++) await put(i, 10);
  vi.advanceTimersByTime(1000);
  await turns(100);
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

test('while the last of a log is copied nothing is added to it, and what was held goes on by itself', async () => {
  let written = 0;
  let copied = (): void => undefined;
  const rows = {
    write(run: (row: () => void) => void): Promise<void> | undefined {
      run(() => undefined);
      written += 1;
      return written === 1 ? new Promise((resolve) => (copied = resolve)) : undefined;
    },
  };
  const segment = { number: 1, finished: 1000, show: (at: number) => at + 1 };
  const journal = { isSealed: true, complete: () => segment };
  const apply = new DiskApply({ journal, rows, onError: expect.unreachable } as unknown as DiskApplyOptions);
  expect(apply.slice()).toBe(true);
  expect(apply.slice()).toBe(false);
  apply.hurry();
  await turns();
  expect(written).toBe(1);
  copied();
  await turns();
  expect(written).toBeGreaterThan(1);
  apply.end();
});
