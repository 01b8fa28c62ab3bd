/**
 * Newcomers of a ring change that take nothing yet, and why: only they know, so whoever wants to know asks them, as long as nothing
 * has begun for them.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Moves } from '#repair/moves.ts';
import { MovesMessage } from '#repair/moves-message.ts';
import { newOwners } from '#ring/moving.ts';
import type { Ring } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock } from '#world/world.ts';

export interface WaitView {
  readonly node: string;
  /** At the least, as it looks now. */
  readonly milliseconds: number;
  readonly reason: string;
}

export interface WhoWaitsOptions {
  readonly world: { readonly clock: Clock };
  readonly messaging: Pick<Messaging, 'call'>;
  readonly moves: Pick<Moves, 'waiting'>;
  readonly self: NodeId;
}

/** Milliseconds that a newcomer has to say so. */
const PATIENCE_MS = 500;

export async function whoWaits(options: WhoWaitsOptions, ring: Ring | undefined): Promise<readonly WaitView[]> {
  const { world, messaging, moves, self } = options;
  const newcomers = ring === undefined ? [] : yetToBegin(ring);
  const answers = await Promise.all(
    newcomers.map(async (id) => {
      if (id === self) return { node: id, waiting: moves.waiting() };
      const deadline = world.clock.monotonic() + PATIENCE_MS;
      const result = await messaging.call(id, MovesMessage, null, { deadline });
      return { node: id, waiting: result.kind === 'reply' ? result.reply.waiting : null };
    }),
  );
  return answers.flatMap(({ node, waiting }) => (waiting === null ? [] : [{ node, ...waiting }]));
}

/** The newcomers all of whose partitions are only planned. */
function yetToBegin({ change, members, placements }: Ring): readonly NodeId[] {
  if (change?.state !== 'running') return [];
  const waiting = new Set(change.comes);
  for (const entry of placements.flatMap(({ partitions }) => partitions)) {
    if (entry.move?.stage !== 'planned') for (const index of newOwners(entry)) waiting.delete(index);
  }
  return members.filter(({ index, state }) => waiting.has(index) && state === 'joining').map(({ id }) => id);
}
