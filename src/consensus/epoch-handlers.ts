/**
 * What this node answers to the messages of the epoch chain. Whoever is behind its caller first fetches what the caller
 * knows, so a majority does not fail because a decision was slow to spread.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import type { CallerInfo, Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import type { EpochAcceptor } from './epoch-acceptor.ts';
import type { EpochFounding } from './epoch-founding.ts';
import type { EpochLearner } from './epoch-learner.ts';
import type { EpochLog } from './epoch-log.ts';
import type { EpochProposer } from './epoch-proposer.ts';
import type { Introduction } from './facts.ts';
import { memberNamed } from './electorate.ts';
import type { Newcomers } from './newcomers.ts';
import {
  acceptEpoch,
  announceDecided,
  confirmEpoch,
  installedEpoch,
  introduce,
  learnDecided,
  prepareEpoch,
} from './messages.ts';
import { sleep } from './waiting.ts';

/** Milliseconds within which a member that is behind has learned from others. */
const LEARNS_MS = 3000;

export interface HandlerOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly acceptor: EpochAcceptor;
  readonly proposer: EpochProposer;
  readonly learner: EpochLearner;
  readonly founding: EpochFounding | undefined;
  readonly newcomers: Newcomers;
  readonly self: Introduction;
  /** Milliseconds for one call. */
  readonly callTimeout: number;
}

export function handleEpochMessages(options: HandlerOptions): void {
  const { messaging, log, acceptor, proposer, learner, founding, newcomers, self } = options;

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
    // Answered even to a foreign one, so that both sides log that the cluster was founded twice.
    if (!log.isForeign(message.origin, caller.from)) newcomers.meet(message.introduction);
    founding?.meet(message.introduction);
    return { introduction: self, epoch: log.newestEpoch, origin: log.origin };
  });
  messaging.onReachability((peer, reachable) => {
    if (reachable && log.newest !== undefined) void greet(options, peer);
  });
  messaging.handle(prepareEpoch, async (request, caller) => {
    refuseTwin(options, caller);
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

/** Meeting a peer (again): both learn whether they belong to the same founding, and who is behind. */
async function greet(options: HandlerOptions, peer: NodeId): Promise<void> {
  const { messaging, world, log, learner, self, callTimeout } = options;
  const message = { introduction: self, epoch: log.newestEpoch, origin: log.origin };
  const result = await messaging.call(peer, introduce, message, { deadline: world.clock.monotonic() + callTimeout });
  if (result.kind !== 'reply' || log.isForeign(result.reply.origin, peer)) return;
  learner.hear(peer, result.reply.epoch);
  if (result.reply.epoch < log.newestEpoch) await tell(options, peer, result.reply.introduction);
}

/**
 * A member that is behind learns by itself from those that it knows. One that was away while all of these went does not know whom to
 * ask, though it can be asked: it is told.
 */
async function tell(
  { messaging, world, log, callTimeout }: HandlerOptions,
  peer: NodeId,
  { storageId }: Introduction,
): Promise<void> {
  await sleep(world.clock, LEARNS_MS);
  const { newest } = log;
  // A disk that holds the facts of a cluster belongs to it for ever, and one that waits to join may wait in vain.
  if (newest === undefined || memberNamed(newest, peer)?.storageId !== storageId || !messaging.reachable(peer)) return;
  const deadline = (): number => world.clock.monotonic() + callTimeout;
  const result = await messaging.call(peer, installedEpoch, newest.epoch, { deadline: deadline() });
  if (result.kind !== 'reply' || result.reply >= newest.epoch) return;
  const decided = log.decidedFrom(epoch(result.reply + 1));
  await messaging.call(peer, announceDecided, decided, { deadline: deadline() });
}

/**
 * Who has lost its disk binds its name to a new one. Where the node with the disk of that name is still there, somebody has started
 * another by mistake, which would put that one out. It gets no promise; once one has been given to it, its proposal may be chosen,
 * and has to be accepted like any other.
 */
function refuseTwin({ messaging, log }: HandlerOptions, { from, storageId }: CallerInfo): void {
  const bound = log.newest && memberNamed(log.newest, from)?.storageId;
  if (bound === undefined || bound === null || bound === storageId || !messaging.isHere(from, bound)) return;
  throw new Refusal(
    'same-name',
    `${from} is here, with the disk that the cluster knows: stop it if this one is to take its place, or choose another --id`,
  );
}

function refuseForeign(log: EpochLog, origin: string, from: NodeId): void {
  if (log.isForeign(origin, from)) {
    throw new Refusal('foreign-founding', 'this node belongs to a cluster with another first epoch', log.newestEpoch);
  }
}
