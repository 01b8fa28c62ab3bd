/**
 * Increments with idempotency keys stand apart, so that two attempts at one can be told from two increments. That is needed for
 * as long as a second attempt may turn up; then they go into the total of the node that has made them, lest a counter grow
 * with every increment.
 *
 * A second attempt that somebody still had would count once more when it came, so the window must be over, every owner must
 * have the first one (where both are known the later one is gone), and no member may keep a hint with the second. One node
 * alone adds an increment to its total: the one that made it, in the tenure in which it did, since only that certainly knows
 * whether it has done so before; those of earlier tenures once this one is so old that nothing of them is on its way any more.
 */

import { innermost } from '#causality/data-type.ts';
import { isEntry, readEntry } from '#causality/entry.ts';
import { REQUEST_WINDOW_MS, windowEnd } from '#causality/repeats.ts';
import { EMPTY_VECTOR, type Version } from '#causality/state.ts';
import { decodeState } from '#causality/state-codec.ts';
import { dotName, sameDot, type Dot } from '#causality/dot.ts';
import { HeldMessage } from '#handoff/messages.ts';
import { toHex } from '#kernel/bytes.ts';
import { FetchMessage } from '#replica/messages.ts';
import { routeOf, sameBucketNow, type Environment, type Route } from './environment.ts';
import type { WriteOutcome, WriteRequest } from './requests.ts';

/** Increments of one counter that are worth the questions. */
const FOLD_FROM = 32;
/** Counters that are looked after at once; others come with their next increments. */
const AT_ONCE_MAX = 4;
/** What the clocks of two nodes may be apart, and more than any message is on its way. */
const MARGIN_MS = 120_000;
const PATIENCE_MS = 5000;

export class FoldIncrements {
  readonly #environment: Environment;
  readonly #underWay = new Set<string>();
  /** The tenure that was current when somebody last looked, and since when it is known to be, by the monotonic clock. */
  #tenure: { readonly number: number; readonly since: number } | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** To be told of each operation that was made here: when its counter has many old increments, they are added up. */
  consider(request: WriteRequest, outcome: WriteOutcome): void {
    const { operation } = request;
    if (operation === undefined || outcome.kind !== 'applied' || innermost(operation).kind !== 'increment') return;
    this.#noteTenure();
    if (outcome.versions.length < FOLD_FROM || this.#ripe(outcome.versions).length < FOLD_FROM) return;
    const name = `${request.bucket.name}/${request.bucket.incarnation}/${toHex(request.key)}`;
    if (this.#underWay.has(name) || this.#underWay.size >= AT_ONCE_MAX) return;
    this.#underWay.add(name);
    void this.#fold(request).finally(() => this.#underWay.delete(name));
  }

  /** Never rejects: whoever cannot be asked now may be there at the next increment. */
  async #fold(request: WriteRequest): Promise<void> {
    const { replica, world, figures } = this.#environment;
    try {
      const proven = await this.#prove(request);
      if (proven === undefined) return;
      const { route, dots } = proven;
      await replica.mint(
        {
          scope: route.scope,
          key: request.key,
          content: null,
          operating: { operation: { kind: 'fold', dots }, base: null },
          context: EMPTY_VECTOR,
          expiresAt: 0,
          durable: true,
          mark: null,
          after: 0,
          stillWanted: () => true,
        },
        // The next increment, or repair, brings it to the others.
        () => false,
      );
      figures.folded.add(dots.length);
    } catch (error) {
      world.log.debug('increments-not-folded', { requestId: request.requestId, reason: String(error) });
    }
  }

  /** The increments of which no second attempt can turn up any more; undefined when somebody cannot be asked. */
  async #prove(request: WriteRequest): Promise<{ readonly route: Route; readonly dots: readonly Dot[] } | undefined> {
    const { knowledge, replica, self, messaging, world } = this.#environment;
    const bucket = sameBucketNow(this.#environment, request.bucket);
    if (bucket === undefined) return undefined;
    const route = routeOf(this.#environment, bucket, request.key);
    if (route.inChange || route.sets.length > 1 || !route.owners.some(({ id }) => id === self)) return undefined;
    const own = replica.record(route.scope, request.key)?.state;
    if (own === undefined) return undefined;
    const asked = { scope: route.scope, requestId: request.requestId, key: request.key };
    const options = { deadline: world.clock.monotonic() + PATIENCE_MS };
    const members = knowledge.ring().members.filter(({ id, state }) => id !== self && state !== 'removed');
    const answers = await Promise.all(
      members.map(async (member) => {
        const isOwner = route.owners.includes(member);
        const result = isOwner
          ? await messaging.call(member.id, FetchMessage, asked, options)
          : await messaging.call(member.id, HeldMessage, asked, options);
        if (result.kind !== 'reply' || result.reply.state === undefined) return undefined;
        const { state } = result.reply;
        const versions = state === null ? [] : decodeState(state, world.digest.crc32).versions;
        return isOwner ? settledAtOwner(versions) : settledElsewhere(versions);
      }),
    );
    if (answers.includes(undefined)) return undefined;
    const dots = this.#ripe(own.versions).filter((version) => answers.every((isSettled) => isSettled!(version)));
    return dots.length === 0 ? undefined : { route, dots: dots.map(({ dot }) => dot) };
  }

  /** Increments of this node whose requests are not sent again any more. */
  #ripe(versions: readonly Version[]): readonly Version[] {
    const { knowledge, ready, world } = this.#environment;
    const self = knowledge.self();
    const now = world.clock.wall();
    // The clock may have jumped since the request came.
    if (!ready()) return [];
    const tenure = this.#tenure!;
    const isOld = world.clock.monotonic() - tenure.since > REQUEST_WINDOW_MS;
    return versions.filter(
      (version) =>
        version.dot.node === self &&
        (version.dot.tenure === tenure.number || isOld) &&
        windowEnd(version.dot) + MARGIN_MS < now &&
        isIncrement(version),
    );
  }

  #noteTenure(): void {
    const { replica, world } = this.#environment;
    const number = replica.tenure();
    if (this.#tenure?.number !== number) this.#tenure = { number, since: world.clock.monotonic() };
  }
}

/** An owner has the increment, and so no other attempt at it. A counter may have thousands of them. */
function settledAtOwner(versions: readonly Version[]): (version: Version) => boolean {
  const names = new Set(versions.map(({ dot }) => dotName(dot)));
  return ({ dot }) => names.has(dotName(dot));
}

/** All others keep no other attempt. */
function settledElsewhere(versions: readonly Version[]): (version: Version) => boolean {
  const attempts = Map.groupBy(versions, ({ request }) => request);
  return ({ dot, request }) => attempts.get(request)?.every((other) => sameDot(other.dot, dot)) !== false;
}

function isIncrement(version: Version): boolean {
  return isEntry(version) && readEntry(version.content.value).leaf.kind === 'increment';
}
