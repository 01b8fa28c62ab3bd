/**
 * Everything that can go wrong for a client, as a closed list: each code has one status and one title, and every answer
 * with it is a problem document (RFC 9457). Also the errors of the HTTP parser use this shape.
 */

import type { Answer, Headers } from './exchange.ts';

const PROBLEMS = {
  'invalid-request': [400, 'The request is not valid'],
  unauthorized: [401, 'Credentials are needed'],
  forbidden: [403, 'This is not allowed'],
  'not-found': [404, 'There is nothing here'],
  'method-not-allowed': [405, 'The method does not apply here'],
  'request-timeout': [408, 'The request did not arrive in time'],
  conflict: [409, 'The request conflicts with the present state'],
  'too-many-siblings': [409, 'The key has too many concurrent versions'],
  gone: [410, 'This is no longer available'],
  'precondition-failed': [412, 'A precondition does not hold'],
  'value-too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'The body has the wrong media type'],
  'expectation-failed': [417, 'The expectation cannot be met'],
  'idempotency-mismatch': [422, 'The idempotency key belongs to another request'],
  overloaded: [429, 'Too many requests are under way'],
  'headers-too-large': [431, 'The header fields are too large'],
  'internal-error': [500, 'The node has failed on this request'],
  'not-implemented': [501, 'This is not built yet'],
  'quorum-unavailable': [503, 'Too few replicas can be reached'],
  'not-ready': [503, 'The node is not ready to serve'],
  'quorum-timeout': [504, 'Too few replicas answered in time'],
  'session-not-met': [504, 'The session cannot be continued in time'],
  'disk-full': [507, 'A disk is full'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_TYPE_PREFIX = 'urn:quoral:problem:';
const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Seconds after which it makes sense to try again; given with the problems that pass by themselves. */
export const RETRY_AFTER_SECONDS = 1;
const PASSES_BY_ITSELF: ReadonlySet<ProblemCode> = new Set(['overloaded', 'quorum-unavailable', 'not-ready']);

/** RFC 6750 section 3. */
export const CHALLENGE = 'Bearer realm="quoral"';

/** Members beside those of every problem. */
export interface ProblemExtras {
  /** The parameter, header, path segment or body member that is wrong. */
  readonly field?: string;
  /** Replicas that were needed, and that agreed. */
  readonly needed?: number;
  readonly got?: number;
  /** Of a write: whether it may have been applied. */
  readonly outcome?: 'not-applied' | 'unknown';
  /** Of a lease that somebody else holds: who, and until when. */
  readonly holder?: string;
  readonly expiresAt?: string;
}

/** A problem as a value: functions return it beside what they promise, and callers ask with `instanceof`. */
export class Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly extras: ProblemExtras;

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    this.code = code;
    this.detail = detail;
    this.extras = extras;
  }
}

export function statusOf(code: ProblemCode): number {
  return PROBLEMS[code][0];
}

/** A 400 that names what is wrong; its detail begins with that name. */
export function invalid(field: string, detail: string): Problem {
  return new Problem('invalid-request', `${field}: ${detail}`, { field });
}

/** The problem document's members. */
export function problemMembers({ code, detail, extras }: Problem): ProblemExtras & { readonly status: number } {
  const [status, title] = PROBLEMS[code];
  return { ...{ type: PROBLEM_TYPE_PREFIX + code, title, status, detail }, ...extras };
}

/** The problem document's text. */
export function problemBody(problem: Problem): string {
  return `${JSON.stringify(problemMembers(problem))}\n`;
}

/** Header fields that go with every problem of this code. */
export function problemHeaders(code: ProblemCode): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': PROBLEM_MEDIA_TYPE, 'cache-control': 'no-store' };
  if (PASSES_BY_ITSELF.has(code)) headers['retry-after'] = String(RETRY_AFTER_SECONDS);
  if (code === 'unauthorized') headers['www-authenticate'] = CHALLENGE;
  if (code === 'forbidden') headers['www-authenticate'] = `${CHALLENGE}, error="insufficient_scope"`;
  return headers;
}

export function problemAnswer(problem: Problem, headers: Headers = {}): Answer {
  return {
    status: statusOf(problem.code),
    headers: { ...problemHeaders(problem.code), ...headers },
    body: problemBody(problem),
    problem: problem.code,
    detail: problem.detail,
  };
}
