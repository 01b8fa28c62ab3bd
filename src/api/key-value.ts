/**
 * `/v1/kv/{bucket}/{key}` and `/v1/kv64/{bucket}/{key}`: reading, writing and deleting one key.
 */

import { EMPTY_VECTOR, type Content, type VersionVector } from '#causality/state.ts';
import { joinVectors } from '#causality/vector.ts';
import type { ReadOutcome, WriteOutcome } from '#coordinator/requests.ts';
import { judge, type Conditions } from '#coordinator/preconditions.ts';
import type { KeyOperation } from '#causality/data-type.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { prefersJson } from './accept.ts';
import { withBody } from './body.ts';
import { parseConditions, unmet } from './conditions.ts';
import { describeContent, type Description } from './content-headers.ts';
import type { Answer, Exchange, Headers } from './exchange.ts';
import { markOf, numberedBy, parseAnsweredBelow, parseIdempotencyKey, type AnsweredBelow } from './idempotency-key.ts';
import {
  noTtl,
  parseContext,
  parseKeyRequest,
  parseTtl,
  READ_PARAMETERS,
  WRITE_PARAMETERS,
  type KeyRequest,
} from './key-request.ts';
import { NOTHING_THERE, readAnswer, refused, whatHappened, writeAnswer, type Presentation } from './outcome.ts';
import { withJson } from './json.ts';
import { parseKeyOperation, ttlOf } from './operation-body.ts';
import { malformed } from './parameters.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { missingRight } from './rights.ts';
import { NO_TURN, turnToShow } from './turn-to-show.ts';
import { readQuorum, writeQuorum, type ReadQuorum, type WriteQuorum } from './request-quorum.ts';

/** GET and HEAD. */
export async function getValue(exchange: Exchange): Promise<Answer> {
  const request = parseKeyRequest(exchange, READ_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  const conditions = parseConditions(exchange.incoming);
  if (conditions instanceof Problem) return problemAnswer(conditions);
  // It means nothing here; but who sends a wrong one believes to have read something else.
  const context = parseContext(exchange, request.scope);
  if (context instanceof Problem) return problemAnswer(context);
  const quorum = readQuorumOf(request, exchange.services.members());
  if (quorum instanceof Problem) return refused(quorum, exchange.services.self);
  const { type } = request.bucket.properties;
  if (type !== 'value' && request.query.has('sibling'))
    return problemAnswer(invalid('sibling', `what is concurrent in a ${type} is shown as one`));
  const tag = request.query.get('sibling');
  if (tag !== undefined && bare(tag) === '') return problemAnswer(malformed('sibling', tag));
  const mistake = mistakeInWriteNumbers(request, exchange.services.members());
  if (mistake !== undefined) return problemAnswer(mistake);
  const { session } = request;
  const asked = common(exchange, request);
  const outcome = await exchange.services.read({
    requestId: asked.requestId,
    bucket: asked.bucket,
    key: asked.key,
    deadline: asked.deadline,
    trace: asked.trace,
    sloppy: asked.sloppy,
    replicas: asked.replicas,
    zone: session?.needsQuorum() === true ? undefined : asked.zone,
    least: asked.least,
    r: quorum.r,
    pr: quorum.pr,
  });
  const turn = outcome.kind !== 'found' || turnToShow(exchange, request, outcome.versions, request.deadline);
  const answer = turn === true || (await turn) ? shown(outcome, exchange, request, conditions) : problemAnswer(NO_TURN);
  return session?.answer(answer, outcome.kind === 'found' ? outcome.context : EMPTY_VECTOR) ?? answer;
}

/** What is given for writes means nothing to a read, and is refused all the same when no write could ask for it. */
function mistakeInWriteNumbers({ asked, bucket, query }: KeyRequest, members: number): Problem | undefined {
  if (query.size === 0) return undefined;
  const quorum = writeQuorum(asked, bucket, members);
  return quorum instanceof Problem && quorum.code === 'invalid-request' ? quorum : undefined;
}

function shown(
  outcome: ReadOutcome,
  exchange: Exchange,
  request: KeyRequest,
  conditions: Conditions | undefined,
): Answer {
  const answer = readAnswer(outcome, new Shown(exchange, request));
  if (conditions === undefined || outcome.kind !== 'found') return answer;
  return conditional(answer, conditions);
}

/** The tag is that of what would be shown: of the set, or of the one sibling that was asked for. */
function conditional(answer: Answer, conditions: Conditions): Answer {
  const etag = answer.headers['etag']?.slice(1, -1);
  switch (judge(conditions, etag)) {
    case 'proceed':
      return answer;
    case 'not-modified':
      return { ...answer, status: 304, headers: picked(answer.headers, KEPT_WHEN_NOT_MODIFIED), body: null };
    case 'failed':
      return problemAnswer(unmet(conditions, etag), picked(answer.headers, KEPT_WHEN_FAILED));
  }
}

/** A client whose condition has failed has not seen what is there, so it gets no context. */
const KEPT_WHEN_FAILED = ['etag', 'quoral-replicas', 'quoral-coordinator'];
const KEPT_WHEN_NOT_MODIFIED = [...KEPT_WHEN_FAILED, 'cache-control', 'last-modified', 'quoral-context'];

function picked(headers: Headers, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));
}

export function putValue(exchange: Exchange): Answer | Promise<Answer> {
  const write = parseWrite(exchange, 'value');
  if (write instanceof Problem) return refused(write, exchange.services.self);
  const { valueMaxBytes } = exchange.services.settings;
  const { contentType, contentEncoding, meta } = write.description;
  const answer = withBody(exchange, valueMaxBytes, write.request.deadline, (value) =>
    performWrite(exchange, write, { value, contentType, contentEncoding, meta }),
  );
  return inSession(write.request, answer);
}

/** Also what was refused has the token of its session. */
function inSession({ session }: KeyRequest, given: Promise<Answer>): Promise<Answer> {
  if (session === undefined) return given;
  return given.then((answer) =>
    answer.headers['quoral-session'] === undefined ? session.answer(answer, EMPTY_VECTOR) : answer,
  );
}

/** POST: an operation on the data type that the bucket holds, or a touch. */
export function operateValue(exchange: Exchange): Answer | Promise<Answer> {
  const write = parseWrite(exchange, 'operation');
  if (write instanceof Problem) return refused(write, exchange.services.self);
  const { name, properties } = write.request.bucket;
  const perform = async (body: unknown): Promise<Answer> => {
    const operation = parseKeyOperation(body, properties);
    if (!('kind' in operation)) return problemAnswer(operation);
    // Its answer tells whether something is there.
    const missing = operation.kind === 'touch' ? missingRight(exchange.access, 'read', name) : undefined;
    if (missing !== undefined) return problemAnswer(missing);
    const ttl = ttlOf(operation, write.request.query, properties);
    if (ttl instanceof Problem) return problemAnswer(ttl);
    return performWrite(exchange, { ...write, ttl }, null, operation);
  };
  const answer = withJson(exchange, write.request.deadline, perform, exchange.services.settings.valueMaxBytes);
  return inSession(write.request, answer);
}

export function deleteValue(exchange: Exchange): Answer | Promise<Answer> {
  const write = parseWrite(exchange, 'deletion');
  return write instanceof Problem ? refused(write, exchange.services.self) : performWrite(exchange, write, null);
}

interface Write {
  readonly request: KeyRequest;
  readonly description: Description;
  readonly conditions: Conditions | undefined;
  readonly context: VersionVector | null;
  readonly idempotencyKey: string | undefined;
  readonly answeredBelow: AnsweredBelow | undefined;
  /** Milliseconds; 0 for ever. */
  readonly ttl: number;
  readonly quorum: WriteQuorum;
  /** Zeros when the write needs no read. */
  readonly readQuorum: ReadQuorum;
  readonly returnBody: boolean;
}

const NO_READ: ReadQuorum = { r: 0, pr: 0 };

/** Everything of a write but its body, which is only asked for when all else is in order. */
function parseWrite(exchange: Exchange, what: 'value' | 'deletion' | 'operation'): Write | Problem {
  const { incoming, services } = exchange;
  const request = parseKeyRequest(exchange, WRITE_PARAMETERS);
  if (request instanceof Problem) return request;
  const { asked, bucket, query } = request;
  const { type } = bucket.properties;
  if (what === 'value' && type !== 'value')
    return invalid('bucket', `holds a ${type} under each key, which is changed by POST`);
  if (incoming.header('content-range') !== undefined)
    return invalid('Content-Range', 'a value is always written as a whole');
  const returns = query.get('return');
  if (returns !== undefined && returns !== 'body') return malformed('return', returns);
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
  const idempotencyKey = parseIdempotencyKey(incoming);
  if (idempotencyKey instanceof Problem) return idempotencyKey;
  const answeredBelow = parseAnsweredBelow(incoming, idempotencyKey);
  if (answeredBelow instanceof Problem) return answeredBelow;
  const ttl = what === 'deletion' ? noTtl(request.query) : parseTtl(request.query, bucket.properties.ttl);
  if (ttl instanceof Problem) return ttl;
  const members = services.members();
  const quorum = writeQuorum(asked, bucket, members);
  if (quorum instanceof Problem) return ofWrite(quorum, idempotencyKey);
  const reads = readQuorumOf(request, members);
  const needsRead = conditions !== undefined || what === 'operation' || (what === 'deletion' && context === null);
  // A bucket's own r may be more than the cluster has: a write that reads nothing does not mind.
  if (reads instanceof Problem && (needsRead || reads.code === 'invalid-request'))
    return ofWrite(reads, idempotencyKey);
  return {
    request,
    description,
    conditions,
    context,
    idempotencyKey,
    answeredBelow,
    ttl,
    quorum,
    readQuorum: reads instanceof Problem ? NO_READ : reads,
    returnBody: returns !== undefined,
  };
}

/** An earlier attempt may have asked for less and been applied: that this one was not is not the whole outcome. */
function ofWrite(problem: Problem, idempotencyKey: string | undefined): Problem {
  const { code, detail, extras } = problem;
  if (code === 'invalid-request') return problem;
  return new Problem(code, detail, { ...extras, outcome: idempotencyKey === undefined ? 'not-applied' : 'unknown' });
}

async function performWrite(
  exchange: Exchange,
  write: Write,
  content: Content | null,
  operation?: KeyOperation,
): Promise<Answer> {
  const { request, conditions, context, quorum } = write;
  const asked = common(exchange, request);
  const outcome = await exchange.services.write({
    requestId: asked.requestId,
    bucket: asked.bucket,
    key: asked.key,
    deadline: asked.deadline,
    trace: asked.trace,
    sloppy: asked.sloppy,
    replicas: asked.replicas,
    zone: asked.zone,
    least: asked.least,
    content,
    operation,
    context,
    conditions: conditions ?? null,
    mark: markedWrite(exchange, write, content, operation),
    ttl: write.ttl,
    r: write.readQuorum.r,
    pr: write.readQuorum.pr,
    w: quorum.w,
    pw: quorum.pw,
    dw: quorum.dw,
    returnBody: write.returnBody,
  });
  // What has been written is told, however long it takes.
  if (outcome.kind === 'applied' && write.returnBody)
    await turnToShow(exchange, request, outcome.versions, Number.POSITIVE_INFINITY);
  const touchesNothing =
    operation?.kind === 'touch' &&
    outcome.kind === 'precondition-failed' &&
    outcome.etag === undefined &&
    conditions?.ifMatch === undefined;
  const wrote = operation !== undefined ? 'operation' : content === null ? 'deletion' : 'value';
  const answer = touchesNothing
    ? problemAnswer(NOTHING_THERE, whatHappened(outcome.agreement, outcome.coordinator))
    : writeAnswer(outcome, wrote, write.returnBody, conditions, new Shown(exchange, request));
  return request.session?.answer(answer, learned(outcome, write.returnBody)) ?? answer;
}

function markedWrite(
  { incoming, services }: Exchange,
  { request: { query, bucket }, idempotencyKey, answeredBelow }: Write,
  content: Content | null,
  operation: KeyOperation | undefined,
): RequestMark | null {
  if (idempotencyKey === undefined) return null;
  const marked = { incoming, query, content: operation === undefined ? content : asContent(operation) };
  const mark = markOf(idempotencyKey, marked, services.sha256);
  if (answeredBelow === undefined || bucket.properties.consistency !== 'strong') return mark;
  return { ...mark, numbered: numberedBy(answeredBelow, services.sha256) };
}

/** What makes two operations the same request. */
function asContent(operation: KeyOperation): Content {
  return { value: utf8(JSON.stringify(operation)), contentType: '', contentEncoding: '', meta: [] };
}

/**
 * What the client's session knows from now on. Of a write whose outcome is unknown it learns nothing: whether the session
 * reads it is open, and if it was lost with a node, reads would wait for it for ever.
 */
function learned(outcome: WriteOutcome, showsAll: boolean): VersionVector {
  if (outcome.kind !== 'applied') return EMPTY_VECTOR;
  return showsAll ? joinVectors(outcome.context, [outcome.written]) : [outcome.written];
}

function common({ requestId, trace, services }: Exchange, { bucket, key, deadline, asked, session }: KeyRequest) {
  const sloppy = asked.sloppy ?? bucket.properties.sloppy;
  const least = session?.least();
  return {
    requestId,
    bucket,
    key,
    deadline,
    trace,
    sloppy,
    replicas: Math.min(bucket.properties.n, services.members()),
    zone: asked.local ? services.zone() : undefined,
    least: least === undefined || least.length === 0 ? undefined : least,
  };
}

/** A session whose token had no room for the key asks a strict quorum for it, whatever else is asked. */
function readQuorumOf({ asked, bucket, session }: KeyRequest, members: number): ReadQuorum | Problem {
  const quorum = readQuorum(asked, bucket, members);
  if (quorum instanceof Problem || session?.needsQuorum() !== true) return quorum;
  const strict = readQuorum({ ...asked, read: { r: 'quorum', pr: 'quorum' } }, bucket, members);
  if (strict instanceof Problem) return strict;
  return { r: Math.max(quorum.r, strict.r), pr: Math.max(quorum.pr, strict.pr) };
}

/** An ETag may be asked for as it stands in a header or in JSON. */
function bare(tag: string): string {
  return tag.replaceAll('"', '');
}

/** A class, since with each request only its fields are made. */
class Shown implements Presentation {
  readonly self: Presentation['self'];
  readonly mac: Presentation['mac'];
  readonly scope: Uint8Array;
  readonly type: Presentation['type'];
  readonly sibling: string | undefined;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, { query, scope, bucket }: KeyRequest) {
    this.self = exchange.services.self;
    this.mac = exchange.services.mac;
    this.scope = scope;
    this.type = bucket.properties.type;
    const tag = query.get('sibling');
    this.sibling = tag === undefined ? undefined : bare(tag);
    this.#exchange = exchange;
  }

  json(): boolean {
    return prefersJson(this.#exchange.incoming.header('accept'));
  }

  boundary(): string {
    return `quoral-${toHex(this.#exchange.services.random.bytes(16))}`;
  }
}
