/**
 * Brings hints home: when an owner can be reached again, after a start, and on a tick. Each goes through the ordinary store
 * of a replica, which only joins, so delivering twice is harmless; that is why a crash between the owner's answer and the
 * removal costs nothing. A hint is taken away only if it is still what was delivered and everybody who should have it has
 * it on stable storage.
 */

import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import type { Assessment, Reachability } from '#membership/reachability.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import type { Replica } from '#replica/replica.ts';
import { BEHIND, NOT_OWNER, STALE, type Knowledge, type Scope } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Counter, Timer, World } from '#world/world.ts';
import { joinEncoded, type Hint } from './hint.ts';
import { droppedCounter, type HintRoom } from './hint-room.ts';
import type { HintTable } from './hint-table.ts';
import { recipientsOf } from './recipients.ts';
import { ageKey, hintName, justAfter, ownerPrefix, type AgeEntry, type HintName } from './tables.ts';
import { Throttle } from './throttle.ts';

export interface HintDeliverySettings {
  /** Milliseconds between two looks at what waits. */
  readonly interval: number;
  /** Bytes a second to all owners together. */
  readonly bytesPerSecond: number;
  /** Owners that get their hints at the same time. */
  readonly targetsMax: number;
  /** Hints of one owner under way at once. */
  readonly inFlightMax: number;
  /** Milliseconds that an owner has to take one hint. */
  readonly timeout: number;
  /** Milliseconds of the first pause after a failure; each further one doubles it, up to the second. */
  readonly backoffMin: number;
  readonly backoffMax: number;
}

export interface HintDeliveryOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly peers: Pick<Reachability, 'usable' | 'onChange'>;
  readonly table: HintTable;
  readonly room: HintRoom;
  readonly replica: Pick<Replica, 'store' | 'record' | 'now'> & { readonly retries: Pick<Replica['retries'], 'ofKey'> };
  readonly knowledge: Knowledge;
  readonly self: NodeId;
  /** Whether this node may act at all: its epoch is confirmed and its disk works. */
  readonly ready: () => boolean;
  readonly settings: HintDeliverySettings;
}

/** How the delivery to one owner goes. */
interface Progress {
  running: boolean;
  /** An instant of the monotonic clock. */
  notBefore: number;
  pause: number;
}

type Delivered =
  | 'delivered'
  /** It has become another hint meanwhile, or cannot be delivered now; the others may go on. */
  | 'kept'
  /** The owner takes nothing at the moment. */
  | { readonly failed: string };

/** Refusals that say something of this one hint, or of what this node knows. */
const NO_FAULT_OF_THE_OWNER: readonly string[] = [STALE, NOT_OWNER, BEHIND, CORRUPT_ROW];

const NOT_READY_PAUSE_MS = 250;
const PAGE = 128;
const BURST_SECONDS = 0.25;

export class HintDelivery {
  readonly #options: HintDeliveryOptions;
  readonly #progress = new Map<NodeIndex, Progress>();
  readonly #throttle: Throttle;
  readonly #delivered: Counter;
  readonly #failed: Counter;
  readonly #bucketDropped: Counter;
  readonly #nothingLeft: Counter;
  /** The epoch whose dropped buckets have no hints here any more. */
  #sweptAt = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: HintDeliveryOptions) {
    this.#options = options;
    const { metrics, clock } = options.world;
    const { bytesPerSecond } = options.settings;
    this.#throttle = new Throttle(bytesPerSecond, bytesPerSecond * BURST_SECONDS, clock.monotonic());
    this.#delivered = metrics.counter('quoral_hints_delivered_total', 'Hints that reached all who should have them');
    this.#failed = metrics.counter('quoral_hints_delivery_failures_total', 'Deliveries of hints that an owner ended');
    this.#bucketDropped = droppedCounter(metrics, 'bucket-dropped');
    this.#nothingLeft = droppedCounter(metrics, 'nothing-left');
    options.peers.onChange((peer, now) => this.#assessed(peer, now));
  }

  start(): void {
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Looks for owners that can take what waits for them. */
  wake(): void {
    const { ready, table, settings, world } = this.#options;
    if (this.#stopped || !ready()) return;
    const now = world.clock.monotonic();
    for (const owner of table.figures.owners()) {
      const running = [...this.#progress.values()].filter((progress) => progress.running).length;
      if (running >= settings.targetsMax) return;
      if (table.figures.of(owner).rows === 0 || !this.#mayTake(owner)) continue;
      const progress = this.#progressOf(owner);
      if (progress.running || progress.notBefore > now) continue;
      void this.#deliverAll(owner, progress);
    }
  }

  #tick(): void {
    if (this.#stopped) return;
    const { world, settings, room, ready } = this.#options;
    // After a start what waits goes as soon as this node serves.
    const pause = ready() ? settings.interval : Math.min(settings.interval, NOT_READY_PAUSE_MS);
    this.#timer = world.clock.after(pause, () => this.#tick());
    if (!ready()) return;
    void room.make();
    void this.#discardDropped();
    this.wake();
  }

  /** What a bucket left behind when it was dropped goes whether its owner can be reached or not. */
  async #discardDropped(): Promise<void> {
    const { knowledge, table, world } = this.#options;
    if (knowledge.epoch() === this.#sweptAt) return;
    this.#sweptAt = knowledge.epoch();
    try {
      for await (const { row } of table.all()) {
        const { bucket, incarnation } = hintName(row);
        if (knowledge.bucket(bucket).incarnation <= incarnation) continue;
        const hint = table.read(row);
        if (hint !== undefined) await this.#giveUp(row, hint, this.#bucketDropped);
      }
    } catch (error) {
      world.log.error('hints-not-dropped', { reason: String(error) });
    }
  }

  #assessed(peer: NodeId, now: Assessment): void {
    if (now !== 'usable' || this.#stopped || !this.#options.ready()) return;
    const owner = this.#options.knowledge.ring().members.find(({ id }) => id === peer)?.index;
    if (owner === undefined) return;
    // It has just come back: what failed before says nothing any more.
    const progress = this.#progressOf(owner);
    progress.notBefore = 0;
    progress.pause = this.#options.settings.backoffMin;
    this.wake();
  }

  /** Somebody whom the ring does not know as reachable need not be asked; one that is gone may have successors. */
  #mayTake(owner: NodeIndex): boolean {
    const { knowledge, self, peers } = this.#options;
    const member = knowledge.ring().members.find(({ index }) => index === owner);
    if (member === undefined || member.state === 'removed' || member.id === self) return true;
    return peers.usable(member.id) || !ownsAnything(knowledge, owner);
  }

  #progressOf(owner: NodeIndex): Progress {
    let progress = this.#progress.get(owner);
    if (progress === undefined) {
      progress = { running: false, notBefore: 0, pause: this.#options.settings.backoffMin };
      this.#progress.set(owner, progress);
    }
    return progress;
  }

  async #deliverAll(owner: NodeIndex, progress: Progress): Promise<void> {
    const { world, settings, table } = this.#options;
    progress.running = true;
    const before = table.figures.of(owner).rows;
    let failure: string | undefined;
    let delivered = 0;
    try {
      ({ delivered, failure } = await this.#pass(owner));
    } catch (error) {
      failure = String(error);
      world.log.error('hints-delivery-faulty', { peer: this.#nameOf(owner), reason: failure });
    }
    progress.running = false;
    const left = table.figures.of(owner).rows;
    if (failure === undefined && delivered > 0) progress.pause = settings.backoffMin;
    const pause = failure === undefined && delivered > 0 ? 0 : progress.pause;
    progress.notBefore = world.clock.monotonic() + pause;
    if (pause > 0) progress.pause = Math.min(progress.pause * 2, settings.backoffMax);
    const fields = { peer: this.#nameOf(owner), before, delivered, left };
    if (failure !== undefined) {
      this.#failed.add();
      world.log.warn('hints-not-delivered', { ...fields, reason: failure, again: pause });
    } else if (delivered > 0) {
      world.log.info('hints-delivered', fields);
    }
    // Others may have waited for their turn, and this owner may have missed something more meanwhile.
    world.clock.after(0, () => this.wake());
    if (pause > 0) world.clock.after(pause, () => this.wake());
  }

  /** One walk over all that waits for the owner, the oldest first. */
  async #pass(owner: NodeIndex): Promise<{ delivered: number; failure: string | undefined }> {
    const { world, table, settings } = this.#options;
    const underWay = new Set<Promise<void>>();
    const result: { delivered: number; failure: string | undefined } = { delivered: 0, failure: undefined };
    for (let from = ownerPrefix(owner); ;) {
      const page = table.entries(owner, from, PAGE);
      for (const entry of page) {
        const wait = this.#throttle.take(entry.bytes, world.clock.monotonic());
        if (wait > 0) await this.#sleep(wait);
        while (underWay.size >= settings.inFlightMax) await Promise.race(underWay);
        if (result.failure !== undefined || this.#stopped) break;
        const delivery = this.#deliver(entry).then((outcome) => {
          underWay.delete(delivery);
          if (outcome === 'delivered') result.delivered++;
          else if (outcome !== 'kept') result.failure ??= outcome.failed;
        });
        underWay.add(delivery);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE || result.failure !== undefined || this.#stopped) break;
      from = justAfter(ageKey(last.row, last.sole, last.low));
    }
    await Promise.all(underWay);
    return result;
  }

  async #deliver(entry: AgeEntry): Promise<Delivered> {
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
    let state: Uint8Array | null;
    try {
      state = this.#stateOf(name, hint, bucket.conflicts);
    } catch (error) {
      if (error instanceof CorruptState || error instanceof Refusal) return this.#keptDamaged(name, error);
      throw error;
    }
    // The record that it speaks of is gone, as proven to be held by nobody any more.
    if (state === null) return this.#giveUp(entry.row, hint, this.#nothingLeft);
    const results = await Promise.all(
      recipients.to.map((owner) => this.#give(owner, recipients.scope, { key: name.key, state, origin })),
    );
    for (const result of results) if (result !== 'delivered') return result;
    if (!(await table.forget(entry.row, hint.revision))) return 'kept';
    this.#delivered.add();
    return 'delivered';
  }

  /** What to deliver: the state that was kept, and the own record where the hint speaks of it. */
  #stateOf(name: HintName, hint: Hint, conflicts: 'siblings' | 'lww'): Uint8Array | null {
    const { replica, world } = this.#options;
    const { crc32 } = world.digest;
    // A damaged state must not be sent: the receiver would take it for a fault of the connection.
    if (hint.state !== null) decodeState(hint.state, crc32);
    const record = hint.own ? (replica.record(name, name.key)?.encoded ?? null) : null;
    return joinEncoded(record, hint.state, conflicts, crc32);
  }

  async #giveUp(row: Uint8Array, hint: Hint, counter: Counter): Promise<Delivered> {
    if (await this.#options.table.forget(row, hint.revision)) counter.add();
    return 'kept';
  }

  #keptDamaged({ bucket, partition, key }: HintName, error: Error): Delivered {
    this.#options.world.log.error('hint-damaged', { bucket, partition, key, reason: error.message });
    return 'kept';
  }

  async #give(
    owner: NodeIndex,
    scope: Scope,
    what: Pick<StoreRequest, 'key' | 'state' | 'origin'>,
  ): Promise<Delivered> {
    const { world, messaging, replica, knowledge, self, settings } = this.#options;
    const deadline = world.clock.monotonic() + settings.timeout;
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

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.world.clock.after(milliseconds, resolve);
    });
  }

  #nameOf(owner: NodeIndex): string {
    return this.#options.knowledge.ring().members.find(({ index }) => index === owner)?.id ?? String(owner);
  }
}

function ownsAnything(knowledge: Knowledge, owner: NodeIndex): boolean {
  return knowledge.ring().placements.some(({ partitions }) => partitions.some(({ owners }) => owners.includes(owner)));
}
