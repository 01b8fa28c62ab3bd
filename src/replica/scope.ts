/**
 * What a replica request relies on, and the fence that holds it against what this node knows.
 *
 * Every request names the epoch its sender knew. A replica that knows a newer owner list or bucket definition refuses, and
 * the sender learns and tries again; a replica that knows less learns before it executes. Because the replicas do this, no
 * sender has to be waited for when something changes.
 */

import type { Conflicts } from '#causality/state.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import { isOnItsWayOut, writersOf } from '#ring/moving.ts';
import type { Ring } from '#ring/ring.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { Refusal } from '#wire/message.ts';

export interface Scope {
  /** The newest epoch that the sender knew. */
  readonly epoch: Epoch;
  /** Replication factor and partition: the unit of ownership. */
  readonly n: number;
  readonly partition: number;
  readonly bucket: string;
  readonly incarnation: number;
  /** The epoch that decided the bucket definition that the sender used; 0 for the defaults. */
  readonly definition: Epoch;
}

export interface KnownBucket {
  readonly n: number;
  readonly incarnation: number;
  readonly version: Epoch;
  readonly conflicts: Conflicts;
}

/** What this node knows of the cluster's facts. */
export interface Knowledge {
  epoch(): Epoch;
  ring(): Ring;
  self(): NodeIndex;
  bucket(name: string): KnownBucket;
  /** Whether this node has lost its disk and is not filled again. */
  refilling(): boolean;
  /** Learns at least this epoch; false when the deadline came first. */
  catchUp(atLeast: Epoch, deadline: number): Promise<boolean>;
}

/** The refuser knows more than the sender; the refusal's value is the refuser's epoch. */
export const STALE = 'stale-epoch';
/** The receiver does not own this partition. */
export const NOT_OWNER = 'not-owner';
/** The receiver was asked to stand in for an owner and is one itself. */
export const IS_OWNER = 'is-owner';
/** The receiver was asked to stand in for an owner and is about to be no member. */
export const LEAVING = 'leaving';
/** The receiver could not learn the epoch that the request relies on. */
export const BEHIND = 'behind';

/**
 * Throws a {@link Refusal} unless this node may execute a request of this scope now, as an owner of the partition. To be
 * called in the same turn as the execution: knowledge may have grown since the request came in.
 */
export function fence(scope: Scope, knowledge: Knowledge): KnownBucket {
  if (!ownersAsKnown(scope, knowledge).includes(knowledge.self()))
    throw new Refusal(NOT_OWNER, `not an owner of partition ${scope.partition}`, knowledge.epoch());
  return bucketAsKnown(scope, knowledge);
}

/** As {@link fence}, for a node that stands in for an owner: it must not own the partition itself. */
export function fenceFallback(scope: Scope, knowledge: Knowledge): KnownBucket {
  if (ownersAsKnown(scope, knowledge).includes(knowledge.self()))
    throw new Refusal(IS_OWNER, `an owner of partition ${scope.partition} stands in for nobody`, knowledge.epoch());
  return bucketAsKnown(scope, knowledge);
}

/** As {@link fenceFallback}, for one that is to keep something: whoever drives may have heard already that a leaver keeps nothing. */
export function fenceKeeper(scope: Scope, knowledge: Knowledge): KnownBucket {
  if (isOnItsWayOut(knowledge.ring(), knowledge.self()))
    throw new Refusal(LEAVING, 'this node leaves and stands in for nobody any more', knowledge.epoch());
  return fenceFallback(scope, knowledge);
}

/**
 * Throws a {@link Refusal} for what comes from a node that was removed and has not heard of it: what it keeps is none of the
 * members' business any more, so that they may have forgotten what it is older than.
 */
export function fenceSender(from: NodeId, knowledge: Knowledge): void {
  if (removedIn(knowledge.ring()).has(from)) throw new Refusal(STALE, `${from} was removed`, knowledge.epoch());
}

/** Made once for each ring: every store asks. */
const removed = new WeakMap<Ring, ReadonlySet<NodeId>>();

/** The names of removed members; but a name that a later member has again is that member's. */
function removedIn(ring: Ring): ReadonlySet<NodeId> {
  let names = removed.get(ring);
  if (names === undefined) {
    const members = new Set(ring.members.filter(({ state }) => state !== 'removed').map(({ id }) => id));
    names = new Set(ring.members.map(({ id }) => id).filter((id) => !members.has(id)));
    removed.set(ring, names);
  }
  return names;
}

function ownersAsKnown(scope: Scope, knowledge: Knowledge): readonly NodeIndex[] {
  const known = knowledge.epoch();
  if (scope.epoch > known)
    throw new Refusal(BEHIND, `this node knows epoch ${known}, the request relies on ${scope.epoch}`, known);
  const ring = knowledge.ring();
  if (!hasPlacement(ring, scope.n) || scope.partition >= ring.partitionCount) {
    throw new Refusal(NOT_OWNER, `no owner list for n=${scope.n}, partition ${scope.partition}`, known);
  }
  const entry = ownersOf(ring, scope.n, scope.partition);
  const { changedIn } = entry;
  if (changedIn > scope.epoch) {
    throw new Refusal(STALE, `owners changed in epoch ${changedIn}, the request relies on ${scope.epoch}`, known);
  }
  return writersOf(entry);
}

function bucketAsKnown(scope: Scope, knowledge: Knowledge): KnownBucket {
  const bucket = knowledge.bucket(scope.bucket);
  if (bucket.version > scope.definition || bucket.incarnation !== scope.incarnation || bucket.n !== scope.n) {
    throw new Refusal(
      STALE,
      `bucket ${scope.bucket} was defined in epoch ${bucket.version}, the request used ${scope.definition}`,
      knowledge.epoch(),
    );
  }
  return bucket;
}
