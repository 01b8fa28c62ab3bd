/**
 * When a commit counts as durable, with the operating system's sync in the test's hands.
 */

import { mkdtempSync, readFileSync, renameSync, rmSync, type NoParamCallback } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import { DiskError, type Disk, type TableDefinition } from '#world/world.ts';
import { until } from '../../until.ts';

/** Syncs that have begun and that the test has not let go on. */
const held: { readonly descriptor: number; readonly end: (error: NodeJS.ErrnoException | null) => void }[] = [];
let holding = false;

vi.mock('node:fs', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs')>();
  return {
    ...original,
    fdatasync(descriptor: number, callback: NoParamCallback) {
      if (holding) held.push({ descriptor, end: callback });
      else original.fdatasync(descriptor, callback);
    },
  };
});

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
  for (const { end } of held.splice(0)) end(null);
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

test('a commit is durable when a sync that began after it has ended', async () => {
  const log = readFileSync(`${path}-wal`);
  const first = put(1);
  await settle();
  expect(readFileSync(`${path}-wal`).equals(log)).toBe(false);
  expect(held).toHaveLength(1);
  expect(disk.get('rows', new Uint8Array([1]))).toEqual(new Uint8Array([1]));
  const second = put(2);
  const third = put(3);
  await settle();
  expect([first.state, second.state, held.length]).toEqual(['pending', 'pending', 1]);
  held.shift()!.end(null);
  await settle();
  // The sync that has ended began before the other two were written; they share the next.
  expect([first.state, second.state, third.state, held.length]).toEqual(['durable', 'pending', 'pending', 1]);
  held.shift()!.end(null);
  await settle();
  expect([second.state, third.state, held.length]).toEqual(['durable', 'durable', 0]);
});

test('after a failed sync nothing is durable any more, and nothing is synced again', async () => {
  const first = put(1);
  const second = put(2);
  held.shift()!.end(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  await settle();
  expect([first.state, second.state]).toEqual(['failed', 'failed']);
  expect(first.error).toBeInstanceOf(DiskError);
  expect(first.error).toMatchObject({ kind: 'failed', uncertain: true });
  expect((first.error as DiskError).message).toContain('EIO');
  expect(disk.failure()).toBe(first.error);
  expect(() => put(3)).toThrow(first.error);
  expect(held).toHaveLength(0);
  expect(disk.get('rows', new Uint8Array([3]))).toBeUndefined();
  expect(events).toEqual(['disk-opened', 'disk-failed']);
});

test('after a failed sync nothing is recalled from memory any more', async () => {
  const [key, other] = [new Uint8Array([1]), new Uint8Array([2])];
  put(1);
  const file = new Database(path);
  const change = (value: number): unknown =>
    file.prepare('UPDATE rows SET v = ? WHERE k = ?').run(new Uint8Array([value]), key);
  expect(disk.recall('rows', key)).toEqual(key);
  change(2);
  expect(disk.recall('rows', key)).toEqual(key);
  held.shift()!.end(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  await settle();
  expect(disk.recall('rows', key)).toEqual(other);
  file.close();
});

test('a log that was taken away is noticed at the next checkpoint at the latest', async () => {
  holding = false;
  await disk.close();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  disk = await openDisk({ path, tables: TABLES, log, walBytes: 16_384 });
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

test('a write to files that were removed from their directory is durable no longer than a second', async () => {
  holding = false;
  const at = performance.now() + 10_000;
  const time = vi.spyOn(performance, 'now').mockReturnValue(at);
  try {
    const first = put(1);
    await until(() => first.state === 'durable');
    renameSync(directory, `${directory}-gone`);
    const second = put(2);
    await until(() => second.state === 'durable');
    time.mockReturnValue(at + 1000);
    const third = put(3);
    await until(() => third.state === 'failed');
    expect(third.error).toMatchObject({ kind: 'failed', uncertain: true });
    expect((third.error as Error).message).toMatch(/log was removed or replaced \(ESTALE\)/);
    expect(disk.failure()).toBe(third.error);
  } finally {
    time.mockRestore();
    renameSync(`${directory}-gone`, directory);
  }
});
