/**
 * What has to be known before a write is minted, found out in one round of questions: whether the request was carried out
 * before, whether its conditions hold, and what a delete without a context removes. In this order: a request that was
 * carried out has met its conditions then, and must not be judged by what it has changed itself.
 */

import { etagOf } from '#causality/etag.ts';
import { EMPTY_VECTOR, type State, type VersionVector } from '#causality/state.ts';
import { windowEnd, type RequestMark } from '#causality/repeats.ts';
import { covers, highestCounter, joinVectors } from '#causality/vector.ts';
import { compareDotsByTime } from '#causality/dot.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { NodeId } from '#kernel/identity.ts';
import { resolveQuorum } from '#quorum/resolve.ts';
import { attemptIn } from '#replica/settle-retries.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { inItsZone, routeOf, type Environment } from './environment.ts';
import { gather, liveVersions, type Gathered } from './get.ts';
import { judge } from './preconditions.ts';
import type { WriteOutcome, WriteRequest } from './requests.ts';

export type Before =
  | { readonly kind: 'mint'; readonly context: VersionVector }
  /** The request was carried out before: `state` has what became of it. */
  | { readonly kind: 'again'; readonly state: State; readonly first: RetryRow }
  | { readonly kind: 'over'; readonly outcome: WriteOutcome };

export async function beforeWrite(environment: Environment, request: WriteRequest): Promise<Before> {
  const { mark, content, context, conditions } = request;
  const looks = conditions !== null || (content === null && context === null);
  if (mark === null && !looks) return { kind: 'mint', context: context ?? EMPTY_VECTOR };
  const { owners } = routeOf(environment, request.bucket, request.key);
  const { r, pr, w } = inItsZone(request, owners);
  const questions =
    mark === null
      ? request
      : // Of all owners, whatever the zone: so many that they are a read of the zone, too.
        {
          ...request,
          zone: undefined,
          r: Math.max(looks ? r : 0, answersForRetries(owners.length, w)),
          pr: looks ? pr : 0,
          least: looks ? request.least : undefined,
          retryId: mark.id,
        };
  const gathered = await gather(environment, questions);
  const now = environment.world.clock.wall();
  return decide(request, gathered, now, environment.self);
}

/** So many owners must say what they know of earlier attempts that one of them knows every attempt that `w` have confirmed. */
export function answersForRetries(owners: number, w: number): number {
  return Math.max(resolveQuorum('quorum', owners), owners - w + 1);
}

/** Pure: what the owners' answers mean for the write. */
export function decide(request: WriteRequest, gathered: Gathered, now: number, self: NodeId): Before {
  const { mark } = request;
  if (mark !== null) {
    const earlier = earlierAttempt(gathered, mark, now);
    if (earlier.kind === 'mismatch') return over(request, gathered, 'idempotency-mismatch', MISMATCH);
    if (earlier.kind === 'found') return { kind: 'again', state: earlier.state, first: earlier.first };
  }
  if (gathered.kind === 'failed') {
    // Of the reading, which is what was not met.
    const { trouble, agreement } = gathered;
    const detail = `reading before the write: ${gathered.detail}`;
    return { kind: 'over', outcome: { kind: 'not-applied', trouble, detail, agreement } };
  }
  if (mark !== null && gathered.retriesFull) return over(request, gathered, 'overloaded', FULL);
  return judged(request, gathered, now, self);
}

function judged(
  { conditions, context, content }: WriteRequest,
  { state, agreement }: Extract<Gathered, { kind: 'gathered' }>,
  now: number,
  coordinator: NodeId,
): Before {
  if (conditions !== null) {
    const live = liveVersions(state, now);
    const etag = live.length === 0 ? undefined : etagOf(live);
    if (judge(conditions, etag) !== 'proceed')
      return { kind: 'over', outcome: { kind: 'precondition-failed', agreement, coordinator, etag } };
    // The client that names a state has seen it.
    if (conditions.ifMatch !== undefined)
      return { kind: 'mint', context: joinVectors(context ?? EMPTY_VECTOR, state.vector) };
  }
  if (context !== null) return { kind: 'mint', context };
  return { kind: 'mint', context: content === null ? state.vector : EMPTY_VECTOR };
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

const MISMATCH = 'Idempotency-Key: another request for this key, with other content, was made with it before';
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

/** A session's write is later than all that the session has seen, whatever the clocks say; 0 for no session. */
export function afterSession({ least }: WriteRequest): number {
  return least === undefined ? 0 : highestCounter(least);
}
