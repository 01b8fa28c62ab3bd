/**
 * Makes commits durable: SQLite writes the frames of a commit to its write-ahead log, and a thread of the pool syncs that
 * file afterwards, while the event loop goes on. (A thread that sleeps in a sync also loses its processor to others: on a
 * busy machine a loop that synced by itself waited milliseconds for its return, whatever the device took.)
 *
 * Sound because a sync that starts after COMMIT has returned covers every frame of it, whichever descriptor wrote them, and
 * because recovery takes the longest whole prefix of the log. The descriptor is opened once and kept: the kernel reports a
 * lost write once to each descriptor that was open when it was lost. After an error nothing is synced again, for a second
 * attempt would succeed without having written what the first one dropped.
 */

import { closeSync, fdatasync, fstatSync, openSync, statSync } from 'node:fs';

export interface WalSyncOptions {
  /** The write-ahead log, which must exist. */
  readonly path: string;
  readonly observe: (seconds: number) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class WalSync {
  readonly #options: WalSyncOptions;
  /** Of the log, open for writing until this is closed. */
  readonly descriptor: number;
  #waiting: Waiter[] = [];
  #running = false;
  #error: Error | undefined;

  constructor(options: WalSyncOptions) {
    this.#options = options;
    this.descriptor = openSync(options.path, 'r+');
  }

  /** Resolves when all that was committed before this call is on stable storage. Calls during one sync share the next. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#running) this.#start();
    });
  }

  /** Throws when the log's path leads to another file: what is written to ours would be lost with the descriptor. */
  assertInPlace(): void {
    const ours = fstatSync(this.descriptor);
    const named = statSync(this.#options.path, { throwIfNoEntry: false });
    if (named === undefined || named.ino !== ours.ino || named.dev !== ours.dev) {
      throw Object.assign(new Error('the write-ahead log was removed or replaced'), { code: 'ESTALE' });
    }
  }

  /** Waits for the running sync. Closing this descriptor drops no lock: SQLite locks the other two files, never the log. */
  async close(): Promise<void> {
    await this.sync().catch(() => undefined);
    closeSync(this.descriptor);
  }

  #start(): void {
    const waiters = this.#waiting;
    this.#waiting = [];
    if (this.#error !== undefined) {
      for (const waiter of waiters) waiter.reject(this.#error);
      return;
    }
    this.#running = true;
    const start = performance.now();
    fdatasync(this.descriptor, (error) => this.#end(waiters, start, error ?? undefined));
  }

  #end(waiters: readonly Waiter[], start: number, error: Error | undefined): void {
    this.#running = false;
    this.#options.observe((performance.now() - start) / 1000);
    this.#error = error;
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
    if (this.#waiting.length > 0) this.#start();
  }
}
