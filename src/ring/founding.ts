/**
 * The first ring of a cluster. It is computed from the founders alone, so that all of them propose the same one; which
 * proposal holds, with the storage identities in it, is decided by the epoch chain.
 */

import { toHex, utf8 } from '#kernel/bytes.ts';
import type { ClusterId, NodeId, StorageId } from '#kernel/identity.ts';
import { clusterId, epoch, nodeIndex } from '#kernel/identity.ts';
import { fillPlacement } from './placement.ts';
import type { Member, Ring } from './ring.ts';
import { PARTITIONS_MAX } from './ring.ts';
import { chooseVoters } from './voters.ts';

/** The replication factor of a bucket that nobody has defined. */
const FIRST_N = 3;

export interface Founder {
  readonly id: NodeId;
  readonly peer: string;
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  readonly storageId: StorageId | null;
}

export interface FoundingOptions {
  readonly clusterId: ClusterId;
  readonly founders: readonly Founder[];
  /** A power of two, 1-16384. */
  readonly partitionCount: number;
  /** 32 hex digits. */
  readonly hashSeed: string;
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function refuseDuplicates(founders: readonly { readonly id: string; readonly peer: string }[]): void {
  if (founders.length === 0) throw new RangeError('list of founders: at least one');
  for (const field of ['id', 'peer'] as const) {
    const seen = new Set<string>();
    for (const founder of founders) {
      if (seen.has(founder[field])) throw new RangeError(`list of founders: ${field} ${founder[field]} stands twice`);
      seen.add(founder[field]);
    }
  }
}

/**
 * The first 128 bits of the hash of the sorted list, one `id=peer` line per founder: nodes that were given different
 * lists notice it. Throws RangeError when the list is empty or names an id or an address twice.
 */
export function clusterIdOf(
  founders: readonly { readonly id: string; readonly peer: string }[],
  sha256: (bytes: Uint8Array) => Uint8Array,
): ClusterId {
  refuseDuplicates(founders);
  const lines = founders.toSorted(byId).map(({ id, peer }) => `${id}=${peer}\n`);
  return clusterId(toHex(sha256(utf8(`quoral cluster\n${lines.join('')}`)).subarray(0, 16)));
}

/**
 * The ring of epoch 1: indexes in the order of ids, owners for n=3, all founders active. Throws RangeError when the
 * founders, the partition count or the seed are not what they must be.
 */
export function foundRing(options: FoundingOptions): Ring {
  const { founders, partitionCount, hashSeed } = options;
  refuseDuplicates(founders);
  if (!isPartitionCount(partitionCount)) {
    throw new RangeError(`${partitionCount} partitions: a power of two from 1 to ${PARTITIONS_MAX}`);
  }
  if (!/^[0-9a-f]{32}$/.test(hashSeed)) throw new RangeError(`hash seed ${JSON.stringify(hashSeed)}: 32 hex digits`);
  for (const { id, weight } of founders) {
    if (!(weight > 0 && Number.isFinite(weight))) throw new RangeError(`weight ${weight} of ${id}: a number above 0`);
  }

  const members = founders.toSorted(byId).map((founder, i): Member => {
    const { id, storageId, peer, url, zone, weight } = founder;
    return { index: nodeIndex(i), id, storageId, peer, url, zone, weight, state: 'active' };
  });
  return {
    clusterId: options.clusterId,
    partitionCount,
    hashSeed,
    members,
    voters: chooseVoters(members),
    placements: [fillPlacement(members, FIRST_N, partitionCount, epoch(1))],
  };
}

export function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= PARTITIONS_MAX && (count & (count - 1)) === 0;
}
