/**
 * The ring as a value: who the members are and which of them own each partition. It is decided by the epoch chain and
 * immutable; every node that knows an epoch computes the same answers from it.
 *
 * The 64-bit hash space is cut into equal partitions whose borders never move. Each partition has an explicit ordered
 * owner list for each replication factor n that some bucket uses, so (n, partition) is the unit of ownership; one node's
 * seat in one such list is what Dynamo calls a virtual node.
 */

import type { ClusterId, Epoch, NodeId, NodeIndex, StorageId } from '#kernel/identity.ts';
import type { PartitionMove } from './moving.ts';

/** Partitions of a ring: a power of two up to this. */
export const PARTITIONS_MAX = 16_384;
/** Replicas of a key. */
export const REPLICAS_MAX = 7;
/** Members that decide epochs: enough to lose three, few enough to ask at each decision. */
export const VOTERS_MAX = 7;

export const MEMBER_STATES = ['joining', 'refilling', 'active', 'leaving', 'removed'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

export interface Member {
  readonly index: NodeIndex;
  readonly id: NodeId;
  /** Null for a founder that has not shown itself yet. */
  readonly storageId: StorageId | null;
  /** `host:port` of its peer door. */
  readonly peer: string;
  /** Base URL for clients; empty until it is known. */
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: MemberState;
}

export interface PartitionOwners {
  /** In preference order, all distinct; min(n, members) of them. */
  readonly owners: readonly NodeIndex[];
  /**
   * The epoch in which this list last changed, or one of its owners lost its disk: requests that rely on an older epoch are
   * refused.
   */
  readonly changedIn: Epoch;
  /** While it moves to other nodes: `owners` are those that serve reads. */
  readonly move?: PartitionMove;
}

/** The owner table for one replication factor: one entry for each partition. */
export interface Placement {
  readonly n: number;
  readonly partitions: readonly PartitionOwners[];
}

export interface Ring {
  readonly clusterId: ClusterId;
  /** A power of two, fixed at founding. */
  readonly partitionCount: number;
  /** 32 hex digits: the SipHash key of the key hash, fixed at founding. */
  readonly hashSeed: string;
  /** Sorted by index. Removed members stay, so that their indexes and storage identities are never used again. */
  readonly members: readonly Member[];
  /** The members whose majority decides the next epoch, sorted. */
  readonly voters: readonly NodeIndex[];
  /** Sorted by n. */
  readonly placements: readonly Placement[];
  /** The change that is under way. */
  readonly change?: ChangeUnderWay;
  /** The one that ended last. */
  readonly lastChange?: ChangeOver;
}

export const CHANGE_STATES = ['running', 'paused', 'aborting'] as const;

export interface ChangeUnderWay {
  /** The id of the plan that began it. */
  readonly id: string;
  readonly state: (typeof CHANGE_STATES)[number];
  /** Replicas that move, or are given up, in all. */
  readonly moves: number;
  /** The members that it brings, and those that it takes away. */
  readonly comes: readonly NodeIndex[];
  readonly goes: readonly NodeIndex[];
  /** Members of which is given up what only they had; only there when there are any. */
  readonly lost?: readonly NodeIndex[];
  /** Keys and bytes that this meant, as far as they could be weighed. */
  readonly keys: number;
  readonly bytes: number;
  /** Bytes a second that each node may spend on it: null as many as it can, undefined as its own settings say. */
  readonly throttle?: number | null;
  /** What is put back when it is taken back; only there when it has changed such a thing. */
  readonly before?: Before;
}

/** What a change of the ring sets at once, as it was before. */
export interface Before {
  /** Members that have another zone or weight now. */
  readonly members: readonly Pick<Member, 'index' | 'zone' | 'weight'>[];
  /** Partitions whose owners are the same in another order now. */
  readonly orders: readonly { readonly n: number; readonly partition: number; readonly owners: readonly NodeIndex[] }[];
}

export interface ChangeOver {
  readonly id: string;
  readonly outcome: (typeof CHANGE_OUTCOMES)[number];
}

export const CHANGE_OUTCOMES = ['done', 'aborted'] as const;

/** Whether the same members have the same disks and are in the same state. */
export function haveSameMembers(a: Ring, b: Ring): boolean {
  const show = ({ members }: Ring): string =>
    JSON.stringify(members.map(({ index, storageId, state }) => [index, storageId, state]));
  return a === b || show(a) === show(b);
}
