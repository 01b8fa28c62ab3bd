/**
 * The door of this room's hints: what a node does with those that it keeps for others. It takes them, tells coordinators
 * what it has of a key, brings them home and knows how many wait.
 */

import type { HybridClock } from '#causality/hybrid-clock.ts';
import { highestCounter } from '#causality/vector.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import type { Checksum } from '#kernel/native.ts';
import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Reachability } from '#membership/reachability.ts';
import type { FetchRequest } from '#replica/messages.ts';
import type { Place } from '#replica/records.ts';
import { asRefusal } from '#replica/refusals.ts';
import type { SizeLimits } from '#replica/mint.ts';
import type { Replica } from '#replica/replica.ts';
import { fenceFallback, fenceKeeper, fenceSender, type Knowledge, type Scope } from '#replica/scope.ts';
import { isOnItsWayOut } from '#ring/moving.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { joinEncoded } from './hint.ts';
import { HintDelivery, type HintDeliverySettings } from './hint-delivery.ts';
import { droppedCounter, HintRoom } from './hint-room.ts';
import { HintTable, type FoundHint } from './hint-table.ts';
import {
  HeldMessage,
  HintMessage,
  SettleMessage,
  type HeldReply,
  type HintReply,
  type HintRequest,
} from './messages.ts';
import { hintKey, hintName, type AgeEntry, type HintName } from './tables.ts';
import { HintSettler } from './hint-settler.ts';
import { InPlaceActors } from './in-place-actors.ts';
import { mintInPlace, type InPlaceRequest, type MintedInPlace } from './mint-in-place.ts';

export interface HintSettings extends HintDeliverySettings {
  /** Bytes of all hints at this node. */
  readonly bytesMax: number;
  /** Milliseconds after which a hint that is not the only copy is given up. */
  readonly ageMax: number;
}

export const DEFAULT_HINT_SETTINGS: HintSettings = {
  interval: 10_000,
  bytesPerSecond: 8 * 1024 ** 2,
  targetsMax: 2,
  inFlightMax: 32,
  timeout: 10_000,
  backoffMin: 500,
  backoffMax: 60_000,
  bytesMax: 1024 ** 3,
  ageMax: 3 * 3_600_000,
};

export interface HintsOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly peers: Reachability;
  readonly replica: Replica;
  readonly knowledge: Knowledge;
  readonly clock: HybridClock;
  readonly self: NodeId;
  readonly ready: () => boolean;
  readonly settings: HintSettings;
  /** Of one key, as at a replica. */
  readonly limits: SizeLimits;
}

const NOT_READY = 'not-ready';
/** Hints that may be looked at in one turn. */
const SCAN_MAX = 50_000;
/** Hints of dropped buckets that go in one transaction. */
const DISCARDED_AT_ONCE = 64;

export class Hints {
  readonly #options: HintsOptions;
  readonly #table: HintTable;
  readonly #room: HintRoom;
  readonly #delivery: HintDelivery;
  readonly #settler: HintSettler;
  readonly #actors = new InPlaceActors();

  /** Registers the handlers. */
  constructor(options: HintsOptions) {
    this.#options = options;
    const { world, replica, clock, settings, knowledge } = options;
    const nameOf = (owner: NodeIndex): string =>
      knowledge.ring().members.find(({ index }) => index === owner)?.id ?? String(owner);
    this.#table = new HintTable({ world, commits: replica.commits, clock, nameOf, bytesMax: settings.bytesMax });
    const { bytesMax, ageMax } = settings;
    this.#room = new HintRoom({ world, table: this.#table, nameOf, ready: options.ready, bytesMax, ageMax });
    this.#delivery = new HintDelivery({ ...options, table: this.#table, room: this.#room });
    this.#settler = new HintSettler(options);
    options.messaging.handle(HintMessage, (request, { from, deadline }) => {
      this.#checkReady();
      fenceSender(from, knowledge);
      return this.keep(request, deadline);
    });
    options.messaging.handle(HeldMessage, (request, { deadline }) => {
      this.#checkReady();
      return this.held(request, deadline);
    });
    options.messaging.handle(SettleMessage, async (hints) => {
      try {
        await Promise.all(hints.map(({ row, revision }) => this.#table.settle(row, revision)));
      } catch (error) {
        throw asRefusal(error);
      }
      return hints.length;
    });
  }
  /** Once it is known who the members are. */
  start(): void {
    this.#table.start();
    this.#delivery.start();
  }

  stop(): void {
    this.#delivery.stop();
  }

  /** To be called when the members may have changed. */
  membersChanged(): void {
    this.#delivery.learnMembers();
  }

  /** Keeps a state in an owner's place; answers when that is committed, or synced if asked. Rejects with Refusal. */
  async keep({ store, owner, sole, origin }: HintRequest, deadline: number): Promise<HintReply> {
    const { knowledge, clock, world, replica } = this.#options;
    if (store.scope.epoch > knowledge.epoch()) await knowledge.catchUp(store.scope.epoch, deadline);
    const { conflicts } = fenceKeeper(store.scope, knowledge);
    const state = checkedState(store.state, world.digest.crc32);
    clock.receive(highestCounter(state.vector));
    const hint = { state: store.state, own: false, sole, low: origin };
    const name = { ...placeOf(store.scope), owner, key: store.key };
    try {
      const operation = { bytes: store.state.length, durable: store.durable };
      const { revision } = await this.#table.write(operation, ({ transaction, put }) => {
        // Here, and not when it is queued: between the two this node may have promised to take nothing so old, or nothing at all.
        fenceKeeper(store.scope, knowledge);
        replica.floors.check(store.scope, origin);
        replica.retries.merge(transaction, store, state, conflicts);
        return put(name, hint, conflicts);
      });
      if (this.#room.crowded) void this.#room.make();
      return { durable: store.durable, revision };
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** Notes that another owner lacks what this node has in its own record of the key. Rejects as {@link keep}. */
  async note(scope: Scope, key: Uint8Array, owner: NodeIndex, origin: number): Promise<void> {
    const { conflicts } = this.#options.knowledge.bucket(scope.bucket);
    const hint = { state: null, own: true, sole: false, low: origin };
    try {
      await this.#table.store({ ...placeOf(scope), owner, key }, hint, conflicts, false);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** Hints that wait at this node: for one member, or for all together. */
  waiting(owner?: NodeIndex): number {
    return owner === undefined ? this.#table.figures.rows : this.#table.figures.of(owner).rows;
  }

  /** Whether a hint here may be the only copy of a write; true while they are not all counted, and while there may be more. */
  keepsOnlyCopies(): boolean {
    const { knowledge } = this.#options;
    if (!isOnItsWayOut(knowledge.ring(), knowledge.self())) return true;
    return !this.#table.figures.complete || this.#table.hasSole();
  }

  /** The hints of a key, the notes about the own record among them, each with the member that it waits for. */
  find(place: Place, key: Uint8Array): Promise<readonly FoundHint[]> {
    return this.#table.find(place, key);
  }

  /** Whether any hint of the bucket waits here. */
  async holdsKeys(bucket: string, incarnation: number): Promise<boolean> {
    for await (const { row } of this.#table.all()) {
      const name = hintName(row);
      if (name.bucket === bucket && name.incarnation === incarnation) return true;
    }
    return false;
  }

  /** Takes away the hints of buckets that were dropped since, also those for owners that never come back. */
  async discardDropped(): Promise<void> {
    const { knowledge, world } = this.#options;
    const dropped = droppedCounter(world.metrics, 'bucket-dropped');
    const discard = async (entries: readonly AgeEntry[]): Promise<void> => dropped.add(await this.#table.drop(entries));
    let over: AgeEntry[] = [];
    for await (const entry of this.#table.all()) {
      const { bucket, incarnation } = hintName(entry.row);
      if (knowledge.bucket(bucket).incarnation > incarnation) over.push(entry);
      if (over.length < DISCARDED_AT_ONCE) continue;
      await discard(over);
      over = [];
    }
    if (over.length > 0) await discard(over);
  }

  /**
   * The same for these places, also of the hints that were there after `since` and are gone, and in one turn, so that no
   * hint can move meanwhile; Infinity where there are none. Undefined when there are too many for that, or when they are not
   * all counted yet.
   */
  oldestSince(since: number, places: readonly Pick<Place, 'n' | 'partition'>[]): readonly number[] | undefined {
    const { figures, gone } = this.#table;
    if (!figures.complete || figures.rows > SCAN_MAX) return undefined;
    const oldest = new Map<string, number>();
    for (const { row, low } of this.#table.allNow()) {
      const { n, partition } = hintName(row);
      oldest.set(`${n}/${partition}`, Math.min(low, oldest.get(`${n}/${partition}`) ?? Infinity));
    }
    return places
      .map(({ n, partition }) => `${n}/${partition}`)
      .map((place) => Math.min(oldest.get(place) ?? Infinity, gone.oldest(place, since)));
  }

  /** The oldest operation, as a hybrid time, that waits here for each partition; by `n/partition`. */
  async oldestByPartition(): Promise<ReadonlyMap<string, number>> {
    const oldest = new Map<string, number>();
    for await (const { row, low } of this.#table.all()) {
      const name = hintName(row);
      const partition = `${name.n}/${name.partition}`;
      oldest.set(partition, Math.min(low, oldest.get(partition) ?? Infinity));
    }
    return oldest;
  }

  #checkReady(): void {
    if (!this.#options.ready()) throw new Refusal(NOT_READY, 'this node does not serve data now');
  }

  /** What waits at this node of a key, and for whom. Notes about the own record are none of it. */
  async held(request: FetchRequest, deadline: number): Promise<HeldReply> {
    const { knowledge, world, replica } = this.#options;
    const { scope, key, retryId } = request;
    if (scope.epoch > knowledge.epoch()) await knowledge.catchUp(scope.epoch, deadline);
    fenceFallback(scope, knowledge);
    const found = (await this.#table.find(placeOf(scope), key)).filter(({ hint }) => hint.state !== null);
    // Something may have been learned meanwhile.
    const { conflicts } = fenceFallback(scope, knowledge);
    const states = found.map(({ hint }) => hint.state);
    const state = states.reduce((a, b) => joinEncoded(a, b, conflicts, world.digest.crc32), null);
    const owners = found.map(({ owner }) => owner);
    if (retryId === undefined) return { state, owners };
    return { state, owners, retry: replica.retries.read(scope, key, retryId) ?? null, retriesFull: false };
  }

  /** Mints a write in the place of owners of whom none can be reached: see {@link mintInPlace}. */
  mint(request: InPlaceRequest, send: (minted: MintedInPlace) => void): Promise<MintedInPlace> {
    const { replica, knowledge, clock, world, limits } = this.#options;
    const { digest, clock: wall } = world;
    const actors = this.#actors;
    const environment = { table: this.#table, replica, actors, knowledge, clock, now: () => wall.wall(), limits };
    return mintInPlace({ ...environment, checksum: digest.crc32 }, request, send);
  }

  /** Enough owners have what a fallback was given: it need not be kept as if it were the only copy. */
  settled(fallback: NodeId, name: HintName, revision: number): void {
    this.#settler.add(fallback, { row: hintKey(name), revision });
  }
}

function checkedState(bytes: Uint8Array, checksum: Checksum): State {
  try {
    return decodeState(bytes, checksum);
  } catch (error) {
    throw error instanceof CorruptState ? new MalformedMessage(`state in handoff.hint: ${error.message}`) : error;
  }
}

function placeOf({ n, partition, bucket, incarnation }: Scope) {
  return { n, partition, bucket, incarnation };
}
