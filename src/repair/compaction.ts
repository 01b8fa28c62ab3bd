/**
 * Compacting the vectors of keys that live. A horizon (causality/horizon.ts) says of all dots up to a time that they are known, so
 * whoever claims one must be sure that no other dot from up to then ever turns up. It is claimed at the end of a pass of reclaiming
 * (reclaim.ts), when every member has promised to take no news from below its floor, and none keeps a hint from there. So what
 * an owner does not know of then could only come from another owner, or be made anew. Hence:
 *
 * 1. All owners know the same of what is from up to the floor. They are asked after the promises: what one of them got before its
 *    own would be lost with the horizon of another that has not got it.
 * 2. Whoever mints in the partition mints later than the floor: the clocks of those that have promised are past it, and a member that
 *    has lost its disk mints later than the floor that it took in the place of its promises (replica/floors.ts). Of members
 *    that came later the horizon says nothing, for it names the last one that there was. So that no disk is lost unseen, the
 *    members must have promised in the very epoch that the driver knows.
 *
 * Then each owner takes the horizon into the row. One that fails to gets it by repair, for a horizon is news like any other; nothing
 * depends on who has it already, and writes under way do not hold it up. Because all owners know what is within, sessions need
 * not ask for it.
 */

import { compacted, knownWithin, withHorizon } from '#causality/compact.ts';
import type { Dot } from '#causality/dot.ts';
import { horizonAt } from '#causality/horizon.ts';
import { encodeState } from '#causality/state-codec.ts';
import { EMPTY_VECTOR } from '#causality/state.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { StoredState } from '#replica/records.ts';
import { asRefusal } from '#replica/refusals.ts';
import { recordName } from '#replica/tables.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { Counter } from '#world/world.ts';
import { CompactMessage, SameKnownMessage, type CompactRequest, type Horizon } from './compaction-messages.ts';
import { ask } from './exchange.ts';
import type { ReclaimMemberOptions } from './reclaim-member.ts';
import { requireOwner, type Driven } from './reclaim-owner.ts';
import type { TreePlace } from './tree-tables.ts';

export interface CompactionOptions extends ReclaimMemberOptions {
  readonly self: NodeId;
}

/** Rows with long vectors, of one partition. */
export interface LongRows extends Driven {
  readonly rowKeys: readonly Uint8Array[];
}

type Hashed = CompactRequest['rows'][number];

export class Compaction {
  readonly #options: CompactionOptions;
  readonly #compacted: Counter;

  /** Registers the handlers. */
  constructor(options: CompactionOptions) {
    this.#options = options;
    const { messaging, ready, world } = options;
    const help = 'Rows of which this node has compacted the version vector';
    this.#compacted = world.metrics.counter('quoral_vectors_compacted_total', help);
    const whenReady = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!ready()) throw new Refusal('not-ready', 'this node does not serve yet');
      return await work().catch((error: unknown) => Promise.reject(asRefusal(error)));
    };
    messaging.handle(SameKnownMessage, (request) => whenReady(() => this.#same(request)));
    messaging.handle(CompactMessage, (request) => whenReady(() => this.#compact(request)));
  }

  /** For the driver, when all members have promised. `failed` is told of the owner that ends it. */
  async run(long: LongRows, horizon: Horizon, failed: (owner: NodeId, error: unknown) => void): Promise<void> {
    const { self } = this.#options;
    const { place, changedIn } = long;
    // This node last: as long as its rows are long it will try again.
    const order = long.owners.map(({ id }) => id).toSorted((a, b) => Number(a === self) - Number(b === self));
    const dot = horizonAt(horizon.last, horizon.time);
    let rows = long.rowKeys.map((rowKey) => ({ rowKey, hash: this.#hashOf(place, rowKey, dot) }));
    for (const step of ['same', 'compact'] as const) {
      for (const id of order) {
        if (rows.length === 0) return;
        const request = { place, changedIn, horizon, rows };
        try {
          if (step === 'compact') await this.#ask(id, CompactMessage, request, () => this.#compact(request));
          else {
            const same = await this.#ask(id, SameKnownMessage, request, () => this.#same(request));
            rows = same.flatMap((i) => rows[i] ?? []);
          }
        } catch (error) {
          failed(id, error);
          return;
        }
      }
    }
  }

  async #ask<Reply>(
    id: NodeId,
    type: MessageType<CompactRequest, Reply>,
    request: CompactRequest,
    here: () => Promise<Reply>,
  ): Promise<Reply> {
    return id === this.#options.self ? await here() : await ask(this.#options, id, type, request);
  }

  /** In a commit, so that what is answered is on stable storage. */
  async #same(request: CompactRequest): Promise<readonly number[]> {
    const { place, rows } = request;
    const horizon = horizonOf(request);
    return await this.#options.replica.commits.submit({
      run: (transaction) => {
        this.#require(request);
        return rows.flatMap((row, i) => (this.#knowsSame(place, row, horizon, transaction) ? [i] : []));
      },
      bytes: 0,
      durable: true,
    });
  }

  async #compact(request: CompactRequest): Promise<number> {
    const { place, rows } = request;
    const horizon = horizonOf(request);
    const count = await this.#options.replica.commits.submit({
      run: (transaction) => {
        this.#require(request);
        return rows.filter((row) => this.#takeHorizon(place, row, horizon, transaction)).length;
      },
      bytes: 0,
      durable: true,
    });
    this.#compacted.add(count);
    return count;
  }

  #require({ place, changedIn, horizon }: CompactRequest): void {
    const { knowledge, replica } = this.#options;
    requireOwner(knowledge, place, changedIn);
    if (replica.floors.of(place) < horizon.time) throw new Refusal('no-promise', 'this node has not promised that');
  }

  /** What came since is from beyond the horizon, so the row still knows the same within; if not, something is not as it should be. */
  #takeHorizon(place: TreePlace, row: Hashed, horizon: Dot, transaction: GroupTransaction): boolean {
    const { replica, world } = this.#options;
    if (!this.#knowsSame(place, row, horizon, transaction)) return false;
    const before = this.#read(place, row.rowKey, transaction);
    if (before === undefined) return false;
    const state = withHorizon(before.state, horizon);
    const { key, ...life } = recordName(row.rowKey);
    const encoded = encodeState(state, world.digest.crc32);
    replica.records.write(transaction, { ...place, ...life }, key, before.state, { state, encoded });
    return true;
  }

  #knowsSame(place: TreePlace, { rowKey, hash }: Hashed, horizon: Dot, transaction: GroupTransaction): boolean {
    const mine = this.#hashOf(place, rowKey, horizon, transaction);
    return mine.high === hash.high && mine.low === hash.low;
  }

  #hashOf(place: TreePlace, rowKey: Uint8Array, horizon: Dot, transaction?: GroupTransaction): Hash64 {
    const { hash } = this.#options.trees;
    const stored = this.#read(place, rowKey, transaction);
    const known = stored === undefined ? EMPTY_VECTOR : knownWithin(compacted(stored.state).vector, horizon);
    return hash.stateHash(hash.keyHash(rowKey), { vector: known, versions: [] });
  }

  /** Undefined when there is none, or a damaged one. */
  #read(place: TreePlace, rowKey: Uint8Array, transaction?: GroupTransaction): StoredState | undefined {
    const { replica, world } = this.#options;
    const { key, ...life } = recordName(rowKey);
    if (replica.damaged.has({ ...place, ...life }, key)) return undefined;
    try {
      return replica.records.read({ ...place, ...life }, key, transaction ?? world.disk);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }
}

function horizonOf({ horizon: { last, time } }: CompactRequest): Dot {
  return horizonAt(last, time);
}
