/**
 * The one place that says whether a peer can be used now.
 *
 * - `usable`: connected, believed alive by the cluster, and answering this node.
 * - `doubtful`: connected, but something speaks against it. Others come first; it is still tried when there are too few.
 * - `down`: not connected, or dead as far as the cluster can tell.
 *
 * Whoever owns a key owns it whatever is said here.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Membership } from './membership.ts';

export type Assessment = 'usable' | 'doubtful' | 'down';

export interface ReachabilityOptions {
  readonly messaging: Pick<Messaging, 'reachable' | 'onReachability'>;
  readonly membership: Pick<Membership, 'standing' | 'isSilent' | 'onChange'>;
}

export class Reachability {
  readonly #options: ReachabilityOptions;
  /** Worked out when something has changed, because every request asks for it. */
  readonly #assessed = new Map<NodeId, Assessment>();
  readonly #listeners: ((peer: NodeId, now: Assessment) => void)[] = [];

  constructor(options: ReachabilityOptions) {
    this.#options = options;
    options.messaging.onReachability((peer) => this.#reassess(peer));
    options.membership.onChange((peer) => this.#reassess(peer));
  }

  /** Whether the peer can be used now without a second thought. */
  usable(peer: NodeId): boolean {
    return this.assess(peer) === 'usable';
  }

  assess(peer: NodeId): Assessment {
    return this.#assessed.get(peer) ?? 'down';
  }

  /** Calls back whenever {@link assess} of some peer has changed. */
  onChange(listener: (peer: NodeId, now: Assessment) => void): void {
    this.#listeners.push(listener);
  }

  #reassess(peer: NodeId): void {
    const before = this.assess(peer);
    const now = this.#judge(peer);
    if (now === before) return;
    this.#assessed.set(peer, now);
    for (const listener of this.#listeners) listener(peer, now);
  }

  #judge(peer: NodeId): Assessment {
    const { messaging, membership } = this.#options;
    if (!messaging.reachable(peer)) return 'down';
    switch (membership.standing(peer)) {
      case 'dead':
      case 'left':
        return 'down';
      case 'suspect':
        return 'doubtful';
      case 'alive':
        return membership.isSilent(peer) ? 'doubtful' : 'usable';
    }
  }
}
