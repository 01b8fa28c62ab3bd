/** For how long members have been out of reach, as seen from here. */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock } from '#world/world.ts';

export interface AwayOptions {
  readonly messaging: Pick<Messaging, 'reachable' | 'onReachability'>;
  readonly clock: Clock;
}

export class Away {
  readonly #options: AwayOptions;
  /** Since when members cannot be reached; those that never could be, since this was made. */
  readonly #since = new Map<NodeId, number>();
  readonly #madeAt: number;

  constructor(options: AwayOptions) {
    const { messaging, clock } = options;
    this.#options = options;
    this.#madeAt = clock.monotonic();
    messaging.onReachability((peer, reachable) => {
      if (!reachable) this.#since.set(peer, clock.monotonic());
    });
  }

  /** Milliseconds; 0 for a member that can be reached. */
  for(id: NodeId): number {
    const { messaging, clock } = this.#options;
    return messaging.reachable(id) ? 0 : clock.monotonic() - (this.#since.get(id) ?? this.#madeAt);
  }
}
