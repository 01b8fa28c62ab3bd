/**
 * Ballots, proposals and votes as positional arrays, for the wire and for the disk.
 */

import { nodeIndex } from '#kernel/identity.ts';
import { asArray, asInteger } from '#wire/shape.ts';
import type { Accepted, Vote } from './acceptor.ts';
import { factsFromWire, factsToWire } from './facts-codec.ts';
import type { Ballot, Facts } from './facts.ts';

export function ballotToWire(ballot: Ballot): unknown {
  return [ballot.time, ballot.node, ballot.boot];
}

/** @throws MalformedMessage naming what is wrong */
export function ballotFromWire(body: unknown): Ballot {
  const fields = asArray(body, 3, 'ballot');
  return {
    time: asInteger(fields[0], 'ballot time'),
    node: nodeIndex(asInteger(fields[1], 'ballot node', 0, 65_535)),
    boot: asInteger(fields[2], 'ballot boot'),
  };
}

/** @throws MalformedMessage naming what is wrong */
export function acceptedFromWire(body: unknown): Accepted<Facts> | null {
  if (body === null) return null;
  const fields = asArray(body, 2, 'accepted proposal');
  return { ballot: ballotFromWire(fields[0]), value: factsFromWire(fields[1]) };
}

export function acceptedToWire(accepted: Accepted<Facts> | null): unknown {
  return accepted && [ballotToWire(accepted.ballot), factsToWire(accepted.value)];
}

export function voteToWire(vote: Vote<Facts>): unknown {
  return [vote.promised && ballotToWire(vote.promised), acceptedToWire(vote.accepted)];
}

/** @throws MalformedMessage naming what is wrong */
export function voteFromWire(body: unknown): Vote<Facts> {
  const fields = asArray(body, 2, 'vote');
  const promised = fields[0] === null ? null : ballotFromWire(fields[0]);
  return { promised, accepted: acceptedFromWire(fields[1]) };
}
