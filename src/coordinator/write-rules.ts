/**
 * By which rules a write counts who has it. They are those of the ring as it was known when the round began, and when the
 * partition begins to move meanwhile, or goes on moving, the new ones beside them.
 */

import type { Epoch } from '#kernel/identity.ts';
import { WriteTally } from '#quorum/tally.ts';
import type { Scope } from '#replica/scope.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Member } from '#ring/ring.ts';
import {
  countedOwners,
  isCounted,
  reachableOwners,
  routeOf,
  sameBucketNow,
  writeNeeds,
  type Environment,
  type Route,
} from './environment.ts';
import type { WriteRequest } from './requests.ts';

export class WriteRules {
  readonly tally: WriteTally;
  readonly #environment: Environment;
  readonly #request: WriteRequest;
  /** Of how many owners the numbers of the request speak. */
  readonly #replicas: number;
  #writers: readonly Member[];
  /** The epoch that made the newest of the rules. */
  #changedIn: Epoch;

  constructor(environment: Environment, request: WriteRequest, route: Route) {
    this.#environment = environment;
    this.#request = request;
    this.#writers = route.writers;
    this.#changedIn = route.changedIn;
    this.#replicas = countedOwners(request, route.owners).length;
    this.tally = new WriteTally(...writeNeeds(route, request));
    this.tally.waitForPrimaries(true);
  }

  /** All that must get the write in the end. */
  get writers(): readonly Member[] {
    return this.#writers;
  }

  /** They will be given the write. */
  expect(owners: readonly Member[]): void {
    for (const owner of owners)
      this.tally.expect(owner.index, isCounted(this.#request, owner) ? 'primary' : 'bystander');
  }

  /**
   * Goes by what this node knows now, too. Whoever has taken the write did so by the old rules, before it knew of new ones; from
   * now on those must be met as well, or what was taken by both would count by none. Returns whom nobody has asked so far.
   */
  adopt(): { readonly added: readonly Member[]; readonly scope: Scope } | undefined {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const bucket = sameBucketNow(environment, request.bucket);
    const route = bucket === undefined ? undefined : routeOf(environment, bucket, request.key);
    if (route === undefined || route.changedIn === this.#changedIn) return undefined;
    this.#changedIn = route.changedIn;
    const added = route.writers.filter(({ index }) => !this.#writers.some((known) => known.index === index));
    this.#writers = [...this.#writers, ...added];
    // One that keeps the write for another owner counts in that one's place, and for itself no more in this round.
    const reachable = reachableOwners(environment, added).filter(
      ({ id, index }) => id !== environment.self && !this.tally.expects(index),
    );
    this.expect(reachable);
    // Of fewer owners fewer are needed; that there are more makes no majority of a few into one of all.
    const replicas = request.replicas ?? Math.max(this.#replicas, countedOwners(request, route.owners).length);
    // Those that were asked by the old rules may own nothing by the new ones, so these say whose answers count.
    const newRoute = { ...route, inChange: true };
    for (const needs of writeNeeds(newRoute, { ...request, replicas })) this.tally.require(needs);
    return { added: reachable, scope: route.scope };
  }

  /**
   * An owner has refused what relied on that scope, for it knows a newer epoch. Where this node has adopted the newer rules, readers by
   * the older ones need not be thought of at that owner any more; otherwise nothing is known of them. Whether it is so.
   */
  refusedBy(owner: Member, scope: Scope): boolean {
    const { self, knowledge } = this.#environment;
    // Of a node that was removed nothing is taken, whatever others may still ask for.
    const isMember = presentMember(knowledge.ring(), self) !== undefined;
    if (!isMember || this.#changedIn <= scope.epoch) return false;
    this.tally.refuses(owner.index, scope.epoch);
    return true;
  }
}
