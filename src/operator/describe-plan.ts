/**
 * A plan as people judge it: what it moves, how even the ring is before and after, and what it risks.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { memberFigures, tableFigures, type MemberFigures, type TableFigures } from '#ring/plan-figures.ts';
import type { RingPlan } from '#ring/plan.ts';
import type { Member, Ring } from '#ring/ring.ts';
import { ownersLeft, whatIsGivenUp } from './given-up.ts';
import { factorsInUse } from './nothing-to-take.ts';
import { ACCEPT, forTheNextStage, missedMembers, named, WAY_OUT, type OwnerSet } from './too-few-owners.ts';

export interface Risk {
  readonly code:
    | 'fewer-replicas'
    | 'uneven-zones'
    | 'uneven-weights'
    | 'few-zones'
    | 'unreachable'
    | 'too-few-owners'
    | 'refilling'
    | 'two-voters'
    | 'not-weighed';
  readonly detail: string;
}

export interface PlannedMember extends Pick<MemberFigures, 'change' | 'before' | 'after' | 'gets' | 'gives'> {
  readonly id: string;
  /** As it will be. */
  readonly zone: string;
  readonly weight: number;
  /** Keys and bytes that it gets, as far as they could be weighed. */
  readonly keys: number;
  readonly bytes: number;
}

export interface PlanSummary {
  readonly moves: number;
  /** No table with the same shares needs fewer. */
  readonly leastMoves: number;
  readonly dropped: number;
  readonly keys: number;
  readonly bytes: number;
  /** How long it may take when the throttle is the nodes' own, roughly. */
  readonly seconds: number;
  /** Partitions that keep their owners and change who is asked first. */
  readonly reordered: number;
  readonly members: readonly PlannedMember[];
  readonly voters: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly tables: readonly TableFigures[];
  /** What nobody will have any more, as far as that is accepted. */
  readonly givesUp: readonly string[];
  readonly risks: readonly Risk[];
}

export interface WeighedMove {
  readonly to: string;
  readonly keys: number | null;
  readonly bytes: number | null;
}

/** Seconds for the stages as such, and for one partition beside its bytes: what was measured (bench/results/ring-changes.md). */
const STAGES_SECONDS = 4;
const PARTITION_SECONDS = 0.05;

/** More than this above the fair share is told. */
const UNEVEN = 1.1;

export function describePlan(
  facts: Facts,
  plan: RingPlan,
  moves: readonly WeighedMove[],
  reachable: (id: NodeId) => boolean,
  bytesPerSecond: number,
): PlanSummary {
  const { ring } = facts;
  const members = new Map(plan.members.map((member) => [member.index, member]));
  const inUse = factorsInUse(facts.buckets);
  const tables = tableFigures(ring, plan);
  const name = (index: NodeIndex): string => members.get(index)!.id;
  const planned = memberFigures(ring, plan).map((figures) =>
    plannedMember(members.get(figures.index)!, figures, moves),
  );
  return {
    moves: plan.moves.length,
    leastMoves: plan.leastMoves,
    dropped: plan.dropped.length,
    keys: sum(moves.map(({ keys }) => keys)),
    bytes: sum(moves.map(({ bytes }) => bytes)),
    reordered: plan.reordered,
    seconds: duration(planned, bytesPerSecond),
    members: planned,
    voters: { before: ring.voters.map(name), after: plan.voters.map(name) },
    tables,
    givesUp: whatIsGivenUp(facts, plan.lost),
    risks: [
      ...tableRisks(tables.filter(({ n }) => inUse.has(n))),
      ...memberRisks(ring, plan, inUse, reachable),
      ...moveRisks(moves),
    ],
  };
}

/** Members take over at the same time, each one partition after the other. */
function duration(members: readonly PlannedMember[], bytesPerSecond: number): number {
  const longest = Math.max(
    ...members.map(({ gets, gives, bytes }) => Math.max(gets, gives) * PARTITION_SECONDS + bytes / bytesPerSecond),
  );
  return longest === 0 ? 0 : Math.ceil(STAGES_SECONDS + longest);
}

function plannedMember(
  { id, zone, weight }: Member,
  { change, before, after, gets, gives }: MemberFigures,
  moves: readonly WeighedMove[],
): PlannedMember {
  const own = moves.filter(({ to }) => to === id);
  const weighed = { keys: sum(own.map(({ keys }) => keys)), bytes: sum(own.map(({ bytes }) => bytes)) };
  return { id, zone, weight, change, before, after, gets, gives, ...weighed };
}

function tableRisks(tables: readonly TableFigures[]): readonly Risk[] {
  return tables.flatMap(({ n, owners, balance, zones }): Risk[] => {
    const risks: Risk[] = [];
    if (owners.after < n && owners.after <= owners.before) {
      const than = owners.after < owners.before ? `, ${owners.before} before` : '';
      const detail = `each key of buckets with n=${n} has ${owners.after} replicas then${than}: there are too few members`;
      risks.push({ code: 'fewer-replicas', detail });
    }
    if (balance.after.fullest > UNEVEN) {
      const [code, why] =
        zones.after.possible > 1
          ? (['uneven-zones', 'replicas are spread over zones first, and then by weight'] as const)
          : (['uneven-weights', 'a member has one replica of a key at most, whatever its weight'] as const);
      const detail =
        `for n=${n} one member owns ${balance.after.fullest.toFixed(2)} times its fair share, and one ` +
        `${balance.after.emptiest.toFixed(2)} times: ${why}`;
      risks.push({ code, detail });
    }
    if (zones.after.fewest < zones.before.fewest) {
      const detail = `keys of n=${n} are in ${zones.after.fewest} zones then, ${zones.before.fewest} before`;
      risks.push({ code: 'few-zones', detail });
    }
    return risks;
  });
}

function memberRisks(
  ring: Ring,
  plan: RingPlan,
  inUse: ReadonlySet<number>,
  reachable: (id: NodeId) => boolean,
): readonly Risk[] {
  const risks: Risk[] = [];
  const gives = new Set([...plan.moves, ...plan.dropped].flatMap(({ from }) => from ?? []));
  const gets = new Set(plan.moves.map(({ to }) => to));
  const missed = missedMembers(ring.members, movedSets(ring, plan, inUse), reachable, new Set(plan.lost));
  for (const { id, partitions, replicas } of missed) {
    const detail =
      `${partitions} partitions of ${named(replicas)} have too few owners without ${id}: the change, and taking it back, ` +
      `wait until it is there; ${WAY_OUT}, or give up what it has (${ACCEPT})`;
    risks.push({ code: 'too-few-owners', detail });
  }
  for (const { id, index, state } of ring.members) {
    if (state === 'removed') continue;
    if (!reachable(id)) {
      const from = missed.some((one) => one.id === id) ? ', as far as there are any' : '';
      const how = gives.has(index) ? `: what it gives comes from the other owners${from}` : '';
      const waits = gets.has(index) ? '; what it gets waits until it is there, and the change with it' : '';
      risks.push({ code: 'unreachable', detail: `${id} cannot be reached${how}${waits}` });
    }
    if (state === 'refilling')
      risks.push({ code: 'refilling', detail: `${id} is being filled and vouches for nothing yet` });
  }
  for (const { id, index, peer } of plan.members) {
    if (ring.members.some((member) => member.index === index) || reachable(id)) continue;
    const detail = `${id} cannot be reached at ${peer}, as it says of itself: the change would wait until it can`;
    risks.push({ code: 'unreachable', detail });
  }
  if (plan.voters.length === 2) {
    risks.push({
      code: 'two-voters',
      detail: 'with two members nothing can be decided while one of them is away, or once one has lost its disk',
    });
  }
  return risks;
}

/** The present owners of what the plan moves and may have keys. */
function movedSets({ placements }: Ring, plan: RingPlan, inUse: ReadonlySet<number>): readonly OwnerSet[] {
  const moved = new Set([...plan.moves, ...plan.dropped].map(({ n, partition }) => `${n}/${partition}`));
  const lost = new Set(plan.lost);
  const used = placements.filter(({ n }) => inUse.has(n));
  return used.flatMap(({ n, partitions }) =>
    partitions.flatMap(({ owners }, partition) => {
      if (!moved.has(`${n}/${partition}`)) return [];
      return [forTheNextStage({ n, partition }, ownersLeft(owners, lost))];
    }),
  );
}

function moveRisks(weighed: readonly WeighedMove[]): readonly Risk[] {
  const risks: Risk[] = [];
  const unknown = weighed.filter(({ keys }) => keys === null).length;
  if (unknown > 0) {
    risks.push({
      code: 'not-weighed',
      detail: `nobody could say how much is in ${unknown} of ${weighed.length} moves`,
    });
  }
  return risks;
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}
