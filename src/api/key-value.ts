/**
 * `/v1/kv/{bucket}/{key}` and `/v1/kv64/{bucket}/{key}`: reading, writing and deleting one key.
 */

import { etagOf } from '#causality/etag.ts';
import { EMPTY_VECTOR, type Content, type VersionVector } from '#causality/state.ts';
import { joinVectors } from '#causality/vector.ts';
import type { ReadOutcome } from '#coordinator/requests.ts';
import { toHex } from '#kernel/bytes.ts';
import { prefersJson } from './accept.ts';
import { withBody } from './body.ts';
import { judge, parseConditions, type Conditions } from './conditions.ts';
import { describeContent, type Description } from './content-headers.ts';
import type { Answer, Exchange, Headers } from './exchange.ts';
import {
  parseContext,
  parseKeyRequest,
  READ_PARAMETERS,
  unbuilt,
  WRITE_PARAMETERS,
  type KeyRequest,
} from './key-request.ts';
import { readAnswer, writeAnswer, type Presentation } from './outcome.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { quoted } from './raw-path.ts';
import { missingRight } from './rights.ts';
import { readQuorum, writeQuorum, type ReadQuorum, type WriteQuorum } from './request-quorum.ts';

/** GET and HEAD. */
export async function getValue(exchange: Exchange): Promise<Answer> {
  const request = parseKeyRequest(exchange, READ_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  const conditions = parseConditions(exchange.incoming);
  if (conditions instanceof Problem) return problemAnswer(conditions);
  const quorum = readQuorum(request.asked, request.bucket, exchange.services.members());
  if (quorum instanceof Problem) return problemAnswer(quorum);
  const outcome = await read(exchange, request, quorum);
  const answer = readAnswer(outcome, presentation(exchange, request));
  if (conditions === undefined || outcome.kind !== 'found') return answer;
  return conditional(answer, conditions);
}

/** The tag is that of what would be shown: of the set, or of the one sibling that was asked for. */
function conditional(answer: Answer, conditions: Conditions): Answer {
  switch (judge(conditions, answer.headers['etag']?.slice(1, -1))) {
    case 'proceed':
      return answer;
    case 'not-modified':
      return { status: 304, headers: picked(answer.headers, KEPT_WHEN_NOT_MODIFIED), body: null };
    case 'failed':
      return problemAnswer(preconditionFailed(), picked(answer.headers, KEPT_WHEN_FAILED));
  }
}

/** A client whose condition has failed has not seen what is there, so it gets no context. */
const KEPT_WHEN_FAILED = ['etag', 'quoral-replicas', 'quoral-coordinator'];
const KEPT_WHEN_NOT_MODIFIED = [...KEPT_WHEN_FAILED, 'cache-control', 'last-modified', 'quoral-context'];

function picked(headers: Headers, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));
}

export async function putValue(exchange: Exchange): Promise<Answer> {
  const write = parseWrite(exchange, 'value');
  if (write instanceof Problem) return problemAnswer(write);
  const { valueMaxBytes } = exchange.services.settings;
  return withBody(exchange, valueMaxBytes, write.request.deadline, (value) =>
    performWrite(exchange, write, { value, ...write.description }),
  );
}

export async function deleteValue(exchange: Exchange): Promise<Answer> {
  const write = parseWrite(exchange, 'deletion');
  return write instanceof Problem ? problemAnswer(write) : performWrite(exchange, write, null);
}

interface Write {
  readonly request: KeyRequest;
  readonly description: Description;
  readonly conditions: Conditions | undefined;
  readonly context: VersionVector | null;
  readonly quorum: WriteQuorum;
  /** Zeros when the write needs no read. */
  readonly readQuorum: ReadQuorum;
  readonly returnBody: boolean;
}

const NO_READ: ReadQuorum = { r: 0, pr: 0 };

/** Everything of a write but its body, which is only asked for when all else is in order. */
function parseWrite(exchange: Exchange, what: 'value' | 'deletion'): Write | Problem {
  const { incoming, services } = exchange;
  const request = parseKeyRequest(exchange, WRITE_PARAMETERS);
  if (request instanceof Problem) return request;
  const { asked, bucket, query } = request;
  const refusal = notBuiltForWrites(exchange, request);
  if (refusal !== undefined) return refusal;
  const returns = query.get('return');
  if (returns !== undefined && returns !== 'body') return invalid('return', `${quoted(returns)} is not body`);
  const description = describeContent(incoming);
  if (description instanceof Problem) return description;
  const conditions = parseConditions(incoming);
  if (conditions instanceof Problem) return conditions;
  // Their answers tell what is there.
  if (conditions !== undefined || returns !== undefined) {
    const missing = missingRight(exchange.access, 'read', bucket.name);
    if (missing !== undefined) return missing;
  }
  const context = parseContext(exchange, request.scope);
  if (context instanceof Problem) return context;
  const members = services.members();
  const quorum = writeQuorum(asked, bucket, members);
  if (quorum instanceof Problem) return quorum;
  const reads = readQuorum(asked, bucket, members);
  const needsRead = conditions !== undefined || (what === 'deletion' && context === null);
  // A bucket's own r may be more than the cluster has: a write that reads nothing does not mind.
  if (reads instanceof Problem && (needsRead || reads.code === 'invalid-request')) return reads;
  return {
    request,
    description,
    conditions,
    context,
    quorum,
    readQuorum: reads instanceof Problem ? NO_READ : reads,
    returnBody: returns !== undefined,
  };
}

function notBuiltForWrites({ incoming }: Exchange, { bucket, query }: KeyRequest): Problem | undefined {
  if (query.has('ttl')) return unbuilt('ttl', 'values that expire');
  if (bucket.properties.ttl !== null) return unbuilt('bucket', 'values that expire, as this bucket wants,');
  if (incoming.header('idempotency-key') !== undefined) return unbuilt('Idempotency-Key', 'idempotency keys');
  if (incoming.header('if-unmodified-since') !== undefined) {
    return unbuilt('If-Unmodified-Since', 'conditions on dates');
  }
  if (incoming.header('content-range') !== undefined) {
    return invalid('Content-Range', 'a value is always written as a whole');
  }
  return undefined;
}

async function performWrite(exchange: Exchange, write: Write, content: Content | null): Promise<Answer> {
  const { request, conditions, quorum } = write;
  const view = presentation(exchange, request);
  let { context } = write;
  if (conditions !== undefined) {
    const before = await read(exchange, request, write.readQuorum);
    if (before.kind === 'failed') return readAnswer(before, view, 'not-applied');
    const etag = before.versions.length === 0 ? undefined : etagOf(before.versions);
    if (judge(conditions, etag) !== 'proceed') {
      return problemAnswer(preconditionFailed(), etag === undefined ? {} : { etag: `"${etag}"` });
    }
    // The client that names a state has seen it.
    if (conditions.ifMatch !== undefined) context = joinVectors(context ?? EMPTY_VECTOR, before.context);
  }
  const outcome = await exchange.services.write({
    ...common(exchange, request),
    content,
    context,
    expiresAt: 0,
    r: write.readQuorum.r,
    pr: write.readQuorum.pr,
    w: quorum.w,
    pw: quorum.pw,
    dw: quorum.dw,
    returnBody: write.returnBody,
  });
  return writeAnswer(outcome, content === null ? 'deletion' : 'value', write.returnBody, view);
}

function read(exchange: Exchange, request: KeyRequest, { r, pr }: ReadQuorum): Promise<ReadOutcome> {
  return exchange.services.read({ ...common(exchange, request), r, pr });
}

function common({ requestId, trace }: Exchange, { bucket, key, deadline, asked }: KeyRequest) {
  return { requestId, bucket, key, deadline, trace, sloppy: asked.sloppy ?? bucket.properties.sloppy };
}

function preconditionFailed(): Problem {
  return new Problem('precondition-failed', 'the ETag of what is under the key does not meet the condition');
}

function presentation({ incoming, services }: Exchange, { query, scope }: KeyRequest): Presentation {
  const sibling = query.get('sibling');
  return {
    self: services.self,
    mac: services.mac,
    scope,
    json: () => prefersJson(incoming.header('accept')),
    sibling: sibling === undefined ? undefined : sibling.replaceAll('"', ''),
    boundary: () => `quoral-${toHex(services.random.bytes(16))}`,
  };
}
