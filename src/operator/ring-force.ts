/**
 * The way out when a majority of the voters is gone for good: one survivor makes the next epoch alone, in which those that are
 * lost are no members any more. The owners that are left of each partition own it, and an ordinary change brings them up to their
 * number again.
 *
 * No majority has decided this, so it is right only if nobody decides anything else: the lost ones must be gone, and not merely
 * away. Its epoch is far above all that could have been decided, and no two nodes make the same one, so whoever hears of it later
 * follows it, and a lost node that does come back is refused as a removed one.
 */

import { epoch, type NodeId, type NodeIndex } from '#kernel/identity.ts';
import type { ProposalFailure } from '#consensus/epoch-proposer.ts';
import type { Facts } from '#consensus/facts.ts';
import { majorityOf } from '#consensus/electorate.ts';
import { keepersOf } from '#ring/moving.ts';
import { placeableMembers } from '#ring/placement.ts';
import { planRing } from '#ring/plan.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Member, PartitionOwners, Placement, Ring } from '#ring/ring.ts';
import { chooseVoters } from '#ring/voters.ts';
import { over } from './nothing-to-take.ts';
import { putBack } from './put-back.ts';
import { begunWith } from './ring-change.ts';

export interface ForceView {
  /** Whether it has been done, or would be. */
  readonly applied: boolean;
  readonly epoch: number;
  readonly lost: readonly string[];
  readonly survivors: readonly string[];
  readonly voters: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** For each n in use: partitions of which no owner is left, and so few that acknowledged writes may be missing. */
  readonly tables: readonly ForcedTable[];
  readonly mayLose: readonly string[];
}

export interface ForcedTable {
  readonly n: number;
  readonly partitions: number;
  readonly withoutOwner: number;
  readonly withoutMajority: number;
}

export type ForceResult =
  | { readonly kind: 'forced'; readonly view: ForceView }
  | { readonly kind: 'invalid'; readonly detail: string }
  | { readonly kind: 'refused'; readonly detail: string }
  | (Omit<ProposalFailure, 'outcome'> & { readonly outcome: 'not-applied' });

/**
 * Epochs that a majority which is said to be gone may have decided without anybody here having heard of it; and that lie between what
 * two survivors make, who may be asked at once and know different epochs: those that follow the one must not come to the other.
 */
const FORCED_STEP = 1_000_000;

export interface RingForceOptions {
  readonly self: NodeId;
  readonly facts: () => Facts | undefined;
  readonly reachable: (id: NodeId) => boolean;
  /** Makes these facts the newest of this node, on stable storage; false when they could not be stored. */
  readonly install: (facts: Facts) => Promise<boolean>;
  readonly newId: () => string;
}

export class RingForce {
  readonly #options: RingForceOptions;

  constructor(options: RingForceOptions) {
    this.#options = options;
  }

  /** Says what it would mean; with `accept` it is done. */
  async force(lost: readonly string[], accept: boolean): Promise<ForceResult> {
    const { self, facts: newest, reachable, install, newId } = this.#options;
    const facts = newest();
    if (facts === undefined) return { kind: 'refused', detail: 'this node knows no ring yet' };
    const wrong = objectionTo(facts, lost, self, reachable);
    if (wrong !== undefined) return wrong;
    const { next, view } = forced(facts, lost, self, newId());
    if (!accept) return { kind: 'forced', view: { ...view, applied: false } };
    if (await install(next)) return { kind: 'forced', view };
    const detail = `epoch ${next.epoch} could not be stored here`;
    // This node alone decides.
    return { kind: 'failed', outcome: 'not-applied', detail, votes: { needed: 1, got: 0 } };
  }
}

function objectionTo(
  { ring }: Facts,
  lost: readonly string[],
  self: NodeId,
  reachable: (id: NodeId) => boolean,
): Exclude<ForceResult, { kind: 'forced' }> | undefined {
  const present = ring.members.filter(({ state }) => state !== 'removed');
  const nobody = lost.find((name) => !present.some(({ id }) => id === name));
  if (nobody !== undefined) return { kind: 'invalid', detail: `${nobody} is not a member` };
  if (lost.some((name) => name === self)) return { kind: 'invalid', detail: `${self} is the node that is asked` };
  const there = present.find(({ id }) => lost.includes(id) && reachable(id));
  if (there !== undefined) {
    return { kind: 'refused', detail: `${there.id} can be reached, so it is not lost` };
  }
  const silent = present.find(({ id }) => id !== self && !lost.includes(id) && !reachable(id));
  if (silent !== undefined) {
    const what = 'it is either lost too, or has to be there, since it could decide otherwise';
    return { kind: 'refused', detail: `${silent.id} cannot be reached and is not named: ${what}` };
  }
  const left = ring.voters.filter((index) => present.some((one) => one.index === index && !lost.includes(one.id)));
  if (left.length < majorityOf(ring.voters.length)) return undefined;
  const how =
    'a plan with leave or replace does it, and loses nothing that others have (with acceptLossOf where nobody else has it)';
  return { kind: 'refused', detail: `${left.length} of ${ring.voters.length} voters are left, a majority: ${how}` };
}

/** What becomes of the facts, and what that means. */
export function forced(
  facts: Facts,
  lost: readonly string[],
  self: NodeId,
  id: string,
): { readonly next: Facts; readonly view: ForceView } {
  const own = presentMember(facts.ring, self)!;
  const target = epoch(facts.epoch + FORCED_STEP * (own.index + 1));
  const ring = putBack(facts.ring, target);
  const members = ring.members.map((member): Member => {
    if (lost.includes(member.id)) return { ...member, state: 'removed' };
    return member.state === 'joining' || member.state === 'leaving' ? { ...member, state: 'active' } : member;
  });
  const alive = placeableMembers(members).map(({ index }) => index);
  const tables: ForcedTable[] = [];
  const placements = ring.placements.map((placement): Placement => {
    const { n, partitions } = placement;
    const count = (fits: (entry: PartitionOwners) => boolean): number => partitions.filter(fits).length;
    const leftOf = ({ owners }: PartitionOwners): number => owners.filter((index) => alive.includes(index)).length;
    tables.push({
      ...{
        n,
        partitions: partitions.length,
        withoutOwner: count((entry) => survivorsOf(entry, alive).length === 0),
      },
      withoutMajority: count((entry) => leftOf(entry) < majorityOf(entry.owners.length)),
    });
    return { n, partitions: partitions.map((entry, p) => leftOver(entry, p, n, alive, target)) };
  });
  const { change, ...still } = ring;
  const bare: Ring = {
    ...{ ...still, members, placements, voters: chooseVoters(placeableMembers(members), ring.voters) },
    ...(change === undefined ? {} : { lastChange: { id: change.id, outcome: 'aborted' } }),
  };
  const plan = planRing(bare, { kind: 'members', members, successors: new Map(), lost: [] });
  const next =
    plan.moves.length === 0
      ? { ...facts, epoch: target, ring: bare }
      : begunWith({ ...facts, epoch: epoch(target - 1), ring: bare }, id, plan, { keys: 0, bytes: 0 });
  const name = (index: NodeIndex): string => members.find((member) => member.index === index)!.id;
  const view: ForceView = {
    ...{ applied: true, epoch: target, lost, survivors: alive.map(name), tables },
    voters: { before: ring.voters.map(name), after: bare.voters.map(name) },
    mayLose: whatMayBeLost(facts, tables),
  };
  return { next, view };
}

/** Those of both sets of a partition that moves, since either may have what the other lacks. */
function survivorsOf(entry: PartitionOwners, alive: readonly NodeIndex[]): readonly NodeIndex[] {
  return [...new Set([...keepersOf(entry), ...(entry.move?.owed ?? [])])].filter((index) => alive.includes(index));
}

function leftOver(
  entry: PartitionOwners,
  partition: number,
  n: number,
  alive: readonly NodeIndex[],
  target: PartitionOwners['changedIn'],
): PartitionOwners {
  const left = survivorsOf(entry, alive);
  const owners = left.length > 0 ? left.slice(0, n) : [alive[partition % alive.length]!];
  const same = owners.length === entry.owners.length && owners.every((index, at) => index === entry.owners[at]);
  // Who is one too many brings what it has.
  return same && entry.move === undefined ? entry : over(owners, left.slice(n), target);
}

function whatMayBeLost({ buckets }: Facts, tables: readonly ForcedTable[]): readonly string[] {
  const found: string[] = [];
  for (const { n, partitions, withoutOwner, withoutMajority } of tables) {
    if (withoutOwner > 0) {
      found.push(`all keys of n=${n} in ${withoutOwner} of ${partitions} partitions: no owner of them is left`);
    }
    const few = withoutMajority - withoutOwner;
    if (few > 0) {
      const which = `of n=${n} in ${few} of ${partitions} partitions that only lost owners had`;
      found.push(`acknowledged writes ${which}; deleted keys and older values may come back there`);
    }
  }
  const strong = buckets.filter(({ dropped, properties }) => !dropped && properties['consistency'] === 'strong');
  if (strong.length > 0) {
    const names = strong.map(({ name }) => name).join(', ');
    found.push(`what was decided last for keys of the strong buckets ${names}, where no majority of owners is left`);
  }
  found.push('the latest epochs: definitions of buckets, tokens and ring changes that only the lost voters knew');
  return found;
}
