/**
 * What a disk counts, for `/metrics`.
 */

import type { Counter, Histogram, Metrics } from '#world/world.ts';

const SECONDS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];

export interface DiskSizes {
  readonly bytes: () => number;
  readonly walBytes: () => number;
  readonly journalRows: () => number;
  readonly freeBytes: () => number;
  readonly cacheBytes: number;
}

export interface DiskFigures {
  readonly commits: Counter;
  readonly failures: Counter;
  readonly reads: Counter;
  /** Rows that were recalled from memory, and those that were not there. */
  readonly hits: Counter;
  readonly misses: Counter;
  readonly writtenBytes: Counter;
  readonly syncs: Histogram;
  readonly checkpoints: Histogram;
}

const UNCOUNTED: Counter = { add: () => undefined };
const UNOBSERVED: Histogram = { observe: () => undefined };

export function diskFigures(metrics: Metrics | undefined, sizes: DiskSizes): DiskFigures {
  metrics?.gauge('quoral_disk_bytes', 'Bytes that the database, its log and the journal take', sizes.bytes);
  metrics?.gauge(
    'quoral_disk_wal_bytes',
    'Bytes of the write-ahead log file, which keeps its length when it is started over',
    sizes.walBytes,
  );
  metrics?.gauge(
    'quoral_disk_journal_rows',
    'Rows that stand in the journal and not in the database yet',
    sizes.journalRows,
  );
  metrics?.gauge(
    'quoral_disk_free_bytes',
    'Bytes that the file system of the data directory has left',
    sizes.freeBytes,
  );
  metrics?.gauge('quoral_disk_cache_limit_bytes', 'Memory that the page cache may take', () => sizes.cacheBytes);
  const counter = (name: string, help: string): Counter => metrics?.counter(name, help) ?? UNCOUNTED;
  const histogram = (name: string, help: string): Histogram => metrics?.histogram(name, help, SECONDS) ?? UNOBSERVED;
  return {
    commits: counter('quoral_disk_commits_total', 'Transactions that were committed'),
    failures: counter('quoral_disk_failures_total', 'Reads, writes, commits and syncs that failed'),
    reads: counter('quoral_disk_reads_total', 'Rows and ranges that were read from the database'),
    hits: counter('quoral_row_cache_hits_total', 'Rows that were recalled from memory'),
    misses: counter('quoral_row_cache_misses_total', 'Rows that were to be recalled from memory and were not there'),
    writtenBytes: counter('quoral_disk_written_bytes_total', 'Bytes of the rows that were written'),
    syncs: histogram('quoral_disk_sync_seconds', 'Duration of synced writes to the journal'),
    checkpoints: histogram('quoral_disk_checkpoint_seconds', 'Duration of copying the log to the database file'),
  };
}
