/** For how long members have been out of reach, as seen from here. */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock } from '#world/world.ts';

export interface AwayOptions {
  readonly messaging: Pick<Messaging, 'reachable' | 'onReachability'>;
  readonly clock: Clock;
}

export class Away {
  readonly #options: AwayOptions;
  /** Since when members cannot be reached; those that never could be, since they are members, as far as this node knows. */
  readonly #since = new Map<NodeId, number>();
  readonly #members = new Set<NodeIndex>();
  readonly #madeAt: number;

  constructor(options: AwayOptions) {
    const { messaging, clock } = options;
    this.#options = options;
    this.#madeAt = clock.monotonic();
    messaging.onReachability((peer, reachable) => {
      if (!reachable) this.#since.set(peer, clock.monotonic());
    });
  }

  /** To be called when the members have changed: what a node of that name was before counts no more, nor how long this one runs. */
  note(members: readonly Pick<Member, 'id' | 'index' | 'state'>[]): void {
    for (const { id, index, state } of members) {
      if (state === 'removed' || this.#members.has(index)) continue;
      this.#members.add(index);
      this.#since.set(id, this.#options.clock.monotonic());
    }
  }

  /** Milliseconds; 0 for a member that can be reached. */
  for(id: NodeId): number {
    const { messaging, clock } = this.#options;
    return messaging.reachable(id) ? 0 : clock.monotonic() - (this.#since.get(id) ?? this.#madeAt);
  }
}
