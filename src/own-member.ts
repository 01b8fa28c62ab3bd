/** This node in the newest ring that it knows. */

import type { NodeId } from '#kernel/identity.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { Facts } from '#consensus/facts.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Member } from '#ring/ring.ts';

/** Several questions about each request come to this one, so it is looked for once in each ring. */
export function ownMember(chain: Pick<EpochChain, 'facts'>, self: NodeId): () => Member | undefined {
  let lookedIn: Facts | undefined;
  let found: Member | undefined;
  return () => {
    const facts = chain.facts();
    if (facts !== lookedIn) {
      lookedIn = facts;
      found = facts && presentMember(facts.ring, self);
    }
    return found;
  };
}
