/** Why a node serves no data requests now, in words that tell an operator what it waits for or what would help. */

import { wayOutWithout } from '#consensus/why-unconfirmed.ts';
import { aheadOf } from '#membership/clocks.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import type { Member } from '#ring/ring.ts';
import type { QuoralNode } from './node.ts';

type Node = Pick<QuoralNode, 'world' | 'options' | 'chain' | 'membership' | 'member' | 'replica' | 'tenureValid'>;

/** Undefined when they are served. Asked several times for each request. */
export function whyNotReady(node: Node, { storageId }: Pick<NodeStorage, 'storageId'>): () => string | undefined {
  let named: Member | undefined;
  let bound = false;
  /** Compared once in each ring: texts that are equal without being the same take a walk over both. */
  const isBound = (self: Member): boolean => {
    if (self !== named) {
      named = self;
      bound = self.storageId === storageId;
    }
    return bound;
  };
  return () => {
    const { world, options, chain, membership } = node;
    if (!node.tenureValid()) return 'no tenure is left to write in until more are reserved on the disk';
    const failure = world.disk.failure();
    if (failure !== undefined && failure.kind !== 'full')
      return `the disk cannot be trusted any more: ${failure.message}`;
    const putBack = membership.diskPutBack();
    const facts = chain.facts();
    if (putBack !== undefined) {
      const wayOut = facts && wayOutWithout(facts, options.id);
      const what = wayOut ?? 'delete the data directory to be filled by the others';
      return `the disk was put back to an earlier state: ${putBack}; ${what}`;
    }
    const self = node.member();
    if (facts === undefined || self === undefined || !isBound(self)) {
      const outside = chain.whyOutside();
      if (outside !== undefined) return outside;
    }
    if (facts === undefined) return chain.whyUnfounded();
    if (!chain.confirmed()) return chain.whyUnconfirmed(facts);
    if (!membership.diskVerified()) return 'a majority of the cluster has not confirmed the state of the disk yet';
    if (self === undefined) return `epoch ${facts.epoch} does not name ${options.id} as a member`;
    if (!isBound(self)) return `epoch ${facts.epoch} binds ${self.id} to another storage identity`;
    const fault = membership.clocks.ownFault();
    if (fault !== undefined)
      return `the clock of this node is ${aheadOf(-fault, 'those of a majority of the members')}: set it right`;
    const doubt = membership.clocks.doubt();
    if (doubt !== undefined) return doubt;
    if (!node.replica.floors.known()) return 'no other member has said yet below which time nothing is news any more';
    return undefined;
  };
}
