/**
 * Drives the ring change that is under way: asks what the nodes have done, and has the next epoch decided. One node does it, the
 * first voter that can be reached, or another when that one does not serve; nothing depends on its being alone.
 */

import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { Away } from '#membership/away.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { exchangesAtOnce } from '#repair/at-once.ts';
import type { Moves } from '#repair/moves.ts';
import { MovesMessage, type MovesReply } from '#repair/moves-message.ts';
import { isMoving, stageMayEnd, takersOf } from '#ring/moving.ts';
import type { Member, PartitionOwners, Ring } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import { Looks } from '#world/looks.ts';
import type { World } from '#world/world.ts';
import { nextPortion, portionLeast } from './portion.ts';
import { advanceChange, portionOf, type Evidence } from './ring-change.ts';

export interface RingDriverOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly chain: EpochChain;
  readonly moves: Pick<Moves, 'report'>;
  readonly self: NodeId;
  readonly ready: () => boolean;
  readonly away: Pick<Away, 'for'>;
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** Milliseconds that members are given to install an epoch before they are asked again. */
  readonly installTimeout: number;
  /** Milliseconds that a member which leaves may be out of reach before the ring changes without it. */
  readonly leaverPatience: number;
  /** Milliseconds for one question, and for an epoch to be decided. */
  readonly callTimeout: number;
  /** Partitions that each taker takes over at once, where round trips are short. */
  readonly takersAtOnce: number;
}

/** Milliseconds without a new epoch after which the voters before this one are asked whether they serve, and how often. */
const TAKE_OVER_MS = 5000;

export class RingDriver {
  readonly #options: RingDriverOptions;
  readonly #looks: Looks;
  /** The newest epoch, and when it was first seen, or a voter before this one was last found to serve. */
  #epoch: Epoch | undefined;
  #quietSince = -Infinity;
  /** Until when this node drives because no voter before it does; 0 when it does not. */
  #standsInUntil = 0;
  /** How much of the change is under way at a time, and of which change. */
  #portion = 0;
  #portionFor: string | undefined;

  constructor(options: RingDriverOptions) {
    this.#options = options;
    this.#looks = new Looks({
      clock: options.world.clock,
      interval: options.interval,
      wanted: () => {
        const ring = options.chain.facts()?.ring;
        return ring !== undefined && isMoving(ring);
      },
      look: async () => {
        if (await this.#drives()) await this.#drive();
      },
      failed: (error) => options.world.log.error('ring-change-failed', { reason: String(error) }),
    });
  }

  start(): void {
    this.#looks.start();
  }

  stop(): void {
    this.#looks.stop();
  }

  /** To be called when the facts have changed: while nothing moves, there are no looks. */
  wake(): void {
    this.#looks.wake();
  }

  async #drives(): Promise<boolean> {
    const { chain, self, ready, messaging, world } = this.#options;
    const facts = chain.facts();
    if (facts === undefined || !isMoving(facts.ring) || facts.ring.change?.state === 'paused') return false;
    // Whoever cannot store anything would decide nothing.
    if (!ready() || world.disk.failure() !== undefined) return false;
    const voters = facts.ring.voters.map((index) => memberAt(facts.ring, index).id);
    const place = voters.indexOf(self);
    if (place < 0) return false;
    const before = voters.slice(0, place).filter((id) => messaging.reachable(id));
    return before.length === 0 || (await this.#standsIn(before, facts.epoch));
  }

  /** One that can be reached may be unable to drive all the same: its disk is full or has failed, say. */
  async #standsIn(before: readonly NodeId[], newest: Epoch): Promise<boolean> {
    const { messaging, world, installTimeout } = this.#options;
    const now = world.clock.monotonic();
    if (now < this.#standsInUntil) return true;
    if (this.#epoch !== newest) [this.#epoch, this.#quietSince] = [newest, now];
    if (this.#standsInUntil === 0 && now < this.#quietSince + TAKE_OVER_MS) return false;
    const deadline = now + installTimeout;
    const answers = await Promise.all(
      before.map(async (id) => await messaging.call(id, MovesMessage, null, { deadline, channel: 'bulk' })),
    );
    const serves = answers.some((answer) => answer.kind === 'reply' && answer.reply.stores);
    this.#standsInUntil = serves ? 0 : now + TAKE_OVER_MS;
    this.#quietSince = now;
    return !serves;
  }

  async #drive(): Promise<void> {
    const { chain, world, callTimeout } = this.#options;
    const { ring } = chain.facts()!;
    const gathered = await this.#gather(ring);
    const evidence = { ...gathered, portion: this.#portionOf(ring, gathered) };
    const deadline = world.clock.monotonic() + callTimeout;
    const before = chain.facts()!;
    if (advanceChange(before, evidence) === before) return;
    const result = await chain.propose((facts) => advanceChange(facts, evidence), deadline);
    if (result.kind !== 'decided') return;
    const { change } = result.facts.ring;
    const left = movingEntries(result.facts.ring).length;
    const { epoch } = result.facts;
    if (ring.change === undefined) world.log.info('former-owner-done', { epoch, partitionsLeft: left });
    else if (change === undefined) world.log.info('ring-change-done', { id: ring.change.id, epoch });
    else world.log.info('ring-change-step', { id: change.id, epoch, partitionsLeft: left });
  }

  /** As much as those that take over can do. */
  #portionOf(ring: Ring, evidence: Evidence): number {
    const { messaging, takersAtOnce } = this.#options;
    const least = portionLeast(exchangesAtOnce(messaging, ring, takersAtOnce));
    if (this.#portionFor !== ring.change?.id) [this.#portion, this.#portionFor] = [2 * least, ring.change?.id];
    else this.#portion = nextPortion(this.#portion, portionOf(ring, evidence).left(), least);
    return this.#portion;
  }

  async #gather(ring: Ring): Promise<Evidence> {
    const { messaging, self, leaverPatience } = this.#options;
    const entries = movingEntries(ring).map(({ entry }) => entry);
    const reports = await this.#reports(ring, entries);
    const missing = await this.#missing(entries);
    const away = (id: NodeId): boolean => id !== self && !messaging.reachable(id);
    const awayThen = new Set(ring.members.filter(({ id }) => away(id)).map(({ index }) => index));
    return {
      isDone: ({ index, storageId }, n, partition, changedIn) => {
        const report = reports.get(index);
        return (
          report !== undefined && report.storageId === storageId && report.done.has(`${n}/${partition}/${changedIn}`)
        );
      },
      isStuck: ({ index, storageId }, n, partition, changedIn) => {
        const report = reports.get(index);
        return (
          report !== undefined && report.storageId === storageId && report.vain.has(`${n}/${partition}/${changedIn}`)
        );
      },
      portion: this.#portion,
      isReady: ({ index, storageId }) => {
        const report = reports.get(index);
        return report !== undefined && report.storageId === storageId && report.ready;
      },
      keepsNothing: ({ index, storageId }) => {
        const report = reports.get(index);
        return report !== undefined && report.storageId === storageId && !report.keepsOnlyCopies;
      },
      isEmpty: ({ index, storageId }) => {
        const report = reports.get(index);
        return report !== undefined && report.storageId === storageId && report.empty;
      },
      mayEnd: (entry) => {
        const behind = missing.get(entry.changedIn);
        if (behind === undefined) return false;
        return stageMayEnd(entry, (index) =>
          behind.has(memberAt(ring, index).id) ? (awayThen.has(index) ? 'away' : 'behind') : 'installed',
        );
      },
      isAway: ({ index }) => awayThen.has(index),
      isGone: ({ id, index }) => awayThen.has(index) && this.#options.away.for(id) >= leaverPatience,
    };
  }

  async #reports(ring: Ring, entries: readonly PartitionOwners[]): Promise<ReadonlyMap<NodeIndex, Report>> {
    const { messaging, self, moves, world, callTimeout } = this.#options;
    const { comes = [], goes = [] } = ring.change ?? {};
    const asked = new Set([
      ...entries.flatMap(({ owners, move }) => move!.others.filter((index) => !owners.includes(index))),
      ...entries.flatMap(takersOf),
      ...comes,
      ...goes,
    ]);
    const deadline = world.clock.monotonic() + callTimeout;
    const found = new Map<NodeIndex, Report>();
    const names = (places: MovesReply['done']): ReadonlySet<string> =>
      new Set(places.map(({ n, partition, changedIn }) => `${n}/${partition}/${changedIn}`));
    const note = (index: NodeIndex, { done, triedInVain, ...report }: MovesReply): void => {
      found.set(index, { ...report, done: names(done), vain: names(triedInVain) });
    };
    await Promise.all(
      [...asked].map(async (index) => {
        const { id } = memberAt(ring, index);
        if (id === self) return note(index, moves.report());
        const result = await messaging.call(id, MovesMessage, null, { deadline, channel: 'bulk' });
        if (result.kind === 'reply') note(index, result.reply);
      }),
    );
    return found;
  }

  /** Who has not installed the epochs that began the present stages. */
  async #missing(entries: readonly PartitionOwners[]): Promise<ReadonlyMap<Epoch, ReadonlySet<NodeId>>> {
    const { chain, world, installTimeout } = this.#options;
    const deadline = world.clock.monotonic() + installTimeout;
    const epochs = [
      ...new Set(
        entries
          .filter(({ move }) => move!.stage === 'dual' || move!.stage === 'read-new')
          .map(({ changedIn }) => changedIn),
      ),
    ];
    const found = new Map<Epoch, ReadonlySet<NodeId>>();
    // Who has installed one has installed all before it.
    await Promise.all(
      epochs.map(async (epoch) => found.set(epoch, new Set(await chain.awaitInstalled(epoch, deadline)))),
    );
    return found;
  }
}

interface Report extends Omit<MovesReply, 'done' | 'triedInVain' | 'waiting'> {
  readonly done: ReadonlySet<string>;
  readonly vain: ReadonlySet<string>;
}

function memberAt(ring: Ring, index: NodeIndex): Member {
  return ring.members.find((member) => member.index === index)!;
}
