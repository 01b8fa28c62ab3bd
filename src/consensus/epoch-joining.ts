/**
 * A node that wants to become a member: it finds the cluster through its seeds, learns the newest facts, and then makes itself
 * known to all members again and again, until an epoch names it.
 *
 * It learns nothing before a seed has taken it for somebody who may join: a disk that holds the facts of a cluster belongs to
 * that cluster for ever.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Timer, World } from '#world/world.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import { introduce } from './messages.ts';
import type { Self } from './introduce-self.ts';
import { withTrouble } from './why-unconfirmed.ts';

export interface JoiningSettings {
  /** Milliseconds between the introductions of a node that waits. */
  readonly interval: number;
  /** Milliseconds after its last introduction that the members forget it. */
  readonly forgetAfter: number;
}

export const DEFAULT_JOINING_SETTINGS: JoiningSettings = { interval: 2000, forgetAfter: 10_000 };

export interface JoiningOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly learner: EpochLearner;
  readonly self: Self;
  /** The names under which messaging knows the seeds. */
  readonly seeds: readonly NodeId[];
  readonly interval: number;
  /** Milliseconds for one call. */
  readonly callTimeout: number;
}

export class EpochJoining {
  readonly #options: JoiningOptions;
  #refusal: string | undefined;
  #timer: Timer | undefined;
  #running = false;

  constructor(options: JoiningOptions) {
    this.#options = options;
    options.log.onInstalled(() => this.#look());
  }

  start(): void {
    this.#running = true;
    this.#look();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** What this node waits for, in words; undefined when it does not wait to join. */
  why(): string | undefined {
    const { log, self, seeds, messaging } = this.#options;
    if (log.newest === undefined) {
      if (seeds.length === 0) return undefined;
      if (this.#refusal !== undefined) return `it cannot join: ${this.#refusal}`;
      const troubles = seeds.map((seed) => withTrouble(messaging, seed));
      return `it waits to join, and no seed has told it of a cluster yet: ${troubles.join(', ')}`;
    }
    const { epoch } = log.newest;
    if (this.#isRemoved()) {
      return `epoch ${epoch} has removed ${self.id} with this disk: delete the data directory to join as a new node`;
    }
    if (log.standing !== 'outsider') return undefined;
    if (this.#refusal !== undefined) return `it cannot join: ${this.#refusal}`;
    return `it waits to join: epoch ${epoch} does not name ${self.id} as a member, a plan that names it must be applied`;
  }

  /** Whether this node knows the cluster and waits to become a member. */
  isWaiting(): boolean {
    const { log } = this.#options;
    return log.newest !== undefined && log.standing === 'outsider' && !this.#isRemoved();
  }

  #look(): void {
    if (this.#timer !== undefined || !this.#isWanted()) return;
    this.#schedule(0);
  }

  #schedule(delay: number): void {
    this.#timer = this.#options.world.clock.after(delay, () => {
      void this.#introduceToAll().finally(() => {
        this.#timer = undefined;
        if (this.#isWanted()) this.#schedule(this.#options.interval);
      });
    });
  }

  #isWanted(): boolean {
    const { log, seeds } = this.#options;
    if (!this.#running || this.#isRemoved()) return false;
    return log.newest === undefined ? seeds.length > 0 : log.standing === 'outsider';
  }

  #isRemoved(): boolean {
    const { log, self } = this.#options;
    const members = log.newest?.ring.members ?? [];
    return members.some(({ storageId, state }) => storageId === self.storageId && state === 'removed');
  }

  async #introduceToAll(): Promise<void> {
    const { log, seeds, messaging, self } = this.#options;
    const members = log.newest?.ring.members.filter(({ state }) => state !== 'removed').map(({ id }) => id);
    const reachable = (members ?? seeds).filter((id) => id !== self.id && messaging.reachable(id));
    const refusals = await Promise.all(reachable.map(async (id) => await this.#introduceTo(id)));
    // One that knows too little, or too much that is old, does not speak for all.
    const refusal = refusals.every((reason) => reason !== undefined) ? refusals[0] : undefined;
    if (refusal !== undefined && refusal !== this.#refusal) {
      this.#options.world.log.error('join-refused', { reason: refusal });
    }
    if (reachable.length > 0) this.#refusal = refusal;
  }

  /** Why the other refuses this node; undefined when it does not. */
  async #introduceTo(other: NodeId): Promise<string | undefined> {
    const { world, messaging, self, learner, log, callTimeout } = this.#options;
    const deadline = world.clock.monotonic() + callTimeout;
    const message = { introduction: self, epoch: log.newestEpoch, origin: log.origin };
    const result = await messaging.call(other, introduce, message, { deadline });
    if (result.kind === 'refused') return `${other}: ${result.detail}`;
    if (result.kind === 'reply' && result.reply.epoch > log.newestEpoch) {
      await learner.pullFrom(other, result.reply.epoch, deadline);
    }
    return undefined;
  }
}
