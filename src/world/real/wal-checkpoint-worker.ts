/**
 * The thread that copies the write-ahead log into the database file: reading, writing and syncing some thousand pages takes
 * tens of milliseconds, which the event loop must not spend. It has its own connection, which never writes rows.
 */

import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { present } from '#kernel/assert.ts';
import type { CheckpointReply, CheckpointRequest, CheckpointWorkerData } from './wal-checkpoint.ts';

const port = present(parentPort, 'the port of the starting thread');
const { path } = workerData as CheckpointWorkerData;
const database = new Database(path, { fileMustExist: true });
database.pragma('synchronous = NORMAL');
database.pragma('checkpoint_fullfsync = ON');
database.pragma('wal_autocheckpoint = 0');
const checkpoint = database.prepare<[], [number, number, number]>('PRAGMA wal_checkpoint(PASSIVE)').raw();

/** A round that has copied no more than these was short, and so little came meanwhile that another one gains nothing. */
const FEW_PAGES = 128;

port.on('message', (request: CheckpointRequest) => {
  if (request.kind === 'close') {
    database.close();
    port.close();
    return;
  }
  port.postMessage(run(request.rounds));
});

/** Each round copies what was committed during the one before, so each is shorter than that; the last one leaves little. */
function run(rounds: number): CheckpointReply {
  try {
    let copied = 0;
    for (let round = 0; round < rounds; round++) {
      const before = copied;
      [, , copied] = present(checkpoint.get(), 'what a checkpoint answers');
      if (round > 0 && copied - before <= FEW_PAGES) break;
    }
    return { kind: 'done' };
  } catch (error) {
    const { message, code } = error as Error & { readonly code?: string };
    return { kind: 'error', message, code: code ?? 'unknown' };
  }
}
