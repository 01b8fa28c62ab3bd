/**
 * Counts replies and judges them: `reached`, `pending`, or `impossible` as soon as those who may still answer cannot
 * make up the numbers, so that a client is never left waiting for what cannot come. Nothing here sends, waits or knows
 * the time. (Compare the trackers of Cassandra's Accord and `riak_kv_put_core`.)
 *
 * A node counts once, whatever it sends and in whatever order: a success stands for good, also after a failure, since a
 * late reply is still the truth about that replica. An owner and the fallback that stands in for it count once together:
 * what the fallback keeps goes to that owner and is then removed, so in the end it is one copy. A fallback that becomes an owner
 * while the partition moves is asked anew, as one, and what it keeps for another counts for that one still.
 */

import { assert, AssertionError } from '#kernel/assert.ts';
import type { NodeIndex } from '#kernel/identity.ts';

export type Decision = 'pending' | 'reached' | 'impossible';

/**
 * A primary owns the key; a fallback stands in for one and never counts for `pr` and `pw`; a bystander owns it too, but not
 * in the zone whose owners are to agree, and counts for nothing.
 */
export type Role = 'primary' | 'fallback' | 'bystander';

interface Candidate {
  readonly role: Role;
  /** The owner whose place it counts for: its own, or that of the owner it stands in for. */
  place: NodeIndex;
  accepted: boolean;
  durable: boolean;
  /** No further reply is expected. */
  failed: boolean;
  /** It refuses all that relies on this epoch or on earlier ones; 0 when that is not known. */
  refusesUpTo: number;
}

/** `w` replicas must accept, `pw` of them primaries, `dw` of them durably. */
export interface WriteNeeds {
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
  /** Of these owners; of all without it. */
  readonly among?: readonly NodeIndex[];
  /** The epoch that made these owners the owners. */
  readonly changedIn?: number;
}

export class WriteTally {
  /** All must be met: while a partition moves, those of its old owners and those of its new ones. */
  readonly #needs: WriteNeeds[] = [];
  readonly #candidates = new Map<number, Candidate>();
  #anyRefuses = false;

  constructor(...needs: readonly WriteNeeds[]) {
    for (const one of needs) this.require(one);
  }

  /** One more number that must be met. A rule that was there before stands: what satisfies both satisfies each. */
  require(needs: WriteNeeds): void {
    assert(needs.pw <= needs.w && needs.dw <= needs.w, `pw=${needs.pw} and dw=${needs.dw} within w=${needs.w}`);
    this.#needs.push(needs);
  }

  /**
   * A node is being asked, or asked again after it failed. Whoever may still be asked must be announced before the
   * decision is taken for impossible; an owner keeps its role. `place`: the owner that a fallback stands in for.
   */
  expect(node: NodeIndex, role: Role, place: NodeIndex = node): void {
    const owner = this.#candidates.get(node);
    const known = role === 'fallback' ? this.#candidates.get(asFallback(node)) : owner;
    if (owner !== undefined) assert(owner.role === role, `node ${node} was asked as a ${owner.role}, not as a ${role}`);
    if (known === undefined) {
      const key = role === 'fallback' ? asFallback(node) : node;
      this.#candidates.set(key, { role, place, accepted: false, durable: false, failed: false, refusesUpTo: 0 });
      return;
    }
    assert(known.place === place, `node ${node} was asked in the place of ${known.place}, not of ${place}`);
    known.failed = false;
  }

  /** Whether the node was asked. */
  expects(node: NodeIndex): boolean {
    return this.#candidates.has(node);
  }

  /** In whose place a fallback counts, when that was not known as it was asked. */
  standIn(fallback: NodeIndex, place: NodeIndex): void {
    this.#candidate(fallback, 'fallback').place = place;
  }

  /**
   * The node holds the write; `durable`: on stable storage. It may first accept and report durability later. `as`: what it was
   * asked as, when it may have been both.
   */
  accept(node: NodeIndex, durable: boolean, as?: 'fallback'): void {
    const candidate = this.#candidate(node, as);
    candidate.accepted = true;
    if (durable) candidate.durable = true;
  }

  /** Nothing more is expected from the node: it refused, broke or timed out, or will not report durability. */
  fail(node: NodeIndex, as?: 'fallback'): void {
    this.#candidate(node, as).failed = true;
  }

  /**
   * The node goes by a newer epoch than `epoch` and refuses whatever relies on that or an earlier one. For rules that are as old it
   * counts like one that has the write: what these are for is that no reader by them misses it, and every such reader that asks the
   * node is refused and has to go by newer ones. To be called only when newer rules are required as well: those it does not meet.
   */
  refuses(node: NodeIndex, epoch: number): void {
    this.#anyRefuses = true;
    const candidate = this.#candidate(node);
    candidate.refusesUpTo = Math.max(candidate.refusesUpTo, epoch);
  }

  decision(): Decision {
    let decision: Decision = 'reached';
    for (const needs of this.#needs) {
      if (this.#isMet(needs, hasAccepted, isDurable)) continue;
      // Each candidate that is still open may yet answer in the best way.
      if (!this.#isMet(needs, mayAccept, mayBeDurable)) return 'impossible';
      decision = 'pending';
    }
    return decision;
  }

  /** Owners that hold the write themselves or for whom a fallback does; of several sets, in the one that has fewest. */
  get acked(): number {
    return this.#fewest(hasAccepted);
  }

  /** Those of them for whom it is on stable storage. */
  get durable(): number {
    return this.#fewest(isDurable);
  }

  /** Primaries that hold it. */
  get primaries(): number {
    return this.#fewest((c) => c.accepted && c.role === 'primary');
  }

  /** Whether it would be enough without fallbacks, whatever is asked of primaries. */
  primariesSuffice(): boolean {
    const holds: Judge = (c) => c.accepted && c.role === 'primary';
    return this.#needs.every(({ w, among }) => this.#places(holds, among) >= w);
  }

  /** Owners for whom only a fallback holds it. */
  get fallbacks(): number {
    return this.acked - this.primaries;
  }

  /** Nodes that have neither accepted nor failed. */
  get unanswered(): number {
    let count = 0;
    for (const { accepted, failed } of this.#candidates.values()) if (!accepted && !failed) count++;
    return count;
  }

  #candidate(node: NodeIndex, as?: 'fallback'): Candidate {
    const owner = as === undefined ? this.#candidates.get(node) : undefined;
    const candidate = owner ?? this.#candidates.get(asFallback(node));
    if (candidate === undefined) throw new AssertionError(`node ${node} is not among those that were asked`);
    return candidate;
  }

  #isMet({ w, pw, dw, among, changedIn = Infinity }: WriteNeeds, accepting: Judge, storing: Judge): boolean {
    const orRefuses = (judge: Judge): Judge =>
      this.#anyRefuses ? (c) => judge(c) || c.refusesUpTo >= changedIn : judge;
    const [accepts, durably] = [orRefuses(accepting), orRefuses(storing)];
    return (
      this.#places(accepts, among) >= w &&
      (pw === 0 || this.#places((c) => accepts(c) && c.role === 'primary', among) >= pw) &&
      this.#places(durably, among) >= dw
    );
  }

  #fewest(wanted: Judge): number {
    return Math.min(...this.#needs.map(({ among }) => this.#places(wanted, among)));
  }

  /** Different places among the candidates that are wanted: an owner and its fallback are one. */
  #places(wanted: Judge, among: readonly NodeIndex[] | undefined): number {
    let count = 0;
    for (const candidate of this.#candidates.values()) {
      if (candidate.role === 'bystander' || !wanted(candidate)) continue;
      if (among !== undefined && !among.includes(candidate.place)) continue;
      if (this.#firstAtPlace(candidate, wanted)) count++;
    }
    return count;
  }

  #firstAtPlace(candidate: Candidate, wanted: (candidate: Candidate) => boolean): boolean {
    for (const other of this.#candidates.values()) {
      if (other === candidate) return true;
      if (other.place === candidate.place && wanted(other)) return false;
    }
    return true;
  }
}

/** Fallbacks have keys of their own, which no index is. */
function asFallback(node: NodeIndex): number {
  return -1 - node;
}

type Judge = (candidate: Candidate) => boolean;

const hasAccepted: Judge = (c) => c.accepted;
const isDurable: Judge = (c) => c.durable;
const mayAccept: Judge = (c) => c.accepted || !c.failed;
const mayBeDurable: Judge = (c) => c.durable || !c.failed;

/** Counts the answers to a read by the same rules. */
export class ReadTally {
  readonly #replies: WriteTally;

  /** `r` replicas must answer, `pr` of them primaries. */
  constructor(needs: { readonly r: number; readonly pr: number }) {
    this.#replies = new WriteTally({ w: needs.r, pw: needs.pr, dw: 0 });
  }

  /** As {@link WriteTally.expect}. */
  expect(node: NodeIndex, role: Role, place: NodeIndex = node): void {
    this.#replies.expect(node, role, place);
  }

  /**
   * The node gave an answer that counts. That a primary has nothing is one; a fallback's answer counts only when it
   * holds the key for an owner, in whose place it then counts; otherwise it is to be reported as failed.
   */
  accept(node: NodeIndex, place: NodeIndex = node): void {
    if (place !== node) this.#replies.standIn(node, place);
    this.#replies.accept(node, false);
  }

  /** No answer that counts is expected from the node any more. */
  fail(node: NodeIndex): void {
    this.#replies.fail(node);
  }

  decision(): Decision {
    return this.#replies.decision();
  }

  /** Nodes whose answers count. */
  get acked(): number {
    return this.#replies.acked;
  }

  get primaries(): number {
    return this.#replies.primaries;
  }

  get fallbacks(): number {
    return this.#replies.fallbacks;
  }

  /** Nodes that have neither answered nor failed. */
  get unanswered(): number {
    return this.#replies.unanswered;
  }
}
