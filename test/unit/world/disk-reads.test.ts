/** Reads between commits share a transaction, which must be in no commit's and no checkpoint's way. */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDisk } from '#world/real/disk.ts';

const ROWS = 200;
const WAL_BYTES = 64 * 1024;

test('the log is copied and started over although something is read before and after every commit', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-reads-'));
  const path = join(directory, 'data.db');
  const troubles: string[] = [];
  const trouble = (event: string): void => void troubles.push(event);
  const log = { debug: () => undefined, info: () => undefined, warn: trouble, error: trouble };
  const disk = await openDisk({
    path,
    tables: [{ name: 'rows', rows: 'wide' }],
    log,
    walBytes: WAL_BYTES,
    segmentBytes: WAL_BYTES / 8,
  });
  const key = (i: number): Uint8Array => Uint8Array.of(i % 20);
  let largest = 0;
  for (let i = 0; i < ROWS; i++) {
    disk.get('rows', key(i));
    const { durable } = disk.commit((transaction) => transaction.put('rows', key(i), new Uint8Array(2000).fill(i)));
    expect(disk.get('rows', key(i))?.[0]).toBe(i);
    await durable;
    expect(disk.range('rows', { limit: 100 })).toHaveLength(Math.min(i + 1, 20));
    largest = Math.max(largest, statSync(`${path}-wal`).size);
  }
  await disk.close();
  expect(troubles).toEqual([]);
  expect(disk.failure()).toBeUndefined();
  // Every row is a page in the log: all of them would be 800 KiB.
  expect(largest).toBeLessThan(5 * WAL_BYTES);
  rmSync(directory, { recursive: true });
});
