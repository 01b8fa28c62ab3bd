/**
 * Fills the directory of its first argument until commits fail, makes space, and says what it found: one line of JSON a step.
 * The second argument is the size at which its log is copied, the third that of a segment of its journal, the fourth the space
 * that it makes, the fifth the size of its values, in bytes.
 */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes } from '#kernel/bytes.ts';
import { openDisk } from '#world/real/disk.ts';
import { DiskError, type Disk, type Log } from '#world/world.ts';
import { rowKey, rowValue, WRITER_TABLES } from './disk-writer-rows.ts';

const directory = process.argv[2]!;
const walBytes = Number(process.argv[3]);
const segmentBytes = Number(process.argv[4]);
const valueBytes = Number(process.argv[6]);
const ballast = join(directory, 'ballast');
const path = join(directory, 'data.db');
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const note = (event: string): void => say({ event });
// Checkpoints fail on a full disk too, how often depends on their timing.
const log: Log = { debug: note, info: note, warn() {}, error: note };

/** A few pages, so that a group of many rows has to write some of them before its commit, and may do so for the sake of a read. */
const CACHE_BYTES = 64 * 1024;
/** Groups whose commits were durable, and those that were refused. */
const kept: number[] = [];
const refused: number[] = [];

const open = (): Promise<Disk> =>
  openDisk({ path, tables: WRITER_TABLES, log, walBytes, segmentBytes, cacheBytes: CACHE_BYTES });

async function put(disk: Disk, group: number): Promise<DiskError | undefined> {
  try {
    await disk.commit((transaction) => {
      for (let row = 0; row < 5; row++) transaction.put('rows', rowKey(group, row), rowValue(group, row, valueBytes));
    }).durable;
    kept.push(group);
    return undefined;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    refused.push(group);
    return error;
  }
}

/** What becomes of a group that changes more than the cache holds, and reads in between. */
async function putMany(disk: Disk): Promise<DiskError | undefined> {
  const many = group + 1;
  try {
    await disk.commit((transaction) => {
      for (let row = 0; row < 1500; row++) {
        transaction.put('rows', rowKey(many, row), rowValue(many, row, valueBytes));
        for (let other = 0; other < 5; other++) transaction.get('rows', rowKey((row * 5 + other) % group, other));
      }
    }).durable;
    return undefined;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return error;
  }
}

/** Whether all that was promised is there and nothing that was refused. */
function isTrue(disk: Disk): boolean {
  const isThere = (group: number, row: number): boolean => {
    const value = disk.get('rows', rowKey(group, row));
    return value !== undefined && equalBytes(value, rowValue(group, row, valueBytes));
  };
  const rows = [0, 1, 2, 3, 4];
  return (
    kept.every((group) => rows.every((row) => isThere(group, row))) &&
    refused.every((group) => rows.every((row) => !isThere(group, row)))
  );
}

writeFileSync(ballast, new Uint8Array(Number(process.argv[5])));
let disk = await open();
let group = 0;
let error: DiskError | undefined;
while (error === undefined) {
  error = await put(disk, group++);
  await new Promise((resolve) => setImmediate(resolve));
}
say({
  step: 'full',
  kind: error.kind,
  uncertain: error.uncertain,
  failure: disk.failure()?.kind ?? null,
  durable: isTrue(disk),
});
say({ step: 'still full', kind: (await put(disk, group++))?.kind, durable: isTrue(disk) });
say({ step: 'many rows', kind: (await putMany(disk))?.kind, failure: disk.failure()?.kind, durable: isTrue(disk) });
rmSync(ballast);
for (let i = 0; i < 20; i++) error = await put(disk, group++);
say({ step: 'healed', failure: disk.failure()?.kind ?? null, durable: error === undefined && isTrue(disk) });
await disk.close();
disk = await open();
say({ step: 'reopened', durable: isTrue(disk) });
await disk.close();
