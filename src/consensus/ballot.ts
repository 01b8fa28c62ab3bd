/**
 * Ballots order the proposals of one Paxos instance. Two proposals never share one: time grows within a boot, the boot
 * generation tells the boots of a node apart, and the index tells the nodes apart.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Clock } from '#world/world.ts';
import type { Ballot } from './facts.ts';

/** By time, then node, then boot: negative, 0 or positive. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.time - b.time || a.node - b.node || a.boot - b.boot;
}

export function higherBallot(a: Ballot | null, b: Ballot): Ballot {
  return a !== null && compareBallots(a, b) > 0 ? a : b;
}

/** Ballots further ahead of the wall clock than this are not followed, so that nobody can use up the numbers. */
const MAXIMUM_LEAD = 100 * 366 * 24 * 3600 * 1000;

/** Issues the ballots of one node during one boot, each higher than every ballot that it issued or heard of. */
export class BallotSource {
  readonly #clock: Clock;
  readonly #boot: number;
  #highestTime = 0;

  /** `boot` is the boot generation: on stable storage before this is made, and never the same twice. */
  constructor(clock: Clock, boot: number) {
    this.#clock = clock;
    this.#boot = boot;
  }

  next(node: NodeIndex): Ballot {
    this.#highestTime = Math.max(Math.floor(this.#clock.wall()), this.#highestTime + 1);
    return { time: this.#highestTime, node, boot: this.#boot };
  }

  /** Makes every later ballot higher than this one, which somebody else used. */
  observe(ballot: Ballot): void {
    if (ballot.time > this.#clock.wall() + MAXIMUM_LEAD) return;
    this.#highestTime = Math.max(this.#highestTime, ballot.time);
  }
}
