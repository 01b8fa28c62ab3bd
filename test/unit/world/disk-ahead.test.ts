/**
 * Zeros ahead of the log's end: how far, when, and that they are never written over what the log holds.
 */

import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import { STEP_BYTES, WalAhead } from '#world/real/wal-ahead.ts';

const FRAME_BYTES = 24 + 4096;
const PAGES_OF_A_STEP = Math.ceil(STEP_BYTES / FRAME_BYTES);

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-ahead-'));
  path = join(directory, 'log');
  writeFileSync(path, 'frames');
});

afterEach(() => rmSync(directory, { recursive: true }));

const length = (): number => statSync(path).size;

describe('the zeros', () => {
  test('follow what is there, a step at a time, when commits have taken the former step', () => {
    const ahead = new WalAhead({ path, bytes: 10 * STEP_BYTES, frameBytes: FRAME_BYTES });
    ahead.beforeCommit(1);
    expect(length()).toBe(6 + STEP_BYTES);
    for (let pages = 4; pages < PAGES_OF_A_STEP; pages += 3) ahead.beforeCommit(1);
    expect(length()).toBe(6 + STEP_BYTES);
    ahead.beforeCommit(1);
    ahead.beforeCommit(1);
    expect(length()).toBe(6 + 2 * STEP_BYTES);
    expect(readFileSync(path).toString('latin1')).toBe('frames' + '\0'.repeat(2 * STEP_BYTES));
    ahead.close();
  });

  test('are written behind frames that took more than was counted', () => {
    const ahead = new WalAhead({ path, bytes: 10 * STEP_BYTES, frameBytes: FRAME_BYTES });
    ahead.beforeCommit(1);
    appendFileSync(path, 'more frames');
    ahead.beforeCommit(PAGES_OF_A_STEP);
    const log = readFileSync(path).toString('latin1');
    expect(log.slice(6 + STEP_BYTES)).toBe('more frames' + '\0'.repeat(STEP_BYTES));
    ahead.close();
  });

  test('end at the length of the log, and come no more', () => {
    const ahead = new WalAhead({ path, bytes: STEP_BYTES, frameBytes: FRAME_BYTES });
    for (let i = 0; i < 5; i++) ahead.beforeCommit(PAGES_OF_A_STEP);
    expect(length()).toBe(STEP_BYTES);
    ahead.close();
  });
});

describe('a log with zeros behind its frames', () => {
  const row = (i: number): Uint8Array => Buffer.from(`row ${i}`);

  test('keeps all rows over steps and checkpoints, also for whoever opens a copy of the files', async () => {
    const database = join(directory, 'data.db');
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const disk = await openDisk({
      path: database,
      tables: [{ name: 'rows', rows: 'wide' }],
      log,
      walBytes: 3 * STEP_BYTES,
    });
    let largest = 0;
    for (let i = 0; i < 600; i++) {
      // Some commits take more than a step, so that frames reach past the zeros.
      const rows = i % 150 === 149 ? 1000 : 3;
      await disk.commit((transaction) => {
        for (let k = 0; k < rows; k++) transaction.put('rows', row(i * 3 + k), new Uint8Array(3000).fill(i));
      }).durable;
      largest = Math.max(largest, statSync(`${database}-wal`).size);
      if (i % 60 === 59) expect(rowsOfCopy(database)).toBe(disk.range('rows', { limit: 1_000_000 }).length);
    }
    expect(largest).toBeGreaterThan(3 * STEP_BYTES);
    await disk.close();
    expect(rowsOfCopy(database)).toBe(599 * 3 + 1000);
  });

  function rowsOfCopy(database: string): number {
    const copy = join(directory, 'copy.db');
    for (const part of ['', '-wal'])
      if (statSync(database + part, { throwIfNoEntry: false }))
        writeFileSync(copy + part, readFileSync(database + part));
    const opened = new Database(copy);
    const rows = opened.prepare<[], number>('SELECT count(*) FROM rows').pluck().get()!;
    expect(opened.pragma('integrity_check', { simple: true })).toBe('ok');
    opened.close();
    for (const part of ['', '-wal', '-shm']) rmSync(copy + part, { force: true });
    return rows;
  }
});
