/**
 * Makes commits durable: SQLite writes the frames of a commit to its write-ahead log, and this syncs that file afterwards.
 *
 * Sound because a sync that starts after COMMIT has returned covers every frame of it, whichever descriptor wrote them, and
 * because recovery takes the longest whole prefix of the log. The descriptor is opened once and kept: the kernel reports a
 * lost write once to each descriptor that was open when it was lost. After an error nothing is synced again, for a second
 * attempt would succeed without having written what the first one dropped.
 *
 * A device that syncs within a fraction of a millisecond is synced on the event loop, because handing the call to another
 * thread costs more processor time than the call. A slower one, or a fast one while it is busy, is synced by the thread pool.
 */

import { closeSync, fdatasync, fdatasyncSync, fstatSync, openSync, statSync } from 'node:fs';

export interface WalSyncOptions {
  /** The write-ahead log, which must exist. */
  readonly path: string;
  /** Syncs stay on the event loop while they usually take up to this long. */
  readonly onLoopSeconds: number;
  readonly observe: (seconds: number) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One outlier sends the following dozens of syncs off the loop. */
const WEIGHT_OF_LATEST = 1 / 8;
const FIRST_GUESS_SECONDS = 0.001;

export class WalSync {
  readonly #options: WalSyncOptions;
  readonly #descriptor: number;
  #waiting: Waiter[] = [];
  #running = false;
  #error: Error | undefined;
  #usualSeconds = FIRST_GUESS_SECONDS;

  constructor(options: WalSyncOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.path, 'r+');
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
    const ours = fstatSync(this.#descriptor);
    const named = statSync(this.#options.path, { throwIfNoEntry: false });
    if (named === undefined || named.ino !== ours.ino || named.dev !== ours.dev) {
      throw Object.assign(new Error('the write-ahead log was removed or replaced'), { code: 'ESTALE' });
    }
  }

  /** Waits for the running sync. Closing this descriptor drops no lock: SQLite locks the other two files, never the log. */
  async close(): Promise<void> {
    await this.sync().catch(() => undefined);
    closeSync(this.#descriptor);
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
    if (this.#usualSeconds > this.#options.onLoopSeconds) {
      fdatasync(this.#descriptor, (error) => this.#end(waiters, start, error ?? undefined));
      return;
    }
    let failure: Error | undefined;
    try {
      fdatasyncSync(this.#descriptor);
    } catch (error) {
      failure = error as Error;
    }
    this.#end(waiters, start, failure);
  }

  #end(waiters: readonly Waiter[], start: number, error: Error | undefined): void {
    this.#running = false;
    const seconds = (performance.now() - start) / 1000;
    this.#usualSeconds += (seconds - this.#usualSeconds) * WEIGHT_OF_LATEST;
    this.#options.observe(seconds);
    this.#error = error;
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
    if (this.#waiting.length > 0) this.#start();
  }
}
