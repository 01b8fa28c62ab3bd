/**
 * Takes away what dropped buckets have left behind. A drop only begins a new life of the bucket's name; the rows of the
 * lives before it are out of everybody's reach from then on, and go in the background: some at a time, no faster than the
 * setting allows, between the writes of clients. Which rows they are follows from the facts and from the rows alone, so a
 * crash in between costs nothing: the next start goes on.
 */

import type { Clock, Counter, Disk, Log, Metrics } from '#world/world.ts';
import type { GroupCommit, GroupTransaction } from './group-commit.ts';
import type { Place, Records } from './records.ts';
import { recordPrefix, RECORDS, REGISTERS } from './tables.ts';

/** A bucket that was dropped at least once, and the life that it is in now. */
export interface Life {
  readonly bucket: string;
  readonly incarnation: number;
}

export interface DroppedBucketsOptions {
  readonly world: { readonly clock: Clock; readonly disk: Disk; readonly log: Log; readonly metrics: Metrics };
  readonly commits: Pick<GroupCommit, 'submit'>;
  readonly records: Pick<Records, 'drop'>;
  readonly lives: () => readonly Life[];
  /** With which n a row was written is not known any more, since the definition went with the life; this finds it. */
  readonly placeOf: (transaction: GroupTransaction, rowKey: Uint8Array) => Pick<Place, 'n' | 'partition'> | undefined;
  /** Takes away what else waits for dropped buckets at this node. */
  readonly others: () => Promise<void>;
  /** How fast rows go; a small row counts as {@link ROW_BYTES_MIN}. */
  readonly bytesPerSecond: number;
}

/** Whose rows are named alike. */
const TABLES = [RECORDS, REGISTERS] as const;

interface Page {
  readonly table: (typeof TABLES)[number];
  readonly rows: readonly (readonly [rowKey: Uint8Array, row: Uint8Array])[];
}

/** Rows in one transaction, and about as many bytes: a few milliseconds of the thread. */
const PAGE_ROWS_MAX = 64;
const PAGE_BYTES = 1024 * 1024;
/** What a page may use up of the time that the setting gives. */
const PAGE_SECONDS = 0.1;
/** Of a page about whose rows nothing is known: each may be as large as a key can be. */
const PAGE_ROWS_FIRST = 4;
/** What taking away a row costs at least. */
const ROW_BYTES_MIN = 1024;
/** Milliseconds before it is tried again on a disk that is full or has too much to do. */
const RETRY_MS = 1000;

export class DroppedBuckets {
  readonly #options: DroppedBucketsOptions;
  readonly #rows: Counter;
  /** The life of each bucket below which nothing is left. */
  readonly #emptyBelow = new Map<string, number>();
  #pageRows = PAGE_ROWS_FIRST;
  #running = false;
  #busy = false;

  constructor(options: DroppedBucketsOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#rows = metrics.counter('quoral_dropped_rows_total', 'Rows of dropped buckets that were taken away');
    metrics.gauge(
      'quoral_dropped_buckets_waiting',
      'Dropped buckets of which this node may still have rows',
      () => this.#waiting().length,
    );
  }

  start(): void {
    this.#running = true;
    this.look();
  }

  stop(): void {
    this.#running = false;
  }

  /** To be called when the facts have changed. */
  look(): void {
    if (!this.#running || this.#busy) return;
    this.#busy = true;
    void this.#work();
  }

  #waiting(): readonly Life[] {
    return this.#options.lives().filter(({ bucket, incarnation }) => (this.#emptyBelow.get(bucket) ?? 0) < incarnation);
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#options.world;
    for (let lives = this.#waiting(); this.#running && lives.length > 0; lives = this.#waiting()) {
      try {
        for (const life of lives) await this.#empty(life);
        await this.#options.others();
        if (this.#running) for (const { bucket, incarnation } of lives) this.#emptyBelow.set(bucket, incarnation);
      } catch (error) {
        log.warn('dropped-rows-delayed', { reason: String(error) });
        await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
      }
    }
    // In the same turn as the last look, so that no change of the facts is missed.
    this.#busy = false;
  }

  async #empty({ bucket, incarnation }: Life): Promise<void> {
    const { clock, log } = this.#options.world;
    let rows = 0;
    while (this.#running) {
      const page = this.#page(bucket, incarnation);
      if (page === undefined) {
        if (rows > 0) log.info('dropped-bucket-emptied', { bucket, incarnation, rows });
        await new Promise<void>((resolve) => clock.defer(resolve));
        return;
      }
      const cost = await this.#take(page);
      rows += page.rows.length;
      await new Promise<void>((resolve) => void clock.after((cost / this.#options.bytesPerSecond) * 1000, resolve));
    }
  }

  #page(bucket: string, incarnation: number): Page | undefined {
    for (const table of TABLES) {
      const range = { from: recordPrefix(bucket, 0), to: recordPrefix(bucket, incarnation), limit: this.#pageRows };
      const rows = this.#options.world.disk.range(table, range);
      const bytes = rows.reduce((sum, [, row]) => sum + row.length, 0);
      const bytesNext = Math.min(PAGE_BYTES, this.#options.bytesPerSecond * PAGE_SECONDS);
      const fitting = Math.floor(bytesNext / Math.max(ROW_BYTES_MIN, bytes / Math.max(1, rows.length)));
      this.#pageRows = Math.max(1, Math.min(PAGE_ROWS_MAX, fitting));
      if (rows.length > 0) return { table, rows };
    }
    return undefined;
  }

  /** Nobody writes rows of an earlier life, so they are what they were when the page was read. */
  async #take({ table, rows }: Page): Promise<number> {
    const { commits, records, placeOf } = this.#options;
    await commits.submit({
      run: (transaction) => {
        for (const [rowKey, row] of rows) {
          if (table === RECORDS) records.drop(transaction, rowKey, row, placeOf(transaction, rowKey));
          else transaction.delete(table, rowKey);
        }
      },
      bytes: 0,
      durable: true,
    });
    this.#rows.add(rows.length);
    return rows.reduce((sum, [, row]) => sum + Math.max(row.length, ROW_BYTES_MIN), 0);
  }
}
