/**
 * The first owner table for a replication factor. Three wishes, in this order: as many distinct zones per partition as
 * there are; as many partitions per member as its weight deserves; sets of owners as varied as possible, so that the work
 * of a member that leaves spreads over all others.
 *
 * First comes the arithmetic: how many partitions each member shall own (fair-share.ts). Then partitions are filled one
 * after the other by weighted rendezvous: each member draws a hash for the partition and divides it by what it still
 * lacks, and the smallest win. What may be chosen is bounded so that the rest can always be completed: per partition a
 * member counts 0 or 1 and a zone between its bounds, and as long as the average of what is lacking fits these bounds,
 * so does some choice of whole owners (the bounds are nested, which makes such systems integral).
 */

import { assert } from '#kernel/assert.ts';
import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import { balanceFirstOwners } from './first-owner.ts';
import { rendezvous } from './rendezvous.ts';
import type { Member, Placement } from './ring.ts';
import { PARTITIONS_MAX, REPLICAS_MAX } from './ring.ts';
import { zoneShares } from './zone-shares.ts';

/** The members that may be given partitions: those that are neither waiting nor on their way out. */
export function placeableMembers(members: readonly Member[]): Member[] {
  return members
    .filter((member) => member.state === 'active' || member.state === 'refilling')
    .sort((a, b) => a.index - b.index);
}

/**
 * Fills an owner table for `n` from nothing: min(n, placeable members) owners per partition. Deterministic: the same
 * members give the same table in whatever order they come.
 */
export function fillPlacement(
  members: readonly Member[],
  n: number,
  partitionCount: number,
  changedIn: Epoch,
): Placement {
  assert(Number.isInteger(n) && n >= 1 && n <= REPLICAS_MAX, `n=${n}: 1-${REPLICAS_MAX}`);
  assert(partitionCount >= 1 && partitionCount <= PARTITIONS_MAX, `${partitionCount} partitions: 1-${PARTITIONS_MAX}`);
  const candidates = placeableMembers(members);
  assert(candidates.length > 0, 'a placement needs at least one active member');

  const owners = Math.min(n, candidates.length);
  const zones = emptyZones(candidates, owners, partitionCount);
  const rows: NodeIndex[][] = [];
  for (let partition = 0; partition < partitionCount; partition++) {
    rows.push(chooseOwners(zones, partition, partitionCount - partition, owners));
  }
  balanceFirstOwners(rows, candidates);
  return { n, partitions: rows.map((row) => ({ owners: row, changedIn })) };
}

interface Seat {
  readonly index: NodeIndex;
  /** Partitions that the member shall still be given. */
  lacking: number;
}

interface Zone {
  readonly seats: readonly Seat[];
  /** Fewest and most owners of one partition in this zone. */
  readonly least: number;
  readonly most: number;
}

/** What each member of each zone shall own. */
function emptyZones(candidates: readonly Member[], owners: number, partitionCount: number): Zone[] {
  return zoneShares(candidates, owners, partitionCount).map(({ least, most, members }) => ({
    seats: members.map(({ index, share }) => ({ index, lacking: share })),
    least,
    most,
  }));
}

/** Chooses the owners of one partition, best draw first, and counts them off. `left` partitions remain, this included. */
function chooseOwners(zones: readonly Zone[], partition: number, left: number, owners: number): NodeIndex[] {
  const draws = zones
    .flatMap((zone) => {
      const lacking = zone.seats.reduce((sum, seat) => sum + seat.lacking, 0);
      // What the other partitions could not take must be taken here, and what they could not do without must be left.
      const bounds = {
        least: Math.max(zone.least, lacking - zone.most * (left - 1)),
        most: Math.min(zone.most, lacking - zone.least * (left - 1)),
        taken: 0,
      };
      return zone.seats
        .filter((seat) => seat.lacking > 0)
        .map((seat) => ({
          seat,
          bounds,
          due: seat.lacking === left,
          draw: rendezvous(partition, seat.index) / seat.lacking,
          chosen: false,
        }));
    })
    .sort((a, b) => Number(b.due) - Number(a.due) || a.draw - b.draw || a.seat.index - b.seat.index);

  let chosen = 0;
  const choose = (draw: (typeof draws)[number]): void => {
    draw.chosen = true;
    draw.bounds.taken++;
    draw.seat.lacking--;
    chosen++;
  };
  for (const draw of draws) if (draw.due || draw.bounds.taken < draw.bounds.least) choose(draw);
  for (const draw of draws) {
    if (chosen < owners && !draw.chosen && draw.bounds.taken < draw.bounds.most) choose(draw);
  }
  assert(chosen === owners, `partition ${partition} got ${chosen} of ${owners} owners`);
  return draws.filter((draw) => draw.chosen).map((draw) => draw.seat.index);
}
