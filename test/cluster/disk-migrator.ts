/**
 * A process that begins to bring a database to a newer format, and stands still at the row that the arguments name, where the
 * tests kill it.
 */

import fs from 'node:fs';
import { openDisk } from '#world/real/disk.ts';
import { WRITER_TABLES } from './disk-writer-rows.ts';
import { markEachRow } from './disk-migration.ts';

const silentLog = { debug() {}, info() {}, warn() {}, error() {} };
const standsAt = Number(process.argv[3]);
let rows = 0;
const disk = await openDisk({
  path: process.argv[2]!,
  tables: WRITER_TABLES,
  log: silentLog,
  // So small that what is not committed yet goes to the log as well.
  cacheBytes: 65_536,
  migrations: markEachRow(() => {
    if (++rows < standsAt) return;
    fs.writeSync(1, 'stands\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }),
});
fs.writeSync(1, 'migrated\n');
await disk.close();
