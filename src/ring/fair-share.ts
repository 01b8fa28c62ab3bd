/**
 * How much each member should own: in proportion to its weight, as far as the bounds of members and zones let it. Think
 * of water poured into vessels as wide as their weights: a full vessel leaves its water to the others.
 */

import { assert } from '#kernel/assert.ts';

/** A zone's members, with bounds on what they hold together. */
export interface ShareGroup {
  readonly members: readonly { readonly weight: number; readonly most: number }[];
  readonly least: number;
  readonly most: number;
}

/** Halvings of the interval of water levels: beyond the precision of a double. */
const HALVINGS = 120;

/**
 * Whole shares that sum to `total`, one list per group. Each is its exact fractional share rounded up or down.
 * The bounds must allow the total, and are whole numbers.
 */
export function fairShares(groups: readonly ShareGroup[], total: number): number[][] {
  const level = highestLevel(
    groups.flatMap((group) => group.members),
    total,
    (x) => groups.reduce((sum, group) => sum + heldByGroup(group, x), 0),
  );
  const groupShares = roundToSum(
    groups.map((group) => heldByGroup(group, level)),
    total,
  );
  return groups.map((group, i) => {
    // A group at one of its own bounds has a water level of its own.
    const share = heldByGroup(group, level);
    const groupLevel = highestLevel(group.members, share, (x) => heldByMembers(group, x));
    return roundToSum(
      group.members.map((member) => Math.min(member.most, groupLevel * member.weight)),
      groupShares[i]!,
    );
  });
}

function heldByMembers(group: ShareGroup, level: number): number {
  return group.members.reduce((sum, member) => sum + Math.min(member.most, level * member.weight), 0);
}

function heldByGroup(group: ShareGroup, level: number): number {
  return Math.min(group.most, Math.max(group.least, heldByMembers(group, level)));
}

/** The highest level at which not more than `total` is held, found from below. */
function highestLevel(
  members: readonly { readonly weight: number; readonly most: number }[],
  total: number,
  held: (level: number) => number,
): number {
  let low = 0;
  let high = members.reduce((most, member) => Math.max(most, member.most / member.weight), 0);
  if (held(high) <= total) return high;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (held(middle) <= total) low = middle;
    else high = middle;
  }
  return low;
}

/** Rounds each value up or down so that the sum is `total`: up where the fraction is largest, earlier ones first. */
function roundToSum(values: readonly number[], total: number): number[] {
  const rounded = values.map((value) => Math.floor(value));
  const missing = total - rounded.reduce((sum, value) => sum + value, 0);
  assert(missing >= 0 && missing <= values.length, `${values.join(', ')} cannot be rounded to a sum of ${total}`);
  const fraction = (i: number): number => values[i]! - Math.floor(values[i]!);
  const byFraction = values.map((_, i) => i).sort((a, b) => fraction(b) - fraction(a) || a - b);
  for (const i of byFraction.slice(0, missing)) rounded[i]! += 1;
  return rounded;
}
