/**
 * Plans of ring changes: worked out here, kept in this node's memory for a while, and done only as long as the ring is the one
 * that they were made for. What there is to move is asked of those who have it.
 */

import { present } from '#kernel/assert.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeId, type Epoch, type NodeId, type NodeIndex } from '#kernel/identity.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { Change, ProposalFailure } from '#consensus/epoch-proposer.ts';
import type { Facts } from '#consensus/facts.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { WEIGHED_MAX, WeighMessage, type Weigher, type Weight } from '#repair/weigh.ts';
import { changeMembers, type Newcomer, type RingChange } from '#ring/change.ts';
import { newOwners, oldOwners, type MoveStage } from '#ring/moving.ts';
import { objections, planRing, type PlannedMove, type RingPlan } from '#ring/plan.ts';
import { presentMember } from '#ring/present-member.ts';
import type { ChangeOver, ChangeUnderWay, Ring } from '#ring/ring.ts';
import { ringToWire } from '#ring/ring-codec.ts';
import { encode } from '#wire/codec.ts';
import { MOVES_VERSION } from '#wire/handshake.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock, Digest, Random } from '#world/world.ts';
import { ChangeSpeed } from './change-speed.ts';
import { beginChange, steerChange, type ChangeSize } from './ring-change.ts';
import { describePlan, type PlanSummary } from './describe-plan.ts';
import { changeWaitsFor, withoutNewcomer } from './too-few-owners.ts';
import { isMissed, whoWaits, type WaitView, type WhoWaitsOptions } from './who-waits.ts';

/** Plans that are kept; the oldest go. */
export const PLANS_MAX = 16;

export interface MoveView {
  readonly n: number;
  readonly partition: number;
  readonly from: string | null;
  readonly to: string;
  /** Null when nobody could say. */
  readonly keys: number | null;
  readonly bytes: number | null;
}

export interface PlanView {
  readonly id: string;
  readonly epoch: number;
  readonly moves: readonly MoveView[];
  /** Replicas that are given up, because there are fewer members than replicas. */
  readonly dropped: readonly { readonly n: number; readonly partition: number; readonly from: string }[];
  readonly summary: PlanSummary;
}

export type PlanResult =
  | { readonly kind: 'planned'; readonly plan: PlanView }
  /** `field` is the part of the change that is wrong. */
  | { readonly kind: 'invalid'; readonly field: keyof RingChange; readonly detail: string }
  | { readonly kind: 'refused'; readonly detail: string };

export type ApplyResult =
  | { readonly kind: 'begun'; readonly view: TransfersView }
  /** No such plan is kept here. */
  | { readonly kind: 'unknown' }
  /** The ring is another one by now, or the change must not be made. */
  | { readonly kind: 'refused'; readonly detail: string }
  | ProposalFailure;

export interface TransfersView {
  readonly state: 'idle' | ChangeUnderWay['state'];
  /** The plan that began the change that is under way. */
  readonly id: string | null;
  readonly epoch: number;
  /** Replicas that moved, or were given up, when it began, and how many of them are where they should be. */
  readonly moves: number;
  readonly done: number;
  /** What there was to move then, as far as it could be weighed. */
  readonly keys: number;
  readonly bytes: number;
  /** Bytes a second that each node may spend; null: as many as it can, or nothing moves. */
  readonly throttle: number | null;
  /** How fast it goes as seen from here, and how long at that speed; null when nobody can say yet. */
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** Newcomers that take nothing yet, and why, when they have to wait for long; and members that hold it up, or that it waits for. */
  readonly waiting: readonly WaitView[];
  /** The change that ended last. */
  readonly last: ChangeOver | null;
  readonly transfers: readonly {
    readonly n: number;
    readonly partition: number;
    readonly stage: MoveStage;
    readonly from: readonly string[];
    readonly to: readonly string[];
  }[];
}

const DONE_ALREADY = 'this plan has been applied, and the change is over: there is nothing left of it to do';

function movedOn(from: Epoch, to: Epoch): string {
  const so = 'nothing was changed; plan again, look at what it says, and apply that';
  return `the ring has moved on since the plan was made for epoch ${from}, it is that of epoch ${to} now: ${so}`;
}

function tooOld(ids: readonly NodeId[]): string {
  const who = `${ids.join(', ')} ${ids.length === 1 ? 'runs' : 'run'} a version`;
  return `${who} that does not know how partitions move: nothing was changed; upgrade first, then plan again`;
}

export interface RingPlansOptions {
  readonly world: { readonly clock: Clock; readonly random: Random; readonly digest: Digest };
  readonly messaging: Messaging;
  readonly weigher: Weigher;
  readonly moves: WhoWaitsOptions['moves'];
  readonly away: WhoWaitsOptions['away'];
  readonly self: NodeId;
  /** Undefined before this node knows any. */
  readonly facts: () => Facts | undefined;
  readonly newcomers: () => readonly Newcomer[];
  readonly reachable: (id: NodeId) => boolean;
  readonly propose: EpochChain['propose'];
  /** Milliseconds for one question about what there is to move. */
  readonly callTimeout: number;
  /** Bytes a second that this node spends on a change that does not say. */
  readonly bytesPerSecond: number;
}

interface Kept {
  readonly epoch: Epoch;
  readonly plan: RingPlan;
  readonly size: Pick<ChangeSize, 'keys' | 'bytes'>;
  readonly ring: string;
}

export class RingPlans {
  readonly #options: RingPlansOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #speed = new ChangeSpeed();

  constructor(options: RingPlansOptions) {
    this.#options = options;
  }

  /** Works the change out without doing it. `deadline` bounds how long owners are asked what they hold. */
  async plan(change: RingChange, deadline: number): Promise<PlanResult> {
    const { facts: newest, newcomers, world, reachable } = this.#options;
    const facts = present(newest(), 'the facts of a founded cluster');
    if (facts.ring.change !== undefined) {
      return {
        kind: 'refused',
        detail: `a change is under way (${facts.ring.change.id}): wait for its end, or abort it`,
      };
    }
    const changed = changeMembers(facts.ring, change, newcomers());
    if (changed.kind === 'refused') return { kind: 'invalid', field: changed.field, detail: changed.detail };
    const there = this.#notLost(facts.ring, changed.lost);
    if (there !== undefined) return { kind: 'invalid', field: 'acceptLossOf', detail: there };
    const plan = planRing(facts.ring, changed);
    const wrong = objections(facts.ring, plan);
    if (wrong.length > 0) return { kind: 'refused', detail: `the plan is not sound: ${wrong.slice(0, 3).join('; ')}` };
    const weights = await this.#weigh(facts, plan, deadline);
    const id = toHex(world.random.bytes(8));
    const moves = plan.moves.map((move) => this.#show(plan, move, weights));
    const summary = describePlan(facts, plan, moves, reachable, this.#options.bytesPerSecond);
    this.#keep(id, { epoch: facts.epoch, plan, size: summary, ring: this.#fingerprint(facts) });
    const name = namesOf(plan);
    return {
      kind: 'planned',
      plan: {
        id,
        epoch: facts.epoch,
        moves,
        dropped: plan.dropped.map(({ n, partition, from }) => ({ n, partition, from: name(from) })),
        summary,
      },
    };
  }

  /**
   * Begins to do exactly what the plan says; refused when the ring is not the one any more that it was made for. `throttle`: bytes
   * a second that each node may spend, null for as many as it can.
   */
  async apply(id: string, deadline: number, throttle?: number | null): Promise<ApplyResult> {
    const kept = this.#kept.get(id);
    if (kept === undefined) return { kind: 'unknown' };
    const { keys, bytes } = kept.size;
    const size = { keys, bytes, ...(throttle === undefined ? {} : { throttle }) };
    return await this.#propose((facts) => {
      if (facts.ring.change?.id === id) return facts;
      if (facts.ring.lastChange?.id === id) return { refused: DONE_ALREADY };
      if (this.#fingerprint(facts) !== kept.ring) return { refused: movedOn(kept.epoch, facts.epoch) };
      const there = this.#notLost(facts.ring, kept.plan.lost);
      if (there !== undefined) return { refused: there };
      const old = this.#tooOld(facts, kept.plan);
      if (old.length > 0) return { refused: tooOld(old) };
      return beginChange(facts, id, kept.plan, size);
    }, deadline);
  }

  /** Pauses, resumes or aborts the change that is under way, if it is the one that is meant; what only `lost` members had is given up. */
  async steer(
    state: ChangeUnderWay['state'],
    deadline: number,
    { id, lost = [] }: { readonly id?: string | undefined; readonly lost?: readonly string[] | undefined } = {},
  ): Promise<ApplyResult> {
    return await this.#propose((facts) => {
      const nobody = lost.find((name) => presentMember(facts.ring, name) === undefined);
      if (nobody !== undefined) return { refused: `acceptLossOf: ${nobody} is not a member` };
      const indexes = lost.map((name) => presentMember(facts.ring, name)!.index);
      const comes = lost.find((_, i) => facts.ring.change?.comes.includes(indexes[i]!) === true);
      if (comes !== undefined && state === 'running') {
        return { refused: `acceptLossOf: ${comes} comes with this change: ${withoutNewcomer(nodeId(comes))}` };
      }
      const there = this.#notLost(facts.ring, indexes);
      return there === undefined ? steerChange(facts, state, indexes, id) : { refused: `acceptLossOf: ${there}` };
    }, deadline);
  }

  /** To be called when the facts have changed: how far a change is now says how fast it goes. */
  noteProgress(): void {
    const ring = this.#options.facts()?.ring;
    if (ring === undefined) return;
    const { change } = ring;
    const done = change === undefined ? 0 : change.moves - left(transfersOf(ring));
    this.#speed.note(change?.id ?? null, done, this.#options.world.clock.monotonic());
  }

  /** What is moving now, and who waits with it. */
  async transfers(): Promise<TransfersView> {
    const held = await whoWaits(this.#options, this.#options.facts());
    const facts = this.#options.facts();
    if (facts === undefined) return NOTHING_MOVES;
    const { epoch, ring } = facts;
    const { change, lastChange: last = null } = ring;
    if (change === undefined) return { ...NOTHING_MOVES, epoch, last };
    const { id, state, moves, keys, bytes, throttle = this.#options.bytesPerSecond } = change;
    const missed = changeWaitsFor(facts, (id) => !isMissed(this.#options, id));
    const waiting = [...held.filter(({ node }) => missed.every((one) => one.node !== node)), ...missed];
    const transfers = transfersOf(ring);
    const done = Math.max(0, moves - left(transfers));
    const speed = state === 'running' ? this.#speed.perSecond(this.#options.world.clock.monotonic()) : null;
    return {
      ...{ state, id, epoch, moves, done, keys, bytes, throttle },
      bytesPerSecond: speed === null || moves === 0 ? null : Math.round((speed * bytes) / moves),
      secondsLeft: speed === null ? null : Math.ceil((moves - done) / speed),
      ...{ waiting, last, transfers },
    };
  }

  /** Who can be reached has what nobody need give up. */
  #notLost({ members }: Ring, lost: readonly NodeIndex[]): string | undefined {
    const { self, reachable } = this.#options;
    const there = members.find(({ id, index }) => lost.includes(index) && (id === self || reachable(id)));
    return there === undefined ? undefined : `${there.id} can be reached, so what it has is not lost`;
  }

  /** Those that can be asked and do not know how partitions move: the change would wait for them for ever. */
  #tooOld({ ring }: Facts, { members }: RingPlan): readonly NodeId[] {
    const { self, reachable, messaging } = this.#options;
    const isNew = (id: NodeId): boolean =>
      ring.members.every((member) => member.id !== id || member.state === 'removed');
    return members
      .filter(({ id, state }) => id !== self && state !== 'removed' && (isNew(id) || reachable(id)))
      .map(({ id }) => id)
      .filter((id) => (messaging.versionOf(id) ?? MOVES_VERSION) < MOVES_VERSION);
  }

  async #propose(change: Change, deadline: number): Promise<ApplyResult> {
    const result = await this.#options.propose(change, deadline);
    switch (result.kind) {
      case 'decided':
        return { kind: 'begun', view: await this.transfers() };
      case 'refused':
        return { kind: 'refused', detail: result.reason };
      case 'failed':
        return result;
    }
  }

  #keep(id: string, kept: Kept): void {
    this.#kept.set(id, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= PLANS_MAX) return;
      this.#kept.delete(oldest);
    }
  }

  /** Other facts may change without a plan being any worse for it. */
  #fingerprint({ ring }: Facts): string {
    return toHex(this.#options.world.digest.sha256(encode(ringToWire(ring))));
  }

  #show(plan: RingPlan, { n, partition, from, to }: PlannedMove, weights: Weights): MoveView {
    const name = namesOf(plan);
    const weight = weights.get(placeName(n, partition));
    const { keys = null, bytes = null } = weight ?? {};
    return { n, partition, from: from === null ? null : name(from), to: name(to), keys, bytes };
  }

  /** One owner of each place that moves is asked: whom the move is from, or another one that can be reached. */
  async #weigh(facts: Facts, plan: RingPlan, deadline: number): Promise<Weights> {
    const { self, reachable } = this.#options;
    const name = namesOf(plan);
    const questions = new Map<NodeId, Place[]>();
    const asked = new Set<string>();
    for (const { n, partition, from } of plan.moves) {
      const place = placeName(n, partition);
      if (asked.has(place)) continue;
      asked.add(place);
      const { owners } = facts.ring.placements.find((table) => table.n === n)!.partitions[partition]!;
      const candidates = [...(from === null ? [] : [from]), ...owners].map(name);
      const owner = candidates.find((id) => id === self || reachable(id));
      if (owner === undefined) continue;
      const list = questions.get(owner) ?? [];
      list.push({ n, partition });
      questions.set(owner, list);
    }
    const weights = new Map<string, Weight>();
    await Promise.all([...questions].map(async ([owner, places]) => await this.#ask(owner, places, deadline, weights)));
    return weights;
  }

  async #ask(owner: NodeId, places: readonly Place[], deadline: number, weights: Map<string, Weight>): Promise<void> {
    for (let first = 0; first < places.length; first += WEIGHED_MAX) {
      const some = places.slice(first, first + WEIGHED_MAX);
      const answer = await this.#askOnce(owner, some, deadline);
      if (answer === undefined) return;
      for (const [i, { n, partition }] of some.entries()) {
        const weight = answer[i];
        if (weight !== undefined) weights.set(placeName(n, partition), weight);
      }
    }
  }

  async #askOnce(owner: NodeId, places: readonly Place[], deadline: number): Promise<readonly Weight[] | undefined> {
    const { self, weigher, messaging, world, callTimeout } = this.#options;
    const now = world.clock.monotonic();
    if (now >= deadline) return undefined;
    if (owner === self) {
      // What waits meanwhile comes first.
      await new Promise<void>((resolve) => void world.clock.after(0, resolve));
      return weigher.ready() ? weigher.weigh(places) : undefined;
    }
    const options = { deadline: Math.min(deadline, now + callTimeout), channel: 'bulk' } as const;
    const result = await messaging.call(owner, WeighMessage, places, options);
    return result.kind === 'reply' ? result.reply : undefined;
  }
}

const NOTHING_MOVES: TransfersView = {
  ...{ state: 'idle', id: null, epoch: 0, moves: 0, done: 0, keys: 0, bytes: 0, throttle: null },
  ...{ bytesPerSecond: null, secondsLeft: null, waiting: [], last: null, transfers: [] },
};

function transfersOf(ring: Ring): TransfersView['transfers'] {
  const name = (index: NodeIndex): NodeId => ring.members.find((member) => member.index === index)!.id;
  return movingEntries(ring).map(({ place, entry }) => {
    const [old, now] = [oldOwners(entry), newOwners(entry)];
    const from = entry.move!.stage === 'offload' ? entry.move!.others : old.filter((index) => !now.includes(index));
    const to = now.filter((index) => !old.includes(index));
    return { ...place, stage: entry.move!.stage, from: from.map(name), to: to.map(name) };
  });
}

/** Replicas that are not where they belong. */
function left(transfers: TransfersView['transfers']): number {
  return transfers.reduce((sum, { from, to }) => sum + Math.max(from.length, to.length), 0);
}

type Place = Pick<PlannedMove, 'n' | 'partition'>;
type Weights = ReadonlyMap<string, Weight>;

function placeName(n: number, partition: number): string {
  return `${n}/${partition}`;
}

const names = new WeakMap<RingPlan, ReadonlyMap<NodeIndex, NodeId>>();

/** Of members that are, were and will be. */
function namesOf(plan: RingPlan): (index: NodeIndex) => NodeId {
  let known = names.get(plan);
  if (known === undefined) {
    known = new Map(plan.members.map(({ index, id }) => [index, id]));
    names.set(plan, known);
  }
  const all = known;
  return (index) => all.get(index)!;
}
