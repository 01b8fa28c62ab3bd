/**
 * Who gets a hint now. It was kept for one owner, but the ring and the bucket may have changed since: a hint is addressed
 * when it is delivered, not when it is stored. Pure.
 */

import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import type { KnownBucket, Scope } from '#replica/scope.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { writersOf } from '#ring/moving.ts';
import { REPLICAS_MAX, type Ring } from '#ring/ring.ts';
import { placePrefix, type HintName } from './tables.ts';

export type Recipients =
  /** Delivered when all of them have it. */
  | { readonly kind: 'deliver'; readonly to: readonly NodeIndex[]; readonly scope: Scope }
  /** The bucket that it belongs to was dropped. */
  | { readonly kind: 'discard' }
  /** This node knows less than whoever stored the hint did. */
  | { readonly kind: 'wait' };

export interface Known {
  readonly epoch: Epoch;
  readonly ring: Ring;
  readonly bucket: KnownBucket;
}

/** The owner itself while it still is one; when it has lost its place, everybody who owns the key now. */
export function recipientsOf(hint: HintName, { epoch, ring, bucket }: Known): Recipients {
  if (bucket.incarnation > hint.incarnation) return { kind: 'discard' };
  if (bucket.incarnation < hint.incarnation || !hasPlacement(ring, bucket.n)) return { kind: 'wait' };
  if (hint.partition >= ring.partitionCount) return { kind: 'wait' };
  const owners = writersOf(ownersOf(ring, bucket.n, hint.partition));
  const scope: Scope = {
    epoch,
    n: bucket.n,
    partition: hint.partition,
    bucket: hint.bucket,
    incarnation: hint.incarnation,
    definition: bucket.version,
  };
  return { kind: 'deliver', to: owners.includes(hint.owner) ? [hint.owner] : owners, scope };
}

/** In the table of hints, the rows for a member in all places that are its own no more, in order. */
export function displacedRanges(
  ring: Ring,
  owner: NodeIndex,
): readonly (readonly [from: Uint8Array, to: Uint8Array])[] {
  const ranges: [Uint8Array, Uint8Array][] = [];
  for (let n = 1; n <= REPLICAS_MAX; n++) {
    const partitions = ring.placements.find((placement) => placement.n === n)?.partitions;
    if (partitions === undefined) ranges.push([placePrefix(owner, n), placePrefix(owner, n + 1)]);
    else {
      for (const [partition, entry] of partitions.entries()) {
        if (writersOf(entry).includes(owner)) continue;
        ranges.push([placePrefix(owner, n, partition), placePrefix(owner, n, partition + 1)]);
      }
    }
  }
  return ranges;
}
