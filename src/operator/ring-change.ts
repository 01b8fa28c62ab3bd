/**
 * A ring change, step by step, as pure functions of the facts: each step is an epoch. Whoever drives it brings evidence of what
 * nodes have done; a step whose evidence is about an earlier epoch does nothing. So anybody may drive, several at once too, and
 * a driver that dies leaves nothing half done.
 */

import { epoch, type Epoch, type NodeIndex } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { newOwners, oldOwners } from '#ring/moving.ts';
import type { RingPlan } from '#ring/plan.ts';
import { placeableMembers } from '#ring/placement.ts';
import type { ChangeUnderWay, Member, PartitionOwners, Placement, Ring } from '#ring/ring.ts';
import { VOTERS_MAX } from '#ring/ring.ts';
import { chooseVoters } from '#ring/voters.ts';

type FactsOrRefusal = Facts | { readonly refused: string };

export interface Evidence {
  /** Whether the member, with the disk that the facts name, is done with its part in the stage of this partition. */
  readonly isDone: (member: Member, n: number, partition: number, changedIn: Epoch) => boolean;
  /** Whether the member, with that disk, takes writes. */
  readonly isReady: (member: Member) => boolean;
  /** Whether what was begun by earlier rules is over; false when that was not asked. */
  readonly mayEnd: (entry: PartitionOwners) => boolean;
  /** Members that cannot be reached. */
  readonly isAway: (member: Member) => boolean;
}

/** The first epoch of a change: members come and go, and what shall move is known. */
export function beginChange(facts: Facts, id: string, plan: RingPlan): FactsOrRefusal {
  const { ring } = facts;
  if (ring.change !== undefined) return { refused: `another change is under way: ${ring.change.id}` };
  const strong = strongInTheWay(facts, plan);
  if (strong !== undefined) {
    return { refused: `bucket ${strong} is strong, and replicas of strong keys cannot move yet` };
  }
  const next = epoch(facts.epoch + 1);
  const was = new Map(ring.members.map((member) => [member.index, member.state]));
  const members = plan.members.map((member): Member => {
    const before = was.get(member.index);
    if (before === undefined) return { ...member, state: 'joining' };
    return member.state === 'removed' && before !== 'removed' ? { ...member, state: 'leaving' } : member;
  });
  const placements = ring.placements.map((placement): Placement => {
    const rows = plan.tables.find(({ n }) => n === placement.n)?.rows;
    const partitions = placement.partitions.map((entry, p) => begun(entry, rows?.[p] ?? entry.owners, next));
    return { ...placement, partitions };
  });
  const change: ChangeUnderWay = { id, state: 'running', moves: plan.moves.length + plan.dropped.length };
  return { ...facts, epoch: next, ring: { ...ring, members, placements, change } };
}

function begun(entry: PartitionOwners, row: readonly NodeIndex[], changedIn: Epoch): PartitionOwners {
  const { owners } = entry;
  if (row.length === owners.length && row.every((index) => owners.includes(index))) {
    return row.every((index, place) => index === owners[place]) ? entry : { owners: row, changedIn };
  }
  return { owners, changedIn: entry.changedIn, move: { stage: 'planned', others: row } };
}

function strongInTheWay({ buckets }: Facts, { moves, dropped }: RingPlan): string | undefined {
  const moving = new Set([...moves, ...dropped].map(({ n }) => n));
  return buckets.find(
    ({ dropped: isDropped, properties }) =>
      !isDropped && properties['consistency'] === 'strong' && moving.has(Number(properties['n'])),
  )?.name;
}

/** Pauses, resumes or aborts the change that is under way; what is aborted stays so. */
export function steerChange(facts: Facts, state: ChangeUnderWay['state']): FactsOrRefusal {
  const { change } = facts.ring;
  if (change === undefined) return { refused: 'no change is under way' };
  if (change.state === state) return facts;
  if (change.state === 'aborting') return { refused: 'the change is being aborted' };
  return { ...facts, epoch: epoch(facts.epoch + 1), ring: { ...facts.ring, change: { ...change, state } } };
}

/** Everything that may be done now; the same facts when nothing may. */
export function advanceChange(facts: Facts, evidence: Evidence): Facts {
  const { ring } = facts;
  const { change } = ring;
  if (change === undefined || change.state === 'paused') return facts;
  const next = epoch(facts.epoch + 1);
  const placements = ring.placements.map((placement): Placement => {
    const partitions = placement.partitions.map((entry, p) => {
      if (entry.move === undefined) return entry;
      return change.state === 'aborting'
        ? wentBack(entry, next, evidence, (index) => isDone(ring, evidence, index, placement.n, p, entry))
        : wentOn(
            entry,
            next,
            evidence,
            (index) => isDone(ring, evidence, index, placement.n, p, entry),
            (index) => evidence.isReady(ring.members.find((one) => one.index === index)!),
          );
    });
    return partitions.some((entry, p) => entry !== placement.partitions[p]) ? { ...placement, partitions } : placement;
  });
  const moved = placements.some((placement, i) => placement !== ring.placements[i]);
  const tables = moved ? placements : ring.placements;
  const after = settled({ ...ring, placements: tables }, change);
  return !moved && after === undefined
    ? facts
    : { ...facts, epoch: next, ring: after ?? { ...ring, placements: tables } };
}

type IsDone = (index: NodeIndex) => boolean;

function isDone(
  ring: Ring,
  evidence: Evidence,
  index: NodeIndex,
  n: number,
  partition: number,
  entry: PartitionOwners,
) {
  const member = ring.members.find((one) => one.index === index)!;
  if (evidence.isDone(member, n, partition, entry.changedIn)) return true;
  // One that leaves and is gone has nothing to bring: the new owners have got it from the others.
  return entry.move!.stage === 'offload' && member.state === 'leaving' && evidence.isAway(member);
}

function wentOn(
  entry: PartitionOwners,
  changedIn: Epoch,
  evidence: Evidence,
  done: IsDone,
  ready: (index: NodeIndex) => boolean,
): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  switch (entry.move!.stage) {
    case 'planned':
      if (!now.every((index) => old.includes(index) || ready(index))) return entry;
      return { owners: old, changedIn, move: { stage: 'dual', others: now } };
    case 'dual':
      if (!now.every((index) => old.includes(index) || done(index)) || !evidence.mayEnd(entry)) return entry;
      return { owners: now, changedIn, move: { stage: 'read-new', others: old } };
    case 'read-new':
      return evidence.mayEnd(entry) ? over(now, old, changedIn) : entry;
    case 'offload':
      return entry.move!.others.every(done) ? { owners: entry.owners, changedIn: entry.changedIn } : entry;
  }
}

function wentBack(entry: PartitionOwners, changedIn: Epoch, evidence: Evidence, done: IsDone): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  switch (entry.move!.stage) {
    case 'planned':
      return { owners: old, changedIn: entry.changedIn };
    case 'dual':
      return evidence.mayEnd(entry) ? over(old, now, changedIn) : entry;
    case 'read-new':
      return { owners: old, changedIn, move: { stage: 'dual', others: now } };
    case 'offload':
      return entry.move!.others.every(done) ? { owners: entry.owners, changedIn: entry.changedIn } : entry;
  }
}

/** One set owns the partition; those of the other set alone bring what they have. */
function over(owners: readonly NodeIndex[], others: readonly NodeIndex[], changedIn: Epoch): PartitionOwners {
  const former = others.filter((index) => !owners.includes(index));
  return former.length === 0
    ? { owners, changedIn }
    : { owners, changedIn, move: { stage: 'offload', others: former } };
}

/** Members that have come or gone, voters one after the other, and the end; undefined when nothing is to be done. */
function settled(ring: Ring, change: ChangeUnderWay): Ring | undefined {
  const busy = new Set<NodeIndex>();
  const coming = new Set<NodeIndex>();
  for (const entry of ring.placements.flatMap(({ partitions }) => partitions)) {
    for (const index of entry.owners) busy.add(index);
    for (const index of entry.move?.others ?? []) {
      busy.add(index);
      if (entry.move!.stage === 'planned' || entry.move!.stage === 'dual') coming.add(index);
    }
  }
  const back = change.state === 'aborting';
  const members = ring.members.map((member): Member => {
    const { index, state } = member;
    if (state === 'joining' && !coming.has(index) && !back) return { ...member, state: 'active' };
    if (state === 'leaving' && back && !coming.has(index)) return { ...member, state: 'active' };
    const goes = state === (back ? 'joining' : 'leaving') && !busy.has(index) && !ring.voters.includes(index);
    return goes ? { ...member, state: 'removed' } : member;
  });
  if (members.some((member, i) => member !== ring.members[i])) return { ...ring, members };
  const voters = nextVoters(ring);
  if (voters !== undefined) return { ...ring, voters };
  if (busyMoves(ring) || ring.members.some(({ state }) => state === 'joining' || state === 'leaving')) return undefined;
  const { change: _, ...rest } = ring;
  return rest;
}

function busyMoves(ring: Ring): boolean {
  return ring.placements.some(({ partitions }) => partitions.some(({ move }) => move !== undefined));
}

/** One voter more or less on the way to those that should be; the majority is never changed at once. */
function nextVoters({ members, voters }: Ring): readonly NodeIndex[] | undefined {
  const wanted = chooseVoters(placeableMembers(members), voters);
  const missing = wanted.find((index) => !voters.includes(index));
  const extra = voters.find((index) => !wanted.includes(index));
  if (missing !== undefined && voters.length < VOTERS_MAX) return [...voters, missing].sort((a, b) => a - b);
  if (extra !== undefined) return voters.filter((index) => index !== extra);
  return undefined;
}
