/**
 * When hints go home: as soon as an owner can be reached again, after a start, and on a tick; few owners at once, few hints of
 * each, at a bounded rate, and after a failure later and later.
 */

import { successor } from '#kernel/bytes.ts';
import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Assessment, Reachability } from '#membership/reachability.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Counter, Timer } from '#world/world.ts';
import { HintCourier, type HintCourierOptions, type UnderWay } from './hint-courier.ts';
import type { HintRoom } from './hint-room.ts';
import { displacedRanges } from './recipients.ts';
import { ageKey, ownerPrefix, type AgeEntry } from './tables.ts';
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

export interface HintDeliveryOptions extends Omit<HintCourierOptions, 'timeout'> {
  readonly peers: Pick<Reachability, 'usable' | 'onChange'>;
  readonly room: HintRoom;
  /** Whether this node may act at all: its epoch is confirmed and its disk works. */
  readonly ready: () => boolean;
  readonly settings: HintDeliverySettings;
}

/** How the delivery to one owner goes. */
interface Progress {
  running: boolean;
  /** An instant of the monotonic clock. */
  notBefore: number;
  /** The epoch at the last walk: while it lasts, an owner that cannot be reached has nothing that others could get. */
  walkedAt: number;
  pause: number;
}

/** What one walk over an owner's hints has come to. */
interface Pass {
  delivered: number;
  dropped: number;
  /** Those for which others than the owner are wanted who cannot be reached either. */
  elsewhere: number;
  /** Why it ended early. */
  failure: string | undefined;
}

const NOT_READY_PAUSE_MS = 250;
const PAGE = 128;
const BURST_SECONDS = 0.25;
/** With more bytes on their way to an owner the next hint waits: on a slow way all of them would be late. */
const UNDER_WAY_BYTES_MAX = 1024 * 1024;

export class HintDelivery {
  readonly #options: HintDeliveryOptions;
  readonly #progress = new Map<NodeIndex, Progress>();
  readonly #throttle: Throttle;
  readonly #courier: HintCourier;
  readonly #failed: Counter;
  #timer: Timer | undefined;
  #stopped = false;
  #spreading = false;

  constructor(options: HintDeliveryOptions) {
    this.#options = options;
    const { metrics, clock } = options.world;
    const { bytesPerSecond } = options.settings;
    this.#throttle = new Throttle(bytesPerSecond, bytesPerSecond * BURST_SECONDS, clock.monotonic());
    this.#courier = new HintCourier({ ...options, timeout: options.settings.timeout });
    this.#failed = metrics.counter('quoral_hints_delivery_failures_total', 'Deliveries of hints that an owner ended');
    options.peers.onChange((peer, now) => this.#assessed(peer, now));
  }

  start(): void {
    this.learnMembers();
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Looks for owners that can take what waits for them. */
  wake(): void {
    const { ready, table, settings, world, knowledge } = this.#options;
    if (this.#stopped || !ready()) return;
    const now = world.clock.monotonic();
    for (const owner of table.figures.owners()) {
      const running = [...this.#progress.values()].filter((progress) => progress.running).length;
      if (running >= settings.targetsMax) return;
      if (table.figures.of(owner).rows === 0) continue;
      const progress = this.#progressOf(owner);
      if (progress.running || progress.notBefore > now) continue;
      if (!this.#courier.mayTake(owner) && progress.walkedAt === knowledge.epoch()) continue;
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
    void room.make().then(() => this.#spread());
    this.wake();
  }

  /** Where only copies are in the way of the bounds, owners that are there get them too, so that they are none any more. */
  async #spread(): Promise<void> {
    const { table, room, world } = this.#options;
    if (this.#spreading) return;
    this.#spreading = true;
    try {
      for (const owner of table.figures.owners()) {
        for (const entry of this.#entries(owner, ownerPrefix(owner, true))) {
          if (this.#stopped || !(room.crowded || room.isOld(entry.low))) break;
          const wait = this.#throttle.take(entry.bytes, world.clock.monotonic());
          if (wait > 0) await this.#sleep(wait);
          await this.#courier.spread(entry);
        }
      }
    } catch (error) {
      world.log.error('hint-not-spread', { reason: String(error) });
    } finally {
      this.#spreading = false;
    }
  }

  /** So that there are figures for every member before it misses anything. */
  learnMembers(): void {
    const { knowledge, table, self } = this.#options;
    if (knowledge.epoch() === 0) return;
    for (const { id, index, state } of knowledge.ring().members)
      if (id !== self && state !== 'removed') table.figures.know(index);
  }

  #assessed(peer: NodeId, now: Assessment): void {
    if (now !== 'usable' || this.#stopped || !this.#options.ready()) return;
    const owner = presentMember(this.#options.knowledge.ring(), peer)?.index;
    if (owner === undefined) return;
    // It has just come back: what failed before says nothing any more.
    const progress = this.#progressOf(owner);
    progress.notBefore = 0;
    progress.pause = this.#options.settings.backoffMin;
    this.wake();
  }

  #progressOf(owner: NodeIndex): Progress {
    let progress = this.#progress.get(owner);
    if (progress === undefined) {
      progress = { running: false, notBefore: 0, walkedAt: -1, pause: this.#options.settings.backoffMin };
      this.#progress.set(owner, progress);
    }
    return progress;
  }

  async #deliverAll(owner: NodeIndex, progress: Progress): Promise<void> {
    const { world, settings, table, knowledge } = this.#options;
    progress.running = true;
    const epoch = knowledge.epoch();
    const before = table.figures.of(owner).rows;
    const { delivered, dropped, elsewhere, failure } = await this.#pass(owner);
    progress.running = false;
    progress.walkedAt = elsewhere > 0 || failure !== undefined ? -1 : epoch;
    const left = table.figures.of(owner).rows;
    const isLess = delivered + dropped > 0;
    if (isLess) progress.pause = settings.backoffMin;
    const pause = failure === undefined && isLess ? 0 : progress.pause;
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

  /** One walk over all that waits for the owner, the oldest first. Never rejects. */
  async #pass(owner: NodeIndex): Promise<Pass> {
    const underWay = new Set<Promise<void>>();
    const result: Pass = { delivered: 0, dropped: 0, elsewhere: 0, failure: undefined };
    try {
      await this.#walk(owner, result, underWay);
    } catch (error) {
      // The disk cannot be read.
      result.failure ??= String(error);
    }
    await Promise.all(underWay);
    return result;
  }

  async #walk(owner: NodeIndex, result: Pass, underWay: Set<Promise<void>>): Promise<void> {
    const { world, settings } = this.#options;
    const onTheWay: UnderWay = { bytes: 0 };
    const waiting = this.#courier.mayTake(owner) ? this.#entries(owner, ownerPrefix(owner)) : this.#displaced(owner);
    for (const entry of waiting) {
      const wait = this.#throttle.take(entry.bytes, world.clock.monotonic());
      if (wait > 0) await this.#sleep(wait);
      while (underWay.size >= settings.inFlightMax || onTheWay.bytes >= UNDER_WAY_BYTES_MAX)
        await Promise.race(underWay);
      if (result.failure !== undefined || this.#stopped) break;
      const before = onTheWay.bytes;
      const delivery = this.#courier.deliver(entry, onTheWay).then((outcome) => {
        underWay.delete(delivery);
        if (outcome === 'delivered') result.delivered++;
        else if (outcome === 'dropped') result.dropped++;
        else if (outcome === 'elsewhere') result.elsewhere++;
        else if (outcome !== 'kept') result.failure ??= outcome.failed;
      });
      underWay.add(delivery);
      // Of what this node has itself a hint is only a note, which says nothing of its size.
      this.#throttle.take(Math.max(0, onTheWay.bytes - before - entry.bytes), world.clock.monotonic());
    }
  }

  /**
   * What others than the owner are to get. While a ring changes, one that cannot be reached loses a few partitions with each epoch, and
   * much may wait for it in all the others: that is not looked at.
   */
  *#displaced(owner: NodeIndex): Generator<AgeEntry> {
    const { table, knowledge } = this.#options;
    for (const [from, to] of displacedRanges(knowledge.ring(), owner)) yield* table.within(from, to);
  }

  /** The owner's index entries from there on, a page at a time: those that change meanwhile may be missed or seen twice. */
  *#entries(owner: NodeIndex, from: Uint8Array): Generator<AgeEntry> {
    for (let start = from; ;) {
      const page = this.#options.table.entries(owner, start, PAGE);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      start = successor(ageKey(last.row, last.sole, last.low));
    }
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
