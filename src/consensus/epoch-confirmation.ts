/**
 * The rule of a start: what is on disk may be old, so a node serves nothing before a majority of the voters of its newest
 * epoch has said that it knows of nothing newer. A voter that has accepted a proposal for the next epoch cannot know
 * whether it was chosen; then a round of the proposer finds out, and completes it if it was.
 */

import { assert } from '#kernel/assert.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { CallResult, Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { electorateAfter } from './electorate.ts';
import type { EpochAcceptor } from './epoch-acceptor.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import type { EpochProposer } from './epoch-proposer.ts';
import type { Facts } from './facts.ts';
import { confirmEpoch } from './messages.ts';
import { poll } from './poll.ts';
import type { PollAnswer } from './poll.ts';
import { withTrouble } from './why-unconfirmed.ts';

export interface ConfirmationOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly acceptor: EpochAcceptor;
  readonly proposer: EpochProposer;
  readonly learner: EpochLearner;
  readonly self: NodeId;
  /** Milliseconds for one round of questions. */
  readonly roundTimeout: number;
}

interface Confirmed {
  readonly undecidedVote: boolean;
}

function silence(messaging: Messaging, voter: NodeId, result: Exclude<CallResult<unknown>, { kind: 'reply' }>): string {
  switch (result.kind) {
    case 'refused':
      return `${voter}: ${result.detail}`;
    case 'not-sent':
      return `${withTrouble(messaging, voter)} cannot be reached`;
    case 'lost':
      return `${voter} has not answered`;
  }
}

export class EpochConfirmation {
  readonly #options: ConfirmationOptions;
  #why: string | undefined;

  constructor(options: ConfirmationOptions) {
    this.#options = options;
  }

  /** Why the last round has confirmed nothing, in words; undefined before the first. */
  why(): string | undefined {
    return this.#why;
  }

  /** One round. True when the newest epoch known here is known to be the newest there is; needs an epoch. */
  async confirm(): Promise<boolean> {
    const { world, log, self, roundTimeout } = this.#options;
    const facts = log.newest;
    assert(facts !== undefined, 'there is nothing to confirm before the first epoch');
    const deadline = world.clock.monotonic() + roundTimeout;
    const { voters, majority } = electorateAfter(facts, []);
    const answers = voters.map((voter) => (voter === self ? this.#askSelf() : this.#ask(voter, facts, deadline)));
    const result = await poll(answers, { majority, waitForAll: false });
    if (result.kind === 'failed') this.#why = result.detail;
    if (result.kind !== 'majority' || log.newest !== facts) return false;
    if (!result.values.some(({ undecidedVote }) => undecidedVote)) return true;
    this.#why = `whether epoch ${facts.epoch + 1} was decided is not known yet`;
    return await this.#settle();
  }

  async #askSelf(): Promise<PollAnswer<Confirmed>> {
    const { acceptor } = this.#options;
    if (!acceptor.mayVote()) return { kind: 'failed', detail: 'this node has no vote' };
    return { kind: 'yes', value: { undecidedVote: acceptor.hasUndecidedVote() } };
  }

  async #ask(voter: NodeId, facts: Facts, deadline: number): Promise<PollAnswer<Confirmed>> {
    const { messaging, log, learner } = this.#options;
    const result = await messaging.call(voter, confirmEpoch, { origin: log.origin, epoch: facts.epoch }, { deadline });
    if (result.kind !== 'reply') return { kind: 'failed', detail: silence(messaging, voter, result) };
    const { epoch, voter: counts, undecidedVote } = result.reply;
    if (epoch > facts.epoch) {
      learner.hear(voter, epoch);
      return { kind: 'failed', detail: `${voter} knows epoch ${epoch}` };
    }
    if (epoch < facts.epoch) return { kind: 'failed', detail: `${voter} knows no more than epoch ${epoch}` };
    if (!counts) return { kind: 'failed', detail: `${voter} has no vote with the disk that it has now` };
    return { kind: 'yes', value: { undecidedVote } };
  }

  /** Completes what may have been chosen. A proposal that changes nothing proves, where it succeeds, that nothing was. */
  async #settle(): Promise<boolean> {
    const { world, log, proposer, roundTimeout } = this.#options;
    const deadline = world.clock.monotonic() + 2 * roundTimeout;
    const result = await proposer.propose((facts) => facts ?? { refused: 'nothing is known' }, deadline);
    return result.kind === 'decided' && result.facts === log.newest;
  }
}
