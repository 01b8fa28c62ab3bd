/**
 * A ring change, step by step, as pure functions of the facts: each step is an epoch. Whoever drives it brings evidence of what
 * nodes have done; a step whose evidence is about an earlier epoch does nothing. So anybody may drive, several at once too, and
 * a driver that dies leaves nothing half done.
 */

import { epoch, type Epoch, type NodeIndex } from '#kernel/identity.ts';
import { majorityOf } from '#consensus/electorate.ts';
import type { Facts } from '#consensus/facts.ts';
import { leaversOf, newOwners, oldOwners, takersOf, type PartitionMove } from '#ring/moving.ts';
import type { RingPlan } from '#ring/plan.ts';
import { placeableMembers } from '#ring/placement.ts';
import type { ChangeUnderWay, Member, PartitionOwners, Placement, Ring } from '#ring/ring.ts';
import { VOTERS_MAX } from '#ring/ring.ts';
import { chooseVoters } from '#ring/voters.ts';
import { areNewLost, comeBack, countedIn, givenUpWentOn, givingUp, isGivenUp, withoutLost } from './given-up.ts';
import { factorsInUse, over, strongFactors, unusedWentBack, unusedWentOn, usedAreInPlace } from './nothing-to-take.ts';
import { Portion } from './portion.ts';
import { isReordered, isSameSet, putBack, whatWasBefore } from './put-back.ts';

type FactsOrRefusal = Facts | { readonly refused: string };

/** What is known of the members, each with the disk that the facts name. */
export interface Evidence {
  /** Whether the member is done with its part in the stage of this partition, which began in `changedIn`. */
  readonly isDone: (member: Member, n: number, partition: number, changedIn: Epoch) => boolean;
  /** Whether it has tried its part in vain, and does others first. */
  readonly isStuck: (member: Member, n: number, partition: number, changedIn: Epoch) => boolean;
  /** Partitions that each may have to take over at a time. */
  readonly portion: number;
  /** Whether the member takes writes, and knows what is too old to be taken. */
  readonly isReady: (member: Member) => boolean;
  /** Whether the member keeps nothing for others that may be the only copy, and will not any more. */
  readonly keepsNothing: (member: Member) => boolean;
  /** Whether the member has no row of anything. */
  readonly isEmpty: (member: Member) => boolean;
  /** Whether what was begun by earlier rules is over; false when that was not asked. */
  readonly mayEnd: (entry: PartitionOwners) => boolean;
  /** Whether the member cannot be reached. */
  readonly isAway: (member: Member) => boolean;
  /** Whether it could not for so long that nothing is waited for that it alone has. */
  readonly isGone: (member: Member) => boolean;
}

/** What the plan means in keys and bytes, and how fast it shall be done. */
export type ChangeSize = Pick<ChangeUnderWay, 'keys' | 'bytes' | 'throttle'>;

/** The first epoch of a change: members come and go, and what shall move is known. */
export function beginChange(facts: Facts, id: string, plan: RingPlan, size: ChangeSize): FactsOrRefusal {
  const { ring } = facts;
  if (ring.change !== undefined) return { refused: `another change is under way: ${ring.change.id}` };
  const owed = owedInTheWay(ring, plan);
  return owed === undefined ? begunWith(facts, id, plan, size) : { refused: owed };
}

/** The same, whatever former owners have to bring yet. */
export function begunWith(facts: Facts, id: string, plan: RingPlan, size: ChangeSize): Facts {
  const { ring } = facts;
  const next = epoch(facts.epoch + 1);
  const was = new Map(ring.members.map((member) => [member.index, member.state]));
  const goes = plan.members.filter(
    ({ index, state }) => state === 'removed' && (was.get(index) ?? state) !== 'removed',
  );
  const comes = plan.members.filter(({ index }) => !was.has(index));
  const members = plan.members.map((member): Member => {
    if (comes.includes(member)) return { ...member, state: 'joining' };
    // One that lost its disk is no answer until it is filled, whether it leaves or not.
    if (goes.includes(member))
      return { ...member, state: was.get(member.index) === 'refilling' ? 'refilling' : 'leaving' };
    return member;
  });
  const lost = new Set(plan.lost);
  const placements = ring.placements.map((placement): Placement => {
    const rows = plan.tables.find(({ n }) => n === placement.n)?.rows;
    const partitions = placement.partitions.map((entry, p) =>
      withoutLost(begun(entry, rows?.[p] ?? entry.owners, next), next, lost),
    );
    return { ...placement, partitions };
  });
  const before = whatWasBefore(ring, { members, placements });
  const change: ChangeUnderWay = {
    ...{ ...size, id, state: 'running', moves: plan.moves.length + plan.dropped.length },
    ...{ comes: comes.map(({ index }) => index), goes: goes.map(({ index }) => index) },
    ...(plan.lost.length === 0 ? {} : { lost: plan.lost }),
    ...(before === undefined ? {} : { before }),
  };
  return { ...facts, epoch: next, ring: { ...ring, members, placements, change } };
}

function begun(entry: PartitionOwners, row: readonly NodeIndex[], changedIn: Epoch): PartitionOwners {
  const { owners, move } = entry;
  if (isSameSet(row, owners)) return isReordered(row, owners) ? { ...entry, owners: row, changedIn } : entry;
  // Those that have something to bring leave with this change, but it may be taken back, or they may be back before.
  return { owners, changedIn: entry.changedIn, move: { stage: 'planned', others: row, ...owing(move?.others) } };
}

/**
 * A change may be over though a former owner that is away has not brought what it has. Its partition moves on when it has done so,
 * or when the former owner leaves itself.
 */
function owedInTheWay({ placements }: Ring, { tables, members }: RingPlan): string | undefined {
  const left = new Map(members.map((member) => [member.index, member]));
  for (const { n, partitions } of placements) {
    const rows = tables.find((table) => table.n === n)?.rows;
    for (const [partition, { owners, move }] of partitions.entries()) {
      const row = rows?.[partition] ?? owners;
      if (move === undefined || isSameSet(row, owners)) continue;
      const stays = move.others.find((index) => left.get(index)!.state !== 'removed');
      if (stays === undefined) continue;
      const name = left.get(stays)!.id;
      return `${name} has to bring what it has of n=${n}, partition ${partition}, first; if it is gone for good, replace it or let it leave`;
    }
  }
  return undefined;
}

function owing(owed: readonly NodeIndex[] = []): Pick<PartitionMove, 'owed'> {
  return owed.length === 0 ? {} : { owed };
}

/** Pauses, resumes or aborts the change that is under way; what is aborted stays so. `lost`: members that it shall not wait for. */
export function steerChange(
  facts: Facts,
  state: ChangeUnderWay['state'],
  lost: readonly NodeIndex[] = [],
  id = facts.ring.change?.id,
): FactsOrRefusal {
  const { change, lastChange } = facts.ring;
  if (change?.id !== id) {
    const isDone = lastChange?.id === id && lastChange?.outcome === 'aborted' && state === 'aborting';
    return isDone ? facts : { refused: notUnderWay(id!, facts.ring) };
  }
  if (change === undefined) return { refused: 'no change is under way' };
  const more = lost.filter((index) => change.lost?.includes(index) !== true);
  if (change.state === state && more.length === 0) return facts;
  if (change.state === 'aborting' && state !== 'aborting') return { refused: 'the change is being aborted' };
  const next = epoch(facts.epoch + 1);
  const steered = { ...facts.ring, change: { ...change, state } };
  const ring = state === 'aborting' ? putBack(steered, next) : steered;
  return { ...facts, epoch: next, ring: more.length === 0 ? ring : givingUp({ ...facts, ring }, more, next) };
}

function notUnderWay(id: string, { change, lastChange }: Ring): string {
  const over = lastChange?.outcome === 'done' ? 'is done' : 'was taken back';
  const named = lastChange?.id === id ? `change ${id} ${over} already` : `change ${id} is not under way`;
  return `${named}, and ${change === undefined ? 'no other is' : `another one is: ${change.id}`}; nothing was changed`;
}

/** Everything that may be done now; the same facts when nothing may. */
export function advanceChange(facts: Facts, evidence: Evidence): Facts {
  const { ring } = facts;
  const { change } = ring;
  if (change?.state === 'paused') return facts;
  const next = epoch(facts.epoch + 1);
  const members = new Map(ring.members.map((member) => [member.index, member]));
  const memberAt = (index: NodeIndex): Member => members.get(index)!;
  const step = change?.state === 'aborting' ? wentBack : wentOn;
  const strong = strongFactors(facts.buckets);
  const lost = new Set(change?.lost);
  const inUse = factorsInUse(facts.buckets);
  const isLast = usedAreInPlace(ring, inUse);
  const portion = portionOf(ring, evidence);
  let moved = false;
  const placements = ring.placements.map((placement): Placement => {
    const partitions = placement.partitions.map((entry, partition) => {
      if (entry.move === undefined) return entry;
      const after = step(entry, next, {
        isDone: (index) =>
          evidence.isDone(memberAt(index), placement.n, partition, entry.changedIn) ||
          (entry.move?.stage !== 'offload' && lost.has(index) && memberAt(index).state === 'refilling'),
        isReady: (index) => evidence.isReady(memberAt(index)),
        isAway: (index) => evidence.isAway(memberAt(index)),
        mayBegin: () => portion.admits(entry),
        mayEnd: () => evidence.mayEnd(countedIn(entry, lost)),
        isStrong: strong.has(placement.n),
        isUsed: inUse.has(placement.n),
        isLast,
        isGivenUp: isGivenUp(entry, lost),
        areNewLost: areNewLost(entry, lost),
        comeBack: comeBack(entry, lost),
      });
      if (after !== entry) moved = true;
      return after;
    });
    return { ...placement, partitions };
  });
  const on = moved ? { ...ring, placements } : ring;
  const after = (change === undefined ? undefined : settled(on, change, evidence)) ?? on;
  return after === ring ? facts : { ...facts, epoch: next, ring: after };
}

/** What is under way of the change. */
export function portionOf(ring: Ring, { portion, isDone, isStuck }: Evidence): Portion {
  const members = new Map(ring.members.map((member) => [member.index, member]));
  return new Portion(ring, portion, (taker, n, partition, { changedIn }) => {
    const member = members.get(taker)!;
    if (isDone(member, n, partition, changedIn)) return 'done';
    return isStuck(member, n, partition, changedIn) ? 'stuck' : 'to do';
  });
}

/** The evidence, as far as it is about one partition. */
interface PlaceEvidence {
  /** Also of one that takes over and is lost, and is filled before it counts. */
  readonly isDone: (index: NodeIndex) => boolean;
  readonly isReady: (index: NodeIndex) => boolean;
  readonly isAway: (index: NodeIndex) => boolean;
  /** Whether it is one of those that may be under way at a time; it is from then on. */
  readonly mayBegin: () => boolean;
  readonly mayEnd: () => boolean;
  /** Whether it may have strong keys. */
  readonly isStrong: boolean;
  /** Whether any bucket has its n, and whether all partitions of which one has are where they shall be. */
  readonly isUsed: boolean;
  readonly isLast: boolean;
  /** Whether nobody is left that it could be taken over from. */
  readonly isGivenUp: boolean;
  /** Whether too few of the new owners are left. */
  readonly areNewLost: boolean;
  readonly comeBack: readonly NodeIndex[] | undefined;
}

function wentOn(entry: PartitionOwners, changedIn: Epoch, evidence: PlaceEvidence): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  const incoming = now.filter((index) => !old.includes(index));
  const { stage, owed = [] } = entry.move!;
  if (!evidence.isUsed && stage !== 'offload') return unusedWentOn(entry, changedIn, evidence);
  if (evidence.isGivenUp && stage !== 'offload') return givenUpWentOn(entry, changedIn, evidence.isReady);
  switch (stage) {
    case 'planned':
      if (!incoming.every(evidence.isReady) || !evidence.mayBegin()) return entry;
      return { owners: old, changedIn, move: { stage: 'dual', others: now, ...owing(owed) } };
    case 'dual':
      if (!takersOf(entry).every(evidence.isDone) || !evidence.mayEnd()) return entry;
      return { owners: now, changedIn, move: { stage: 'read-new', others: old, ...owing(owed) } };
    case 'read-new':
      // Of strong keys they have to know what the old owners had chosen, too.
      if (evidence.isStrong && !takersOf(entry).every(evidence.isDone)) return entry;
      return evidence.mayEnd() ? over(now, [...old, ...owed], changedIn) : entry;
    case 'offload':
      return offloaded(entry, changedIn, evidence);
  }
}

function wentBack(entry: PartitionOwners, changedIn: Epoch, evidence: PlaceEvidence): PartitionOwners {
  const [old, now] = [oldOwners(entry), newOwners(entry)];
  const { stage, owed = [] } = entry.move!;
  if (!evidence.isUsed && stage !== 'offload') return unusedWentBack(entry, changedIn);
  // Its old owners cannot say that they know of it.
  if (evidence.isGivenUp && stage !== 'planned' && stage !== 'offload')
    return givenUpWentOn(entry, changedIn, evidence.isReady);
  switch (stage) {
    case 'planned':
      return over(old, owed, entry.changedIn);
    case 'dual':
      return evidence.mayEnd() ? over(old, [...now, ...owed], changedIn) : entry;
    case 'read-new':
      // What the new owners have chosen of strong keys since, the old ones may not know; with those that are lost it is given up.
      if (evidence.isStrong && !evidence.areNewLost) return wentOn(entry, changedIn, evidence);
      return { owners: old, changedIn, move: { stage: 'dual', others: now, ...owing(owed) } };
    case 'offload':
      return offloaded(entry, changedIn, evidence);
  }
}

/** Those that have brought what they had need not wait for one that is away. */
function offloaded(
  entry: PartitionOwners,
  changedIn: Epoch,
  { isDone, isAway, comeBack }: PlaceEvidence,
): PartitionOwners {
  if (comeBack !== undefined) return over(comeBack, [...entry.owners, ...entry.move!.others], changedIn);
  const left = entry.move!.others.filter((index) => !isDone(index));
  const isOver = left.length < entry.move!.others.length && left.every(isAway);
  return isOver ? over(entry.owners, left, entry.changedIn) : entry;
}

/** Members that have come or gone, voters one after the other, and the end; undefined when nothing is to be done. */
function settled(ring: Ring, change: ChangeUnderWay, evidence: Evidence): Ring | undefined {
  const back = change.state === 'aborting';
  const leaves = leaversOf(ring);
  const gone = new Set(ring.members.filter((one) => leaves.has(one.index) && evidence.isGone(one)).map(indexOf));
  const { busy, awaited } = involved(ring, gone);
  const members = ring.members.map((member): Member => {
    const { index, state } = member;
    if (leaves.has(index)) {
      const free = !busy.has(index) && !ring.voters.includes(index);
      if (state === 'removed' || !free) return member;
      if (!evidence.keepsNothing(member) && !evidence.isGone(member)) return member;
      // The disk of one that did not come after all, and has nothing from here, may be planned in again.
      return { ...member, state: 'removed', storageId: back && evidence.isEmpty(member) ? null : member.storageId };
    }
    const stays = (state === 'joining' && !awaited.has(index)) || (state === 'leaving' && back);
    return stays ? { ...member, state: 'active' } : member;
  });
  if (members.some((member, i) => member !== ring.members[i])) {
    const isLeft = (index: NodeIndex): boolean =>
      members.some((member) => member.index === index && member.state !== 'removed');
    const left = leftOf(change, isLeft);
    return { ...ring, members, placements: ring.placements.map((one) => owedBy(one, isLeft)), change: left };
  }
  const voters = nextVoters(ring, leaves, busy);
  if (voters !== undefined) return { ...ring, voters };
  if (waitsForMoves(ring, evidence) || leaves.size > 0 || ring.members.some(({ state }) => state === 'joining'))
    return undefined;
  const { change: _, ...rest } = ring;
  return { ...rest, lastChange: { id: change.id, outcome: back ? 'aborted' : 'done' } };
}

function leftOf(change: ChangeUnderWay, isLeft: (index: NodeIndex) => boolean): ChangeUnderWay {
  const { comes, goes, lost, ...rest } = change;
  const left = { ...rest, comes: comes.filter(isLeft), goes: goes.filter(isLeft) };
  const lostYet = lost?.filter(isLeft) ?? [];
  return lostYet.length === 0 ? left : { ...left, lost: lostYet };
}

/** Nothing is owed any more by those that are no members: the owners have got it from the others. */
function owedBy({ n, partitions }: Placement, isLeft: (index: NodeIndex) => boolean): Placement {
  const owed = (entry: PartitionOwners): PartitionOwners => {
    const { owners, changedIn, move } = entry;
    const debtors = move?.stage === 'offload' ? move.others : (move?.owed ?? []);
    if (debtors.every(isLeft)) return entry;
    const left = debtors.filter(isLeft);
    const { stage, others } = move!;
    return stage === 'offload'
      ? over(owners, left, changedIn)
      : { owners, changedIn, move: { stage, others, ...owing(left) } };
  };
  return { n, partitions: partitions.map(owed) };
}

function indexOf({ index }: Member): NodeIndex {
  return index;
}

/**
 * `busy`: who has a part in any partition. `awaited`: who has yet to become an owner of one. What those that are gone have to bring
 * is waited for no longer, and owed as long as they are members: one of them may be back, and stay.
 */
function involved(
  ring: Ring,
  gone: ReadonlySet<NodeIndex>,
): { readonly busy: ReadonlySet<NodeIndex>; readonly awaited: ReadonlySet<NodeIndex> } {
  const busy = new Set<NodeIndex>();
  const awaited = new Set<NodeIndex>();
  for (const { owners, move } of ring.placements.flatMap(({ partitions }) => partitions)) {
    for (const index of owners) busy.add(index);
    const { stage, others = [], owed = [] } = move ?? {};
    for (const index of stage === 'offload' ? others : owed) if (!gone.has(index)) busy.add(index);
    if (stage === 'offload') continue;
    for (const index of others) {
      busy.add(index);
      if (stage !== 'read-new') awaited.add(index);
    }
  }
  return { busy, awaited };
}

/** Whoever is away brings what it has when it is back: nobody waits for that, only for those that are there and not done. */
function waitsForMoves({ placements, members }: Ring, { isAway, isDone }: Evidence): boolean {
  const present = new Map(members.filter((member) => !isAway(member)).map((member) => [member.index, member]));
  return placements.some(({ n, partitions }) =>
    partitions.some(({ move, changedIn }, partition) => {
      if (move === undefined) return false;
      const there = move.others.flatMap((index) => present.get(index) ?? []);
      return move.stage !== 'offload' || there.some((member) => !isDone(member, n, partition, changedIn));
    }),
  );
}

/**
 * One voter more or less on the way to those that should be; the majority is never changed at once. Who leaves decides along, until
 * somebody else can or it has nothing more to give, where fewer losses could be borne without it: a disk lost meanwhile would be one
 * too many, for ever.
 */
function nextVoters(
  { members, voters }: Ring,
  leaves: ReadonlySet<NodeIndex>,
  busy: ReadonlySet<NodeIndex>,
): readonly NodeIndex[] | undefined {
  const staying = members.filter(({ index, state }) => state !== 'removed' && !leaves.has(index));
  const wanted = chooseVoters(placeableMembers(staying), voters);
  const missing = wanted.find((index) => !voters.includes(index));
  const extra = voters.find((index) => !wanted.includes(index));
  if (missing !== undefined && voters.length < VOTERS_MAX) return [...voters, missing].sort((a, b) => a - b);
  if (extra === undefined) return undefined;
  const spare = spareOf(voters.length - 1);
  // Those that stay may be on their way yet. Where there are as many as there may be, one goes first.
  const isNeeded = spare < spareOf(Math.min(staying.length, VOTERS_MAX)) || busy.has(extra);
  if (missing === undefined && isNeeded && spare < spareOf(voters.length)) return undefined;
  return voters.filter((index) => index !== extra);
}

/** How many of so many voters can be lost. */
function spareOf(count: number): number {
  return count - majorityOf(count);
}
