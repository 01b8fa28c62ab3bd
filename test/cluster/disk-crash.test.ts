/**
 * Processes that end without a word, and what the next one finds.
 */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDisk } from '#world/real/disk.ts';
import type { Migration } from '#world/real/disk-schema.ts';
import type { Disk, Log } from '#world/world.ts';
import { inspectFiles, linesOf, startMigrator, startWriter } from './disk-files.ts';
import { MARK, markEachRow } from './disk-migration.ts';
import { WRITER_TABLES, type WriterOptions } from './disk-writer-rows.ts';

const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
const LOG_BYTES = 16 * 1024 * 1024;

let directory: string;
let options: WriterOptions;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-crash-'));
  options = {
    path: join(directory, 'data.db'),
    groups: 100_000,
    rowsPerGroup: 3,
    valueBytes: 400,
    inFlight: 3,
    walBytes: LOG_BYTES,
    segmentBytes: LOG_BYTES,
  };
});

afterEach(() => rmSync(directory, { recursive: true }));

interface Durable {
  readonly group: number;
  /** Where the last write to the journal that had ended did so. */
  readonly journalBytes: number;
}

/** Lets the writer work until it has called so many groups durable, and kills it. Returns all that it said of them. */
async function killAfter(groups: number): Promise<Durable[]> {
  const child = startWriter(options);
  const durable: Durable[] = [];
  await linesOf(child, (line) => {
    const [word, group, file, journalBytes] = line.split(' ');
    if (word === 'durable') durable.push({ group: Number(group), journalBytes: Number(journalBytes) });
    // All is in one segment where that matters.
    if (options.segmentBytes === LOG_BYTES && word === 'durable') expect(file).toBe('journal-0');
    if (durable.length === groups) child.kill('SIGKILL');
  });
  expect(durable.length).toBeGreaterThanOrEqual(groups);
  return durable;
}

/** Copies what the killed process left, with the journal cut to a length. */
function copyCut(name: string, journalBytes: number): string {
  const copy = join(directory, name);
  mkdirSync(copy);
  const path = join(copy, 'data.db');
  for (const suffix of ['', '-wal', '-journal-0', '-journal-1']) copyFileSync(options.path + suffix, path + suffix);
  truncateSync(`${path}-journal-0`, journalBytes);
  return path;
}

describe('after kill -9', () => {
  test('the journal cut to what had been written holds every durable group', async () => {
    const durable = await killAfter(150);
    const written = { ...options, groups: durable.length + 10 };
    let losses = 0;
    for (let i = 0; i < durable.length; i += 15) {
      const { journalBytes } = durable[i]!;
      const promised = durable.slice(0, i + 1).map(({ group }) => group);
      const { whole, torn, damage } = await inspectFiles(copyCut(`cut-${i}`, journalBytes), written);
      expect([damage, torn]).toEqual([undefined, []]);
      expect(promised.filter((group) => !whole.has(group))).toEqual([]);
      // The alarm rings: with one byte less, the last group of the write is lost.
      const shorter = await inspectFiles(copyCut(`short-${i}`, journalBytes - 1), written);
      losses += promised.filter((group) => !shorter.whole.has(group)).length;
    }
    expect(losses).toBeGreaterThan(0);
  });

  test('the next process finds every durable group, also when journal and log are started over all the time', async () => {
    options = { ...options, walBytes: 64 * 1024, segmentBytes: 16 * 1024 };
    const durable = new Set<number>();
    for (let life = 0; life < 3; life++) for (const { group } of await killAfter(200)) durable.add(group);
    const disk = await openDisk({ path: options.path, tables: WRITER_TABLES, log: silentLog });
    await disk.close();
    const { whole, torn, damage } = await inspectFiles(options.path, { ...options, groups: Math.max(...durable) + 10 });
    expect([damage, torn]).toEqual([undefined, []]);
    expect([...durable].filter((group) => !whole.has(group))).toEqual([]);
  });
});

test('the log stays within a few times its size', async () => {
  options = { ...options, walBytes: 128 * 1024, segmentBytes: 32 * 1024, groups: 1500 };
  let largest = 0;
  const lines = await linesOf(startWriter(options), (line) => {
    if (!line.startsWith('durable')) return;
    largest = Math.max(largest, statSync(`${options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  });
  expect(lines.at(-1)).toBe('done');
  expect(largest).toBeGreaterThan(options.walBytes);
  // Four times, and the groups that were in flight.
  expect(largest).toBeLessThan(options.walBytes * 6);
});

test('a process that closes leaves one file, complete in itself', async () => {
  options = { ...options, groups: 50 };
  const lines = await linesOf(startWriter(options));
  expect(lines.at(-1)).toBe('done');
  const copy = join(directory, 'copy.db');
  copyFileSync(options.path, copy);
  expect(statSync(`${options.path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
  expect(readFileSync(`${options.path}-lock`)).toHaveLength(0);
  expect((await inspectFiles(copy, options)).whole.size).toBe(50);
});

test('a process that closes while its log is copied does so to the end', async () => {
  // The copying begins with the twelfth group or so.
  for (const groups of [12, 13, 14, 15, 16, 18]) {
    const path = join(directory, `closed-${groups}.db`);
    const rows = { rowsPerGroup: 20, valueBytes: 4000, walBytes: 1024 * 1024, segmentBytes: 64 * 1024 };
    const child = startWriter({ ...options, ...rows, path, groups });
    await linesOf(child);
    expect(child.exitCode, `${groups} groups`).toBe(0);
  }
});

test('a second process is refused while the first lives, and let in when it was killed', async () => {
  const open = () => openDisk({ path: options.path, tables: WRITER_TABLES, log: silentLog });
  const child = startWriter(options);
  let refusal: Promise<unknown> | undefined;
  await linesOf(child, (line) => {
    if (line !== 'durable 5' && !line.startsWith('durable 5 ')) return;
    refusal = open()
      .catch((error: unknown) => error)
      .finally(() => child.kill('SIGKILL'));
  });
  expect(String(await refusal)).toContain(`${options.path} is in use by another process`);
  const disk = await open();
  expect(disk.range('rows', { limit: 10 })).toHaveLength(10);
  await disk.close();
});

test('a process killed while it changes the format leaves the former one, and the next does it once, whole', async () => {
  await killAfter(200);
  const open = async (migrations?: readonly Migration[]): Promise<Disk> =>
    openDisk({ path: options.path, tables: WRITER_TABLES, log: silentLog, ...(migrations && { migrations }) });
  const rowsOf = async (migrations?: readonly Migration[]): Promise<readonly Uint8Array[]> => {
    const disk = await open(migrations);
    const rows = disk.range('rows', { limit: 100_000 }).map(([, value]) => value);
    await disk.close();
    return rows;
  };
  const before = await rowsOf();
  for (const row of [1, before.length]) {
    const child = startMigrator(options.path, row);
    expect(await linesOf(child, () => child.kill('SIGKILL'))).toEqual(['stands']);
    expect(await rowsOf(), 'a program of the former format can go on').toEqual(before);
  }
  for (let i = 0; i < 2; i++) {
    expect(await rowsOf(markEachRow())).toEqual(before.map((value) => Uint8Array.of(...value, MARK)));
  }
  await expect(rowsOf()).rejects.toThrow(/has format \d+ and this program knows formats up to \d+/);
});
