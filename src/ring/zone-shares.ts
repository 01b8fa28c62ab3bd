/**
 * How many partitions each member shall own, and how many owners of one partition a zone may have: as many distinct zones
 * as there are, and no zone more owners than it must take.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { fairShares } from './fair-share.ts';
import type { Member } from './ring.ts';

export interface ZoneShares {
  readonly zone: string;
  /** Fewest and most owners of one partition in this zone. */
  readonly least: number;
  readonly most: number;
  readonly members: readonly { readonly index: NodeIndex; readonly share: number }[];
}

/** `held` says what a member owns now: it decides where shares are rounded, so that nothing moves for a fraction. */
export function zoneShares(
  members: readonly Member[],
  owners: number,
  partitionCount: number,
  held: (index: NodeIndex) => number = () => 0,
): ZoneShares[] {
  const groups = [...Map.groupBy(members, (member) => member.zone)];
  const least = groups.length <= owners ? 1 : 0;
  // Zones too small for an equal part of the owners leave the rest to the larger ones.
  let most = Math.ceil(owners / groups.length);
  while (groups.reduce((sum, [, group]) => sum + Math.min(most, group.length), 0) < owners) most++;

  const shares = fairShares(
    groups.map(([, group]) => ({
      members: group.map(({ weight, index }) => ({ weight, most: partitionCount, held: held(index) })),
      least: least * partitionCount,
      most: Math.min(most, group.length) * partitionCount,
    })),
    owners * partitionCount,
  );
  return groups.map(([zone, group], z) => ({
    zone,
    least,
    most: Math.min(most, group.length),
    members: group.map(({ index }, i) => ({ index, share: shares[z]![i]! })),
  }));
}
