/** Whether this node may speak for a partition when something of it is given up. */

import { REFILLING } from '#replica/refusals.ts';
import { NOT_OWNER, STALE, type Knowledge } from '#replica/scope.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { Refusal } from '#wire/message.ts';
import type { TreePlace } from './tree-tables.ts';

/** Throws {@link Refusal} where the owners are others than the caller means, or this node is none of them. */
export function requireOwner(knowledge: Knowledge, { n, partition }: TreePlace, changedIn: number): void {
  const ring = knowledge.ring();
  const entry = hasPlacement(ring, n) ? ownersOf(ring, n, partition) : undefined;
  if (entry?.changedIn !== changedIn) throw new Refusal(STALE, 'the owners are others here', knowledge.epoch());
  if (!entry.owners.includes(knowledge.self())) throw new Refusal(NOT_OWNER, 'not an owner', knowledge.epoch());
  if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node is being filled');
}
