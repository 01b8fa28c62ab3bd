/**
 * Values whose time is over. That a value has expired is a function of its state and the time, so each replica takes the
 * value's bytes away by itself, in place: the dot stays, and with it the vector, the hash and the place in every join. It is
 * never deleted for that: a replica that had forgotten it would get it back from one whose clock is behind. What is left
 * is a tombstone like any other.
 */

import type { State } from '#causality/state.ts';
import { encodeState } from '#causality/state-codec.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { Replica } from '#replica/replica.ts';
import { recordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import type { Timer, World } from '#world/world.ts';
import { EXPIRING, type DeadRows, type ExpiringRow } from './dead-rows.ts';

export interface ExpiryOptions {
  readonly world: World;
  readonly replica: Replica;
  readonly dead: DeadRows;
  readonly ready: () => boolean;
}

const INTERVAL_MS = 1000;
/** Milliseconds by which clocks may differ: a reader whose clock is behind must still find the value. */
const DRIFT_MS = 1000;
const ROWS_AT_ONCE = 64;

/** The state without the values that have expired; the same state when none has. */
export function stripped(state: State, now: number): State {
  if (!state.versions.some(({ content, expiresAt }) => content !== null && expiresAt !== 0 && expiresAt <= now))
    return state;
  const versions = state.versions.map((version) =>
    version.expiresAt !== 0 && version.expiresAt <= now ? { ...version, content: null } : version,
  );
  return { vector: state.vector, versions };
}

export class Expiry {
  readonly #options: ExpiryOptions;
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.#later(INTERVAL_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(delay: number): void {
    this.#timer = this.#options.world.clock.after(delay, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { world, dead, ready } = this.#options;
    let more = false;
    try {
      const now = world.clock.wall() - DRIFT_MS;
      const rows = ready() ? dead.expired(world.disk, now, ROWS_AT_ONCE) : [];
      await Promise.all(rows.map((row) => this.#strip(row, now)));
      more = rows.length === ROWS_AT_ONCE;
    } catch (error) {
      world.log.warn('values-not-expired', { reason: String(error) });
    }
    if (!this.#stopped) this.#later(more ? 1 : INTERVAL_MS);
  }

  async #strip(row: ExpiringRow, now: number): Promise<void> {
    const { replica } = this.#options;
    try {
      await replica.commits.submit({
        run: (transaction) => this.#stripIn(transaction, row, now),
        bytes: 0,
        durable: false,
      });
    } catch (error) {
      // A damaged row is being got back, and expires then.
      if (!(error instanceof Refusal)) throw error;
    }
  }

  #stripIn(transaction: GroupTransaction, { place, rowKey, key: indexKey }: ExpiringRow, now: number): void {
    const { replica, world } = this.#options;
    const { key, ...life } = recordName(rowKey);
    const at = { ...place, ...life };
    // Of a row that has gone the entry is left.
    transaction.delete(EXPIRING, indexKey);
    const before = replica.records.read(at, key, transaction)?.state;
    if (before === undefined) return;
    const after = stripped(before, now);
    if (after === before) return;
    replica.records.write(transaction, at, key, before, {
      state: after,
      encoded: encodeState(after, world.digest.crc32),
    });
  }
}
