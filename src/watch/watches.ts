/**
 * The watches of this node's clients. A bucket that is watched has a hub; it goes when nobody has watched for a while.
 */

import type { Dot } from '#causality/dot.ts';
import type { Conflicts } from '#causality/state.ts';
import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Changes } from '#replica/changes.ts';
import type { Member, Ring } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import type { CallResult, Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { Hub } from './hub.ts';
import { Latest } from './latest.ts';
import type { LogDisk } from './log-name.ts';
import { FollowMessage, NewsMessage, type FollowReply, type FollowRequest, type News } from './messages.ts';
import { decodePlaces, type Cursor, type Place } from './places.ts';
import { Publisher } from './publisher.ts';
import type { Settled } from './strong-news.ts';
import { Watcher } from './watcher.ts';

export interface WatchSettings {
  /** Milliseconds without an event after which a client is told that the watch is alive. */
  readonly heartbeat: number;
  /** Events that wait for one client. */
  readonly eventsMax: number;
  /** Milliseconds between two questions to a node that is followed. */
  readonly renewal: number;
  /** Keys of which it is remembered what was told of them last. */
  readonly keysMax: number;
  readonly logBytesMax: number;
  /** Milliseconds. */
  readonly logAgeMax: number;
}

export const DEFAULT_WATCH_SETTINGS: WatchSettings = {
  heartbeat: 15_000,
  eventsMax: 1000,
  renewal: 2000,
  keysMax: 100_000,
  logBytesMax: 64 * 1024 * 1024,
  logAgeMax: 86_400_000,
};

export interface WatchedBucket {
  readonly name: string;
  readonly incarnation: number;
  readonly conflicts: Conflicts;
  readonly strong: boolean;
}

export interface WatchesOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'digest' | 'log' | 'metrics'>;
  readonly messaging: Pick<Messaging, 'call' | 'handle'>;
  readonly changes: Changes;
  readonly self: NodeId;
  readonly log: LogDisk;
  readonly ring: () => Ring;
  readonly bucket: (name: string) => WatchedBucket;
  /** What a key of a strong bucket holds. */
  readonly settle: (bucket: string, key: Uint8Array, last: Dot) => Promise<Settled | undefined>;
  readonly settings: WatchSettings;
}

export type WatchStart =
  | { readonly kind: 'begun'; readonly watcher: Watcher }
  /** What came since the place where it was to go on is not all there any more. */
  | { readonly kind: 'gone' }
  /** This member keeps no log of changes. */
  | { readonly kind: 'no-log'; readonly node: NodeId };

/** For one question to a node. */
const ASK_TIMEOUT_MS = 2000;
/** How long a new watch waits for nodes that do not answer. */
const BEGIN_MS = 1500;
/** How long a hub without watches is kept, for those that come back. */
const IDLE_MS = 30_000;

export class Watches {
  readonly #options: WatchesOptions;
  readonly #publisher: Publisher;
  readonly #latest: Latest;
  readonly #hubs = new Map<string, Hub>();
  #stopped = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    const { world, messaging, settings } = options;
    this.#publisher = new Publisher({ ...options, lease: 3 * settings.renewal });
    this.#publisher.here = (news) => this.#take(news, options.self);
    this.#latest = new Latest(settings.keysMax);
    messaging.handle(NewsMessage, (news, { from }) => {
      this.#take(news, from);
      return null;
    });
    world.metrics.gauge('quoral_watches', 'Watches of clients of this node', () =>
      [...this.#hubs.values()].reduce((sum, { watchers }) => sum + watchers.size, 0),
    );
    world.metrics.gauge(
      'quoral_watched_buckets',
      'Buckets that this node follows for its clients',
      () => this.#hubs.size,
    );
  }

  /** A watch from now on, or from the place that an earlier one was at. */
  async watch(name: string, prefix: Uint8Array, place: Uint8Array | undefined): Promise<WatchStart> {
    const cursor = place === undefined ? undefined : decodePlaces(place);
    for (;;) {
      const bucket = this.#options.bucket(name);
      if (place !== undefined && cursor?.incarnation !== bucket.incarnation) return { kind: 'gone' };
      const hub = this.#hubOf(bucket);
      const start = await this.#begin(hub, prefix, cursor);
      if (start.kind !== 'begun') return start;
      const { watcher } = start;
      // A node that stops goes on with nothing new, and its client goes on elsewhere.
      if (this.#stopped) watcher.end('stopping');
      // Meanwhile the bucket may have been dropped, or nobody else watched it any more: then it is followed anew.
      else if (hub.stopped) continue;
      else hub.add(watcher);
      return start;
    }
  }

  async #begin(hub: Hub, prefix: Uint8Array, cursor: Cursor | undefined): Promise<WatchStart> {
    const { world, settings } = this.#options;
    await Promise.race([hub.begun(), new Promise<void>((resolve) => void world.clock.after(BEGIN_MS, resolve))]);
    const { logless } = hub;
    if (logless !== undefined) return { kind: 'no-log', node: logless.id };
    const watcher = new Watcher({
      clock: world.clock,
      prefix,
      incarnation: hub.life.incarnation,
      since: cursor?.since ?? world.clock.wall(),
      places: new Map<NodeIndex, Place>(cursor?.places ?? placesOf(hub)),
      heartbeat: settings.heartbeat,
      eventsMax: settings.eventsMax,
      latest: this.#latest,
      closed: (one) => this.#closed(hub, one),
    });
    const goesOn = cursor === undefined || (await hub.canGoOn(watcher));
    return goesOn ? { kind: 'begun', watcher } : { kind: 'gone' };
  }

  /** To be called when the facts have changed. */
  factsChanged(): void {
    for (const [name, hub] of this.#hubs) {
      hub.setMembers(this.#members());
      const { bucket, incarnation } = hub.life;
      if (this.#options.bucket(bucket).incarnation === incarnation) continue;
      for (const watcher of hub.watchers) watcher.end('dropped');
      hub.stop();
      this.#hubs.delete(name);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const hub of this.#hubs.values()) {
      for (const watcher of hub.watchers) watcher.end('stopping');
      hub.stop();
    }
    this.#hubs.clear();
  }

  #members(): readonly Member[] {
    return this.#options.ring().members.filter(({ state }) => state !== 'removed' && state !== 'joining');
  }

  #hubOf({ name, incarnation }: WatchedBucket): Hub {
    const key = `${incarnation} ${name}`;
    const known = this.#hubs.get(key);
    if (known !== undefined) return known;
    const { world, bucket, settings, settle } = this.#options;
    const hub = new Hub({
      life: { bucket: name, incarnation },
      clock: world.clock,
      log: world.log,
      latest: this.#latest,
      conflicts: () => bucket(name).conflicts,
      ask: (member, request) => this.#ask(member, request),
      renewal: settings.renewal,
      strong: () => bucket(name).strong,
      settle: (key, last) => settle(name, key, last),
    });
    if (this.#stopped) return hub;
    this.#hubs.set(key, hub);
    hub.setMembers(this.#members());
    return hub;
  }

  #closed(hub: Hub, watcher: Watcher): void {
    hub.delete(watcher);
    if (hub.watchers.size > 0) return;
    this.#options.world.clock.after(IDLE_MS, () => {
      const key = `${hub.life.incarnation} ${hub.life.bucket}`;
      if (hub.watchers.size > 0 || this.#hubs.get(key) !== hub) return;
      hub.stop();
      this.#hubs.delete(key);
    });
  }

  async #ask({ id }: Member, request: FollowRequest): Promise<CallResult<FollowReply>> {
    const { messaging, self, world } = this.#options;
    if (this.#stopped) return { kind: 'not-sent', reason: 'unreachable' };
    const deadline = world.clock.monotonic() + ASK_TIMEOUT_MS;
    if (id !== self) return messaging.call(id, FollowMessage, request, { deadline });
    try {
      return { kind: 'reply', reply: this.#publisher.follow(request, self) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { kind: 'refused', code: error.code, detail: error.message, value: error.value };
    }
  }

  #take(news: News, from: NodeId): void {
    const hub = this.#hubs.get(`${news.incarnation} ${news.bucket}`);
    const member = hub === undefined ? undefined : this.#members().find(({ id }) => id === from);
    if (member !== undefined) hub!.take(news, member.index);
  }
}

function placesOf(hub: Hub): readonly (readonly [NodeIndex, Place])[] {
  return hub.known.map(({ member, storage, position }) => [member.index, { storage, group: position }]);
}
