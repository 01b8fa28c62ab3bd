/**
 * A process that commits numbered groups of rows and says so, line by line: `opened`, `commit 7` before the commit,
 * `committed 7` after it, `durable 7 journal-0 12345` when its promise has resolved, with the file of the journal that was
 * written last and where that write ended. When the commit has failed or the promise has rejected it says `failed 7` and ends without closing its
 * disk. The tests kill it, trace it, and look at what it leaves.
 */

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { openDisk } from '#world/real/disk.ts';
import type { Log } from '#world/world.ts';
import { groupRows, replacedRow, WRITER_TABLES, type WriterOptions } from './disk-writer-rows.ts';

const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
const options = JSON.parse(process.argv[2]!) as WriterOptions;

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

/** Which file of the journal was written last, and where that write ended. */
let lastWrite = '';
recordWrites();

const disk = await openDisk({
  path: options.path,
  tables: WRITER_TABLES,
  log: silentLog,
  walBytes: options.walBytes,
  segmentBytes: options.segmentBytes,
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
  try {
    const { durable } = disk.commit((transaction) => {
      for (const [key, value] of groupRows(group, options)) transaction.put('rows', key, value);
      const replaced = replacedRow(group, options);
      if (replaced !== undefined) transaction.put('rows', ...replaced);
    });
    say(`committed ${group}`);
    await durable;
  } catch {
    say(`failed ${group}`);
    process.exit(1);
  }
  say(`durable ${group} ${lastWrite}`);
}

function recordWrites(): void {
  const { write } = fs;
  Object.assign(fs, {
    write(descriptor: number, bytes: Uint8Array, from: number, length: number, at: number, done: Written) {
      write(descriptor, bytes, from, length, at, (error, written) => {
        const name = fs.readlinkSync(`/proc/self/fd/${descriptor}`).slice(options.path.length + 1);
        if (error === null) lastWrite = `${name} ${at + written}`;
        done(error, written);
      });
    },
  });
  syncBuiltinESMExports();
}

type Written = (error: NodeJS.ErrnoException | null, written: number) => void;
