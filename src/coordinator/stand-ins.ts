/**
 * Who stands in for owners that do not take a write (Dynamo's sloppy quorum): the fallbacks of the ring walk, those in zones
 * without an owner first, each for one owner and none twice. A fallback that fails, or is silent itself, is followed by the next.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';

export interface StandIn {
  readonly owner: Member;
  readonly fallback: Member;
  /** Whether the fallback has taken the write. */
  hasIt: boolean;
}

export class StandIns {
  readonly #fallbacks: () => readonly Member[];
  #free: Member[] | undefined;
  /** Each in the place of its owner, until it has failed or has been silent for too long. */
  #standing: StandIn[] = [];
  readonly #isTaken: (member: Member) => boolean;

  /**
   * `fallbacks`: those that can be reached, in preference order; asked for when the first is needed, which is rare. `isTaken`:
   * whether a fallback has become an owner since and is asked as one.
   */
  constructor(fallbacks: () => readonly Member[], isTaken: (member: Member) => boolean = () => false) {
    this.#fallbacks = fallbacks;
    this.#isTaken = isTaken;
  }

  /** The next fallback, from now on in the owner's place; undefined when all are used. */
  assign(owner: Member): StandIn | undefined {
    this.#free ??= [...this.#fallbacks()];
    let fallback = this.#free.shift();
    while (fallback !== undefined && this.#isTaken(fallback)) fallback = this.#free.shift();
    if (fallback === undefined) return undefined;
    const standIn = { owner, fallback, hasIt: false };
    this.#standing.push(standIn);
    return standIn;
  }

  /** Puts this fallback, which takes the write by itself, into the owner's place, whatever its turn. */
  take(owner: Member, fallback: NodeId): void {
    this.#free ??= [...this.#fallbacks()];
    const at = this.#free.findIndex(({ id }) => id === fallback);
    if (at < 0) return;
    this.#standing.push({ owner, fallback: this.#free.splice(at, 1)[0]!, hasIt: true });
  }

  /** Whether somebody stands in for the owner. */
  has(owner: Member): boolean {
    return this.#standing.some((standIn) => standIn.owner.index === owner.index);
  }

  /** These are owners themselves by now, and not to be asked for others. */
  withdraw(members: readonly Member[]): void {
    this.#free = (this.#free ?? [...this.#fallbacks()]).filter(
      ({ index }) => !members.some((member) => member.index === index),
    );
  }

  /** This one has failed: its owner's place is free, unless another has it by now. */
  release(standIn: StandIn): void {
    this.#standing = this.#standing.filter((standing) => standing !== standIn);
  }

  /** The places of those that have not taken the write are free again, whatever becomes of these. Their owners. */
  releaseSilent(): Member[] {
    const silent = this.#standing.filter(({ hasIt }) => !hasIt);
    if (silent.length > 0) this.#standing = this.#standing.filter(({ hasIt }) => hasIt);
    return silent.map(({ owner }) => owner);
  }
}
