/**
 * The Disk port in memory, with the promises of a real one and no more: a commit is visible at once, durable after a sync
 * that takes time, and lost in a crash before that (see disk-medium.ts). One sync runs at a time; commits that arrive
 * meanwhile share the next.
 */

import { assert } from '#kernel/assert.ts';
import {
  DiskError,
  type Clock,
  type Committed,
  type Disk,
  type DiskTransaction,
  type RangeOptions,
  type Random,
  type Row,
  type TableDefinition,
} from '#world/world.ts';
import type { Change, SimulatedMedium } from './disk-medium.ts';

export interface SimulatedDiskOptions {
  readonly medium: SimulatedMedium;
  readonly tables: readonly TableDefinition[];
  readonly clock: Pick<Clock, 'after'>;
  /** Draws the duration of syncs and what a crash leaves. */
  readonly random: Random;
  /** Duration of a sync, both ends included. Default 0.2 to 2. */
  readonly syncMilliseconds?: { readonly min: number; readonly max: number };
}

const SYNC_MILLISECONDS = { min: 0.2, max: 2 };

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: DiskError) => void;
}

/** Opens what the medium holds. One disk has a medium open at a time, until it is closed or crashes. */
export function openSimulatedDisk(options: SimulatedDiskOptions): SimulatedDisk {
  return new SimulatedDisk(options);
}

export class SimulatedDisk implements Disk {
  readonly #medium: SimulatedMedium;
  readonly #options: SimulatedDiskOptions;
  readonly #numbered: ReadonlySet<string>;
  #waiters: Waiter[] = [];
  #syncing = false;
  #failure: DiskError | undefined;
  #state: 'open' | 'committing' | 'closing' | 'ended' = 'open';
  #closed: (() => void) | undefined;

  constructor(options: SimulatedDiskOptions) {
    this.#options = options;
    this.#medium = options.medium;
    this.#medium.open(options.tables);
    this.#numbered = new Set(options.tables.filter(({ rows }) => rows === 'numbered').map(({ name }) => name));
  }

  /** Rows of numbered tables have eight bytes for a key. */
  assertKey(table: string, { length }: Uint8Array): void {
    assert(length === 8 || !this.#numbered.has(table), 'the key of a numbered row has eight bytes');
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    this.#assertReadable();
    this.assertKey(table, key);
    return this.#medium.table(table).get(key)?.slice();
  }

  /** Nothing is kept beside the medium. */
  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.get(table, key);
  }

  recallUpTo(table: string, key: Uint8Array, upTo: number): Uint8Array | number | undefined {
    const value = this.get(table, key);
    return value === undefined || value.length <= upTo ? value : value.length;
  }

  range(table: string, options: RangeOptions): Row[] {
    this.#assertReadable();
    const { limit, bytes: enough = Number.POSITIVE_INFINITY } = options;
    assert(Number.isSafeInteger(limit) && limit >= 0, `range limit ${limit} is a whole number from 0`);
    const rows = this.#medium.table(table).range(options);
    let bytes = 0;
    const last = rows.findIndex(([, value]) => (bytes += value.length) >= enough);
    return rows.slice(0, last < 0 ? rows.length : last + 1).map(([key, value]) => [key.slice(), value.slice()]);
  }

  commit(run: (transaction: DiskTransaction) => void): Committed {
    assert(this.#state !== 'committing', 'no commit inside a commit');
    assert(this.#state === 'open', 'the disk is open');
    if (this.#failure !== undefined && this.#failure.kind !== 'full') throw this.#failure;
    const bytesBefore = this.#medium.bytes;
    // As long as there is no space for what is there, nobody is asked what else there shall be.
    if (this.#failure !== undefined && bytesBefore > this.#medium.capacityBytes) throw this.#failure;
    const transaction = new SimulatedTransaction(this, this.#medium);
    this.#state = 'committing';
    try {
      run(transaction);
    } catch (error) {
      this.#medium.undo(transaction.changes);
      throw error;
    } finally {
      this.#state = 'open';
      transaction.end();
    }
    if (this.#medium.bytes > this.#medium.capacityBytes && this.#medium.bytes > bytesBefore) {
      this.#medium.undo(transaction.changes);
      this.#failure = new DiskError('full', 'the simulated disk is full', false);
      throw this.#failure;
    }
    this.#failure = undefined;
    this.#medium.append(transaction.changes);
    const durable = new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    // Whoever does not wait for it learns of the failure with the next commit.
    durable.catch(() => undefined);
    if (!this.#syncing) this.#startSync();
    return { durable };
  }

  failure(): DiskError | undefined {
    return this.#failure;
  }

  sizeBytes(): number {
    return this.#medium.bytes;
  }

  freeBytes(): number {
    return Math.max(0, this.#medium.capacityBytes - this.#medium.bytes);
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    if (this.#syncing) await new Promise<void>((resolve) => (this.#closed = resolve));
    this.#end();
  }

  /** The process ends here and now: promises that have not resolved never will, and the disk is not to be used again. */
  crash(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#waiters = [];
    this.#medium.crash(this.#options.random);
  }

  #startSync(): void {
    const waiters = this.#waiters;
    const commits = this.#medium.unsynced;
    this.#waiters = [];
    this.#syncing = true;
    this.#options.clock.after(this.#syncDuration(), () => {
      if (this.#state === 'ended') return;
      this.#syncing = false;
      const succeeded = this.#medium.endSync(commits);
      if (this.#hasEnded()) return;
      if (succeeded) {
        for (const waiter of waiters) waiter.resolve();
      } else {
        this.#fail(waiters);
      }
      if (this.#waiters.length > 0) this.#startSync();
      else this.#closed?.();
    });
  }

  #fail(waiters: readonly Waiter[]): void {
    const failure = new DiskError('failed', 'a sync of the simulated disk failed', true);
    this.#failure = failure;
    for (const waiter of [...waiters, ...this.#waiters]) waiter.reject(failure);
    this.#waiters = [];
  }

  /** After a failed sync the end of the process decides like a crash what is left. */
  #end(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    if (this.#failure !== undefined && this.#failure.kind !== 'full') this.#medium.crash(this.#options.random);
    else this.#medium.close();
  }

  #syncDuration(): number {
    const { min, max } = this.#options.syncMilliseconds ?? SYNC_MILLISECONDS;
    return min + ((max - min) * this.#options.random.uint32()) / 0xffff_ffff + this.#medium.extraSyncMilliseconds;
  }

  /** A test may end the process at any step. */
  #hasEnded(): boolean {
    return this.#state === 'ended';
  }

  #assertReadable(): void {
    assert(this.#state !== 'ended', 'the disk is open');
  }
}

class SimulatedTransaction implements DiskTransaction {
  readonly changes: Change[] = [];
  readonly #disk: SimulatedDisk;
  readonly #medium: SimulatedMedium;
  #ended = false;

  constructor(disk: SimulatedDisk, medium: SimulatedMedium) {
    this.#disk = disk;
    this.#medium = medium;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    return this.#disk.get(table, key);
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.get(table, key);
  }

  range(table: string, options: RangeOptions): Row[] {
    this.#assertOpen();
    return this.#disk.range(table, options);
  }

  put(table: string, key: Uint8Array, value: Uint8Array): void {
    this.#assertOpen();
    this.#disk.assertKey(table, key);
    this.changes.push(this.#medium.set(table, key.slice(), value.slice()));
  }

  delete(table: string, key: Uint8Array): void {
    this.#assertOpen();
    this.#disk.assertKey(table, key);
    this.changes.push(this.#medium.set(table, key.slice(), undefined));
  }

  end(): void {
    this.#ended = true;
  }

  #assertOpen(): void {
    assert(!this.#ended, 'the transaction is not used after its commit');
  }
}
