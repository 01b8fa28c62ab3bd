/**
 * One client's watch: what waits for it, and where it is. What waits is bounded; a client that does not take it in time is cut and
 * goes on later from the last cursor that it was given.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Clock, Timer } from '#world/world.ts';
import { Latest } from './latest.ts';
import { isSameDisk } from './log-name.ts';
import { encodePlaces, type Place } from './places.ts';

export interface ChangeEvent {
  readonly key: Uint8Array;
  /** Of what is live; null when nothing is. */
  readonly etag: string | null;
}

export type WatchEnd =
  /** The client was too slow. */
  | 'slow-consumer'
  /** A node has let go of changes before they were told of. */
  | 'gone'
  /** The bucket was dropped. */
  | 'dropped'
  /** The client's token was revoked, or has expired. */
  | 'unauthorized'
  /** The node stops. */
  | 'stopping'
  /** It was to last no longer. */
  | 'timeout';

export type WatchPart =
  | { readonly kind: 'events'; readonly events: readonly ChangeEvent[]; readonly place: Uint8Array }
  /** Nothing has happened for a while. */
  | { readonly kind: 'alive'; readonly place: Uint8Array }
  | { readonly kind: 'end'; readonly reason: WatchEnd };

export interface WatcherOptions {
  readonly clock: Clock;
  readonly prefix: Uint8Array;
  readonly incarnation: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly places: Map<NodeIndex, Place>;
  /** Milliseconds without an event. */
  readonly heartbeat: number;
  readonly eventsMax: number;
  /** What is news for all. */
  readonly latest: Latest;
  readonly closed: (watcher: Watcher) => void;
}

/** Keys of which a watch remembers by itself what it has shown. */
const OWN_MAX = 1024;
/**
 * For how long it does so when it has begun or has caught up. Until then what is news for it may be none for those that have watched
 * for longer: a write that was logged before it began and confirmed afterwards, say.
 */
export const OWN_MS = 75_000;

export class Watcher {
  readonly since: number;
  readonly places: Map<NodeIndex, Place>;
  /** Where it was before anything was told to it. */
  readonly began: Uint8Array;
  readonly #options: WatcherOptions;
  #events: ChangeEvent[] = [];
  #end: WatchEnd | undefined;
  #closed = false;
  #wake: (() => void) | undefined;
  #timer: Timer | undefined;
  #drained: (() => void)[] = [];
  /** What it has shown, as long as it cannot go by what the others have seen. */
  #own: Latest | undefined;
  #ownUntil: number;
  /** What was news for all since then has been shown by it too, whenever it does not go by its own memory. */
  readonly #sharesFrom: number;
  /** Nodes with which it catches up. */
  readonly #catching = new Set<NodeIndex>();
  /** For each key that cannot be told of now, where its first entry is at each node. */
  readonly #open = new Map<string, Map<NodeIndex, Place>>();

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.since = options.since;
    this.places = options.places;
    this.#ownUntil = options.clock.monotonic() + OWN_MS;
    this.#sharesFrom = options.latest.told;
    this.#goByItself(this.#sharesFrom);
    this.began = this.place();
  }

  /** What it has shown by itself; undefined when it goes by what is news for all. */
  get own(): Latest | undefined {
    const now = this.#options.clock.monotonic();
    if (this.#catching.size > 0 || this.#open.size > 0) this.#ownUntil = now + OWN_MS;
    else if (now >= this.#ownUntil) this.#own = undefined;
    return this.#own;
  }

  /** It catches up with the node. What was news for all since change `told` it has not shown. */
  catchesUp(node: NodeIndex, told: number): void {
    this.#catching.add(node);
    this.#goByItself(told);
  }

  isCatchingUp(node: NodeIndex): boolean {
    return this.#catching.has(node);
  }

  hasCaughtUp(node: NodeIndex): void {
    this.#catching.delete(node);
  }

  get over(): boolean {
    return this.#closed || this.#end !== undefined;
  }

  wants(key: Uint8Array): boolean {
    const { prefix } = this.#options;
    if (key.length < prefix.length) return false;
    for (let i = 0; i < prefix.length; i++) if (key[i] !== prefix[i]) return false;
    return true;
  }

  /** Queues the event; the caller moves the place on afterwards. */
  add(event: ChangeEvent): void {
    if (this.over) return;
    if (this.#events.length >= this.#options.eventsMax) this.end('slow-consumer');
    else this.addMissed(event);
  }

  /** The same of what it has missed: whoever reads that waits while much waits here, so the bound is exceeded by a page at most. */
  addMissed(event: ChangeEvent): void {
    if (this.over) return;
    this.#events.push(event);
    this.#rouse();
  }

  /** Of the key nothing can be told now, although what comes after the entry can. What was news before change `told` it has shown. */
  leaveOpen(name: string, node: NodeIndex, place: Place, told: number): void {
    this.#goByItself(told);
    const places = this.#open.get(name) ?? new Map<NodeIndex, Place>();
    this.#open.set(name, places);
    const before = places.get(node);
    if (before === undefined || !isSameDisk(before.storage, place.storage)) places.set(node, place);
  }

  awaits(name: string): boolean {
    return !this.over && this.#open.has(name);
  }

  /** The key has been told of. */
  settle(name: string): void {
    this.#open.delete(name);
  }

  end(reason: WatchEnd): void {
    if (this.over) return;
    this.#end = reason;
    // What a slow client has not taken it gets again, from its last cursor.
    if (reason === 'slow-consumer') this.#events = [];
    this.#rouse();
    this.#drain();
  }

  /** Half of what may wait does: whoever reads more than happens should wait for {@link drained}. */
  get filled(): boolean {
    return this.#events.length * 2 >= this.#options.eventsMax;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** What to send next; to be called again when that has been sent. */
  async next(): Promise<WatchPart> {
    if (this.#events.length === 0 && this.#end === undefined && !this.#closed) await this.#something();
    const place = this.place();
    if (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#drain();
      return { kind: 'events', events, place };
    }
    if (this.#end !== undefined) return { kind: 'end', reason: this.#end };
    return { kind: 'alive', place };
  }

  /** The client is not there any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events = [];
    this.#rouse();
    this.#drain();
    this.#options.closed(this);
  }

  /** Where it is when all that waits has been sent: nowhere behind something that could not be told of. */
  place(): Uint8Array {
    const { incarnation, since } = this.#options;
    const places = new Map(this.places);
    for (const open of this.#open.values()) {
      for (const [node, { storage, group }] of open) {
        const place = places.get(node);
        if (place === undefined || !isSameDisk(place.storage, storage) || place.group < group) continue;
        places.set(node, { storage: place.storage, group: group - 1 });
      }
    }
    return encodePlaces({ incarnation, since, places });
  }

  #goByItself(to: number): void {
    this.#own ??= new Latest(OWN_MAX, { latest: this.#options.latest, from: this.#sharesFrom, to });
  }

  #something(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#options.clock.after(this.#options.heartbeat, () => this.#rouse());
    });
  }

  #rouse(): void {
    this.#timer?.cancel();
    this.#wake?.();
    this.#wake = undefined;
  }

  #drain(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }
}
