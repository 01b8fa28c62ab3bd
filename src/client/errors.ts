/**
 * What can go wrong, as one error with a code of a closed list. Of a write it tells the one thing that its caller must know:
 * whether it may have been applied.
 */

import { etagOf } from './answer.ts';

/** What nodes answer with; see the description of the API. */
export const NODE_CODES = [
  'invalid-request',
  'unauthorized',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'conflict',
  'too-many-siblings',
  'gone',
  'precondition-failed',
  'value-too-large',
  'unsupported-media-type',
  'expectation-failed',
  'idempotency-mismatch',
  'overloaded',
  'headers-too-large',
  'internal-error',
  'not-implemented',
  'quorum-unavailable',
  'not-ready',
  'quorum-timeout',
  'session-not-met',
  'disk-full',
] as const;

export type NodeCode = (typeof NODE_CODES)[number];

/**
 * What the client finds out by itself.
 * - `unreachable`: no node answered.
 * - `timed-out`: the time of the whole operation is over.
 * - `aborted`: the caller's signal said so.
 * - `bad-answer`: something answered that does not speak as a node does.
 * - `siblings`: the key has several values and nothing says which of them is meant.
 */
export type ClientCode = 'unreachable' | 'timed-out' | 'aborted' | 'bad-answer' | 'siblings';

export type ErrorCode = NodeCode | ClientCode;

/**
 * Of a write that has failed.
 * - `not-applied`: no replica holds it, and none will.
 * - `unknown`: some replica may hold it; it may still win.
 */
export type Outcome = 'not-applied' | 'unknown';

/** What there is beside the message; all of it may be absent. */
export interface ErrorFacts {
  readonly status?: number;
  readonly outcome?: Outcome;
  /** What was wrong with the request: a parameter, header, path segment or member. */
  readonly field?: string;
  /** Replicas that were needed, and that agreed. */
  readonly needed?: number;
  readonly got?: number;
  /** Who holds the lease that was asked for, and until when. */
  readonly holder?: string;
  readonly expiresAt?: string;
  /** The context that came with it, such as that of a key with too many siblings. */
  readonly context?: string;
  /** The ETag of what is there instead. */
  readonly etag?: string;
  /** How often it was tried. */
  readonly attempts?: number;
  /** The node that was asked last. */
  readonly url?: string;
  /** Milliseconds after which it makes sense to try again. */
  readonly retryAfterMs?: number;
}

export class QuoralError extends Error {
  override readonly name: string = 'QuoralError';
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.facts = facts;
  }

  /** Of a write: whether it may have been applied. Undefined for what changes nothing. */
  get outcome(): Outcome | undefined {
    return this.facts.outcome;
  }

  get status(): number | undefined {
    return this.facts.status;
  }

  with(facts: ErrorFacts): QuoralError {
    return new QuoralError(this.code, this.message, { ...this.facts, ...facts }, this.cause);
  }
}

/** Said before anything was written, whatever was asked for. */
const BEFORE_ANYTHING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'invalid-request',
  'unauthorized',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'conflict',
  'too-many-siblings',
  'precondition-failed',
  'value-too-large',
  'unsupported-media-type',
  'expectation-failed',
  'overloaded',
  'headers-too-large',
  'not-implemented',
  'not-ready',
]);

/** A problem document (RFC 9457) as an error. `changes` is whether the request was to change something. */
export function problemError(status: number, body: string, headers: Headers, changes: boolean): QuoralError {
  const document = parsed(body);
  const type = typeof document['type'] === 'string' ? document['type'] : '';
  const code = NODE_CODES.find((known) => type === `urn:quoral:problem:${known}`);
  if (code === undefined) {
    const facts = { status, ...(changes ? { outcome: 'unknown' as const } : {}) };
    return new QuoralError('bad-answer', `${status}, and no problem document: ${body.slice(0, 200)}`, facts);
  }
  const facts: { -readonly [K in keyof ErrorFacts]: ErrorFacts[K] } = { status };
  for (const name of ['field', 'holder', 'expiresAt'] as const) {
    if (typeof document[name] === 'string') facts[name] = document[name];
  }
  for (const name of ['needed', 'got'] as const) if (typeof document[name] === 'number') facts[name] = document[name];
  const context = headers.get('quoral-context');
  if (context !== null) facts.context = context;
  const etag = etagOf(headers);
  if (etag !== undefined) facts.etag = etag;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  if (seconds >= 0) facts.retryAfterMs = seconds * 1000;
  const outcome = changes ? outcomeOf(document['outcome'], code) : undefined;
  if (outcome !== undefined) facts.outcome = outcome;
  const title = typeof document['title'] === 'string' ? document['title'] : code;
  const detail = typeof document['detail'] === 'string' ? `: ${document['detail']}` : '';
  return new QuoralError(code, title + detail, facts);
}

/** The key of a 422 belongs to another request, whose outcome is not this one's to tell. */
function outcomeOf(said: unknown, code: NodeCode): Outcome | undefined {
  if (said === 'not-applied' || said === 'unknown') return said;
  if (code === 'idempotency-mismatch') return undefined;
  return BEFORE_ANYTHING.has(code) ? 'not-applied' : 'unknown';
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
