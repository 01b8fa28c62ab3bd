/**
 * What every piece of a request's story needs: the world, the network, this node's own replica and what it knows.
 */

import { majorityOf } from '#consensus/electorate.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Bucket } from '#buckets/definition.ts';
import type { CoordinatorFigures } from './figures.ts';
import type { Hints } from '#handoff/hints.ts';
import type { Member } from '#ring/ring.ts';
import { resolveQuorum } from '#quorum/resolve.ts';
import type { KeyRequest } from './requests.ts';
import { preferenceList } from '#ring/preference-list.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import type { WriteNeeds } from '#quorum/tally.ts';
import type { Hedging } from '#membership/hedging.ts';
import type { Reachability } from '#membership/reachability.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Changes } from '#replica/changes.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge, Scope } from '#replica/scope.ts';
import type { RecordName } from '#replica/tables.ts';
import type { World } from '#world/world.ts';
import type { ReadRepair } from '#repair/read-repair.ts';

export interface CoordinatorSettings {
  /** How often a request starts again because the ring or the bucket has changed under it. */
  readonly staleRetries: number;
  /** Changes of strong keys that wait or are under way at this node; more are refused. */
  readonly strongChangesMax: number;
  /** Milliseconds after which a fallback gets a write too, because an owner is silent. */
  readonly hintAfter: number;
  /** Milliseconds after which a read asks again for what its session has seen and nobody that answered knows. */
  readonly sessionPollDelay: number;
  /** Of a key with more bytes only one owner is asked for its values. */
  readonly valuesUpTo: number;
  /** What this node has itself the others need not send again, where that saves so many bytes. Fewer are not worth the question. */
  readonly leastSaved: number;
}

export const DEFAULT_COORDINATOR_SETTINGS: CoordinatorSettings = {
  staleRetries: 3,
  strongChangesMax: 4096,
  hintAfter: 150,
  sessionPollDelay: 50,
  valuesUpTo: 8192,
  leastSaved: 256,
};

/** The network as a request needs it. */
export type Messages = Pick<Messaging, 'call' | 'handle' | 'reachable' | 'versionOf'>;

export interface Environment {
  readonly world: World;
  readonly messaging: Messages;
  /** Says of every peer whether it can be used now. */
  readonly peers: Reachability;
  /** Says when to ask somebody else as well. */
  readonly hedging: Hedging;
  readonly replica: Replica;
  /** The log that watches read. */
  readonly changes: Pick<Changes, 'note'>;
  /** What this node keeps for others. */
  readonly hints: Hints;
  readonly repair: ReadRepair;
  readonly knowledge: Knowledge;
  /** Every bucket's definition as this node knows it. */
  readonly resolveBucket: (name: string) => Bucket;
  readonly self: NodeId;
  /** False until a majority has confirmed this node's epoch, and when its disk cannot be trusted. */
  readonly ready: () => boolean;
  readonly settings: CoordinatorSettings;
  readonly figures: CoordinatorFigures;
}

/** Where a key lives, as far as this node knows now. */
export interface Route {
  readonly scope: Scope;
  /** Those that serve reads, in preference order. */
  readonly owners: readonly Member[];
  /** These, and while the partition moves those of the other set: all that take writes. */
  readonly writers: readonly Member[];
  /** The sets of which a write needs enough each. */
  readonly sets: readonly (readonly NodeIndex[])[];
  /** The epoch that made these rules. */
  readonly changedIn: Epoch;
  /** Whether members come or go: then lists of owners may be shorter than the number of members says. */
  readonly inChange: boolean;
}

export function routeOf(environment: Environment, bucket: Bucket, key: Uint8Array): Route {
  const { knowledge } = environment;
  const ring = knowledge.ring();
  const { n } = bucket.properties;
  const partition = partitionOf(ring, hashKey(ring, bucket.name, key));
  const { primaries, writers, sets, changedIn } = preferenceList(ring, n, partition);
  return {
    scope: {
      epoch: knowledge.epoch(),
      n,
      partition,
      bucket: bucket.name,
      incarnation: bucket.incarnation,
      definition: bucket.version,
    },
    owners: primaries,
    writers,
    sets,
    changedIn,
    inChange: ring.change !== undefined,
  };
}

/** Of a strong key that this node is an owner of; undefined when it is no business of this node, or not any more. */
export function ownRouteOf(
  environment: Environment,
  { bucket: name, incarnation, key }: RecordName,
): { readonly bucket: Bucket; readonly route: Route } | undefined {
  const bucket = environment.resolveBucket(name);
  if (bucket.incarnation !== incarnation || bucket.properties.consistency !== 'strong') return undefined;
  const route = routeOf(environment, bucket, key);
  return route.owners.some(({ id }) => id === environment.self) ? { bucket, route } : undefined;
}

/**
 * The numbers that a write must meet in each set of owners. Sets may differ in size, while a cluster of one becomes one of three
 * and the other way round.
 */
export function writeNeeds(
  { sets, owners, writers, inChange, changedIn }: Route,
  request: KeyRequest & Pick<WriteNeeds, 'w' | 'pw' | 'dw'>,
): readonly WriteNeeds[] {
  const { w, pw, dw } = request;
  const counted = countedOwners(request, owners).length;
  const { replicas = counted } = request;
  // Who is asked by these rules alone is among the owners anyway, and nothing is told apart in most requests.
  if (!inChange && replicas === counted) return [{ w, pw, dw, changedIn }];
  return sets.map((set) => {
    const among = writers
      .filter((member) => set.includes(member.index) && isCounted(request, member))
      .map(({ index }) => index);
    // A zone in which the other set has nobody: nobody there will ask for what the request is about.
    if (among.length === 0 && counted > 0) return { w: 0, pw: 0, dw: 0, among, changedIn };
    const scale = (count: number): number => scaled(count, replicas, among.length);
    return { w: scale(w), pw: scale(pw), dw: scale(dw), among, changedIn };
  });
}

/** `count` of `from` owners as so many of `to`: all stay all, a majority stays one, and nobody asks for more than there are. */
export function scaled(count: number, from: number, to: number): number {
  if (from === to || count === 0) return count;
  if (count >= from) return Math.max(1, to);
  const most = Math.min(count, to);
  return count >= majorityOf(from) ? Math.max(most, majorityOf(to)) : most;
}

/** The name of the member with this index; this node's own when it is not known. */
export function memberAt({ knowledge, self }: Environment, member: NodeIndex): NodeId {
  for (const { index, id } of knowledge.ring().members) if (index === member) return id;
  return self;
}

/** Whether an answer of this owner counts. */
export function isCounted({ zone }: Pick<KeyRequest, 'zone'>, owner: Member): boolean {
  return zone === undefined || owner.zone === zone;
}

/** The owners whose answers count. */
export function countedOwners(request: Pick<KeyRequest, 'zone'>, owners: readonly Member[]): readonly Member[] {
  return request.zone === undefined ? owners : owners.filter((owner) => isCounted(request, owner));
}

/** How many of the owners that count are needed; in a zone without any it is one all the same, which nobody can be. */
export function inItsZone<Request extends KeyRequest & Numbers>(request: Request, owners: readonly Member[]): Request {
  if (request.zone === undefined) return request;
  const replicas = countedOwners(request, owners).length;
  const majority = resolveQuorum('quorum', replicas);
  const read = { ...request, replicas, r: majority, pr: majority };
  return 'w' in request ? { ...read, w: majority, pw: majority, dw: majority } : read;
}

interface Numbers {
  readonly r: number;
  readonly pr: number;
}

/**
 * The owners that can be asked now: this node first, what it has itself costs no message; then whoever is being written to in this
 * turn anyway, then the others as the ring says; slow and doubtful ones last.
 */
export function reachableOwners(environment: Environment, owners: readonly Member[]): readonly Member[] {
  const there: Member[] = [];
  const ranks: number[] = [];
  for (const owner of owners) {
    const rank = rankOf(environment, owner);
    if (rank === undefined) continue;
    // Into its place among the few that are there already, which nearly always is the last.
    let at = there.length;
    for (; at > 0 && ranks[at - 1]! > rank; at--) {
      there[at] = there[at - 1]!;
      ranks[at] = ranks[at - 1]!;
    }
    there[at] = owner;
    ranks[at] = rank;
  }
  return there;
}

/** The lower, the sooner it is asked; undefined when it cannot be. */
function rankOf({ self, peers }: Environment, { id }: Member): number | undefined {
  if (id === self) return 0;
  const is = peers.consider(id);
  if (is === 'usable') return peers.isSlow(id) ? 3 : peers.isGathering(id) ? 1 : 2;
  return is === 'doubtful' ? 4 : undefined;
}

/** Whether something speaks against the peer, so that others should do its work as well. */
export function isDoubtful({ self, peers }: Environment, { id }: Member): boolean {
  return id !== self && peers.assess(id) === 'doubtful';
}

/**
 * Who can stand in for owners of the key, in order: this node first if it may, since that costs no message, then the others
 * as the ring says.
 */
export function reachableFallbacks(environment: Environment, route: Route): readonly Member[] {
  const { self, peers } = environment;
  const fallbacks = fallbacksOf(environment, route);
  const here = fallbacks.filter(({ id }) => id === self);
  return [...here, ...fallbacks.filter(({ id }) => id !== self && peers.usable(id))];
}

/** All who can, reachable or not. By a ring that is newer than the route some of its owners may be fallbacks. */
export function fallbacksOf({ knowledge }: Environment, { scope, writers }: Route): readonly Member[] {
  const { fallbacks } = preferenceList(knowledge.ring(), scope.n, scope.partition);
  return fallbacks.filter(({ index }) => !writers.some((writer) => writer.index === index));
}

/**
 * The bucket as it is defined now, when a request that began under `former` may go on under it: where its key lives and how
 * versions are settled must be the same, and not about to change. Undefined otherwise.
 */
export function sameBucketNow(environment: Environment, former: Bucket): Bucket | undefined {
  const now = environment.resolveBucket(former.name);
  const same =
    now.frozen !== true &&
    now.incarnation === former.incarnation &&
    now.properties.n === former.properties.n &&
    now.properties.conflicts === former.properties.conflicts &&
    now.properties.consistency === former.properties.consistency &&
    now.properties.type === former.properties.type;
  return same ? now : undefined;
}

/** The request with its bucket as it is now, where {@link sameBucketNow} lets it go on: nearly always as it came. */
export function requestNow<Request extends { readonly bucket: Bucket }>(
  environment: Environment,
  request: Request,
): Request | undefined {
  const bucket = sameBucketNow(environment, request.bucket);
  if (bucket === request.bucket) return request;
  return bucket === undefined ? undefined : { ...request, bucket };
}

/**
 * Learns an epoch that an owner knows. The scope to offer a state with once more, if it still belongs to that owner under the
 * same rules; otherwise undefined, and the owner does not get it.
 */
export async function scopeOnceLearned(
  environment: Environment,
  request: { readonly bucket: Bucket; readonly key: Uint8Array; readonly deadline: number },
  owner: Member,
  newer: Epoch,
): Promise<Scope | undefined> {
  await environment.knowledge.catchUp(newer, request.deadline);
  const bucket = sameBucketNow(environment, request.bucket);
  const route = bucket === undefined ? undefined : routeOf(environment, bucket, request.key);
  return route?.writers.some(({ index }) => index === owner.index) === true ? route.scope : undefined;
}

export const REDEFINED = 'the bucket was or is being redefined while the request was under way';
export const STOPPED_SERVING = 'this node has stopped serving since the request came: /readyz says why';
