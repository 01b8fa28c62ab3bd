/**
 * The messages of the epoch chain. All that carry decided facts also carry the cluster's origin, the digest of its first
 * epoch, so that a node cannot be talked into the chain of another founding with the same list of founders.
 */

import type { ClusterId, Epoch } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { MalformedMessage } from '#wire/message.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asInteger, asListOf, asNumber, asString } from '#wire/shape.ts';
import type { Accepted } from './acceptor.ts';
import { factsFromWire, factsToWire } from './facts-codec.ts';
import type { Ballot, Facts, Introduction } from './facts.ts';
import { acceptedFromWire, acceptedToWire, ballotFromWire, ballotToWire } from './vote-codec.ts';

/** The epoch that somebody asked for, if the answerer still has it, and the newest one that it knows: 0, 1 or 2. */
export interface DecidedEpochs {
  /** 64 hex digits. */
  readonly origin: string;
  readonly epochs: readonly Facts[];
}

/** Who votes and on what; `origin` is empty on the first epoch. */
export interface PrepareRequest {
  readonly origin: string;
  readonly epoch: Epoch;
  readonly ballot: Ballot;
}

export interface AcceptRequest {
  readonly origin: string;
  readonly ballot: Ballot;
  /** The proposed facts; their epoch is the instance. */
  readonly facts: Facts;
}

/** What both phases can answer instead of a vote. */
export type NoVote =
  | { readonly kind: 'rejected'; readonly highest: Ballot }
  | { readonly kind: 'decided'; readonly decided: DecidedEpochs };
export type PrepareReply = { readonly kind: 'promised'; readonly accepted: Accepted<Facts> | null } | NoVote;
export type AcceptReply = { readonly kind: 'accepted' } | NoVote;

export interface IntroduceMessage {
  readonly introduction: Introduction;
  /** The newest epoch that the sender knows; 0 when none. */
  readonly epoch: Epoch;
  /** Empty when the sender knows no epoch. */
  readonly origin: string;
}

export interface ConfirmRequest {
  readonly origin: string;
  readonly epoch: Epoch;
}

export interface ConfirmReply {
  /** The newest epoch that the voter knows to be decided. */
  readonly epoch: Epoch;
  /** It has accepted a proposal for the epoch after that one: it may have been chosen. */
  readonly undecidedVote: boolean;
  /** Whether its answer counts: it may vote on the epoch after that one. */
  readonly voter: boolean;
}

export const introduce: MessageType<IntroduceMessage, IntroduceMessage> = {
  name: 'consensus.introduce',
  encodeRequest: introduceToWire,
  decodeRequest: introduceFromWire,
  encodeReply: introduceToWire,
  decodeReply: introduceFromWire,
};

export const prepareEpoch: MessageType<PrepareRequest, PrepareReply> = {
  name: 'consensus.prepare',
  encodeRequest: (request) => [request.origin, request.epoch, ballotToWire(request.ballot)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'prepare');
    return { origin: originFromWire(fields[0]), epoch: epochFromWire(fields[1], 1), ballot: ballotFromWire(fields[2]) };
  },
  encodeReply: (reply) =>
    reply.kind === 'promised' ? ['promised', acceptedToWire(reply.accepted)] : noVoteToWire(reply),
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'prepare reply');
    if (fields[0] === 'promised') return { kind: 'promised', accepted: acceptedFromWire(fields[1]) };
    return noVoteFromWire(fields);
  },
};

export const acceptEpoch: MessageType<AcceptRequest, AcceptReply> = {
  name: 'consensus.accept',
  encodeRequest: (request) => [request.origin, ballotToWire(request.ballot), factsToWire(request.facts)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'accept');
    return { origin: originFromWire(fields[0]), ballot: ballotFromWire(fields[1]), facts: factsFromWire(fields[2]) };
  },
  encodeReply: (reply) => (reply.kind === 'accepted' ? ['accepted', null] : noVoteToWire(reply)),
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'accept reply');
    return fields[0] === 'accepted' ? { kind: 'accepted' } : noVoteFromWire(fields);
  },
};

/** Tells what was decided; the answer is the newest epoch that the receiver then has installed. */
export const announceDecided: MessageType<DecidedEpochs, Epoch> = {
  name: 'consensus.decided',
  encodeRequest: decidedToWire,
  decodeRequest: decidedFromWire,
  encodeReply: (installed) => installed,
  decodeReply: (body) => epochFromWire(body),
};

/** Asks for the given decided epoch and the newest; the answer is empty when the callee does not know so many. */
export const learnDecided: MessageType<Epoch, DecidedEpochs> = {
  name: 'consensus.learn',
  encodeRequest: (first) => first,
  decodeRequest: (body) => epochFromWire(body, 1),
  encodeReply: decidedToWire,
  decodeReply: decidedFromWire,
};

/** Asks a voter, after a start, whether it knows of anything newer. */
export const confirmEpoch: MessageType<ConfirmRequest, ConfirmReply> = {
  name: 'consensus.confirm',
  encodeRequest: (request) => [request.origin, request.epoch],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'confirm');
    return { origin: originFromWire(fields[0]), epoch: epochFromWire(fields[1], 1) };
  },
  encodeReply: (reply) => [reply.epoch, reply.undecidedVote, reply.voter],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'confirm reply');
    return {
      epoch: epochFromWire(fields[0]),
      undecidedVote: asBoolean(fields[1], 'confirm undecided vote'),
      voter: asBoolean(fields[2], 'confirm voter'),
    };
  },
};

/** Asks a member to install an epoch; the answer is the newest that it has installed. */
export const installedEpoch: MessageType<Epoch, Epoch> = {
  name: 'consensus.installed',
  encodeRequest: (wanted) => wanted,
  decodeRequest: (body) => epochFromWire(body, 1),
  encodeReply: (installed) => installed,
  decodeReply: (body) => epochFromWire(body),
};

function introduceToWire({ introduction: who, epoch: known, origin }: IntroduceMessage): unknown {
  return [who.id, who.storageId, who.peer, who.url, who.zone, who.weight, known, origin];
}

function introduceFromWire(body: unknown): IntroduceMessage {
  const fields = asArray(body, 8, 'introduction');
  const weight = asNumber(fields[5], 'introduction weight');
  if (weight <= 0) throw new MalformedMessage(`introduction weight: expected more than 0, got ${weight}`);
  return {
    introduction: {
      id: patterned(fields[0], 'introduction id', /^[A-Za-z0-9._-]{1,64}$/),
      storageId: patterned(fields[1], 'introduction storage id', /^[0-9a-f]{32}$/),
      peer: asString(fields[2], 'introduction peer', 512),
      url: asString(fields[3], 'introduction url', 2048),
      zone: asString(fields[4], 'introduction zone', 128),
      weight,
    },
    epoch: epochFromWire(fields[6]),
    origin: originFromWire(fields[7]),
  };
}

function noVoteToWire(reply: NoVote): unknown {
  if (reply.kind === 'rejected') return ['rejected', ballotToWire(reply.highest)];
  return ['decided', decidedToWire(reply.decided)];
}

function noVoteFromWire(fields: readonly unknown[]): NoVote {
  if (fields[0] === 'rejected') return { kind: 'rejected', highest: ballotFromWire(fields[1]) };
  if (fields[0] === 'decided') return { kind: 'decided', decided: decidedFromWire(fields[1]) };
  throw new MalformedMessage(`vote: expected promised, accepted, rejected or decided, got ${String(fields[0])}`);
}

function decidedToWire(decided: DecidedEpochs): unknown {
  return [decided.origin, decided.epochs.map(factsToWire)];
}

function decidedFromWire(body: unknown): DecidedEpochs {
  const fields = asArray(body, 2, 'decided epochs');
  const epochs = asListOf(fields[1], 'decided epochs', 2, factsFromWire);
  let cluster: ClusterId | undefined;
  for (const [i, facts] of epochs.entries()) {
    cluster ??= facts.ring.clusterId;
    if (facts.ring.clusterId !== cluster) throw new MalformedMessage('decided epochs: of different clusters');
    if (i > 0 && facts.epoch <= epochs[i - 1]!.epoch) throw new MalformedMessage('decided epochs: not in rising order');
  }
  const origin = originFromWire(fields[0]);
  if (epochs.length > 0 && origin === '') throw new MalformedMessage('decided epochs: without their origin');
  return { origin, epochs };
}

function originFromWire(value: unknown): string {
  return patterned(value, 'origin', /^([0-9a-f]{64})?$/);
}

function epochFromWire(value: unknown, minimum = 0): Epoch {
  return epoch(asInteger(value, 'epoch', minimum));
}

function patterned(value: unknown, what: string, pattern: RegExp): string {
  const text = asString(value, what, 128);
  if (!pattern.test(text)) throw new MalformedMessage(`${what}: ${JSON.stringify(text)} is not one`);
  return text;
}
