/**
 * What this node answers to the messages of the epoch chain. Whoever is behind its caller first fetches what the caller
 * knows, so a majority does not fail because a decision was slow to spread.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import type { CallerInfo, Messaging } from '#wire/messaging.ts';
import type { EpochAcceptor } from './epoch-acceptor.ts';
import type { EpochFounding } from './epoch-founding.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import type { EpochProposer } from './epoch-proposer.ts';
import type { Introduction } from './facts.ts';
import {
  acceptEpoch,
  announceDecided,
  confirmEpoch,
  installedEpoch,
  introduce,
  learnDecided,
  prepareEpoch,
} from './messages.ts';

export interface HandlerOptions {
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly acceptor: EpochAcceptor;
  readonly proposer: EpochProposer;
  readonly learner: EpochLearner;
  readonly founding: EpochFounding | undefined;
  readonly self: Introduction;
}

export function handleEpochMessages(options: HandlerOptions): void {
  const { messaging, log, acceptor, proposer, learner, founding, self } = options;

  /** Refuses the chain of another founding, and fetches the epochs up to `wanted` that the caller knows. */
  const follow = async (origin: string, wanted: number, caller: CallerInfo): Promise<void> => {
    refuseForeign(log, origin, caller.from);
    if (log.newestEpoch < wanted) await learner.pullFrom(caller.from, epoch(wanted), caller.deadline);
  };

  messaging.onEpoch((peer, known) => {
    learner.hear(peer, known as Epoch);
  });
  messaging.handle(introduce, (message, caller) => {
    if (message.introduction.id !== caller.from) {
      throw new Refusal('wrong-name', `${caller.from} introduced itself as ${message.introduction.id}`);
    }
    founding?.meet(message.introduction);
    return { introduction: self, epoch: log.newestEpoch };
  });
  messaging.handle(prepareEpoch, async (request, caller) => {
    proposer.observe(request.ballot);
    await follow(request.origin, request.epoch - 1, caller);
    return await acceptor.prepare(request.epoch, request.ballot);
  });
  messaging.handle(acceptEpoch, async (request, caller) => {
    proposer.observe(request.ballot);
    await follow(request.origin, request.facts.epoch - 1, caller);
    return await acceptor.accept(request.ballot, request.facts);
  });
  messaging.handle(announceDecided, async (decided, caller) => {
    refuseForeign(log, decided.origin, caller.from);
    await log.install(decided, caller.from);
    return log.newestEpoch;
  });
  messaging.handle(learnDecided, (first) => log.decidedFrom(first));
  messaging.handle(confirmEpoch, async (request, caller) => {
    await follow(request.origin, request.epoch, caller);
    return { epoch: log.newestEpoch, undecidedVote: acceptor.hasUndecidedVote(), voter: acceptor.mayVote() };
  });
  messaging.handle(installedEpoch, async (wanted, caller) => {
    await follow('', wanted, caller);
    return log.newestEpoch;
  });
}

function refuseForeign(log: EpochLog, origin: string, from: NodeId): void {
  if (log.isForeign(origin, from)) {
    throw new Refusal('foreign-founding', 'this node belongs to a cluster with another first epoch', log.newestEpoch);
  }
}
