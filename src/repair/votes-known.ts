/** Whether a new owner knows what the old owners had chosen of strong keys, when it has heard some of them. Pure. */

import type { NodeIndex } from '#kernel/identity.ts';
import { heardNeeded } from '#ring/moving.ts';

export interface VotesHeard {
  readonly old: readonly NodeIndex[];
  readonly now: readonly NodeIndex[];
  readonly self: NodeIndex;
  /** Those whose registers are here. */
  readonly heard: ReadonlySet<NodeIndex>;
  /** For each register that is damaged somewhere, where. */
  readonly damagedAt: readonly ReadonlySet<NodeIndex>[];
  /** Whether the old owner, which was not heard, will never have more to say than the others. */
  readonly isLost: (index: NodeIndex) => boolean;
}

/**
 * `given-up`: nobody can say any more what some of the damaged registers held, so that they are damaged here as well and have no
 * votes, but all others have. Not before everybody was heard who may still have something to say, and not where the last ones
 * that are whole would go: then it is `lacking`.
 */
export function judgeVotes(votes: VotesHeard): 'known' | 'given-up' | 'lacking' {
  const { old, now, self, heard, damagedAt, isLost } = votes;
  const there = old.filter((index) => heard.has(index));
  if (there.length < heardNeeded(old)) return 'lacking';
  const unclear = damagedAt.filter((damaged) => isUnclear(votes, damaged));
  if (unclear.length === 0) return 'known';
  // Whoever has owned them so far may have the last one that is whole.
  if (old.includes(self) || !old.every((index) => heard.has(index) || isLost(index))) return 'lacking';
  const mayGo = unclear.every((damaged) => {
    const whole = there.filter((index) => !damaged.has(index));
    return whole.length === 0 || whole.some((index) => now.includes(index));
  });
  return mayGo ? 'given-up' : 'lacking';
}

/** Whether too few that were heard have a register which is damaged at these. */
export function isUnclear({ old, heard }: VotesHeard, damaged: ReadonlySet<NodeIndex>): boolean {
  return old.filter((index) => heard.has(index) && !damaged.has(index)).length < heardNeeded(old);
}
