/**
 * The acceptor of one single-decree Paxos instance, as a pure function of its vote (Lamport, "Paxos Made Simple", 2001).
 *
 * Whoever runs it must have the new vote on stable storage before the answer leaves the node: an acceptor that forgets
 * lets two values be chosen.
 */

import { compareBallots, higherBallot } from './ballot.ts';
import type { Ballot } from './facts.ts';

export interface Accepted<Value> {
  readonly ballot: Ballot;
  readonly value: Value;
}

/** What an acceptor must never forget. `accepted` never has a higher ballot than `promised`. */
export interface Vote<Value> {
  /** No proposal with a lower ballot is accepted any more. */
  readonly promised: Ballot | null;
  readonly accepted: Accepted<Value> | null;
}

export const NO_VOTE: Vote<never> = { promised: null, accepted: null };

export type PrepareStep<Value> =
  | { readonly kind: 'promised'; readonly vote: Vote<Value> }
  | { readonly kind: 'rejected'; readonly highest: Ballot };

export type AcceptStep<Value> =
  | { readonly kind: 'accepted'; readonly vote: Vote<Value> }
  | { readonly kind: 'rejected'; readonly highest: Ballot };

/**
 * Phase 1: promises to accept nothing below the ballot. Only a strictly higher ballot gets a promise, so that one ballot
 * collects its promises for one proposal even if two proposers should ever share it.
 */
export function prepare<Value>(vote: Vote<Value>, ballot: Ballot): PrepareStep<Value> {
  if (vote.promised !== null && compareBallots(ballot, vote.promised) <= 0) {
    return { kind: 'rejected', highest: vote.promised };
  }
  return { kind: 'promised', vote: { promised: ballot, accepted: vote.accepted } };
}

/** Phase 2: accepts unless a higher ballot was promised. The same proposal again is accepted again. */
export function accept<Value>(vote: Vote<Value>, ballot: Ballot, value: Value): AcceptStep<Value> {
  if (vote.promised !== null && compareBallots(ballot, vote.promised) < 0) {
    return { kind: 'rejected', highest: vote.promised };
  }
  return { kind: 'accepted', vote: { promised: ballot, accepted: { ballot, value } } };
}

/**
 * What a proposer must propose after a majority promised: the value accepted under the highest ballot, for it may have
 * been chosen already. Undefined when none was accepted, which leaves the choice free.
 */
export function valueToAdopt<Value>(promises: readonly (Accepted<Value> | null)[]): Value | undefined {
  let highest: Accepted<Value> | undefined;
  for (const accepted of promises) {
    if (accepted === null) continue;
    if (highest === undefined || higherBallot(highest.ballot, accepted.ballot) === accepted.ballot) highest = accepted;
  }
  return highest?.value;
}
