/**
 * Which write a request with an idempotency key has become: its dot, remembered for as long as the request may be sent
 * again. The row is written in the transaction of the write itself and travels with the state, so whoever holds the write
 * durably knows that it was made.
 *
 * `retries` has them by key of the data and request, `retry_expiry` what they are called by the time at which they may go.
 */

import type { Conflicts, State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Digest, Disk, Log, Metrics, Row } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import type { StoreRequest } from './messages.ts';
import { CORRUPT_ROW, type Place } from './records.ts';
import {
  decodeRetry,
  encodeRetry,
  idOfRow,
  namesOf,
  retryKey,
  retryPrefix,
  timeKey,
  timeOfExpiry,
  type RetryRow,
} from './retry-codec.ts';
import { settleRetry, withoutRepeat } from './settle-retries.ts';
import { RetryBook } from './retry-book.ts';
import { RETRIES, RETRY_EXPIRY } from './tables.ts';

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
  /** Called when a row is written. */
  readonly remembered: () => void;
}

/** A row stays so much longer than its window, for the clocks of the nodes differ. */
const CLOCK_SLACK_MS = 60_000;
/** Rows of one key that travel with its state; more do not, and count for nothing elsewhere. */
const ROWS_OF_KEY_MAX = 4096;

export class Retries {
  readonly #options: RetriesOptions;
  readonly book: RetryBook;
  readonly #damaged: Counter;
  readonly #purged: Counter;

  constructor(options: RetriesOptions) {
    this.#options = options;
    this.book = new RetryBook(options.disk);
    const { metrics } = options;
    this.#damaged = metrics.counter('quoral_corrupt_retries_total', 'Idempotency rows whose checksum did not fit');
    this.#purged = metrics.counter('quoral_retries_purged_total', 'Idempotency rows whose window was over');
    metrics.gauge('quoral_retries', 'Requests whose idempotency key is remembered', () => this.book.count);
  }

  /** Throws {@link Refusal} `corrupt-row` for a row that cannot be read: who has forgotten must not say that there is none. */
  read(place: Place, key: Uint8Array, id: Uint8Array, from: GroupTransaction | Disk): RetryRow | undefined {
    const row = this.#find(place, key, id, from);
    if (row === 'damaged') throw new Refusal(CORRUPT_ROW, 'what the request has become cannot be read any more');
    return row;
  }

  /** Takes over the rows that came with a state; gives the joined state without what they show to be a repetition. */
  merge(transaction: GroupTransaction, request: StoreRequest, joined: State, conflicts: Conflicts): State {
    const { scope, key, retries = [] } = request;
    let state = joined;
    for (const incoming of retries) {
      const local = this.#find(scope, key, incoming.id, transaction);
      const settled = settleRetry(local === undefined || local === 'damaged' ? incoming : local, incoming);
      if (settled.row !== local) this.#put(transaction, retryKey(scope, key, incoming.id), settled.row, local);
      state = withoutRepeat(state, settled, conflicts);
    }
    return state;
  }

  /** All that are remembered of a key, to travel with its state. Damaged ones are left out. */
  ofKey(place: Place, key: Uint8Array): readonly RetryRow[] {
    const { disk } = this.#options;
    const prefix = retryPrefix(place, key);
    const to = retryKey(place, key, PAST_EVERY_ID);
    return disk.range(RETRIES, { from: prefix, to, limit: ROWS_OF_KEY_MAX }).flatMap(([name, row]) => {
      const retry = this.#decode(idOfRow(name), row);
      return retry === 'damaged' ? [] : [retry];
    });
  }

  /** Writes the row of a request of which nothing is remembered. */
  add(transaction: GroupTransaction, place: Place, key: Uint8Array, retry: RetryRow): void {
    this.#put(transaction, retryKey(place, key, retry.id), retry, undefined);
  }

  #put(
    transaction: GroupTransaction,
    name: Uint8Array,
    retry: RetryRow,
    before: RetryRow | 'damaged' | undefined,
  ): void {
    if (before === undefined) transaction.afterwards(this.book.add, 1);
    transaction.put(RETRIES, name, encodeRetry(retry, this.#options.digest.crc32));
    transaction.afterwards(this.book.remember, { name, until: retry.until });
    this.#options.remembered();
  }

  /** Whether no new request with an idempotency key is to be taken. */
  full(): boolean {
    return this.book.count >= this.#options.limits.retriesMax;
  }

  any(): boolean {
    return this.book.count > 0;
  }

  /** At most `limit` entries whose time is over. */
  expired(now: number, limit: number): readonly Row[] {
    const to = timeKey(Math.max(0, now - CLOCK_SLACK_MS));
    return this.#options.disk.range(RETRY_EXPIRY, { to, limit });
  }

  /** Forgets what {@link expired} has given, without the rows that were written anew meanwhile: another entry names those. */
  purge(transaction: GroupTransaction, expired: readonly Row[]): void {
    let gone = 0;
    for (const [entry, names] of expired) {
      const until = timeOfExpiry(entry);
      for (const name of namesOf(entry, names)) {
        const row = transaction.get(RETRIES, name);
        const retry = row === undefined ? undefined : this.#decode(idOfRow(name), row);
        if (retry === undefined || (retry !== 'damaged' && retry.until > until)) continue;
        transaction.delete(RETRIES, name);
        gone += 1;
      }
      transaction.delete(RETRY_EXPIRY, entry);
    }
    if (gone === 0) return;
    transaction.afterwards(this.book.add, -gone);
    this.#purged.add(gone);
  }

  #find(
    place: Place,
    key: Uint8Array,
    id: Uint8Array,
    from: GroupTransaction | Disk,
  ): RetryRow | 'damaged' | undefined {
    const row = from.get(RETRIES, retryKey(place, key, id));
    return row === undefined ? undefined : this.#decode(id, row);
  }

  #decode(id: Uint8Array, row: Uint8Array): RetryRow | 'damaged' {
    const retry = decodeRetry(id, row, this.#options.digest.crc32);
    if (retry !== undefined) return retry;
    this.#damaged.add();
    this.#options.log.error('corrupt-retry', { id: toHex(id) });
    return 'damaged';
  }
}

/** Longer than any id, so later than all of them. */
const PAST_EVERY_ID = new Uint8Array(17).fill(0xff);
