/**
 * Why a ring change does not go on. Newcomers that take nothing yet, and members whose disks take nothing, know that themselves, so
 * they are asked; of those that take partitions over and cannot be reached it is seen here.
 */

import type { Facts } from '#consensus/facts.ts';
import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Away } from '#membership/away.ts';
import type { Moves } from '#repair/moves.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { MovesMessage, type MovesReply } from '#repair/moves-message.ts';
import { newOwners, takersOf, type MoveStage } from '#ring/moving.ts';
import type { ChangeUnderWay, Member, Ring } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock } from '#world/world.ts';
import { strongFactors } from './nothing-to-take.ts';
import { WAY_OUT, withoutNewcomer } from './too-few-owners.ts';

export interface WaitView {
  readonly node: string;
  /** At the least, as it looks now; 0 when nobody can say. */
  readonly milliseconds: number;
  readonly reason: string;
}

export interface WhoWaitsOptions {
  readonly world: { readonly clock: Clock };
  readonly messaging: Pick<Messaging, 'call'>;
  readonly moves: Pick<Moves, 'report'>;
  readonly self: NodeId;
  readonly reachable: (id: NodeId) => boolean;
  readonly away: Pick<Away, 'for'>;
}

/** Milliseconds that a member has to say so. */
const PATIENCE_MS = 500;
/** A newcomer is connected soon; before that nobody need be alarmed. */
const AWAY_TOLD_MS = 5000;

/** Whether it has been out of reach for long enough to be told. */
export function isMissed({ reachable, away }: Pick<WhoWaitsOptions, 'reachable' | 'away'>, id: NodeId): boolean {
  return !reachable(id) && away.for(id) >= AWAY_TOLD_MS;
}

export async function whoWaits(options: WhoWaitsOptions, facts: Facts | undefined): Promise<readonly WaitView[]> {
  const state = facts?.ring.change?.state;
  if (facts === undefined || state === undefined || state === 'paused') return [];
  const { self, reachable } = options;
  const newcomers = yetToBegin(facts.ring);
  const views = await Promise.all(
    partsIn(facts).map(async (part): Promise<readonly WaitView[]> => {
      const { id } = part.member;
      if (id !== self && !reachable(id)) return isMissed(options, id) ? awayViews(part, state) : [];
      const report = await ask(options, id);
      if (report === undefined) return [];
      if (!report.stores) return [fullView(part)];
      return newcomers.has(id) && report.waiting !== null ? [{ node: id, ...report.waiting }] : [];
    }),
  );
  return views.flat();
}

async function ask(
  { world, messaging, moves, self }: WhoWaitsOptions,
  id: NodeId,
): Promise<Pick<MovesReply, 'stores' | 'waiting'> | undefined> {
  if (id === self) return moves.report();
  const deadline = world.clock.monotonic() + PATIENCE_MS;
  const result = await messaging.call(id, MovesMessage, null, { deadline });
  return result.kind === 'reply' ? result.reply : undefined;
}

/** What a member has to do with the change. */
interface Part {
  readonly member: Member;
  /** Partitions that it has any part in, and those that it has yet to take over. */
  readonly partitions: number;
  readonly takes: number;
}

function partsIn({ ring, buckets }: Facts): readonly Part[] {
  const strong = strongFactors(buckets);
  const entries = movingEntries(ring);
  const taken = entries.filter(({ place, entry }) =>
    isAwaited(entry.move!.stage, strong.has(place.n), ring.change!.state),
  );
  return ring.members.flatMap((member): Part[] => {
    if (member.state === 'removed') return [];
    const isIn = (set: readonly NodeIndex[]): boolean => set.includes(member.index);
    const own = entries.filter(({ entry }) => isIn(entry.owners) || isIn(entry.move!.others));
    // One that is given up, and is filled before it counts, is waited for only where it would be one of the owners to come.
    const isLeftOut = member.state === 'refilling' && isIn(ring.change!.lost ?? []);
    const takes = taken.filter(
      ({ entry }) => isIn(takersOf(entry)) && (!isLeftOut || entry.move!.stage === 'planned'),
    ).length;
    return own.length === 0 ? [] : [{ member, partitions: own.length, takes }];
  });
}

/** Whether a partition in this stage waits for those that take it over. */
function isAwaited(stage: MoveStage, isStrong: boolean, state: ChangeUnderWay['state']): boolean {
  if (stage === 'offload') return false;
  return stage === 'read-new' ? isStrong : state === 'running';
}

function awayViews({ member: { id }, takes }: Part, state: ChangeUnderWay['state']): readonly WaitView[] {
  if (takes === 0) return [];
  const back = state === 'running' ? 'take the change back (quoral ring abort)' : withoutNewcomer(id);
  const what = `cannot be reached, and has ${takes} partitions to take over, which wait for it`;
  return [{ node: id, milliseconds: 0, reason: `${what}: ${WAY_OUT}, or ${back}` }];
}

function fullView({ member, partitions }: Part): WaitView {
  const what = `its disk takes nothing, for it is full or has failed, and ${partitions} partitions wait for it`;
  return { node: member.id, milliseconds: 0, reason: `${what}: give it space, or stop it` };
}

/** The newcomers all of whose partitions are only planned. */
function yetToBegin({ change, members, placements }: Ring): ReadonlySet<NodeId> {
  if (change?.state !== 'running') return new Set();
  const waiting = new Set(change.comes);
  for (const entry of placements.flatMap(({ partitions }) => partitions)) {
    if (entry.move?.stage !== 'planned') for (const index of newOwners(entry)) waiting.delete(index);
  }
  const newcomers = members.filter(({ index, state }) => waiting.has(index) && state === 'joining');
  return new Set(newcomers.map(({ id }) => id));
}
