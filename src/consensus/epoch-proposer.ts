/**
 * Proposing an epoch: Paxos between the voters that the newest epoch names, over and over until this node's change is
 * decided, refused by the facts, or out of time.
 *
 * Each attempt prepares first and computes the change only then. After a majority has promised and none of it has
 * accepted anything, the newest epoch known here is the newest there is, so also "nothing to do" and "refused" are
 * answers about the present. Whoever loses a duel adopts or learns the winner and computes the change anew on top of it.
 */

import { assert } from '#kernel/assert.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { encode } from '#wire/codec.ts';
import { Refusal } from '#wire/message.ts';
import type { MessageType } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { valueToAdopt } from './acceptor.ts';
import type { Accepted } from './acceptor.ts';
import { BallotSource } from './ballot.ts';
import { electorateAfter, memberNamed } from './electorate.ts';
import type { Electorate } from './electorate.ts';
import type { EpochAcceptor } from './epoch-acceptor.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import { factsToWire } from './facts-codec.ts';
import type { Ballot, Facts } from './facts.ts';
import { acceptEpoch, announceDecided, prepareEpoch } from './messages.ts';
import type { AcceptReply, NoVote, PrepareReply } from './messages.ts';
import { poll } from './poll.ts';
import type { PollAnswer, PollResult } from './poll.ts';
import { backoff, settledBy, sleep } from './waiting.ts';

/**
 * A change of the facts, as a pure function: it may be computed several times, on different facts. What it returns has
 * the next epoch; the very facts that it was given mean that there is nothing to do.
 */
export type Change = (facts: Facts) => Facts | { readonly refused: string };

/** The same before the first epoch is known, when there are no facts. */
export type FirstChange = (facts: Facts | undefined) => Facts | { readonly refused: string };

export type ProposeResult =
  /** The facts that the change produced, which may not be the newest any more, or those that needed no change. */
  | { readonly kind: 'decided'; readonly facts: Facts }
  | { readonly kind: 'refused'; readonly reason: string }
  | ProposalFailure;

export interface ProposalFailure {
  readonly kind: 'failed';
  /** `not-applied`: no epoch will ever hold this change. `unknown`: one may. */
  readonly outcome: 'not-applied' | 'unknown';
  readonly detail: string;
  readonly votes: Votes;
}

/** How many nodes had to answer or to know, and how many have, or could have. */
export interface Votes {
  readonly needed: number;
  readonly got: number;
}

export interface ProposerOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly acceptor: EpochAcceptor;
  readonly learner: EpochLearner;
  readonly self: NodeId;
  /** Sorted by id: a founder's place is its index. */
  readonly founders: readonly NodeId[];
  readonly boot: number;
  /** Milliseconds for one phase. */
  readonly phaseTimeout: number;
  /** Milliseconds: bounds of the random wait between attempts. */
  readonly backoffFirst: number;
  readonly backoffLongest: number;
  /** Proposals of this node that may wait for each other. */
  readonly queueMax: number;
}

/** A proposal of this node that voters may have accepted, so that it may be chosen. */
interface InDoubt {
  readonly facts: Facts;
  readonly bytes: Uint8Array;
}

/** What one attempt has shown: the end, or that another is due, after a random wait when it was disturbed. */
type Attempt = { readonly kind: 'done'; readonly result: ProposeResult } | Again;

interface Again {
  readonly kind: 'again';
  readonly detail: string;
  readonly disturbed: boolean;
  readonly votes?: Votes;
}

type Reason = Pick<Again, 'detail' | 'votes'>;

export class EpochProposer {
  readonly #options: ProposerOptions;
  readonly #ballots: BallotSource;
  #lastProposal: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: ProposerOptions) {
    this.#options = options;
    this.#ballots = new BallotSource(options.world.clock, options.boot);
  }

  /** Keeps this node's ballots above those that it sees as a voter. */
  observe(ballot: Ballot): void {
    this.#ballots.observe(ballot);
  }

  /** Proposals of one node queue up: they would only duel with each other. */
  async propose(change: FirstChange, deadline: number): Promise<ProposeResult> {
    const { world, queueMax } = this.#options;
    if (this.#waiting >= queueMax) return notApplied(`${queueMax} proposals are waiting already`, this.#options);
    this.#waiting++;
    const previous = this.#lastProposal;
    const proposal = (async (): Promise<ProposeResult> => {
      try {
        await settledBy(world.clock, previous, deadline);
        return await this.#propose(change, deadline);
      } finally {
        this.#waiting--;
      }
    })();
    this.#lastProposal = Promise.allSettled([previous, proposal]);
    return await proposal;
  }

  async #propose(change: FirstChange, deadline: number): Promise<ProposeResult> {
    const { world } = this.#options;
    const round = new Round(this.#options, this.#ballots, change, deadline);
    let reason: Reason = { detail: 'the deadline had passed before the first attempt' };
    for (let attempt = 0; world.clock.monotonic() < deadline; attempt++) {
      const step = await round.attempt();
      if (step.kind === 'done') return step.result;
      reason = step;
      if (!step.disturbed) continue;
      const wait = backoff(world.random, attempt, this.#options.backoffFirst, this.#options.backoffLongest);
      await sleep(world.clock, Math.min(wait, Math.max(0, deadline - world.clock.monotonic())));
    }
    return await round.giveUp(reason);
  }
}

function notApplied(detail: string, options: Pick<ProposerOptions, 'log' | 'founders'>): ProposeResult {
  return { kind: 'failed', outcome: 'not-applied', detail, votes: nobody(options) };
}

/** The voters that a proposal needs now, none of whom has answered. */
function nobody({ log, founders }: Pick<ProposerOptions, 'log' | 'founders'>): Votes {
  return { needed: electorateAfter(log.newest, founders).majority, got: 0 };
}

/** What a majority has decided or may have, this node at least must know. */
const ONE_THAT_KNOWS: Votes = { needed: 1, got: 0 };

/** One change on its way through as many attempts as it takes. */
class Round {
  readonly #options: ProposerOptions;
  readonly #ballots: BallotSource;
  readonly #change: FirstChange;
  readonly #deadline: number;
  #inDoubt: InDoubt | undefined;

  constructor(options: ProposerOptions, ballots: BallotSource, change: FirstChange, deadline: number) {
    this.#options = options;
    this.#ballots = ballots;
    this.#change = change;
    this.#deadline = deadline;
  }

  async attempt(): Promise<Attempt> {
    const { log, self, founders } = this.#options;
    const settled = await this.#settleDoubt();
    if (settled !== undefined) return { kind: 'done', result: settled };

    const known = log.newest;
    const index = ballotIndex(known, self, founders);
    if (index === undefined)
      return { kind: 'done', result: notApplied(`${self} is not a member of the cluster`, this.#options) };
    const electorate = electorateAfter(known, founders);
    const unreachable = this.#whyHopeless(electorate);
    if (unreachable !== undefined) return { kind: 'done', result: await this.giveUp(unreachable) };

    const instance = epoch(log.newestEpoch + 1);
    const ballot = this.#ballots.next(index);
    const promises = await this.#prepare(electorate, instance, ballot);
    if (promises.kind !== 'majority') return await this.#notReached(promises, electorate);
    // Another epoch may have been learnt meanwhile; its voters are the ones to ask.
    if (log.newest !== known) return again('a newer epoch was learnt');

    const adopted = valueToAdopt(promises.values);
    if (adopted !== undefined) return await this.#decide(electorate, ballot, adopted);
    // A majority has promised and accepted nothing: what was in doubt can not be chosen any more.
    this.#inDoubt = undefined;
    const next = this.#change(known);
    if ('refused' in next) return { kind: 'done', result: { kind: 'refused', reason: next.refused } };
    if (next === known) return { kind: 'done', result: { kind: 'decided', facts: next } };
    assert(next.epoch === instance, `a change of epoch ${log.newestEpoch} produced epoch ${next.epoch}`);
    this.#inDoubt = { facts: next, bytes: encode(factsToWire(next)) };
    return await this.#decide(electorate, ballot, next);
  }

  async giveUp({ detail, votes }: Reason): Promise<ProposeResult> {
    const settled = await this.#settleDoubt();
    if (settled !== undefined) return settled;
    const outcome = this.#inDoubt === undefined ? 'not-applied' : 'unknown';
    return { kind: 'failed', outcome, detail, votes: votes ?? nobody(this.#options) };
  }

  /** Once the epoch of the proposal in doubt is known, it was either this proposal or another. */
  async #settleDoubt(): Promise<ProposeResult | undefined> {
    const { log, learner } = this.#options;
    const inDoubt = this.#inDoubt;
    if (inDoubt === undefined || log.newestEpoch < inDoubt.facts.epoch) return undefined;
    const { epoch: instance } = inDoubt.facts;
    const chosen = log.at(instance) ?? (await learner.fetchPast(instance, this.#deadline));
    if (chosen === undefined) {
      const detail = `what epoch ${instance} decided is not known here any more`;
      return { kind: 'failed', outcome: 'unknown', detail, votes: ONE_THAT_KNOWS };
    }
    this.#inDoubt = undefined;
    const ours = equalBytes(encode(factsToWire(chosen)), inDoubt.bytes);
    return ours ? { kind: 'decided', facts: chosen } : undefined;
  }

  /** Says why no majority can answer now, so that nobody waits for it. */
  #whyHopeless({ voters, majority }: Electorate): Reason | undefined {
    const { messaging, self } = this.#options;
    const silent = voters.filter((voter) => voter !== self && !messaging.reachable(voter));
    const got = voters.length - silent.length;
    if (got >= majority) return undefined;
    const detail = `${majority} of the ${voters.length} voters must answer, and ${silent.join(', ')} cannot be reached`;
    return { detail, votes: { needed: majority, got } };
  }

  async #prepare(electorate: Electorate, instance: Epoch, ballot: Ballot): Promise<PollResult<Accepted<Facts> | null>> {
    const { log, acceptor, self } = this.#options;
    const deadline = this.#phaseDeadline();
    const request = { origin: log.origin, epoch: instance, ballot };
    const answers = electorate.voters.map(async (voter): Promise<PollAnswer<Accepted<Facts> | null>> => {
      const reply =
        voter === self
          ? await ownVote(() => acceptor.prepare(instance, ballot))
          : await this.#ask<typeof request, PrepareReply>(voter, prepareEpoch, request, deadline);
      return reply.kind === 'promised' ? { kind: 'yes', value: reply.accepted } : reply;
    });
    // A founding waits for every founder that answers at all: one of them may know of an earlier founding.
    return await poll(answers, { majority: electorate.majority, waitForAll: instance === 1 });
  }

  async #decide(electorate: Electorate, ballot: Ballot, facts: Facts): Promise<Attempt> {
    const { log, acceptor, self } = this.#options;
    const deadline = this.#phaseDeadline();
    const request = { origin: log.origin, ballot, facts };
    const answers = electorate.voters.map(async (voter): Promise<PollAnswer<true>> => {
      const reply =
        voter === self
          ? await ownVote(() => acceptor.accept(ballot, facts))
          : await this.#ask<typeof request, AcceptReply>(voter, acceptEpoch, request, deadline);
      return reply.kind === 'accepted' ? { kind: 'yes', value: true } : reply;
    });
    const accepted = await poll(answers, { majority: electorate.majority, waitForAll: false });
    if (accepted.kind !== 'majority') return await this.#notReached(accepted, electorate);
    if (!(await log.installDecision(facts)))
      return { ...again(`epoch ${facts.epoch} could not be stored`, true), votes: ONE_THAT_KNOWS };
    this.#announce(facts);
    return again(`epoch ${facts.epoch} was decided`);
  }

  async #notReached(
    result: Exclude<PollResult<unknown>, { kind: 'majority' }>,
    { majority }: Electorate,
  ): Promise<Attempt> {
    switch (result.kind) {
      case 'decided': {
        const { log, self } = this.#options;
        const before = log.newestEpoch;
        await log.install(result.decided, self);
        return again('a newer epoch was decided by others', log.newestEpoch === before);
      }
      case 'rejected':
        this.#ballots.observe(result.highest);
        return {
          ...again('others are proposing at the same time', true),
          votes: { needed: majority, got: result.got },
        };
      case 'failed':
        return { ...again(result.detail, true), votes: { needed: majority, got: result.got } };
    }
  }

  async #ask<Request, Reply extends { readonly kind: string }>(
    voter: NodeId,
    type: MessageType<Request, Reply | NoVote>,
    request: Request,
    deadline: number,
  ): Promise<Reply | NoVote | { readonly kind: 'failed'; readonly detail: string }> {
    const result = await this.#options.messaging.call(voter, type, request, { deadline });
    switch (result.kind) {
      case 'reply':
        return result.reply;
      case 'refused':
        return { kind: 'failed', detail: `${voter}: ${result.detail}` };
      case 'not-sent':
      case 'lost':
        return { kind: 'failed', detail: `${voter}: ${result.reason}` };
    }
  }

  #phaseDeadline(): number {
    return Math.min(this.#deadline, this.#options.world.clock.monotonic() + this.#options.phaseTimeout);
  }

  /** Tells all members, also one that this epoch removed. Who misses it hears of the epoch in a heartbeat. */
  #announce(facts: Facts): void {
    const { log, messaging, self } = this.#options;
    const deadline = this.#phaseDeadline();
    const decided = { origin: log.origin, epochs: [facts] };
    for (const member of new Set(facts.ring.members.map(({ id }) => id))) {
      if (member === self || !messaging.reachable(member)) continue;
      void messaging.call(member, announceDecided, decided, { deadline });
    }
  }
}

function again(detail: string, disturbed = false): Again {
  return { kind: 'again', detail, disturbed };
}

async function ownVote<Reply>(
  vote: () => Promise<Reply>,
): Promise<Reply | { readonly kind: 'failed'; readonly detail: string }> {
  try {
    return await vote();
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'failed', detail: `this node: ${error.message}` };
    throw error;
  }
}

/** The index under which this node's ballots go; undefined when it has none and must not propose. */
function ballotIndex(known: Facts | undefined, self: NodeId, founders: readonly NodeId[]): NodeIndex | undefined {
  if (known === undefined) {
    const place = founders.indexOf(self);
    return place < 0 ? undefined : (place as NodeIndex);
  }
  const member = memberNamed(known, self);
  return member === undefined || member.state === 'removed' ? undefined : member.index;
}
