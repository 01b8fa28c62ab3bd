/**
 * A process that commits numbered groups of rows and says so, line by line: `opened`, `commit 7` before the commit,
 * `committed 7` after it, `durable 7 12345` when its promise has resolved, with the bytes that the write-ahead log's
 * frames took when the last finished sync began. When the promise has rejected it says `failed 7` and ends without closing its
 * disk. The tests kill it, trace it, and look at what it leaves.
 */

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { openDisk } from '#world/real/disk.ts';
import type { Log } from '#world/world.ts';
import { groupRows, WRITER_TABLES, type WriterOptions } from './disk-writer-rows.ts';

const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
const options = JSON.parse(process.argv[2]!) as WriterOptions;
const wal = `${options.path}-wal`;

/** Nothing is told before it has happened, or later than the next step: so the pipe is waited for when its reader is slow. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length;) {
    try {
      written += fs.writeSync(1, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** What precedes the log's frames, and each page in one. */
const LOG_HEAD_BYTES = 32;
const FRAME_BYTES = 24 + 4096;

/** Where the log's frames ended when the last finished sync began. */
let syncedLength = 0;
recordSyncs();

const disk = await openDisk({
  path: options.path,
  tables: WRITER_TABLES,
  log: silentLog,
  walBytes: options.walBytes,
});
say('opened');
let inFlight: Promise<void>[] = [];
for (let group = options.first ?? 0; group < options.groups; group++) {
  inFlight.push(write(group));
  if (inFlight.length < options.inFlight) continue;
  await Promise.all(inFlight);
  inFlight = [];
}
await Promise.all(inFlight);
say('done');
await disk.close();

async function write(group: number): Promise<void> {
  say(`commit ${group}`);
  const { durable } = disk.commit((transaction) => {
    for (const [key, value] of groupRows(group, options)) transaction.put('rows', key, value);
  });
  say(`committed ${group}`);
  try {
    await durable;
  } catch {
    say(`failed ${group}`);
    process.exit(1);
  }
  say(`durable ${group} ${syncedLength}`);
}

function recordSyncs(): void {
  const { fdatasync } = fs;
  Object.assign(fs, {
    fdatasync(descriptor: number, callback: fs.NoParamCallback) {
      const size = endOfFrames();
      fdatasync(descriptor, (error) => {
        if (error === null) syncedLength = size;
        callback(error);
      });
    },
  });
  syncBuiltinESMExports();
}

/** The file is longer: frames of an earlier round, or zeros, follow. Neither has the salt of the log as it is now. */
function endOfFrames(): number {
  const log = fs.readFileSync(wal);
  const salt = log.subarray(16, 24);
  let end = LOG_HEAD_BYTES;
  while (end < log.length && log.subarray(end + 8, end + 16).equals(salt)) end += FRAME_BYTES;
  return end;
}
