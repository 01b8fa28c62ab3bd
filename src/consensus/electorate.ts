/**
 * Who decides an epoch: the voters that the epoch before it names, and for the first epoch the founders. The value that
 * was decided last names the next deciders, so the chain can change its own voters and needs no second protocol for it.
 */

import { present } from '#kernel/assert.ts';
import type { NodeId, StorageId } from '#kernel/identity.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Member } from '#ring/ring.ts';
import type { Facts } from './facts.ts';

export interface Electorate {
  readonly voters: readonly NodeId[];
  readonly majority: number;
}

export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The electorate of the epoch after `facts`; of the first epoch when nothing was decided yet. */
export function electorateAfter(facts: Facts | undefined, founders: readonly NodeId[]): Electorate {
  const voters = facts === undefined ? founders : votersOf(facts);
  return { voters, majority: majorityOf(voters.length) };
}

function votersOf(facts: Facts): NodeId[] {
  return facts.ring.voters.map((index) => {
    const member = facts.ring.members.find((candidate) => candidate.index === index);
    return present(member, `member with index ${index} that epoch ${facts.epoch} names as a voter`).id;
  });
}

/** The member of that name; one that was removed only when no later member took the name. */
export function memberNamed(facts: Facts, id: NodeId): Member | undefined {
  return presentMember(facts.ring, id) ?? facts.ring.members.findLast((member) => member.id === id);
}

/**
 * Whether a node with this disk may vote on the epoch after `facts`. A voter whose disk was lost has forgotten its votes,
 * so it does not count until an epoch has bound its name to the new disk: from there on it has nothing to remember.
 */
export function mayVoteAfter(facts: Facts, id: NodeId, storage: StorageId): boolean {
  const member = memberNamed(facts, id);
  return member !== undefined && member.storageId === storage && facts.ring.voters.includes(member.index);
}
