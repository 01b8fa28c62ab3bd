/**
 * One key's register at one owner: the acceptor of CASPaxos (Rystsov 2018), as a pure function of what it must never forget.
 *
 * Unlike an instance of an epoch (acceptor.ts) a register is changed again and again: each accepted ballot is higher than
 * the one before, and the value under the highest ballot that a majority has accepted is the register's. An accept may carry
 * the promise for the same proposer's next ballot, which saves that one its first phase.
 *
 * A register that holds nothing can be erased: a row that is not there stands for "promised the floor, nothing accepted",
 * where the floor is at least the highest ballot of all registers that were erased, so that no late message of an erased life
 * is ever accepted. For that to lose nothing, all owners must have accepted that nothing under the ballot that erases it.
 *
 * Whoever runs it must have the new register on stable storage before the answer leaves the node.
 */

import type { Accepted } from './acceptor.ts';
import { compareBallots, higherBallot } from './ballot.ts';
import type { Ballot } from './facts.ts';

export interface Register<Value> {
  /** No proposal with a lower ballot is accepted any more. Never below the accepted ballot. */
  readonly promised: Ballot | null;
  readonly accepted: Accepted<Value> | null;
}

export type RegisterStep<Value> =
  | { readonly kind: 'done'; readonly register: Register<Value> }
  /** `highest` is what a proposer must exceed. */
  | { readonly kind: 'rejected'; readonly highest: Ballot };

/** The register of a row that is not there. */
export function emptyRegister(floor: Ballot | null): Register<never> {
  return { promised: floor, accepted: null };
}

/** Phase 1: only a ballot above all that was promised gets a promise. */
export function prepareRegister<Value>(register: Register<Value>, ballot: Ballot): RegisterStep<Value> {
  const { promised, accepted } = register;
  if (promised !== null && compareBallots(ballot, promised) <= 0) return { kind: 'rejected', highest: promised };
  return { kind: 'done', register: { promised: ballot, accepted } };
}

/**
 * Phase 2. The ballot must be one that was promised, and above the accepted one: a ballot carries one value, so a second
 * proposal under it can only be the same message again (`sameValue` says so), which is answered as before.
 * `next` is promised to the same proposer.
 */
export function acceptRegister<Value>(
  register: Register<Value>,
  { ballot, value }: Accepted<Value>,
  next: Ballot | null,
  sameValue: (a: Value, b: Value) => boolean,
): RegisterStep<Value> {
  const { promised, accepted } = register;
  const order = accepted === null ? 1 : compareBallots(ballot, accepted.ballot);
  if (accepted !== null && order === 0 && sameValue(accepted.value, value)) return { kind: 'done', register };
  if (order <= 0) return { kind: 'rejected', highest: promised ?? accepted!.ballot };
  if (promised !== null && compareBallots(ballot, promised) < 0) return { kind: 'rejected', highest: promised };
  const kept = next !== null && compareBallots(next, ballot) > 0 ? next : ballot;
  return { kind: 'done', register: { promised: kept, accepted: { ballot, value } } };
}

/**
 * Whether the row may go that all owners have accepted as nothing under this ballot: nobody has been promised more since, for
 * a promise that is forgotten is one that is broken.
 */
export function mayErase<Value>({ promised, accepted }: Register<Value>, ballot: Ballot): boolean {
  if (accepted === null || promised === null) return false;
  return compareBallots(promised, ballot) === 0 && compareBallots(accepted.ballot, ballot) === 0;
}

/** What an owner that has lost its register may say after it has asked another: as if it had heard what that one heard. */
export function mergeRegisters<Value>(a: Register<Value>, b: Register<Value>): Register<Value> {
  const promised = b.promised === null ? a.promised : higherBallot(a.promised, b.promised);
  const bIsLater =
    b.accepted !== null && (a.accepted === null || compareBallots(b.accepted.ballot, a.accepted.ballot) > 0);
  return { promised, accepted: bIsLater ? b.accepted : a.accepted };
}

/** What a majority's answers say of the register: a value under one ballot, or that they differ. */
export function agreedValue<Value>(
  answers: readonly (Accepted<Value> | null)[],
  majority: number,
): { readonly accepted: Accepted<Value> | null } | undefined {
  for (const candidate of answers) {
    const same = answers.filter((answer) =>
      candidate === null || answer === null
        ? answer === candidate
        : compareBallots(answer.ballot, candidate.ballot) === 0,
    );
    if (same.length >= majority) return { accepted: candidate };
  }
  return undefined;
}
