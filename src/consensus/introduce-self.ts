/**
 * How a member binds its name to the disk that it has now. A founder that was absent at the founding is bound for the
 * first time; a member whose disk was lost is bound anew and is `refilling`, because it has forgotten what it once
 * acknowledged.
 */

import type { Epoch, NodeId, NodeIndex, StorageId } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { writersOf } from '#ring/moving.ts';
import type { Member, Ring } from '#ring/ring.ts';
import { memberNamed } from './electorate.ts';
import type { Facts, Introduction } from './facts.ts';
import { acquaint } from './newcomers.ts';

export type Self = Introduction & { readonly id: NodeId; readonly storageId: StorageId };

/** The facts with this node as it is now; the same facts when they say so already. */
export function introduceSelf(facts: Facts, self: Self): Facts | { readonly refused: string } {
  const member = memberNamed(facts, self.id);
  if (member === undefined || member.state === 'removed') return { refused: `${self.id} is not a member` };
  if (member.storageId === self.storageId && member.url === self.url) return facts;
  const verdict = acquaint(facts, self);
  if (verdict.kind === 'refused') return { refused: verdict.detail };
  const members = facts.ring.members.map((other) => (other === member ? introduced(facts.ring, member, self) : other));
  const next = epoch(facts.epoch + 1);
  const forgotten = member.storageId !== null && member.storageId !== self.storageId;
  const ring = forgotten ? fenced(facts.ring, member.index, next) : facts.ring;
  return { ...facts, epoch: next, ring: { ...ring, members } };
}

/**
 * Ends what is under way at the member's partitions: a round of a strong key must not count what the lost disk had promised
 * together with what others say later.
 */
function fenced(ring: Ring, index: NodeIndex, changedIn: Epoch): Ring {
  const placements = ring.placements.map(({ n, partitions }) => ({
    n,
    partitions: partitions.map((entry) => (writersOf(entry).includes(index) ? { ...entry, changedIn } : entry)),
  }));
  return { ...ring, placements };
}

function introduced(ring: Ring, member: Member, self: Self): Member {
  const { url, storageId } = self;
  if (member.storageId === storageId) return { ...member, url };
  if (member.storageId === null) return { ...member, url, storageId, zone: self.zone, weight: self.weight };
  // One that joins and serves no reads yet has nothing to be filled with but what it takes over anyway.
  const isNew = member.state === 'joining' && !servesReads(ring, member.index);
  return { ...member, url, storageId, state: isNew ? 'joining' : 'refilling' };
}

function isFormerOwner({ placements }: Ring, index: NodeIndex): boolean {
  return placements.some(({ partitions }) =>
    partitions.some(
      ({ owners, move }) => move?.stage === 'read-new' && move.others.includes(index) && !owners.includes(index),
    ),
  );
}

function servesReads({ placements }: Ring, index: NodeIndex): boolean {
  return placements.some(({ partitions }) => partitions.some(({ owners }) => owners.includes(index)));
}

/** The facts with this member as it was, once it is filled again; the same facts when there is nothing to do. */
export function finishRefill(
  facts: Facts,
  { id, storageId }: Pick<Self, 'id' | 'storageId'>,
): Facts | { readonly refused: string } {
  const member = memberNamed(facts, id);
  if (member?.storageId !== storageId) return { refused: `${id} is bound to another disk` };
  if (member.state !== 'refilling') return facts;
  const { change } = facts.ring;
  // Others count it among those that know what the old owners had: it must not seem to be one that does.
  if (isFormerOwner(facts.ring, member.index)) return { refused: `partitions of ${id} are on their way to others` };
  const leaves = change !== undefined && change.state !== 'aborting' && change.goes.includes(member.index);
  const state = leaves ? ('leaving' as const) : ('active' as const);
  const members = facts.ring.members.map((other) => (other === member ? { ...member, state } : other));
  return { ...facts, epoch: epoch(facts.epoch + 1), ring: { ...facts.ring, members } };
}
