/**
 * What a coordinator has found out, as an HTTP answer. A context is only shown together with everything that it covers:
 * a client that was not shown a version must not be able to replace it by mistake.
 */

import type { BucketProperties } from '#buckets/definition.ts';
import { encodeContext } from '#causality/context-token.ts';
import { sameDot } from '#causality/dot.ts';
import { etagOf } from '#causality/etag.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Version, VersionVector } from '#causality/state.ts';
import type { Conditions } from '#coordinator/preconditions.ts';
import type { Agreement, ReadOutcome, WriteOutcome } from '#coordinator/requests.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Mac } from '#kernel/native.ts';
import { unmet } from './conditions.ts';
import { contentHeaders, liveOf, quotedEtag, type LiveVersion } from './content-headers.ts';
import type { Answer } from './exchange.ts';
import { Problem, problemAnswer } from './problem.ts';
import { jsonBody, multipartBody } from './siblings.ts';
import { typeAnswer } from './type-answer.ts';

/** How the client wants to see what is under the key. */
export interface Presentation {
  /** The node that answers. */
  readonly self: NodeId;
  /** Names the key in contexts. */
  readonly scope: Uint8Array;
  readonly mac: Mac;
  /** What the bucket holds: values, or a data type. */
  readonly type: BucketProperties['type'];
  /** Whether siblings are wanted as JSON instead of multipart. */
  json(): boolean;
  /** The tag of the one sibling that is wanted, without quotes. */
  readonly sibling: string | undefined;
  /** An unpredictable text for the borders of a multipart body. */
  boundary(): string;
}

export const NOTHING_THERE = new Problem('not-found', 'there is no value under this key');

export function readAnswer(outcome: ReadOutcome, presentation: Presentation): Answer {
  switch (outcome.kind) {
    case 'failed': {
      const { trouble, detail, agreement } = outcome;
      return failure(new Problem(trouble, detail, figures(agreement)), agreement, presentation);
    }
    case 'found': {
      const headers = whatHappened(outcome.agreement, outcome.coordinator);
      return objectAnswer(outcome.versions, outcome.context, headers, presentation);
    }
  }
}

/** `body` is the wish to see the object as it is now: `?return=body`. */
export function writeAnswer(
  outcome: WriteOutcome,
  wrote: 'value' | 'deletion' | 'operation',
  body: boolean,
  conditions: Conditions | undefined,
  presentation: Presentation,
): Answer {
  switch (outcome.kind) {
    case 'applied': {
      const headers = whatHappened(outcome.agreement, outcome.coordinator);
      const live = liveOf(outcome.versions);
      if (body && live.length > 0) return objectAnswer(live, outcome.context, headers, presentation);
      // A request that was sent again may have been superseded since: then the tag is that of what it wrote.
      const shows = wrote !== 'value' || live.some(({ dot }) => sameDot(dot, outcome.written));
      if (!shows) headers['etag'] = quotedEtag([{ dot: outcome.written }]);
      else if (live.length > 0) headers['etag'] = quotedEtag(live);
      // What was written is among the live versions, so this many mean that nothing else is.
      const alone = shows && wrote !== 'operation' && live.length === (wrote === 'value' ? 1 : 0);
      // A strong bucket has no contexts.
      if (alone && outcome.context.length > 0) headers['quoral-context'] = contextOf(outcome.context, presentation);
      return { status: 204, headers, body: null };
    }
    case 'precondition-failed': {
      const headers = whatHappened(outcome.agreement, outcome.coordinator);
      if (outcome.etag !== undefined) headers['etag'] = `"${outcome.etag}"`;
      return problemAnswer(unmet(conditions, outcome.etag), headers);
    }
    case 'not-applied':
    case 'unknown': {
      const { kind, trouble, detail, agreement, context } = outcome;
      // The key belongs to another request, whose outcome is not this one's to tell.
      const extras = trouble === 'idempotency-mismatch' ? {} : { ...figures(agreement), outcome: kind };
      const answer = failure(new Problem(trouble, detail, extras), agreement, presentation);
      if (context === undefined) return answer;
      return { ...answer, headers: { ...answer.headers, 'quoral-context': contextOf(context, presentation) } };
    }
  }
}

/** What is under the key: nothing, one value, or siblings. */
function objectAnswer(
  versions: readonly Version[],
  context: VersionVector,
  headers: Record<string, string>,
  presentation: Presentation,
): Answer {
  const live = liveOf(versions);
  if (presentation.sibling !== undefined)
    return siblingAnswer(live, presentation.sibling, context, headers, presentation);
  if (context.length > 0) headers['quoral-context'] = contextOf(context, presentation);
  if (presentation.type !== 'value') return typeAnswer(presentation.type, live, headers);
  const [first] = live;
  if (first === undefined) return problemAnswer(NOTHING_THERE, headers);
  if (live.length === 1) return valueAnswer(first, headers);
  headers['cache-control'] = 'no-store';
  headers['etag'] = quotedEtag(live);
  if (presentation.json()) {
    headers['content-type'] = 'application/json';
    return { status: 300, headers, body: jsonBody(live, headers['quoral-context'] ?? '') };
  }
  const boundary = presentation.boundary();
  headers['content-type'] = `multipart/mixed; boundary="${boundary}"`;
  return { status: 300, headers, body: multipartBody(live, boundary) };
}

/** One of several siblings comes without a context, for that would cover the others. */
function siblingAnswer(
  live: readonly LiveVersion[],
  etag: string,
  context: VersionVector,
  headers: Record<string, string>,
  presentation: Presentation,
): Answer {
  const wanted = live.find((version) => etagOf([version]) === etag);
  if (wanted === undefined) {
    const problem = new Problem('not-found', 'sibling: no live version of this key has that ETag', {
      field: 'sibling',
    });
    return problemAnswer(problem, headers);
  }
  if (live.length === 1 && context.length > 0) headers['quoral-context'] = contextOf(context, presentation);
  return valueAnswer(wanted, headers);
}

/** Without `no-store` a cache on the way might answer later reads by itself (RFC 9111 section 4.2.2). */
function valueAnswer(version: LiveVersion, headers: Record<string, string>): Answer {
  contentHeaders(headers, version);
  headers['cache-control'] = 'no-store';
  headers['x-content-type-options'] = 'nosniff';
  return { status: 200, headers, body: version.content.value, modifiedAt: timeOf(version.dot.counter) };
}

function failure(problem: Problem, agreement: Agreement, { self }: Presentation): Answer {
  return problemAnswer(problem, whatHappened(agreement, self));
}

/** What is refused before anybody was asked. With more replicas than the cluster has it says so like one that does not reach them. */
export function refused(problem: Problem, self: NodeId): Answer {
  const { needed, got } = problem.extras;
  if (problem.code !== 'quorum-unavailable' || needed === undefined || got === undefined) return problemAnswer(problem);
  return problemAnswer(problem, whatHappened({ acked: 0, needed, of: got, fallbacks: 0 }, self));
}

function figures({ needed, acked }: Agreement): { readonly needed: number; readonly got: number } {
  return { needed, got: acked };
}

/** The coordinator is the owner that minted the version, or the node that merged the read. */
export function whatHappened(agreement: Agreement, coordinator: NodeId): Record<string, string> {
  return { 'quoral-replicas': replicasText(agreement), 'quoral-coordinator': coordinator };
}

/** What was agreed last, and its text: nearly all answers say the same. */
let lastAgreement: Agreement = { acked: 0, needed: 0, of: 0, fallbacks: 0 };
let lastReplicasText = textOf(lastAgreement);

function replicasText(agreement: Agreement): string {
  const { acked, needed, of, fallbacks } = lastAgreement;
  const same =
    agreement.acked === acked &&
    agreement.needed === needed &&
    agreement.of === of &&
    agreement.fallbacks === fallbacks;
  if (!same) {
    lastAgreement = agreement;
    lastReplicasText = textOf(agreement);
  }
  return lastReplicasText;
}

function textOf({ acked, needed, of, fallbacks }: Agreement): string {
  return `acked=${acked}; needed=${needed}; of=${of}; fallbacks=${fallbacks}`;
}

function contextOf(vector: VersionVector, { scope, mac }: Presentation): string {
  return encodeContext(vector, scope, mac);
}
