/**
 * Who stands in for owners that do not take a write (Dynamo's sloppy quorum): the fallbacks of the ring walk, those in zones
 * without an owner first, each for one owner and none twice. A fallback that fails is followed by the next.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';

export interface StandIn {
  readonly owner: Member;
  readonly fallback: Member;
}

export class StandIns {
  readonly #fallbacks: () => readonly Member[];
  #free: Member[] | undefined;
  /** Owners for whom somebody stands in. */
  #attended: NodeIndex[] = [];
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
    this.#attended.push(owner.index);
    return { owner, fallback };
  }

  /** Puts this fallback into the owner's place, whatever its turn. */
  take(owner: Member, fallback: NodeId): void {
    this.#free ??= [...this.#fallbacks()];
    const at = this.#free.findIndex(({ id }) => id === fallback);
    if (at < 0) return;
    this.#free.splice(at, 1);
    this.#attended.push(owner.index);
  }

  /** Whether somebody stands in for the owner. */
  has(owner: Member): boolean {
    return this.#attended.includes(owner.index);
  }

  /** These are owners themselves by now, and not to be asked for others. */
  withdraw(members: readonly Member[]): void {
    this.#free = (this.#free ?? [...this.#fallbacks()]).filter(
      ({ index }) => !members.some((member) => member.index === index),
    );
  }

  /** The owner's fallback has failed it. */
  release(owner: Member): void {
    this.#attended = this.#attended.filter((index) => index !== owner.index);
  }
}
