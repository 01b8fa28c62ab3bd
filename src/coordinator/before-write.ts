/**
 * What has to be known before a write is minted, found out in one round of questions: whether the request was carried out
 * before, whether its conditions hold, and what a delete without a context removes. In this order: a request that was
 * carried out has met its conditions then, and must not be judged by what it has changed itself.
 */

import { etagOf } from '#causality/etag.ts';
import { beyondHorizon } from '#causality/horizon.ts';
import { innermost, takesAway } from '#causality/data-type.ts';
import { EMPTY_VECTOR, type State, type VersionVector } from '#causality/state.ts';
import { windowEnd, type RequestMark } from '#causality/repeats.ts';
import { covers, highestCounter, joinVectors } from '#causality/vector.ts';
import { compareDotsByTime } from '#causality/dot.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { NodeId } from '#kernel/identity.ts';
import { resolveQuorum } from '#quorum/resolve.ts';
import type { Base, MintedWrite } from '#replica/mint.ts';
import { attemptIn } from '#replica/settle-retries.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { inItsZone, routeOf, scaled, STOPPED_SERVING, type Environment } from './environment.ts';
import { gather, liveVersions, type Gathered } from './get.ts';
import { judge, type Conditions } from './preconditions.ts';
import { expiryOf, type WriteOutcome, type WriteRequest } from './requests.ts';

export type Before =
  | {
      readonly kind: 'mint';
      readonly context: VersionVector;
      /** What was read for it, with the time before that. */
      readonly base: Base | null;
      /** The latest counter of what was read, 0 when nothing was. */
      readonly after: number;
    }
  /** The request was carried out before: `state` has what became of it. */
  | { readonly kind: 'again'; readonly state: State; readonly first: RetryRow; readonly origin: number }
  | { readonly kind: 'over'; readonly outcome: WriteOutcome };

/** At once, for a write that depends on nothing but its context, as most do; undefined when {@link beforeWrite} has to look. */
export function withoutLooking(request: WriteRequest): ToMint | undefined {
  if (request.mark !== null || looksFirst(request)) return undefined;
  return { kind: 'mint', context: request.context ?? EMPTY_VECTOR, base: null, after: 0 };
}

export async function beforeWrite(environment: Environment, request: WriteRequest): Promise<Before> {
  const { mark } = request;
  const looks = looksFirst(request);
  const origin = environment.replica.now();
  const { owners } = routeOf(environment, request.bucket, request.key);
  const { r, pr, w, replicas = owners.length } = inItsZone(request, owners);
  // The majority of a zone is counted anew and is so many owners: that it may be all of the zone does not ask for all there are.
  const scale = (count: number): number =>
    request.zone === undefined ? scaled(count, replicas, owners.length) : count;
  const least = leastFor(request);
  const questions =
    mark === null
      ? { ...request, least }
      : // Of all owners, whatever the zone: so many that they are a read of the zone, too.
        {
          ...request,
          zone: undefined,
          replicas: owners.length,
          r: Math.max(looks ? scale(r) : 0, answersForRetries(owners.length, scale(w))),
          pr: looks ? scale(pr) : 0,
          least: looks ? least : undefined,
          retryId: mark.id,
          fingerprint: looks ? undefined : mark.fingerprint,
        };
  const gathered = await gather(environment, questions);
  const now = environment.world.clock.wall();
  // What is there is judged by a clock that may have jumped since the request came.
  const { agreement } = gathered;
  const seen: Gathered =
    !looks || environment.ready()
      ? gathered
      : { kind: 'failed', trouble: 'not-ready', detail: STOPPED_SERVING, agreement, retries: [] };
  return decide(request, seen, { now, self: environment.self, origin, looks });
}

/** Conditions are judged by what is there. What takes something away must know what that is, and of a data type more than the context names. */
function looksFirst({ content, context, operation, conditions }: WriteRequest): boolean {
  if (conditions !== null) return true;
  if (operation === undefined) return content === null && context === null;
  if (operation.kind === 'touch') return true;
  return takesAway(operation) || (innermost(operation).kind === 'assign' && context !== null);
}

/** An operation on a data type changes what the client has seen, so that has to be at hand. What lies within a horizon is. */
function leastFor({ operation, context, least }: WriteRequest): VersionVector | undefined {
  if (operation === undefined || context === null) return least;
  return beyondHorizon(joinVectors(context, least ?? EMPTY_VECTOR));
}

interface Looked {
  readonly now: number;
  readonly self: NodeId;
  /** A hybrid time before anything was read. */
  readonly origin: number;
  /** Whether the write depends on what was read, beside what was asked of its earlier attempts. */
  readonly looks: boolean;
}

/** So many owners must say what they know of earlier attempts that one of them knows every attempt that `w` have confirmed. */
export function answersForRetries(owners: number, w: number): number {
  return Math.max(resolveQuorum('quorum', owners), owners - w + 1);
}

/** Pure: what the owners' answers mean for the write. */
export function decide(request: WriteRequest, gathered: Gathered, looked: Looked): Before {
  const { mark } = request;
  if (mark !== null) {
    const earlier = earlierAttempt(gathered, mark, looked.now);
    if (earlier.kind === 'mismatch') return over(request, gathered, 'idempotency-mismatch', MISMATCH);
    if (earlier.kind === 'found')
      return { kind: 'again', state: earlier.state, first: earlier.first, origin: looked.origin };
  }
  if (gathered.kind === 'failed') {
    // Of the reading, which is what was not met.
    const { agreement } = gathered;
    const unknown =
      gathered.trouble === 'session-not-met' && request.operation !== undefined && request.context !== null;
    const trouble = unknown ? 'quorum-unavailable' : gathered.trouble;
    const reason = unknown ? 'no replica that can be asked knows all that the context names' : gathered.detail;
    const detail = `reading before the write: ${reason}`;
    return { kind: 'over', outcome: { kind: 'not-applied', trouble, detail, agreement } };
  }
  if (mark !== null && gathered.retriesFull) return over(request, gathered, 'overloaded', FULL);
  return judged(request, gathered, looked);
}

const ANYTHING: Conditions = { ifMatch: undefined, ifNoneMatch: undefined };

function judged(
  { conditions, context, content, operation }: WriteRequest,
  { state, agreement }: Extract<Gathered, { kind: 'gathered' }>,
  { now, self: coordinator, origin, looks }: Looked,
): Before {
  const base = operation !== undefined && looks ? { state, origin } : null;
  // Whoever has looked comes later than what he has seen, whatever the clocks say, although he may leave it beside him.
  const after = highestCounter(state.vector);
  if (conditions !== null || operation?.kind === 'touch') {
    const live = liveVersions(state, now);
    const etag = live.length === 0 ? undefined : etagOf(live);
    // What is not there cannot live longer.
    if (judge(conditions ?? ANYTHING, etag) !== 'proceed' || (etag === undefined && operation?.kind === 'touch'))
      return { kind: 'over', outcome: { kind: 'precondition-failed', agreement, coordinator, etag } };
    // The client that names a state has seen it.
    if (conditions?.ifMatch !== undefined)
      return { kind: 'mint', context: joinVectors(context ?? EMPTY_VECTOR, state.vector), base, after };
  }
  if (context !== null) return { kind: 'mint', context, base, after };
  const seen = base !== null || (content === null && operation === undefined);
  return { kind: 'mint', context: seen ? state.vector : EMPTY_VECTOR, base, after };
}

type Earlier =
  | { readonly kind: 'none' | 'mismatch' }
  | { readonly kind: 'found'; readonly state: State; readonly first: RetryRow };

/**
 * The first attempt, by the row of any owner, or by a version that names the request and whose row is not here. A row alone,
 * without the joined state that covers its dot, is no help: there would be nothing to offer again.
 */
function earlierAttempt({ state, retries }: Gathered, mark: RequestMark, now: number): Earlier {
  const same = retries.filter(({ fingerprint }) => equalBytes(fingerprint, mark.fingerprint));
  if (state !== undefined) {
    const [first] = same
      .filter(({ dot }) => covers(state.vector, dot))
      .toSorted((a, b) => compareDotsByTime(a.dot, b.dot));
    if (first !== undefined) return { kind: 'found', state, first };
    const live = attemptIn(state, mark, now);
    if (live !== undefined)
      return { kind: 'found', state, first: { ...mark, dot: live.dot, until: windowEnd(live.dot) } };
  }
  return { kind: same.length === 0 && retries.length > 0 ? 'mismatch' : 'none' };
}

export const MISMATCH = 'Idempotency-Key: another request for this key, with other content, was made with it before';
const FULL = 'Idempotency-Key: an owner of the key remembers as many as it may';

function over(
  { w, pw, dw }: WriteRequest,
  { agreement: { of } }: Gathered,
  trouble: Extract<WriteOutcome, { kind: 'not-applied' | 'unknown' }>['trouble'],
  detail: string,
): Before {
  const agreement = { acked: 0, needed: Math.max(w, pw, dw), of, fallbacks: 0 };
  return { kind: 'over', outcome: { kind: 'not-applied', trouble, detail, agreement } };
}

export type ToMint = Extract<Before, { kind: 'mint' }>;

/** What is to be minted. It is later than all that its session has seen, and than what was read for it, whatever the clocks say. */
export function mintedWrite(request: WriteRequest, { context, base, after }: ToMint, now: number): MintedWrite {
  const { content, operation, least } = request;
  return {
    content,
    operating: operation === undefined ? null : { operation, base },
    context,
    expiresAt: expiryOf(request, now),
    after: least === undefined ? after : Math.max(after, highestCounter(least)),
  };
}
