/**
 * What every member does for the giving up of tombstones: says whether it has them too, tells its time, promises to take
 * nothing from before a time any more, and gives them up when it is told that all others promised.
 */

import { decodeState } from '#causality/state-codec.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { ALL_PLACES } from '#replica/floors.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { Place } from '#replica/records.ts';
import { orRefusal } from '#replica/refusals.ts';
import { recordName } from '#replica/tables.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { Refusal } from '#wire/message.ts';
import { isDead } from './dead-rows.ts';
import { joinRows, type ExchangeEnvironment } from './exchange.ts';
import {
  ConfirmMessage,
  GiveUpMessage,
  PromiseMessage,
  TimeMessage,
  type ConfirmRequest,
  type GiveUpRequest,
  type PromiseReply,
  type PromiseRequest,
} from './reclaim-messages.ts';
import { requireOwner } from './reclaim-owner.ts';
import type { TreePlace } from './tree-tables.ts';

export interface ReclaimMemberOptions extends Omit<ExchangeEnvironment, 'source' | 'pace' | 'pages'> {
  readonly ready: () => boolean;
  /**
   * For each place the hybrid time of the oldest operation that waits here for others, or that has gone to them after
   * `since`; Infinity for none, undefined when that cannot be told. To be answered in one turn.
   */
  readonly waiting: (since: number, places: readonly TreePlace[]) => readonly number[] | undefined;
}

/** The refusal of a promise about times that have not come yet. */
const CLOCK_BEHIND = 'clock-behind';
/** Stands for something that is older than everything. */
const OLDEST = 1;

export class ReclaimMember {
  readonly #options: ReclaimMemberOptions;

  /** Registers the handlers. */
  constructor(options: ReclaimMemberOptions) {
    this.#options = options;
    const { messaging, ready } = options;
    const check = (): void => {
      if (!ready()) throw new Refusal('not-ready', 'this node does not serve yet');
    };
    messaging.handle(ConfirmMessage, async (request) => {
      check();
      return await this.confirm(request);
    });
    messaging.handle(TimeMessage, () => Math.max(options.replica.now(), options.replica.floors.of(ALL_PLACES)));
    messaging.handle(PromiseMessage, async (request) => {
      check();
      return await orRefusal(this.promise(request));
    });
    messaging.handle(GiveUpMessage, async (request) => {
      check();
      return await orRefusal(this.giveUp(request));
    });
  }

  async confirm({ place, changedIn, origin, rows }: ConfirmRequest): Promise<readonly number[]> {
    const { knowledge } = this.#options;
    requireOwner(knowledge, place, changedIn);
    await joinRows(this.#options, place, origin, rows);
    return rows.flatMap(([rowKey, state], i) => (this.#hasSame(place, rowKey, state) ? [i] : []));
  }

  /** The floor is on stable storage before anything is looked at: what comes later cannot be older. */
  async promise({ floor, places }: PromiseRequest): Promise<PromiseReply> {
    const { knowledge, replica, waiting } = this.#options;
    // Else nobody who has promised would take what this node writes.
    if (replica.now() <= floor)
      throw new Refusal(CLOCK_BEHIND, 'the clock of this node has not come past that time yet');
    await replica.commits.submit({
      run: (transaction) => {
        for (const place of places) replica.floors.raise(transaction, place, floor);
      },
      bytes: 0,
      durable: true,
    });
    const oldest = waiting(floor, places);
    const lows = places.map((place, i) => {
      // A new owner may not have promised that, and former ones may have what the tombstones hide.
      if (oldest === undefined || this.#moves(place)) return OLDEST;
      return oldest[i] === Infinity ? 0 : oldest[i]!;
    });
    return { lows, epoch: knowledge.epoch() };
  }

  #moves({ n, partition }: TreePlace): boolean {
    const ring = this.#options.knowledge.ring();
    return hasPlacement(ring, n) && ownersOf(ring, n, partition).move !== undefined;
  }

  async giveUp({ place, changedIn, floor, rows }: GiveUpRequest): Promise<number> {
    const { replica, knowledge } = this.#options;
    if (replica.floors.of(place) < floor) throw new Refusal('no-promise', 'this node has not promised that');
    return await replica.commits.submit({
      run: (transaction) => {
        requireOwner(knowledge, place, changedIn);
        return rows.filter(({ rowKey, hash }) => this.#remove(transaction, place, rowKey, hash)).length;
      },
      bytes: 0,
      durable: true,
    });
  }

  #remove(transaction: GroupTransaction, { n, partition }: TreePlace, rowKey: Uint8Array, wanted: Hash64): boolean {
    const { replica, trees } = this.#options;
    const { key, ...life } = recordName(rowKey);
    const place: Place = { n, partition, ...life };
    if (replica.damaged.has(place, key)) return false;
    const state = replica.records.read(place, key, transaction)?.state;
    if (state === undefined || !isDead(state)) return false;
    const hash = trees.hash.stateHash(trees.hash.keyHash(rowKey), state);
    if (hash.high !== wanted.high || hash.low !== wanted.low) return false;
    replica.records.remove(transaction, place, key, state);
    return true;
  }

  #hasSame({ n, partition }: TreePlace, rowKey: Uint8Array, encoded: Uint8Array): boolean {
    const { replica, trees, world } = this.#options;
    const { key, ...life } = recordName(rowKey);
    const keyHash = trees.hash.keyHash(rowKey);
    try {
      const mine = replica.record({ n, partition, ...life }, key)?.state;
      if (mine === undefined || !isDead(mine)) return false;
      const a = trees.hash.stateHash(keyHash, mine);
      const b = trees.hash.stateHash(keyHash, decodeState(encoded, world.digest.crc32));
      return a.high === b.high && a.low === b.low;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }
}
