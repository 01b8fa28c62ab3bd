/**
 * Fetching decided epochs from others. Heartbeats tell how far each peer is; a node that hears of a newer epoch fetches
 * it from whoever knows it.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import type { EpochLog } from './epoch-log.ts';
import type { Facts } from './facts.ts';
import { learnDecided } from './messages.ts';
import { backoff, settledBy, sleep } from './waiting.ts';

export interface LearnerOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly self: NodeId;
  /** Whom to ask besides the members that the newest epoch names. */
  readonly contacts: readonly NodeId[];
  /** Milliseconds for one call. */
  readonly callTimeout: number;
  /** Milliseconds: bounds of the random wait between attempts. */
  readonly backoffFirst: number;
  readonly backoffLongest: number;
}

/** Peers whose epochs are remembered. */
const PEERS_HEARD_MAX = 1024;

export class EpochLearner {
  readonly #options: LearnerOptions;
  /** The newest epoch that each peer has claimed to know. */
  readonly #heard = new Map<NodeId, Epoch>();
  #pull: Promise<void> | undefined;

  constructor(options: LearnerOptions) {
    this.#options = options;
  }

  /** Takes note of what a peer says it knows, and fetches that in the background if it is news. */
  hear(peer: NodeId, known: Epoch): void {
    if (known <= this.#options.log.newestEpoch) return;
    if (this.#heard.size >= PEERS_HEARD_MAX) this.#heard.clear();
    this.#heard.set(peer, known);
    void this.#pullOnce();
  }

  /** Resolves true as soon as this node knows the epoch, false when it does not by the deadline. */
  async catchUp(atLeast: Epoch, deadline: number): Promise<boolean> {
    const { world, log, backoffFirst, backoffLongest } = this.#options;
    for (let attempt = 0; log.newestEpoch < atLeast; attempt++) {
      if (world.clock.monotonic() >= deadline) return false;
      await settledBy(world.clock, this.#pullOnce(), deadline);
      if (log.newestEpoch >= atLeast) break;
      const wait = backoff(world.random, attempt, backoffFirst, backoffLongest);
      await sleep(world.clock, Math.max(0, Math.min(wait, deadline - world.clock.monotonic())));
    }
    return true;
  }

  /** Asks one peer for the given epoch and its newest. */
  async pullFrom(peer: NodeId, first: Epoch, deadline: number): Promise<void> {
    const { messaging, log } = this.#options;
    const result = await messaging.call(peer, learnDecided, first, { deadline });
    if (result.kind !== 'reply' || result.reply.epochs.length === 0) {
      this.#heard.delete(peer);
      return;
    }
    await log.install(result.reply, peer);
  }

  /** One decided epoch that others may still have, though this node has gone past it without learning it. */
  async fetchPast(number: Epoch, deadline: number): Promise<Facts | undefined> {
    const { world, messaging, log, callTimeout } = this.#options;
    for (const peer of this.#sources()) {
      const callDeadline = Math.min(deadline, world.clock.monotonic() + callTimeout);
      const result = await messaging.call(peer, learnDecided, number, { deadline: callDeadline });
      if (result.kind !== 'reply' || result.reply.origin !== log.origin) continue;
      const found = result.reply.epochs.find((facts) => facts.epoch === number);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** One pull at a time, for however many callers: it asks peer after peer until one has news. */
  #pullOnce(): Promise<void> {
    this.#pull ??= this.#pullFromAny().finally(() => {
      this.#pull = undefined;
    });
    return this.#pull;
  }

  async #pullFromAny(): Promise<void> {
    const { world, log, callTimeout } = this.#options;
    const before = log.newestEpoch;
    for (const peer of this.#sources()) {
      await this.pullFrom(peer, epoch(before + 1), world.clock.monotonic() + callTimeout);
      if (log.newestEpoch > before) return;
    }
  }

  /** Those who claim to know more, the furthest first, and then everybody else within reach. */
  #sources(): NodeId[] {
    const { log, messaging, self, contacts } = this.#options;
    const knowing = [...this.#heard.entries()].filter(([, known]) => known > log.newestEpoch);
    knowing.sort((a, b) => b[1] - a[1]);
    const members = log.newest?.ring.members.map(({ id }) => id) ?? [];
    const sources = new Set([...knowing.map(([peer]) => peer), ...members, ...contacts]);
    return [...sources].filter((peer) => peer !== self && messaging.reachable(peer));
  }
}
