/**
 * How much each member should own: in proportion to its weight, as far as the bounds of members and zones let it. Think
 * of water poured into vessels as wide as their weights: a full vessel leaves its water to the others.
 */

import { assert } from '#kernel/assert.ts';

export interface ShareMember {
  readonly weight: number;
  readonly most: number;
  /** What it holds now: where a fraction is rounded does not matter to the shares, so it goes to whoever has most already. */
  readonly held?: number;
}

/** A zone's members, with bounds on what they hold together. */
export interface ShareGroup {
  readonly members: readonly ShareMember[];
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
    groups.map((group) => group.members.reduce((sum, { held = 0 }) => sum + held, 0)),
    total,
  );
  return groups.map((group, i) => {
    // A group at one of its own bounds has a water level of its own.
    const share = heldByGroup(group, level);
    const groupLevel = highestLevel(group.members, share, (x) => heldByMembers(group, x));
    return roundToSum(
      group.members.map((member) => Math.min(member.most, groupLevel * member.weight)),
      group.members.map(({ held = 0 }) => held),
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
function highestLevel(members: readonly ShareMember[], total: number, held: (level: number) => number): number {
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

/** Fractions that differ by less are the same but for the arithmetic. */
const FRACTION_PRECISION = 1e-6;

/**
 * Rounds each value up or down so that the sum is `total`: up where the fraction is largest; of equal ones where most is
 * held, and then the earlier.
 */
function roundToSum(values: readonly number[], held: readonly number[], total: number): number[] {
  const rounded = values.map((value) => Math.floor(value));
  const missing = total - rounded.reduce((sum, value) => sum + value, 0);
  assert(missing >= 0 && missing <= values.length, `${values.join(', ')} cannot be rounded to a sum of ${total}`);
  const fraction = (i: number): number => Math.round((values[i]! - Math.floor(values[i]!)) / FRACTION_PRECISION);
  const lack = (i: number): number => values[i]! - held[i]!;
  const byFraction = values.map((_, i) => i).sort((a, b) => fraction(b) - fraction(a) || lack(a) - lack(b) || a - b);
  for (const i of byFraction.slice(0, missing)) rounded[i]! += 1;
  return rounded;
}
