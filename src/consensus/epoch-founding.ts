/**
 * Founding a cluster: the founders introduce themselves to each other and decide the first epoch, which binds their names
 * to their disks. A founder that does not show itself in time is bound later, by an epoch of its own.
 *
 * A founder with an empty disk cannot know whether it is new or has lost everything, so it founds nothing as long as some
 * founder tells it of an epoch, and the proposal waits for the answer of every founder that can be reached.
 */

import { toHex, utf8 } from '#kernel/bytes.ts';
import type { ClusterId, NodeId } from '#kernel/identity.ts';
import { epoch, nodeId, storageId } from '#kernel/identity.ts';
import { foundRing } from '#ring/founding.ts';
import type { Founder } from '#ring/founding.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { majorityOf } from './electorate.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import type { EpochProposer } from './epoch-proposer.ts';
import type { Facts, Introduction } from './facts.ts';
import { introduce } from './messages.ts';
import { sleep } from './waiting.ts';
import { withTrouble } from './why-unconfirmed.ts';

export interface FoundingOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly proposer: EpochProposer;
  readonly learner: EpochLearner;
  readonly self: Introduction;
  /** Sorted by id. */
  readonly founders: readonly { readonly id: NodeId; readonly peer: string }[];
  readonly clusterId: ClusterId;
  readonly partitionCount: number;
  /** Milliseconds to wait for all founders before a majority goes on. */
  readonly patience: number;
  /** Milliseconds for one call. */
  readonly callTimeout: number;
  /** Milliseconds for one attempt to decide the first epoch. */
  readonly proposeTimeout: number;
  /** Milliseconds between the founders' turns to propose, so that they rarely duel. */
  readonly turn: number;
}

/** What a founder is taken for until it has introduced itself. */
const UNSEEN = { url: '', zone: '', weight: 1, storageId: null } as const;

export class EpochFounding {
  readonly #options: FoundingOptions;
  readonly #seen = new Map<string, Introduction>();
  #patientUntil: number | undefined;
  #refusal: string | undefined;

  constructor(options: FoundingOptions) {
    this.#options = options;
    this.#seen.set(options.self.id, options.self);
  }

  /** Remembers how a founder introduced itself. */
  meet(introduction: Introduction): void {
    const known = this.#options.founders.some(({ id }) => id === introduction.id);
    if (known && introduction.id !== this.#options.self.id) this.#seen.set(introduction.id, introduction);
  }

  /** Why there is no first epoch yet, in words. */
  why(): string {
    if (this.#refusal !== undefined) return `the cluster cannot be founded: ${this.#refusal}`;
    const { founders, messaging } = this.#options;
    const waits = 'the cluster is not founded yet: a majority of the founders must meet';
    const missing = founders.filter(({ id }) => !this.#seen.has(id));
    if (missing.length === 0) return waits;
    return `${waits}, and so far these are missing: ${missing.map(({ id }) => withTrouble(messaging, id)).join(', ')}`;
  }

  /** One attempt; whether it found or learnt the first epoch is seen in the log. */
  async attempt(): Promise<void> {
    const { world, log, founders, self, patience, proposer, proposeTimeout, turn } = this.#options;
    this.#patientUntil ??= world.clock.monotonic() + patience;
    await this.#introduceToAll();
    if (log.newest !== undefined || !this.#ready(this.#patientUntil)) return;

    await sleep(world.clock, turn * founders.findIndex(({ id }) => id === self.id));
    if (log.newest !== undefined) return;
    const deadline = world.clock.monotonic() + proposeTimeout;
    const result = await proposer.propose((known) => known ?? this.#firstFacts(), deadline);
    this.#refusal = result.kind === 'refused' ? result.reason : undefined;
    if (result.kind === 'refused') world.log.error('founding-refused', { reason: result.reason });
    if (result.kind === 'failed') world.log.warn('founding-delayed', { detail: result.detail });
  }

  #ready(patientUntil: number): boolean {
    const { founders, world } = this.#options;
    if (this.#seen.size === founders.length) return true;
    return world.clock.monotonic() >= patientUntil && this.#seen.size >= majorityOf(founders.length);
  }

  async #introduceToAll(): Promise<void> {
    const { founders, self } = this.#options;
    await Promise.all(founders.map(async ({ id }) => (id === self.id ? undefined : await this.#introduceTo(id))));
  }

  async #introduceTo(founder: NodeId): Promise<void> {
    const { world, messaging, self, learner, callTimeout } = this.#options;
    const deadline = world.clock.monotonic() + callTimeout;
    const message = { introduction: self, epoch: epoch(0), origin: '' };
    const result = await messaging.call(founder, introduce, message, { deadline });
    if (result.kind !== 'reply') return;
    if (result.reply.introduction.id === founder) this.meet(result.reply.introduction);
    if (result.reply.epoch > 0) await learner.pullFrom(founder, epoch(1), world.clock.monotonic() + callTimeout);
  }

  #firstFacts(): Facts | { readonly refused: string } {
    const { founders, clusterId, partitionCount, world } = this.#options;
    const list = founders.map(({ id, peer }): Founder => {
      const seen = this.#seen.get(id);
      if (seen === undefined) return { id, peer, ...UNSEEN };
      const { url, zone, weight } = seen;
      return { id: nodeId(id), peer, url, zone, weight, storageId: storageId(seen.storageId) };
    });
    const disks = list.flatMap((founder) => founder.storageId ?? []);
    if (new Set(disks).size < disks.length) {
      return { refused: `two founders have the same storage identity: one data directory is a copy of another's` };
    }
    // Derived from the cluster id, so that all founders propose the same; it only has to differ between clusters.
    const hashSeed = toHex(world.digest.sha256(utf8(`quoral hash seed\n${clusterId}`)).subarray(0, 16));
    const ring = foundRing({ clusterId, founders: list, partitionCount, hashSeed });
    return { epoch: epoch(1), ring, buckets: [], tokens: [] };
  }
}
