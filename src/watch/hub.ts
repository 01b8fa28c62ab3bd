/**
 * Everything that is watched of one bucket at this node: it follows the logs of all members, joins what they tell, and hands
 * news to the clients that watch. Every member is followed, so a write that any of them has is told of, whoever else is lost, and a
 * change of owners needs no care: who becomes an owner is a member before. A client that has missed something catches
 * up with each node by itself, and is handed the news of that node from where the two meet.
 */

import { CorruptState } from '#causality/state-codec.ts';
import type { Conflicts } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';
import type { Clock, Log } from '#world/world.ts';
import type { Latest } from './latest.ts';
import type { KeyChange, Life, News } from './messages.ts';
import type { Place } from './places.ts';
import { StrongNews, type Settle } from './strong-news.ts';
import { Tail, type Ask } from './tail.ts';
import type { ChangeEvent, Watcher } from './watcher.ts';

export interface HubOptions {
  readonly life: Life;
  readonly clock: Clock;
  readonly log: Log;
  readonly latest: Latest;
  readonly conflicts: () => Conflicts;
  readonly ask: Ask;
  readonly renewal: number;
  /** Whether the bucket is strong now: while it holds no keys it may become so, or be so no longer. */
  readonly strong: () => boolean;
  /** What a key of it holds while it is. */
  readonly settle: Settle;
}

/** Milliseconds before a node is asked again that gave no answer to a client that catches up. */
const PAUSE_MS = 500;
/** A write that is told of late may have been made so long before the watch began, clocks' errors included. */
const EARLIER_MS = 75_000;

export class Hub {
  readonly life: Life;
  readonly #options: HubOptions;
  readonly #tails = new Map<NodeIndex, Tail>();
  readonly #watchers = new Set<Watcher>();
  /** Finds out which changes of strong keys were made. */
  readonly #strongNews: StrongNews;
  #stopped = false;

  constructor(options: HubOptions) {
    const { settle, clock, latest, log } = options;
    this.#options = options;
    this.life = options.life;
    this.#strongNews = new StrongNews({
      ...{ settle, clock },
      known: ({ key, glimpse }) => latest.has(this.#nameOf(key), glimpse),
      stopped: () => this.#stopped,
      awaited: (key) => [...this.#watchers].some((watcher) => watcher.awaits(toHex(key))),
      late: (change) => this.#tellLate(change),
      failed: (error) => log.error('change-not-settled', { bucket: this.life.bucket, reason: String(error) }),
    });
  }

  get watchers(): ReadonlySet<Watcher> {
    return this.#watchers;
  }

  /** Nobody is told of anything by it any more. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Follows these and no others. */
  setMembers(members: readonly Member[]): void {
    const wanted = new Map(members.map((member) => [member.index, member]));
    for (const [index, tail] of this.#tails) {
      if (wanted.has(index)) continue;
      tail.stop();
      this.#tails.delete(index);
      for (const watcher of this.#watchers) watcher.places.delete(index);
    }
    const { life, clock, ask, renewal } = this.#options;
    for (const member of members) {
      if (this.#tails.has(member.index)) continue;
      const tail = new Tail({
        ...{ member, life, clock, ask, renewal },
        found: (one) => {
          for (const watcher of this.#watchers) this.#begin(watcher, one);
        },
        tells: (from, start, upTo, changes) => this.#told(from, start, upTo, changes),
        lost: (of) => this.#lost(of),
      });
      this.#tails.set(member.index, tail);
    }
  }

  /** The nodes that are followed, those that have answered. */
  get known(): readonly Tail[] {
    return [...this.#tails.values()].filter(({ known }) => known);
  }

  /** One that keeps no log of changes: what only it has nobody could be told of. */
  get logless(): Member | undefined {
    return [...this.#tails.values()].find(({ logless }) => logless)?.member;
  }

  /** Resolves when every node that can be reached has answered. */
  async begun(): Promise<void> {
    await Promise.all([...this.#tails.values()].map(({ begun }) => begun));
  }

  /** The first answers for a watch that goes on from a cursor: whether all that it has missed is there still. */
  async canGoOn(watcher: Watcher): Promise<boolean> {
    const gone = await Promise.all(
      this.known.map(async (tail) => {
        const result = await this.#options.ask(tail.member, this.#question(watcher, tail));
        return result.kind === 'reply' && result.reply.gone;
      }),
    );
    return !gone.includes(true);
  }

  add(watcher: Watcher): void {
    this.#watchers.add(watcher);
    for (const tail of this.known) this.#begin(watcher, tail);
  }

  delete(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  take(news: News, from: NodeIndex): void {
    this.#tails.get(from)?.take(news);
  }

  stop(): void {
    this.#stopped = true;
    for (const tail of this.#tails.values()) tail.stop();
    this.#tails.clear();
  }

  // --- News --------------------------------------------------------------------------------------------------------

  #told(tail: Tail, from: number, upTo: number, changes: readonly KeyChange[]): Promise<void> | undefined {
    if (!this.#options.strong()) {
      this.#tell(tail, from, upTo, changes);
      return undefined;
    }
    return this.#strongNews.of(changes).then(({ told, open }) => {
      if (!this.#stopped && this.#tails.get(tail.member.index) === tail) this.#tell(tail, from, upTo, told, open);
    });
  }

  #tell(tail: Tail, from: number, upTo: number, changes: readonly KeyChange[], open: readonly KeyChange[] = []): void {
    const { index } = tail.member;
    const { told } = this.#options.latest;
    const news = changes.map((change) => this.#newsIn(change, this.#options.latest));
    for (const watcher of this.#watchers) {
      const place = watcher.places.get(index);
      if (place?.storage !== tail.storage || place.group < from) {
        // One that catches up meets this node later.
        this.#begin(watcher, tail, told);
        continue;
      }
      const { own } = watcher;
      for (const [i, change] of changes.entries()) {
        if (change.group <= place.group || !watcher.wants(change.key)) continue;
        const event = own === undefined ? news[i] : this.#newsIn(change, own);
        if (event !== undefined) watcher.add(event);
      }
      this.#leaveOpen(watcher, index, place, open);
      watcher.places.set(index, { storage: tail.storage, group: Math.max(upTo, place.group) });
    }
  }

  /** What could not be told of before. */
  #tellLate(change: KeyChange): void {
    const name = toHex(change.key);
    const news = this.#newsIn(change, this.#options.latest);
    for (const watcher of this.#watchers) {
      if (!watcher.awaits(name)) continue;
      const { own } = watcher;
      const event = own === undefined ? news : this.#newsIn(change, own);
      if (event !== undefined) watcher.add(event);
      watcher.settle(name);
    }
  }

  /** What to show of the change to somebody who knows this much. */
  #newsIn({ key, glimpse }: KeyChange, latest: Latest): ChangeEvent | undefined {
    const { conflicts, strong, log, clock } = this.#options;
    const { bucket } = this.life;
    try {
      const settlement = strong() ? 'in-order' : conflicts();
      const etag = latest.take(this.#nameOf(key), glimpse, settlement, clock.wall());
      return etag === undefined ? undefined : { key, etag };
    } catch (error) {
      if (!(error instanceof CorruptState)) throw error;
      log.error('watch-entry-damaged', { bucket, key, reason: error.message });
      return undefined;
    }
  }

  #nameOf(key: Uint8Array): string {
    return `${this.life.bucket} ${this.life.incarnation} ${toHex(key)}`;
  }

  #lost({ member, logless }: Tail): void {
    for (const watcher of this.#watchers) if (logless || watcher.places.has(member.index)) watcher.end('gone');
  }

  // --- Catching up -------------------------------------------------------------------------------------------------

  /** What was news since change `told` was not handed to the watcher. */
  #begin(watcher: Watcher, tail: Tail, told = this.#options.latest.told): void {
    if (watcher.over || !tail.known || this.#meets(watcher, tail)) return;
    const { index } = tail.member;
    if (watcher.isCatchingUp(index)) return;
    watcher.catchesUp(index, told);
    void this.#catchUp(watcher, tail);
  }

  #meets({ places }: Watcher, { member, storage, position }: Tail): boolean {
    const place = places.get(member.index);
    return place !== undefined && place.storage === storage && place.group >= position;
  }

  async #catchUp(watcher: Watcher, tail: Tail): Promise<void> {
    const { clock, ask } = this.#options;
    const { index } = tail.member;
    while (!watcher.over && !this.#stopped && this.#tails.get(index) === tail && !this.#meets(watcher, tail)) {
      if (watcher.filled) await watcher.drained();
      const result = await ask(tail.member, this.#question(watcher, tail));
      if (watcher.over) break;
      if (result.kind !== 'reply') {
        await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve));
        continue;
      }
      const { storage, gone, upTo } = result.reply;
      if (gone) {
        watcher.end('gone');
        break;
      }
      const wanted = result.reply.changes.filter(({ key }) => watcher.wants(key));
      const { told, open } = this.#options.strong() ? await this.#strongNews.of(wanted) : { told: wanted, open: [] };
      const { own } = watcher;
      for (const change of told) {
        const event = own !== undefined ? this.#newsIn(change, own) : undefined;
        if (event !== undefined) watcher.addMissed(event);
      }
      this.#leaveOpen(watcher, index, { storage, group: -1 }, open);
      watcher.places.set(index, { storage, group: upTo });
    }
    watcher.hasCaughtUp(index);
  }

  #leaveOpen(watcher: Watcher, node: NodeIndex, { storage, group }: Place, changes: readonly KeyChange[]): void {
    const { told } = this.#options.latest;
    for (const change of changes) {
      if (change.group > group && watcher.wants(change.key))
        watcher.leaveOpen(toHex(change.key), node, { storage, group: change.group }, told);
    }
  }

  #question({ places, since }: Watcher, { member }: Tail) {
    const place = places.get(member.index);
    return {
      ...this.life,
      after: place?.group ?? null,
      since: Math.max(1, since - EARLIER_MS),
      storage: place?.storage ?? '',
      follow: false,
    };
  }
}
