/**
 * `/v1/leases/{bucket}/{key}` and `/v1/leases64/{bucket}/{key}`: locks with an end. A lease is a promise about time, and clocks differ: whoever does something
 * that must not be done twice sends the token along, and what it changes refuses a token lower than one it has seen
 * (Kleppmann, "How to do distributed locking", 2016).
 */

import { mismatch, type Schema } from '#kernel/json-schema.ts';
import { isoDate } from './http-date.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket, decodeKeyOf } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import { whatHappened } from './outcome.ts';
import { readInteger, type ParameterName } from './parameters.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { quoted } from './raw-path.ts';
import type { KeyRequest } from '#coordinator/requests.ts';
import type { LeaseOutcome } from '#coordinator/strong.ts';

const HOLDER_MAX = 256;
/** Seconds: a lease that shall live longer is renewed. */
const TTL_MAX = 24 * 3600;

/** What a client sends to get a lease. */
export const LEASE_SCHEMA = {
  type: 'object',
  properties: {
    holder: { type: 'string', minLength: 1, maxLength: HOLDER_MAX, description: 'Names who wants the lease.' },
    ttl: { type: 'number', minimum: 1, maximum: TTL_MAX, 'x-unit': 'seconds', description: 'Seconds that it lasts.' },
  },
  required: ['holder', 'ttl'],
  additionalProperties: false,
} as const satisfies Schema;

export const LEASE_PARAMETERS = ['timeout'] as const;
export const RELEASE_PARAMETERS = ['timeout', 'token'] as const;

/** Gives the lease to the holder, or renews it. */
export async function acquireLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, LEASE_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  return withJson(exchange, request.deadline, async (body) => {
    const wanted = parseWanted(body);
    if (wanted instanceof Problem) return problemAnswer(wanted);
    return leaseAnswer(exchange, await exchange.services.changeLease(request, { kind: 'acquire', ...wanted }));
  });
}

/** Ends the lease whose token the query names. */
export async function releaseLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, RELEASE_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  const token = parseToken(exchange);
  if (token instanceof Problem) return problemAnswer(token);
  return leaseAnswer(exchange, await exchange.services.changeLease(request, { kind: 'release', token }));
}

export async function showLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, LEASE_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  return leaseAnswer(exchange, await exchange.services.showLease(request));
}

function parseLeaseRequest(exchange: Exchange, parameters: readonly ParameterName[]): KeyRequest | Problem {
  const { services, target, requestId, startedAt, trace } = exchange;
  const [, family = '', bucketSegment = '', keySegment = ''] = target.segments;
  const name = decodeBucket(bucketSegment);
  if (name instanceof Problem) return name;
  const key = decodeKeyOf(family, keySegment);
  if (key instanceof Problem) return key;
  const query = parseQuery(target.query, parameters);
  if (query instanceof Problem) return query;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  if (timeout instanceof Problem) return timeout;
  const bucket = services.buckets.resolve(name);
  if (bucket.properties.consistency !== 'strong') {
    return invalid('bucket', `${quoted(name)} is not strong: only a bucket with consistency strong gives leases`);
  }
  return { requestId, bucket, key, deadline: startedAt + timeout, trace };
}

function parseWanted(body: unknown): { readonly holder: string; readonly milliseconds: number } | Problem {
  const wrong = mismatch(LEASE_SCHEMA, body);
  if (wrong !== undefined) return invalid(wrong.member || 'body', wrong.detail);
  const { holder, ttl } = body as { readonly holder: string; readonly ttl: number };
  if (!holder.isWellFormed()) return invalid('holder', 'is not well-formed Unicode');
  return { holder, milliseconds: Math.round(ttl * 1000) };
}

function parseToken({ target }: Exchange): number | Problem {
  const query = parseQuery(target.query, RELEASE_PARAMETERS);
  if (query instanceof Problem) return query;
  const text = query.get('token');
  if (text === undefined) return invalid('token', 'must be given: the token of the lease that ends');
  return readInteger('token', text);
}

function leaseAnswer({ services }: Exchange, outcome: LeaseOutcome): Answer {
  const headers = whatHappened(outcome.agreement, services.self);
  switch (outcome.kind) {
    case 'leased':
      return jsonAnswer(view(outcome.lease), 200, headers);
    case 'lease':
      if (outcome.lease !== null) return jsonAnswer(view(outcome.lease), 200, headers);
      return problemAnswer(new Problem('not-found', 'nobody holds a lease of this key'), headers);
    case 'released':
      return { status: 204, headers, body: null };
    case 'held': {
      const { holder, expiresAt } = outcome.lease;
      const extras = { holder, expiresAt: isoDate(expiresAt) };
      return problemAnswer(new Problem('conflict', 'somebody else holds the lease', extras), headers);
    }
    case 'ended':
      return problemAnswer(new Problem('conflict', 'the lease was given, and has ended before this answer'), headers);
    case 'not-held':
      return problemAnswer(
        new Problem('conflict', 'token: not that of the present lease', { field: 'token' }),
        headers,
      );
    case 'not-applied':
    case 'unknown': {
      const { trouble, detail, agreement, kind } = outcome;
      const extras = { needed: agreement.needed, got: agreement.acked, outcome: kind };
      return problemAnswer(new Problem(trouble, detail, extras), headers);
    }
  }
}

function view({
  holder,
  token,
  expiresAt,
}: {
  readonly holder: string;
  readonly token: number;
  readonly expiresAt: number;
}) {
  return { token, expiresAt: isoDate(expiresAt), holder };
}
