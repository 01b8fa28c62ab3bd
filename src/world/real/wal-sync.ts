/**
 * Syncs SQLite's write-ahead log: a thread of the pool does, while the event loop goes on. (A thread that sleeps in a sync also
 * loses its processor to others: on a busy machine a loop that synced by itself waited milliseconds for its return, whatever the
 * device took.)
 *
 * Sound because a sync that starts after COMMIT has returned covers every frame of it, whichever descriptor wrote them, and
 * because recovery takes the longest whole prefix of the log. The descriptor is opened once and kept: the kernel reports a
 * lost write once to each descriptor that was open when it was lost. After an error nothing is synced again, for a second
 * attempt would succeed without having written what the first one dropped.
 */

import { closeSync, fdatasync, fstatSync, openSync } from 'node:fs';
import { assertInPlace } from './in-place.ts';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class WalSync {
  readonly #path: string;
  readonly #descriptor: number;
  #waiting: Waiter[] = [];
  #running = false;
  #error: Error | undefined;

  /** The write-ahead log, which must exist. */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, 'r+');
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
    assertInPlace(this.#path, fstatSync(this.#descriptor));
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
    fdatasync(this.#descriptor, (error) => this.#end(waiters, error ?? undefined));
  }

  #end(waiters: readonly Waiter[], error: Error | undefined): void {
    this.#running = false;
    this.#error = error;
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
    if (this.#waiting.length > 0) this.#start();
  }
}
