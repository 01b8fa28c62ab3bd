/**
 * Which write a request with an idempotency key has become: its dot, remembered for as long as the request may be sent
 * again. The row is written in the transaction of the write itself and travels with the state, so whoever holds the write
 * durably knows that it was made.
 */

import type { Conflicts, State } from '#causality/state.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Digest, Disk, Log, Metrics } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import type { StoreRequest } from './messages.ts';
import { CORRUPT_ROW, type Place } from './records.ts';
import { retryKey, retryPrefix, type RetryRow } from './retry-codec.ts';
import { RetryLog, type EndedEntry } from './retry-log.ts';
import { takeOldRetries } from './retry-migration.ts';
import { settleRetry, withoutRepeat } from './settle-retries.ts';

export interface RetryLimits {
  /** Milliseconds during which a request may be sent again. */
  readonly retryWindow: number;
  /** Rows, beyond which no new request with an idempotency key is taken. */
  readonly retriesMax: number;
  /** Milliseconds between two looks for rows whose window is over. */
  readonly retryPurgeInterval: number;
}

export interface RetriesOptions {
  readonly disk: Disk;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly digest: Digest;
  readonly limits: RetryLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Called when a row is written. */
  readonly remembered: () => void;
}

/** Rows of one key that travel with its state; more do not, and count for nothing elsewhere. */
const ROWS_OF_KEY_MAX = 4096;

export class Retries {
  readonly #options: RetriesOptions;
  readonly log: RetryLog;
  readonly #purged: Counter;

  constructor(options: RetriesOptions) {
    this.#options = options;
    const { disk, log, metrics, digest, limits, now } = options;
    const damaged = metrics.counter(
      'quoral_corrupt_retries_total',
      'Entries of remembered idempotency keys whose checksum did not fit',
    );
    this.log = new RetryLog({ disk, log, digest, damaged, now, window: limits.retryWindow });
    takeOldRetries(disk, log, this.log, digest.crc32);
    this.#purged = metrics.counter('quoral_retries_purged_total', 'Idempotency rows whose window was over');
    metrics.gauge('quoral_retries', 'Requests whose idempotency key is remembered', () => this.log.count);
  }

  /** Throws {@link Refusal} `corrupt-row` when there may be a row that cannot be read: who has forgotten must not say that there is none. */
  read(place: Place, key: Uint8Array, id: Uint8Array): RetryRow | undefined {
    const row = this.log.find(retryKey(place, key, id));
    if (row === undefined && this.log.isDamaged())
      throw new Refusal(CORRUPT_ROW, 'what requests have become cannot be read any more, perhaps this one too');
    return row;
  }

  /** Takes over the rows that came with a state; gives the joined state without what they show to be a repetition. */
  merge(transaction: GroupTransaction, request: StoreRequest, joined: State, conflicts: Conflicts): State {
    const { scope, key, retries = [] } = request;
    let state = joined;
    for (const incoming of retries) {
      const name = retryKey(scope, key, incoming.id);
      const local = this.log.find(name);
      const settled = settleRetry(local ?? incoming, incoming);
      if (settled.row !== local) this.#add(transaction, name, settled.row);
      state = withoutRepeat(state, settled, conflicts);
    }
    return state;
  }

  /** All that are remembered of a key, to travel with its state. Damaged ones are left out. */
  ofKey(place: Place, key: Uint8Array): readonly RetryRow[] {
    return this.log.withPrefix(retryPrefix(place, key), ROWS_OF_KEY_MAX);
  }

  /** Writes the row of a request of which nothing is remembered. */
  add(transaction: GroupTransaction, place: Place, key: Uint8Array, retry: RetryRow): void {
    this.#add(transaction, retryKey(place, key, retry.id), retry);
  }

  #add(transaction: GroupTransaction, name: Uint8Array, row: RetryRow): void {
    transaction.afterwards(this.log.add, { name, row });
    this.#options.remembered();
  }

  /** Whether no new request with an idempotency key is to be taken. */
  full(): boolean {
    return this.log.count >= this.#options.limits.retriesMax;
  }

  /** Whether there is anything that is to be forgotten one day. */
  any(): boolean {
    return this.log.count > 0 || this.log.isDamaged();
  }

  /** To be called when what {@link RetryLog.remove} has taken away is off the disk. */
  purged(ended: readonly EndedEntry[]): void {
    const before = this.log.count;
    this.log.removed(ended);
    this.#purged.add(before - this.log.count);
  }
}
