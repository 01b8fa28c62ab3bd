/**
 * Takes one hint to those who should have it now, and removes it when they have. It goes through the ordinary store of a
 * replica, which only joins, so delivering twice is harmless; that is why a crash between the owner's answer and the removal
 * costs nothing. A hint is taken away only if it is still what was delivered and everybody has it on stable storage.
 */

import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { Conflicts } from '#causality/state.ts';
import { nodeIndex, type Epoch, type NodeId, type NodeIndex } from '#kernel/identity.ts';
import type { Reachability } from '#membership/reachability.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import type { Replica } from '#replica/replica.ts';
import { BEHIND, NOT_OWNER, STALE, type Knowledge, type Scope } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import { transferTime } from '#wire/settings.ts';
import type { Counter, World } from '#world/world.ts';
import { joinEncoded, type Hint } from './hint.ts';
import { droppedCounter } from './hint-room.ts';
import type { HintTable } from './hint-table.ts';
import { recipientsOf } from './recipients.ts';
import { hintName, type AgeEntry, type HintName } from './tables.ts';

export interface HintCourierOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly peers: Pick<Reachability, 'usable'>;
  readonly table: HintTable;
  readonly replica: Pick<Replica, 'store' | 'record' | 'now'> & { readonly retries: Pick<Replica['retries'], 'ofKey'> };
  readonly knowledge: Knowledge;
  readonly self: NodeId;
  /** Milliseconds that an owner has to take one hint, beside those for its way. */
  readonly timeout: number;
}

/** What is on its way to one owner. */
export interface UnderWay {
  /** Bytes of the states. */
  bytes: number;
}

export type Delivered =
  | 'delivered'
  /** Nobody needs it any more. */
  | 'dropped'
  /** It has become another hint meanwhile, or cannot be delivered now; the others may go on. */
  | 'kept'
  /** Somebody else than the owner that it is for should get it, and cannot now. */
  | 'elsewhere'
  /** The owner takes nothing at the moment. */
  | { readonly failed: string };

/** Refusals that say something of this one hint, or of what this node knows. */
const NO_FAULT_OF_THE_OWNER: readonly string[] = [STALE, NOT_OWNER, BEHIND, CORRUPT_ROW];

/** No member has this index. */
const NOBODY = nodeIndex(65_535);

export class HintCourier {
  readonly #options: HintCourierOptions;
  readonly #delivered: Counter;
  readonly #bucketDropped: Counter;
  readonly #nothingLeft: Counter;
  readonly #ownerLeft: Counter;

  constructor(options: HintCourierOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#delivered = metrics.counter('quoral_hints_delivered_total', 'Hints that reached all who should have them');
    this.#bucketDropped = droppedCounter(metrics, 'bucket-dropped');
    this.#nothingLeft = droppedCounter(metrics, 'nothing-left');
    this.#ownerLeft = droppedCounter(metrics, 'owner-left');
  }

  /** Whether the member can be given anything now. */
  mayTake(owner: NodeIndex): boolean {
    const { knowledge, self, peers } = this.#options;
    const member = knowledge.ring().members.find(({ index }) => index === owner);
    if (member === undefined || member.state === 'removed') return false;
    return member.id === self || peers.usable(member.id);
  }

  /**
   * Gives what may be the only copy to all owners that can be reached. When a majority of the owners has it, it is none any
   * more, and may make room if its own owner never comes back; whether that is so now. Never rejects.
   */
  async spread({ row }: AgeEntry): Promise<boolean> {
    const { table, knowledge, replica, world } = this.#options;
    const origin = replica.now();
    const hint = table.read(row);
    if (hint === undefined || !hint.sole || hint.state === null) return false;
    const { state } = hint;
    const name = hintName(row);
    const known = { epoch: knowledge.epoch(), ring: knowledge.ring(), bucket: knowledge.bucket(name.bucket) };
    // For somebody who has no place the recipients are all owners.
    const all = recipientsOf({ ...name, owner: NOBODY }, known);
    if (all.kind !== 'deliver') return false;
    try {
      decodeState(state, world.digest.crc32);
      const there = all.to.filter((owner) => this.mayTake(owner));
      const given = await Promise.all(
        there.map((owner) => this.#give(owner, all.scope, { key: name.key, state, origin }, state.length)),
      );
      if (given.filter((result) => result === 'delivered').length <= all.to.length / 2) return false;
      await table.settle(row, hint.revision);
      return true;
    } catch (error) {
      world.log.error('hint-not-spread', { reason: String(error) });
      return false;
    }
  }

  /** Never rejects. What it sends is added to `underWay` before it returns, and taken away when it has arrived or is given up. */
  async deliver(entry: AgeEntry, underWay: UnderWay): Promise<Delivered> {
    try {
      return await this.#deliver(entry, underWay);
    } catch (error) {
      return { failed: error instanceof Refusal ? error.code : String(error) };
    }
  }

  async #deliver(entry: AgeEntry, underWay: UnderWay): Promise<Delivered> {
    const { table, knowledge, replica } = this.#options;
    const origin = replica.now();
    const hint = table.read(entry.row);
    if (hint === undefined) {
      await table.drop([entry]);
      return 'kept';
    }
    const name = hintName(entry.row);
    const bucket = knowledge.bucket(name.bucket);
    const recipients = recipientsOf(name, { epoch: knowledge.epoch(), ring: knowledge.ring(), bucket });
    if (recipients.kind === 'wait') return 'kept';
    if (recipients.kind === 'discard') return this.#giveUp(entry.row, hint, this.#bucketDropped);
    const isNote = hint.own && hint.state === null && !hint.sole;
    if (isNote && this.#standsFor(recipients.to, name)) return this.#giveUp(entry.row, hint, this.#ownerLeft);
    if (!recipients.to.every((owner) => this.mayTake(owner)))
      return recipients.to.includes(name.owner) ? 'kept' : 'elsewhere';
    let state: Uint8Array | null;
    try {
      state = this.#stateOf(name, hint, bucket.conflicts);
    } catch (error) {
      if (error instanceof CorruptState || error instanceof Refusal) return this.#keptDamaged(name, error);
      throw error;
    }
    // The record that it speaks of is gone, as proven to be held by nobody any more.
    if (state === null) return this.#giveUp(entry.row, hint, this.#nothingLeft);
    const { length } = state;
    underWay.bytes += length;
    const results = await Promise.all(
      recipients.to.map((owner) =>
        this.#give(owner, recipients.scope, { key: name.key, state, origin }, underWay.bytes),
      ),
    ).finally(() => (underWay.bytes -= length));
    for (const result of results) if (result !== 'delivered') return result;
    if (!(await table.forget(entry.row, hint.revision))) return 'kept';
    this.#delivered.add();
    return 'delivered';
  }

  /**
   * Whether the member has lost its place, and this node owns the key. Whoever took the place took over what the owners had, and
   * what came later it got itself, or there is a note for it too: all that is left is for comparisons of trees.
   */
  #standsFor(owners: readonly NodeIndex[], { owner }: HintName): boolean {
    return !owners.includes(owner) && owners.includes(this.#options.knowledge.self());
  }

  /** What to deliver: the state that was kept, and the own record where the hint speaks of it. */
  #stateOf(name: HintName, hint: Hint, conflicts: Conflicts): Uint8Array | null {
    const { replica, world } = this.#options;
    const { crc32 } = world.digest;
    // A damaged state must not be sent: the receiver would take it for a fault of the connection.
    if (hint.state !== null) decodeState(hint.state, crc32);
    const record = hint.own ? (replica.record(name, name.key)?.encoded ?? null) : null;
    return joinEncoded(record, hint.state, conflicts, crc32);
  }

  async #giveUp(row: Uint8Array, hint: Hint, counter: Counter): Promise<Delivered> {
    if (!(await this.#options.table.forget(row, hint.revision))) return 'kept';
    counter.add();
    return 'dropped';
  }

  #keptDamaged({ bucket, partition, key }: HintName, error: Error): Delivered {
    this.#options.world.log.error('hint-damaged', { bucket, partition, key, reason: error.message });
    return 'kept';
  }

  /** `bytes`: so many have to arrive until it has. */
  async #give(
    owner: NodeIndex,
    scope: Scope,
    what: Pick<StoreRequest, 'key' | 'state' | 'origin'>,
    bytes: number,
  ): Promise<Delivered> {
    const { world, messaging, replica, knowledge, self, timeout } = this.#options;
    const deadline = world.clock.monotonic() + timeout + transferTime(bytes);
    const retries = replica.retries.ofKey(scope, what.key);
    const request: StoreRequest = { scope, requestId: 'hint', ...what, durable: true, retries };
    const member = knowledge.ring().members.find(({ index }) => index === owner);
    if (member === undefined) return { failed: `the ring names no member ${owner}` };
    if (member.id === self) {
      try {
        await replica.store(request, deadline);
        return 'delivered';
      } catch (error) {
        return { failed: error instanceof Refusal ? error.code : String(error) };
      }
    }
    const result = await messaging.call(member.id, StoreMessage, request, {
      deadline,
      channel: 'bulk',
      priority: 'background',
    });
    if (result.kind === 'reply') return 'delivered';
    if (result.kind !== 'refused') return { failed: `${member.id}: ${result.reason}` };
    if (result.code === STALE) await knowledge.catchUp(result.value as Epoch, deadline);
    // A row that is damaged over there, or a ring that has moved, must not stop the other hints.
    return NO_FAULT_OF_THE_OWNER.includes(result.code) ? 'kept' : { failed: `${member.id}: ${result.code}` };
  }
}
