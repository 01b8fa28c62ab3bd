/** Earlier releases had a row of `retries` for each request, one of `retry_expiry` for its time, and a count of them. */

import { DiskError, type Disk, type Log } from '#world/world.ts';
import type { Checksum } from '#kernel/native.ts';
import { decodeRetry, idOfRow } from './retry-codec.ts';
import type { RetryLog } from './retry-log.ts';
import { NODE, RETRIES, RETRY_COUNT, RETRY_EXPIRY } from './tables.ts';

/** Rows in one transaction. */
const PAGE = 1000;

/**
 * Takes what an earlier release has left behind into the log. What a full disk keeps from that is told, and done at the next start; until
 * its time is over nobody says that it never was.
 */
export function takeOldRetries(disk: Disk, log: Log, retries: RetryLog, checksum: Checksum): void {
  try {
    while (takePage(disk, retries, checksum) > 0);
  } catch (error) {
    retries.groupFailed();
    if (!(error instanceof DiskError)) throw error;
    log.error('retries-not-taken', { reason: error.message });
    retries.lacks('rows of an earlier release could not be taken over');
  }
}

function takePage(disk: Disk, retries: RetryLog, checksum: Checksum): number {
  const rows = disk.range(RETRIES, { limit: PAGE });
  const entries = disk.range(RETRY_EXPIRY, { limit: PAGE });
  if (rows.length + entries.length === 0) return 0;
  disk.commit((transaction) => {
    for (const [name, bytes] of rows) {
      const row = decodeRetry(idOfRow(name), bytes, checksum);
      if (row === undefined) retries.lacks('the checksum of a row of an earlier release does not fit');
      else retries.add({ name, row });
      transaction.delete(RETRIES, name);
    }
    for (const [name] of entries) transaction.delete(RETRY_EXPIRY, name);
    transaction.delete(NODE, RETRY_COUNT);
    retries.groupEnds(transaction);
  });
  retries.groupSynced();
  return rows.length + entries.length;
}
