/**
 * Group commit: the writes that arrive while the disk is busy share one transaction and one sync.
 *
 * Each operation reads, merges and mints inside the group's transaction, so it sees the operations before it. Its own
 * writes are collected first and handed to the transaction only when it has succeeded: a bad operation fails alone. Before
 * the commit every operation may speak (`beforeCommit`): that is when a coordinator sends a minted state to the other
 * owners, so their disks and this one work at the same time.
 */

import { equalBytes } from '#kernel/bytes.ts';
import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import type { Clock, Counter, Disk, DiskTransaction, Histogram, Metrics, Span } from '#world/world.ts';
import { failureName } from '#wire/failure-name.ts';

/** What an operation may do inside the group's transaction. */
export interface GroupTransaction {
  get(table: string, key: Uint8Array): Uint8Array | undefined;
  recall(table: string, key: Uint8Array): Uint8Array | undefined;
  put(table: string, key: Uint8Array, value: Uint8Array): void;
  delete(table: string, key: Uint8Array): void;
  /** Called when this operation has succeeded, before the next one runs: what is kept in memory beside the rows. */
  afterwards(effect: () => void): void;
  /** With an argument, which costs no function for each operation. */
  afterwards<T>(effect: (argument: T) => void, argument: T): void;
}

export interface GroupOperation<T> {
  /** Runs inside the transaction; what it throws fails this operation alone. */
  run(transaction: GroupTransaction): T;
  /** Called between `run` and the commit, when the whole group has run. */
  beforeCommit?(result: T): void;
  /** Memory that the operation holds while it waits, in bytes. */
  readonly bytes: number;
  /** Whether the promise waits for stable storage, or only until reads see the write. */
  readonly durable: boolean;
  /** The step that waits for the operation, when it is traced. */
  readonly trace?: Span | undefined;
}

export interface GroupCommitOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly metrics: Metrics;
  /** Rows that belong to every group, such as the clock. */
  readonly prologue: (transaction: DiskTransaction) => void;
  /** Rows that sum up what the group's operations have done; called when all of them have run. */
  readonly epilogue: (transaction: DiskTransaction) => void;
  /** Called once before each commit, after every operation's `beforeCommit`. */
  readonly beforeCommit: () => void;
  /** Called when a group is on stable storage, before its writers learn of it. */
  readonly onSynced?: () => void;
  /** Called when a group that has begun was not committed, or perhaps not, before `onFailure`. Must not throw. */
  readonly takeBack: () => void;
  /** Called when a group was not committed, or perhaps not; a full disk may have refused it before it began. Must not throw. */
  readonly onFailure: (error: unknown) => void;
  /** Operations in one transaction, large ones aside: bounds how long the thread is held. */
  readonly groupSizeMax: number;
  /** Operations that wait, and the bytes that they hold; beyond either {@link GroupCommit.submit} rejects with {@link QueueFull}. */
  readonly queueMax: number;
  readonly queueBytesMax: number;
}

/** Of rows, read and written in one transaction: behind it only a first large operation begins. Bounds how long the thread is held. */
export const GROUP_BYTES_MAX = 4 * 1024 * 1024;
/** An operation that holds more waits apart, so that small ones do not wait for many large ones. */
const LARGE_OPERATION_BYTES = LARGE_MESSAGE_BYTES;

export class QueueFull extends Error {
  override readonly name = 'QueueFull';
}

/** Whoever waits for an operation: one of the two is called, once. */
export interface Outcome<T> {
  resolve(result: T): void;
  reject(error: unknown): void;
}

interface Waiting {
  readonly operation: GroupOperation<unknown>;
  readonly outcome: Outcome<unknown>;
  /** What the operation waits for now, when it is traced: its turn, then the sync. */
  span: Span | undefined;
  result: unknown;
  /** Whether it has run. */
  begun: boolean;
  succeeded: boolean;
  /** Whether the outcome was told. */
  told: boolean;
}

interface Write {
  readonly table: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Effect {
  readonly effect: (argument: never) => void;
  readonly argument: unknown;
}

/** One operation's own view: its writes stay here until it has succeeded. */
class Overlay implements GroupTransaction {
  readonly #under: DiskTransaction;
  /** As many as are counted are of this operation: an array that is emptied would have to grow anew for the next one. */
  readonly #writes: Write[] = [];
  #writeCount = 0;
  readonly #effects: Effect[] = [];
  #effectCount = 0;
  /** Of the values that all operations have read and written. */
  bytes = 0;

  constructor(under: DiskTransaction) {
    this.#under = under;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    const written = this.#written(table, key);
    return this.#counted(written === undefined ? this.#under.get(table, key) : written.value);
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    const written = this.#written(table, key);
    return this.#counted(written === undefined ? this.#under.recall(table, key) : written.value);
  }

  put(table: string, key: Uint8Array, value: Uint8Array): void {
    this.bytes += value.length;
    this.#writes[this.#writeCount++] = { table, key, value };
  }

  delete(table: string, key: Uint8Array): void {
    this.#writes[this.#writeCount++] = { table, key, value: undefined };
  }

  afterwards<T>(effect: (argument: T) => void, argument?: T): void {
    this.#effects[this.#effectCount++] = { effect, argument };
  }

  discard(): void {
    this.#writeCount = 0;
    this.#effectCount = 0;
  }

  #counted(value: Uint8Array | undefined): Uint8Array | undefined {
    if (value !== undefined) this.bytes += value.length;
    return value;
  }

  #written(table: string, key: Uint8Array): Write | undefined {
    for (let i = this.#writeCount - 1; i >= 0; i--) {
      const write = this.#writes[i]!;
      if (write.table === table && equalBytes(write.key, key)) return write;
    }
    return undefined;
  }

  /** Hands the operation's writes to the transaction and their marks to `written`. */
  apply(written: Set<number>): void {
    for (let i = 0; i < this.#writeCount; i++) {
      const { table, key, value } = this.#writes[i]!;
      written.add(rowMark(table, key));
      if (value === undefined) this.#under.delete(table, key);
      else this.#under.put(table, key, value);
    }
    for (let i = 0; i < this.#effectCount; i++) {
      const { effect, argument } = this.#effects[i]!;
      effect(argument as never);
    }
    this.discard();
  }
}

function isLarge({ bytes }: GroupOperation<unknown>): boolean {
  return bytes > LARGE_OPERATION_BYTES;
}

/** 30 bits that stand for a row: of two rows that share them one only waits for the sync of the other. */
function rowMark(table: string, key: Uint8Array): number {
  let hash = 0x811c9dc5 ^ table.length ^ (table.charCodeAt(0) << 8);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  return hash >>> 2;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #groupSizes: Histogram;
  readonly #refused: Counter;
  #queue: Waiting[] = [];
  #large: Waiting[] = [];
  #queueBytes = 0;
  #scheduled = false;
  /** The sync under way and the rows that it makes durable; only one group is under way at a time. */
  #sync: Promise<void> | undefined;
  #unsynced = new Set<number>();
  /** A sync that has failed: nobody knows which of what is to be read will be there after the next start. */
  #failed: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#groupSizes = options.metrics.histogram(
      'quoral_commit_group_size',
      'Operations that shared one commit',
      [1, 2, 4, 8, 16, 32, 64, 128],
    );
    const { metrics } = options;
    metrics.gauge('quoral_commit_queue_operations', 'Operations that wait for a commit', () => this.#length);
    metrics.gauge(
      'quoral_commit_queue_bytes',
      'Bytes of the operations that wait for a commit',
      () => this.#queueBytes,
    );
    this.#refused = metrics.counter(
      'quoral_commit_queue_refusals_total',
      'Operations that were refused because too many waited for the disk',
    );
  }

  /** Queues the operation; the promise settles when its group is committed (and synced, when `durable`). */
  submit<T>(operation: GroupOperation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => this.enqueue(operation, { resolve, reject }));
  }

  /** As {@link submit}, for who needs no promise. */
  enqueue<T>(operation: GroupOperation<T>, outcome: Outcome<T>): void {
    const { queueMax, queueBytesMax } = this.#options;
    if (this.#length >= queueMax || this.#queueBytes >= queueBytesMax) {
      this.#refused.add();
      const waiting = `${this.#length} operations with ${this.#queueBytes} bytes`;
      outcome.reject(new QueueFull(`${waiting} wait for the disk already`));
      return;
    }
    const span = operation.trace?.child('commit.wait', 'internal');
    const queue = isLarge(operation) ? this.#large : this.#queue;
    queue.push({ operation, outcome, span, result: undefined, succeeded: false, told: false, begun: false });
    this.#queueBytes += operation.bytes;
    this.#schedule();
  }

  /**
   * When the row was written by a group that is being synced: the end of that sync. A reader waits for it, so that what
   * was read once cannot be forgotten in a crash. After a sync that has failed it rejects, whatever the row.
   */
  synced(table: string, key: Uint8Array): Promise<void> | undefined {
    if (this.#failed !== undefined) return this.#failed;
    return this.#sync !== undefined && this.#unsynced.has(rowMark(table, key)) ? this.#sync : undefined;
  }

  /** The end of the sync that is under way; a reader of many rows waits for it as one of a row waits for {@link synced}. */
  syncing(): Promise<void> | undefined {
    return this.#failed ?? this.#sync;
  }

  /** Resolves when nothing waits any more. */
  async drain(): Promise<void> {
    while (this.#length > 0 || this.#sync !== undefined) {
      await this.submit({ run: () => undefined, bytes: 0, durable: true });
    }
  }

  get #length(): number {
    return this.#queue.length + this.#large.length;
  }

  #schedule(): void {
    if (this.#scheduled || this.#sync !== undefined || this.#length === 0) return;
    this.#scheduled = true;
    this.#options.clock.defer(() => {
      this.#scheduled = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const group = this.#next();
    let hasBegun = false;
    try {
      this.#sync = this.#options.disk.commit((transaction) => {
        hasBegun = true;
        this.#run(group, transaction);
      }).durable;
    } catch (error) {
      this.#unsynced = new Set();
      this.#fail(group, error, hasBegun);
      return;
    }
    this.#groupSizes.observe(group.length);
    for (const waiting of group) {
      const { operation, outcome, succeeded, result } = waiting;
      waiting.span?.end(succeeded ? undefined : 'failed');
      waiting.span = succeeded && operation.durable ? operation.trace?.child('disk.sync', 'internal') : undefined;
      if (!succeeded || operation.durable) continue;
      waiting.told = true;
      outcome.resolve(result);
    }
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#sync;
    } catch (error) {
      failure = { error };
      this.#failed = this.#sync;
    }
    this.#sync = undefined;
    this.#unsynced = new Set();
    if (failure !== undefined) {
      this.#fail(group, failure.error, hasBegun);
      return;
    }
    this.#options.onSynced?.();
    for (const { span, told, outcome, result } of group) {
      span?.end();
      if (!told) outcome.resolve(result);
    }
    this.#schedule();
  }

  /** Small operations, and behind them large ones, of which there is always one if any waits. */
  #next(): Waiting[] {
    const group = this.#queue.splice(0, this.#options.groupSizeMax);
    let bytes = 0;
    while (this.#large.length > 0 && bytes < GROUP_BYTES_MAX) {
      const large = this.#large.shift()!;
      bytes += large.operation.bytes;
      group.push(large);
    }
    for (const { operation } of group) this.#queueBytes -= operation.bytes;
    return group;
  }

  #run(group: Waiting[], transaction: DiskTransaction): void {
    this.#options.prologue(transaction);
    const overlay = new Overlay(transaction);
    const firstLarge = group.findIndex(({ operation }) => isLarge(operation));
    for (const [i, waiting] of group.entries()) {
      if (overlay.bytes < GROUP_BYTES_MAX || i === firstLarge) this.#runOne(waiting, overlay);
    }
    this.#putBack(group);
    this.#options.epilogue(transaction);
    for (const { succeeded, operation, result } of group) if (succeeded) operation.beforeCommit?.(result);
    this.#options.beforeCommit();
  }

  #runOne(waiting: Waiting, overlay: Overlay): void {
    const { operation, outcome } = waiting;
    waiting.begun = true;
    waiting.span?.end();
    waiting.span = operation.trace?.child('commit.write', 'internal');
    try {
      waiting.result = operation.run(overlay);
    } catch (error) {
      overlay.discard();
      waiting.told = true;
      outcome.reject(error);
      return;
    }
    overlay.apply(this.#unsynced);
    waiting.succeeded = true;
  }

  /** Takes out of the group what did not begin: it is the first of the next one. */
  #putBack(group: Waiting[]): void {
    const later = group.filter(({ begun }) => !begun);
    if (later.length === 0) return;
    group.splice(0, group.length, ...group.filter(({ begun }) => begun));
    for (const { operation } of later) this.#queueBytes += operation.bytes;
    this.#queue.unshift(...later.filter(({ operation }) => !isLarge(operation)));
    this.#large.unshift(...later.filter(({ operation }) => isLarge(operation)));
  }

  #fail(group: readonly Waiting[], error: unknown, hasBegun: boolean): void {
    if (hasBegun) this.#options.takeBack();
    this.#options.onFailure(error);
    for (const waiting of group) {
      waiting.span?.end(failureName(error));
      if (!waiting.told) waiting.outcome.reject(error);
    }
    this.#schedule();
  }
}
