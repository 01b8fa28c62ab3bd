/**
 * `/v1/leases/{bucket}/{key}`: locks with an end. A lease is a promise about time, and clocks differ: whoever does something
 * that must not be done twice sends the token along, and what it changes refuses a token lower than one it has seen
 * (Kleppmann, "How to do distributed locking", 2016).
 */

import { isoDate } from './http-date.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket, decodeKey } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import { whatHappened } from './outcome.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { quoted } from './raw-path.ts';
import type { KeyRequest } from '#coordinator/requests.ts';
import type { LeaseOutcome } from '#coordinator/strong.ts';

const HOLDER_MAX = 256;
/** Seconds: a lease that shall live longer is renewed. */
const TTL_MAX = 24 * 3600;

/** Gives the lease to the holder, or renews it. */
export async function acquireLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, ['timeout']);
  if (request instanceof Problem) return problemAnswer(request);
  return withJson(exchange, request.deadline, async (body) => {
    const wanted = parseWanted(body);
    if (wanted instanceof Problem) return problemAnswer(wanted);
    return leaseAnswer(exchange, await exchange.services.changeLease(request, { kind: 'acquire', ...wanted }));
  });
}

/** Ends the lease whose token the query names. */
export async function releaseLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, ['timeout', 'token']);
  if (request instanceof Problem) return problemAnswer(request);
  const token = parseToken(exchange);
  if (token instanceof Problem) return problemAnswer(token);
  return leaseAnswer(exchange, await exchange.services.changeLease(request, { kind: 'release', token }));
}

export async function showLease(exchange: Exchange): Promise<Answer> {
  const request = parseLeaseRequest(exchange, ['timeout']);
  if (request instanceof Problem) return problemAnswer(request);
  return leaseAnswer(exchange, await exchange.services.showLease(request));
}

function parseLeaseRequest(exchange: Exchange, parameters: readonly string[]): KeyRequest | Problem {
  const { services, target, requestId, startedAt, trace } = exchange;
  const [, , bucketSegment = '', keySegment = ''] = target.segments;
  const name = decodeBucket(bucketSegment);
  if (name instanceof Problem) return name;
  const key = decodeKey(keySegment);
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
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return invalid('body', 'expected {"holder": …, "ttl": seconds}');
  }
  const { holder, ttl, ...others } = body as { readonly holder?: unknown; readonly ttl?: unknown };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return invalid(unknown.slice(0, 128), 'unknown member; known here: holder, ttl');
  if (typeof holder !== 'string' || holder === '' || holder.length > HOLDER_MAX || !holder.isWellFormed()) {
    return invalid('holder', `expected a text of 1-${HOLDER_MAX} characters that names who wants the lease`);
  }
  if (typeof ttl !== 'number' || !(ttl >= 1 && ttl <= TTL_MAX)) {
    return invalid('ttl', `expected seconds from 1 to ${TTL_MAX}`);
  }
  return { holder, milliseconds: Math.round(ttl * 1000) };
}

function parseToken({ target }: Exchange): number | Problem {
  const query = parseQuery(target.query, ['timeout', 'token']);
  if (query instanceof Problem) return query;
  const text = query.get('token');
  if (text === undefined) return invalid('token', 'must be given: the token of the lease that ends');
  const token = Number(text);
  if (/^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(token)) return token;
  return invalid('token', `${quoted(text)} is no token of a lease`);
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
