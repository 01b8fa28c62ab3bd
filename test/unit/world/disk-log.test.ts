/**
 * The write-ahead log under steady writes, on a real disk: it is copied and started over, and does not outgrow its bound.
 */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDisk } from '#world/real/disk.ts';
import { createMetrics } from '#world/real/metrics.ts';
import type { Disk } from '#world/world.ts';

const LOG_BYTES = 1024 * 1024;
const VALUE_BYTES = 1000;
/** Three share a page, and each is overwritten ten times. */
const ROWS = 500;
const ROWS_A_COMMIT = 2;
const COMMITS = 2500;

let directory: string;
let disk: Disk;
const metrics = createMetrics();

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-log-'));
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const path = join(directory, 'data.db');
  disk = await openDisk({
    path,
    tables: [{ name: 'rows', rows: 'wide' }],
    log,
    metrics,
    walBytes: LOG_BYTES,
    segmentBytes: LOG_BYTES / 8,
  });
});

afterEach(async () => {
  await disk.close();
  rmSync(directory, { recursive: true });
});

function commit(number: number): Promise<void> {
  return disk.commit((transaction) => {
    for (let i = 0; i < ROWS_A_COMMIT; i++) {
      const key = Buffer.from(`row ${(number * ROWS_A_COMMIT + i) % ROWS}`);
      transaction.put('rows', key, Buffer.alloc(VALUE_BYTES, number % 256));
    }
  }).durable;
}

test('steady writes start the log over again and again, and it stays below twice its size', async () => {
  let largest = 0;
  for (let i = 0; i < COMMITS; i++) {
    await commit(i);
    largest = Math.max(largest, statSync(join(directory, 'data.db-wal')).size);
  }
  const told = await metrics.render();
  const checkpoints = Number(/quoral_disk_checkpoint_seconds_count (\d+)/.exec(told)![1]);
  const last = disk.get('rows', Buffer.from(`row ${(COMMITS * ROWS_A_COMMIT - 1) % ROWS}`));
  expect(last).toEqual(new Uint8Array(VALUE_BYTES).fill((COMMITS - 1) % 256));
  expect(largest).toBeGreaterThan(LOG_BYTES);
  expect(largest).toBeLessThan(2.1 * LOG_BYTES);
  // Each is told once, and once more when commits were held at its end.
  expect(checkpoints).toBeGreaterThan(2);
  expect(checkpoints).toBeLessThan(60);
});
