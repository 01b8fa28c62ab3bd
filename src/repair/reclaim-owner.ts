/** Whether this node may speak for a partition when something of it is given up, and whether it is the one that drives it. */

import type { NodeId } from '#kernel/identity.ts';
import { REFILLING } from '#replica/refusals.ts';
import { NOT_OWNER, STALE, type Knowledge } from '#replica/scope.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import type { Member, Ring } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Throws {@link Refusal} where the owners are others than the caller means, or this node is none of them. */
export function requireOwner(knowledge: Knowledge, { n, partition }: TreePlace, changedIn: number): void {
  const ring = knowledge.ring();
  const entry = hasPlacement(ring, n) ? ownersOf(ring, n, partition) : undefined;
  if (entry?.changedIn !== changedIn) throw new Refusal(STALE, 'the owners are others here', knowledge.epoch());
  if (!entry.owners.includes(knowledge.self())) throw new Refusal(NOT_OWNER, 'not an owner', knowledge.epoch());
  if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node is being filled');
}

/** A partition that this node drives. */
export interface Driven {
  readonly place: TreePlace;
  readonly owners: readonly Member[];
  readonly changedIn: number;
}

interface DriverOptions {
  readonly self: NodeId;
  readonly messaging: Pick<Messaging, 'reachable'>;
  readonly trees: Pick<MerkleTrees, 'ready'>;
}

/** Undefined when another owner drives the partition, or nobody can now. */
export function drivenHere(
  { self, messaging, trees }: DriverOptions,
  ring: Ring,
  place: TreePlace,
): Driven | undefined {
  if (!hasPlacement(ring, place.n)) return undefined;
  const { owners: indexes, changedIn, move } = ownersOf(ring, place.n, place.partition);
  // Former owners may still have what the tombstones hide.
  if (move !== undefined) return undefined;
  const owners = indexes.flatMap((index) => ring.members.filter((member) => member.index === index));
  const driver = owners.find(({ id, state }) => state === 'active' && (id === self || messaging.reachable(id)));
  return driver?.id === self && trees.ready() ? { place, owners, changedIn } : undefined;
}
