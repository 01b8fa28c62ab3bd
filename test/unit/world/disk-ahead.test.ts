/**
 * Zeros ahead of the log's end: how far, when, and that they are never written over what the log holds.
 */

import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import type { TableDefinition } from '#world/world.ts';
import { STEP_BYTES, WalAhead } from '#world/real/wal-ahead.ts';

const TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide' }];
const FRAME_BYTES = 24 + 4096;
const PAGES_OF_A_STEP = Math.ceil(STEP_BYTES / FRAME_BYTES);
/** SQLite's index of the log has parts of so many bytes for so many frames. */
const [PART_BYTES, PART_FRAMES] = [32_768, 4096];

let directory: string;
let path: string;
let descriptor: number;
let index: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-ahead-'));
  path = join(directory, 'log');
  writeFileSync(path, 'frames');
  descriptor = openSync(path, 'r+');
  index = openSync(join(directory, 'index'), 'w+');
});

afterEach(() => {
  closeSync(descriptor);
  closeSync(index);
  rmSync(directory, { recursive: true });
});

const length = (): number => statSync(path).size;
const start = (bytes: number): WalAhead => new WalAhead({ descriptor, index, bytes, frameBytes: FRAME_BYTES });

describe('the zeros', () => {
  test('follow what is there, a step at a time, when frames have come to the end of the former step', () => {
    const ahead = start(10 * STEP_BYTES);
    ahead.beforeCommit(1);
    expect(length()).toBe(6 + STEP_BYTES);
    for (let pages = 2; pages < PAGES_OF_A_STEP; pages += 1) ahead.beforeCommit(pages);
    expect(length()).toBe(6 + STEP_BYTES);
    ahead.beforeCommit(PAGES_OF_A_STEP);
    expect(length()).toBe(6 + 2 * STEP_BYTES);
    expect(readFileSync(path).toString('latin1')).toBe('frames' + '\0'.repeat(2 * STEP_BYTES));
  });

  test('are written behind frames that took more than was counted', () => {
    const ahead = start(10 * STEP_BYTES);
    ahead.beforeCommit(1);
    appendFileSync(path, 'more frames');
    ahead.beforeCommit(PAGES_OF_A_STEP + 1);
    const log = readFileSync(path).toString('latin1');
    expect(log.slice(6 + STEP_BYTES)).toBe('more frames' + '\0'.repeat(STEP_BYTES));
  });

  test('are not added to a log that is longer than its frames', () => {
    truncateSync(path, 3 * STEP_BYTES);
    const ahead = start(10 * STEP_BYTES);
    ahead.beforeCommit(PAGES_OF_A_STEP);
    expect(length()).toBe(3 * STEP_BYTES);
    ahead.beforeCommit(3 * PAGES_OF_A_STEP);
    expect(length()).toBe(4 * STEP_BYTES);
  });

  test('end at the length of the log, and come no more; up to twice that it is not even looked at', () => {
    const ahead = start(3 * STEP_BYTES);
    for (let i = 0; i < 5; i++) ahead.beforeCommit(i * PAGES_OF_A_STEP);
    expect(length()).toBe(3 * STEP_BYTES);
    truncateSync(path, 6);
    ahead.beforeCommit(5 * PAGES_OF_A_STEP);
    expect(length()).toBe(6);
  });

  test('come after room in the index for their frames and a part more, and for twice the log in the end', () => {
    const bytes = 40 * STEP_BYTES;
    const ahead = start(bytes);
    const parts = (): number => fstatSync(index).size / PART_BYTES;
    for (let pages = 1; pages * FRAME_BYTES < bytes; pages += 50) {
      ahead.beforeCommit(pages);
      expect(parts() * PART_FRAMES * FRAME_BYTES).toBeGreaterThan(Math.min(bytes, length()) + 4000 * FRAME_BYTES);
    }
    ahead.beforeCommit(Math.ceil(bytes / FRAME_BYTES) + 1);
    expect(parts()).toBe(Math.ceil((2 * bytes) / FRAME_BYTES / PART_FRAMES) + 1);
    // A log that cannot be copied, because another program reads the database, outgrows that.
    truncateSync(path, 5 * bytes);
    ahead.beforeCommit(5 * Math.ceil(bytes / FRAME_BYTES));
    expect(parts() * PART_FRAMES * FRAME_BYTES).toBeGreaterThan(5 * bytes + 4000 * FRAME_BYTES);
  });

  test('are not written when the index cannot be', () => {
    const readOnly = openSync(join(directory, 'index'), 'r');
    new WalAhead({ descriptor, index: readOnly, bytes: STEP_BYTES, frameBytes: FRAME_BYTES }).beforeCommit(1);
    closeSync(readOnly);
    expect(length()).toBe(6);
  });

  test('that cannot be written are tried again a little later, and nothing is thrown', () => {
    const readOnly = openSync(path, 'r');
    const ahead = new WalAhead({ descriptor: readOnly, index, bytes: STEP_BYTES, frameBytes: FRAME_BYTES });
    ahead.beforeCommit(1);
    closeSync(readOnly);
    expect(length()).toBe(6);
    // The same number again.
    const again = openSync(path, 'r+');
    expect(again).toBe(readOnly);
    ahead.beforeCommit(2);
    expect(length()).toBe(6);
    ahead.beforeCommit(PAGES_OF_A_STEP);
    expect(length()).toBe(STEP_BYTES);
    closeSync(again);
  });
});

describe('a log with zeros behind its frames', () => {
  const row = (i: number): Uint8Array => Buffer.from(`row ${i}`);

  test('is longer than its frames, and small commits do not change its length', async () => {
    const database = join(directory, 'data.db');
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const disk = await openDisk({ path: database, tables: TABLES, log, segmentBytes: 512 });
    const commit = (i: number): Promise<void> =>
      disk.commit((transaction) => transaction.put('rows', row(i), new Uint8Array(1000).fill(i))).durable;
    for (let i = 0; i < 30; i++) await commit(i);
    const wal = readFileSync(`${database}-wal`);
    expect(wal.length).toBeGreaterThan(STEP_BYTES);
    expect(wal.subarray(STEP_BYTES / 2).every((byte) => byte === 0)).toBe(true);
    for (let i = 30; i < 60; i++) await commit(i);
    expect(statSync(`${database}-wal`).size).toBe(wal.length);
    await disk.close();
  });

  test('keeps all rows over steps and checkpoints, also for whoever opens a copy of the files', async () => {
    const database = join(directory, 'data.db');
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const disk = await openDisk({
      ...{ path: database, tables: TABLES, log },
      walBytes: 3 * STEP_BYTES,
      segmentBytes: 32 * 1024,
    });
    let largest = 0;
    for (let i = 0; i < 600; i++) {
      // Some commits take more than a step, so that frames reach past the zeros.
      const rows = i % 150 === 149 ? 1000 : 3;
      await disk.commit((transaction) => {
        for (let k = 0; k < rows; k++) transaction.put('rows', row(i * 3 + k), new Uint8Array(3000).fill(i));
      }).durable;
      largest = Math.max(largest, statSync(`${database}-wal`).size);
      if (i % 60 === 59) expect(await rowsOfCopy(database)).toBe(disk.range('rows', { limit: 1_000_000 }).length);
    }
    expect(largest).toBeGreaterThan(3 * STEP_BYTES);
    await disk.close();
    expect(await rowsOfCopy(database)).toBe(599 * 3 + 1000);
  });

  async function rowsOfCopy(database: string): Promise<number> {
    const copy = join(directory, 'copy.db');
    const parts = ['', '-wal', '-journal-0', '-journal-1'];
    for (const part of parts)
      if (statSync(database + part, { throwIfNoEntry: false }))
        writeFileSync(copy + part, readFileSync(database + part));
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    await (await openDisk({ path: copy, tables: TABLES, log })).close();
    const opened = new Database(copy);
    const rows = opened.prepare<[], number>('SELECT count(*) FROM rows').pluck().get()!;
    expect(opened.pragma('integrity_check', { simple: true })).toBe('ok');
    opened.close();
    for (const part of parts) rmSync(copy + part, { force: true });
    return rows;
  }
});
