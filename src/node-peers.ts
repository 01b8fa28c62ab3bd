/**
 * A node's view of the other nodes, put together: who is there, who can be used, when to ask somebody else as well.
 */

import type { NodeId } from '#kernel/identity.ts';
import { Hedging, type HedgeSettings } from '#membership/hedging.ts';
import { Membership, type MembershipOptions } from '#membership/membership.ts';
import { aheadOf } from '#membership/clocks.ts';
import { Reachability } from '#membership/reachability.ts';
import { FetchMessage, StoreMessage } from '#replica/messages.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import type { Log } from '#world/world.ts';

/** Messages that are work: by these a peer is judged. */
const WORK: readonly string[] = [FetchMessage.name, StoreMessage.name];

export interface NodePeers {
  readonly membership: Membership;
  readonly peers: Reachability;
  readonly hedging: Hedging;
}

export interface NodePeersOptions extends Pick<MembershipOptions, 'world' | 'messaging' | 'epoch' | 'heardEpoch'> {
  readonly self: NodeId;
  readonly storage: NodeStorage;
  readonly membership: MembershipOptions['settings'];
  readonly hedging: HedgeSettings;
}

/** Registers handlers, so it must be made before messaging starts. */
export function createNodePeers(options: NodePeersOptions): NodePeers {
  const { world, messaging, storage } = options;
  const membership = new Membership({
    ...options,
    boots: storage,
    incarnation: storage.clock.last(),
    settings: options.membership,
  });
  storage.clock.followIf(() => membership.clocks.isBelieved());
  const peers = new Reachability({ world, messaging, membership, work: WORK });
  return { membership, peers, hedging: new Hedging({ world, peers, settings: options.hedging }) };
}

/** After a time with a clock that was ahead, or when it is behind now: no times are given out again, so the clock has to catch up. */
export function tellClockLead(log: Log, milliseconds: number, warnFrom: number): void {
  if (milliseconds <= warnFrom) return;
  const reason =
    `this disk was used with a clock that is ${aheadOf(milliseconds, 'the present one')}; until that has caught up its writes ` +
    'win over later ones of other nodes and hold reclaiming up: set the clock right, or delete the data directory to be filled by the others';
  log.warn('hybrid-clock-ahead', { milliseconds, reason });
}
