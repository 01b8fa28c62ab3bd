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

import { AssertionError } from '#kernel/assert.ts';
import type { NodeIndex } from '#kernel/identity.ts';

export type Decision = 'pending' | 'reached' | 'impossible';

/**
 * A primary owns the key; a fallback stands in for one and never counts for `pr` and `pw`; a bystander owns it too, but not
 * in the zone whose owners are to agree, and counts for nothing.
 */
export type Role = 'primary' | 'fallback' | 'bystander';

interface Candidate {
  readonly node: NodeIndex;
  readonly role: Role;
  /** The owner whose place it counts for: its own, or that of the owner it stands in for. */
  place: NodeIndex;
  accepted: boolean;
  durable: boolean;
  /** No further reply is expected. */
  failed: boolean;
  /** It refuses all that relies on this epoch or on earlier ones; {@link REFUSES_NOTHING} when that is not known. */
  refusesUpTo: number;
}

/** Below every epoch. */
const REFUSES_NOTHING = -1;

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
  /** As few as a key has owners, and those who stand in for them: looked through rather than looked up. */
  readonly #candidates: Candidate[] = [];
  #waitsForPrimaries = false;

  constructor(...needs: readonly WriteNeeds[]) {
    for (const one of needs) this.require(one);
  }

  /** One more number that must be met. A rule that was there before stands: what satisfies both satisfies each. */
  require(needs: WriteNeeds): void {
    const { w, pw, dw } = needs;
    if (pw > w || dw > w) throw new AssertionError(`pw=${pw} and dw=${dw} within w=${w}`);
    this.#needs.push(needs);
  }

  /**
   * Whether fallbacks count only once primaries cannot be enough: those that hold the write and those for whom nobody stands in and
   * who may still answer. Whoever waits for these spares readers of primaries a write that they do not see.
   */
  waitForPrimaries(waits: boolean): void {
    this.#waitsForPrimaries = waits;
  }

  /**
   * A node is being asked, or asked again after it failed. Whoever may still be asked must be announced before the
   * decision is taken for impossible; an owner keeps its role. `place`: the owner that a fallback stands in for.
   */
  expect(node: NodeIndex, role: Role, place: NodeIndex = node): void {
    const owner = this.#find(node, 'owner');
    const known = role === 'fallback' ? this.#find(node, 'fallback') : owner;
    if (owner !== undefined && owner.role !== role)
      throw new AssertionError(`node ${node} was asked as a ${owner.role}, not as a ${role}`);
    if (known === undefined) {
      const is = { node, role, place, accepted: false, durable: false, failed: false, refusesUpTo: REFUSES_NOTHING };
      this.#candidates.push(is);
      return;
    }
    if (known.place !== place)
      throw new AssertionError(`node ${node} was asked in the place of ${known.place}, not of ${place}`);
    known.failed = false;
  }

  /** Whether the node was asked. */
  expects(node: NodeIndex): boolean {
    return this.#find(node, 'owner') !== undefined;
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
    const candidate = this.#candidate(node);
    candidate.refusesUpTo = Math.max(candidate.refusesUpTo, epoch);
  }

  decision(): Decision {
    let decision: Decision = 'reached';
    for (const needs of this.#needs) {
      if (this.#isMet(needs, AS_IT_IS)) continue;
      if (!this.#isMet(needs, AT_BEST)) return 'impossible';
      decision = 'pending';
    }
    const waits = this.#waitsForPrimaries && decision === 'reached' && !this.primariesSuffice();
    return waits && this.#mayPrimariesSuffice() ? 'pending' : decision;
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
    return this.#fewest(holdsAsPrimary);
  }

  /** Whether it would be enough without fallbacks, whatever is asked of primaries. */
  primariesSuffice(): boolean {
    for (const { w, among } of this.#needs) if (this.#places(holdsAsPrimary, among) < w) return false;
    return true;
  }

  #mayPrimariesSuffice(): boolean {
    const mayHold: Judge = (c, changedIn) =>
      holdsAsPrimary(c, changedIn) ||
      (c.role === 'primary' && !c.failed && !this.#candidates.some((other) => other !== c && other.place === c.node));
    return this.#needs.every(({ w, among }) => this.#places(mayHold, among) >= w);
  }

  /** Owners for whom only a fallback holds it. */
  get fallbacks(): number {
    return this.acked - this.primaries;
  }

  /** Nodes that have neither accepted nor failed. */
  get unanswered(): number {
    let count = 0;
    for (const { accepted, failed } of this.#candidates) if (!accepted && !failed) count++;
    return count;
  }

  /** The node as it was asked; one that was asked as both is the owner unless `as` says otherwise. */
  #candidate(node: NodeIndex, as?: 'fallback'): Candidate {
    const candidate = (as === undefined ? this.#find(node, 'owner') : undefined) ?? this.#find(node, 'fallback');
    if (candidate === undefined) throw new AssertionError(`node ${node} is not among those that were asked`);
    return candidate;
  }

  #find(node: NodeIndex, as: 'owner' | 'fallback'): Candidate | undefined {
    for (const candidate of this.#candidates) {
      if (candidate.node === node && (candidate.role === 'fallback') === (as === 'fallback')) return candidate;
    }
    return undefined;
  }

  #isMet({ w, pw, dw, among, changedIn }: WriteNeeds, { accepts, acceptsAsPrimary, durably }: Judges): boolean {
    return (
      this.#places(accepts, among, changedIn) >= w &&
      (pw === 0 || this.#places(acceptsAsPrimary, among, changedIn) >= pw) &&
      (dw === 0 || this.#places(durably, among, changedIn) >= dw)
    );
  }

  #fewest(wanted: Judge): number {
    let fewest = Infinity;
    for (const { among } of this.#needs) fewest = Math.min(fewest, this.#places(wanted, among));
    return fewest;
  }

  /** Different places among the candidates that are wanted: an owner and its fallback are one. */
  #places(wanted: Judge, among: readonly NodeIndex[] | undefined, changedIn = Infinity): number {
    let count = 0;
    for (const candidate of this.#candidates) {
      if (candidate.role === 'bystander' || !wanted(candidate, changedIn)) continue;
      if (among !== undefined && !among.includes(candidate.place)) continue;
      if (this.#firstAtPlace(candidate, wanted, changedIn)) count++;
    }
    return count;
  }

  #firstAtPlace(candidate: Candidate, wanted: Judge, changedIn: number): boolean {
    for (const other of this.#candidates) {
      if (other === candidate) return true;
      if (other.place === candidate.place && wanted(other, changedIn)) return false;
    }
    return true;
  }
}

/** `changedIn`: the epoch that made the rules that are asked about; Infinity when it does not matter who refuses. */
type Judge = (candidate: Candidate, changedIn: number) => boolean;

/** Functions that stand here once: a decision, of which a request takes several, leaves no garbage. */
interface Judges {
  readonly accepts: Judge;
  readonly acceptsAsPrimary: Judge;
  readonly durably: Judge;
}

const hasAccepted: Judge = (c, changedIn) => c.accepted || c.refusesUpTo >= changedIn;
const mayAccept: Judge = (c, changedIn) => c.accepted || !c.failed || c.refusesUpTo >= changedIn;
const isDurable: Judge = (c, changedIn) => c.durable || c.refusesUpTo >= changedIn;
const mayBeDurable: Judge = (c, changedIn) => c.durable || !c.failed || c.refusesUpTo >= changedIn;
const holdsAsPrimary: Judge = (c, changedIn) => c.role === 'primary' && hasAccepted(c, changedIn);
const mayHoldAsPrimary: Judge = (c, changedIn) => c.role === 'primary' && mayAccept(c, changedIn);

const AS_IT_IS: Judges = { accepts: hasAccepted, acceptsAsPrimary: holdsAsPrimary, durably: isDurable };
/** Each candidate that is still open may yet answer in the best way. */
const AT_BEST: Judges = { accepts: mayAccept, acceptsAsPrimary: mayHoldAsPrimary, durably: mayBeDurable };

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
