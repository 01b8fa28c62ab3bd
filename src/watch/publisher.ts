/**
 * Tells other nodes, and this one, what has changed here of the buckets that they follow. To each follower one message is under
 * way at a time; what comes meanwhile is read from the log when that one is answered, so a slow follower costs no memory. A
 * follower that does not answer is forgotten: it asks again, from where it is.
 */

import { encodeGlimpse } from '#causality/glimpse.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Change, Changes } from '#replica/changes.ts';
import { recordPrefix, RECORDS } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { judgeLogName, logName, type LogDisk } from './log-name.ts';
import {
  FollowMessage,
  NewsMessage,
  NO_LOG,
  type FollowReply,
  type FollowRequest,
  type KeyChange,
  type Life,
  type News,
} from './messages.ts';

/** Changes read for one message. */
const PAGE_CHANGES = 256;
const NEWS_TIMEOUT_MS = 5000;
/** Followers of all nodes and buckets; more are refused, and ask again. */
const FOLLOWERS_MAX = 8192;

export interface PublisherOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'digest'>;
  readonly messaging: Pick<Messaging, 'call' | 'handle'>;
  readonly changes: Changes;
  readonly self: NodeId;
  readonly log: LogDisk;
  /** Milliseconds after which a follower that has not asked again is forgotten. */
  readonly lease: number;
}

interface Follower extends Life {
  readonly node: NodeId;
  readonly prefix: Uint8Array;
  /** What it has been told of. */
  told: number;
  /** Up to where there is nothing for it beyond that. */
  scanned: number;
  until: number;
  busy: boolean;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #storage: string;
  readonly #followers = new Map<string, Follower>();
  /** Takes what this node itself follows. */
  #here: (news: News) => void = () => undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#storage = logName(options.log);
    options.messaging.handle(FollowMessage, (request, { from }) => this.follow(request, from));
    options.changes.onSynced((changes) => this.#synced(changes));
  }

  set here(take: (news: News) => void) {
    this.#here = take;
  }

  follow(request: FollowRequest, node: NodeId): FollowReply {
    const { changes, world } = this.#options;
    const storage = this.#storage;
    if (!changes.kept) throw new Refusal(NO_LOG, 'watch-log-max is 0 here');
    const failure = world.disk.failure();
    if (failure !== undefined && failure.kind !== 'full') throw new Refusal('disk-failed', failure.message);
    const from = this.#startOf(request);
    if (from === undefined || !changes.reaches(from))
      return { storage, gone: true, from: 0, upTo: 0, more: false, changes: [] };
    const prefix = recordPrefix(request.bucket, request.incarnation);
    const page = changes.read(world.disk, from, prefix, PAGE_CHANGES);
    if (request.follow) this.#take(request, node, prefix, page.upTo);
    const more = page.upTo < changes.synced;
    return { storage, gone: false, from, upTo: page.upTo, more, changes: this.#shown(page.changes, prefix) };
  }

  #startOf({ after, since, storage }: FollowRequest): number | undefined {
    const { changes, world, log } = this.#options;
    const judged = storage === '' ? 'this' : judgeLogName(log, storage);
    if (judged === 'undone') return undefined;
    if (judged === 'of another disk') return 0;
    if (after !== null) return after;
    return since === 0 ? changes.synced : changes.before(world.disk, since);
  }

  #take({ bucket, incarnation }: Life, node: NodeId, prefix: Uint8Array, told: number): void {
    const name = `${node} ${incarnation} ${bucket}`;
    if (!this.#followers.has(name) && this.#followers.size >= FOLLOWERS_MAX) {
      this.#forgetSilent();
      if (this.#followers.size >= FOLLOWERS_MAX) return;
    }
    const { clock } = this.#options.world;
    const until = clock.monotonic() + this.#options.lease;
    // One that is being told of something goes on from there; its earlier entry ends by itself.
    this.#followers.set(name, { bucket, incarnation, node, prefix, told, scanned: told, until, busy: false });
  }

  #forgetSilent(): void {
    const now = this.#options.world.clock.monotonic();
    for (const [name, { until }] of this.#followers) if (until < now) this.#followers.delete(name);
  }

  /** Most followers have seen all before this group: they are told without a look at the disk, or not at all. */
  #synced(written: () => readonly Change[]): void {
    if (this.#followers.size === 0) return;
    const changes = written();
    const { synced } = this.#options.changes;
    const now = this.#options.world.clock.monotonic();
    for (const [name, follower] of this.#followers) {
      if (follower.until < now) {
        this.#followers.delete(name);
        continue;
      }
      if (follower.busy) continue;
      if (follower.scanned < synced - 1) {
        void this.#catchUp(name, follower);
        continue;
      }
      const own = changes.filter(({ rowKey }) => beginsWith(rowKey, follower.prefix));
      if (own.length === 0) follower.scanned = synced;
      else void this.#tell(name, follower, own, synced);
    }
  }

  async #catchUp(name: string, follower: Follower): Promise<void> {
    const { changes, world } = this.#options;
    while (!follower.busy && this.#followers.get(name) === follower && follower.scanned < changes.synced) {
      if (!changes.reaches(follower.scanned)) {
        this.#followers.delete(name);
        return;
      }
      const page = changes.read(world.disk, follower.scanned, follower.prefix, PAGE_CHANGES);
      if (page.changes.length === 0) follower.scanned = page.upTo;
      else await this.#tell(name, follower, page.changes, page.upTo);
    }
  }

  async #tell(name: string, follower: Follower, own: readonly Change[], upTo: number): Promise<void> {
    const { messaging, self, world } = this.#options;
    const storage = this.#storage;
    const { bucket, incarnation, node, told: from, prefix } = follower;
    const news: News = { bucket, incarnation, storage, from, upTo, changes: this.#shown(own, prefix) };
    follower.told = upTo;
    follower.scanned = upTo;
    if (node === self) {
      this.#here(news);
      return;
    }
    follower.busy = true;
    const deadline = world.clock.monotonic() + NEWS_TIMEOUT_MS;
    const result = await messaging.call(node, NewsMessage, news, { deadline });
    follower.busy = false;
    if (result.kind !== 'reply') {
      if (this.#followers.get(name) === follower) this.#followers.delete(name);
      return;
    }
    await this.#catchUp(name, follower);
  }

  #shown(changes: readonly Change[], prefix: Uint8Array): readonly KeyChange[] {
    const shown: KeyChange[] = [];
    for (const { group, rowKey, glimpse } of changes) {
      const seen = glimpse.length > 0 ? glimpse : this.#look(rowKey);
      if (seen !== undefined) shown.push({ group, key: rowKey.subarray(prefix.length), glimpse: seen });
    }
    return shown;
  }

  /** Undefined for a record that is gone, or damaged: what it held the other owners tell. */
  #look(rowKey: Uint8Array): Uint8Array | undefined {
    const { disk, digest } = this.#options.world;
    const row = disk.get(RECORDS, rowKey);
    try {
      return row === undefined ? undefined : encodeGlimpse(decodeState(row, digest.crc32));
    } catch (error) {
      if (error instanceof CorruptState) return undefined;
      throw error;
    }
  }
}

function beginsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}
