/**
 * Forgets what requests have become once they can no longer be sent again: a page at a time through the group commit, and
 * idle when nothing is remembered.
 */

import type { Clock, Log, Timer } from '#world/world.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Retries } from './retries.ts';

export interface RetryPurgeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly commits: GroupCommit;
  readonly retries: Retries;
  /** False while this node's clock may be wrong: nothing is forgotten by it then. */
  readonly ready: () => boolean;
  /** Milliseconds between two looks. */
  readonly interval: number;
}

export class RetryPurge {
  readonly #options: RetryPurgeOptions;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RetryPurgeOptions) {
    this.#options = options;
    if (options.retries.any()) this.later();
  }

  /** To be called when something is remembered: looks after the interval, and again for as long as anything is left. */
  later(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const { clock, interval } = this.#options;
    this.#timer = clock.after(interval, () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { log, retries } = this.#options;
    try {
      await this.#purge();
    } catch (error) {
      log.warn('retry-purge-failed', { reason: String(error) });
    }
    this.#timer = undefined;
    if (retries.any()) this.later();
  }

  async #purge(): Promise<void> {
    const { commits, retries, ready } = this.#options;
    // What is moved to the end of the log is looked at the next time.
    const before = retries.log.next;
    while (!this.#stopped) {
      const ended = retries.log.ended(before);
      if (ended.length === 0 || !ready()) return;
      await commits.submit({ run: (transaction) => retries.log.remove(transaction, ended), bytes: 0, durable: true });
      retries.purged(ended);
    }
  }
}
