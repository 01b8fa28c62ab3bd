/**
 * Who a client is and what it may do (RFC 6750). A request is judged before anything of it is looked at that could tell
 * what is there: without a valid token every path gets the same answer, with one that lacks the right the answer names the
 * right and not whether the bucket or the key exists.
 */

import { UNGUARDED, type Access } from '#access/access.ts';
import type { Answer, Incoming } from './exchange.ts';
import { decodeBucket } from './key-path.ts';
import { CHALLENGE, invalid, Problem, problemAnswer } from './problem.ts';
import { missingOnAll, missingRight } from './rights.ts';
import { methodAt, ROUTES, type Need, type Route } from './routes.ts';
import type { Target } from './raw-path.ts';
import type { GuardServices } from './services.ts';

export const REFUSAL_REASONS = ['no-token', 'malformed', 'unknown-token', 'expired', 'forbidden'] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** A client that is sent away. */
export class Stranger {
  readonly reason: RefusalReason;
  readonly #problem: Problem;
  readonly #error: string;

  /** `error` is the code of RFC 6750; empty when the client has shown nothing at all. */
  constructor(reason: RefusalReason, problem: Problem, error: string) {
    this.reason = reason;
    this.#problem = problem;
    this.#error = error;
  }

  answer(): Answer {
    const challenge = this.#error === '' ? CHALLENGE : `${CHALLENGE}, error="${this.#error}"`;
    return problemAnswer(this.#problem, { 'www-authenticate': challenge });
  }
}

const NO_TOKEN = new Stranger(
  'no-token',
  new Problem('unauthorized', 'Authorization: a token is needed, as "Bearer quoral_…"', { field: 'Authorization' }),
  '',
);
const TWICE = new Stranger('malformed', invalid('Authorization', 'given more than once'), 'invalid_request');
const MALFORMED = new Stranger('malformed', invalid('Authorization', 'is not "Bearer" and a token'), 'invalid_request');
// Which of the two it is tells nobody but the holder anything, and the holder wants to know.
const UNKNOWN = wrongToken('unknown-token', 'the token is not known; it may have been revoked');
const EXPIRED = wrongToken('expired', 'the token has expired');

function wrongToken(reason: RefusalReason, what: string): Stranger {
  const problem = new Problem('unauthorized', `Authorization: ${what}`, { field: 'Authorization' });
  return new Stranger(reason, problem, 'invalid_token');
}

const BEARER = /^bearer(?: +|$)/i;
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;

/** What the client must be allowed; paths and methods that do not exist are known to holders of tokens only. */
export function needOf(route: Route | undefined, method: string): Need {
  return (route === undefined ? undefined : methodAt(route, method)?.[0]) ?? 'token';
}

/** Who sends the request. */
export function identify(incoming: Incoming, need: Need, guard: GuardServices): Access | Stranger {
  if (!guard.required || need === 'open' || (need === 'figures' && guard.metricsOpen)) return UNGUARDED;
  const [given, more] = incoming.fields('authorization');
  if (given === undefined) return NO_TOKEN;
  if (more !== undefined) return TWICE;
  const scheme = BEARER.exec(given);
  if (scheme === null) return NO_TOKEN;
  const token = given.slice(scheme[0].length);
  if (!TOKEN68.test(token)) return MALFORMED;
  const found = guard.authenticate(token);
  return found === 'unknown' ? UNKNOWN : found === 'expired' ? EXPIRED : found;
}

/** Why the client may not do it; undefined when it may. */
export function objection(access: Access, need: Need, route: Route, target: Target): Problem | undefined {
  switch (need) {
    case 'open':
    case 'figures':
    case 'token':
      return undefined;
    case 'concern':
    case 'read':
    case 'write':
    case 'admin': {
      if (access === UNGUARDED) return undefined;
      const at = BUCKET_SEGMENTS.get(route.path) ?? -1;
      if (at === -1) return missingOnAll(access, need);
      const bucket = decodeBucket(target.segments[at] ?? '');
      return bucket instanceof Problem ? bucket : missingRight(access, need, bucket);
    }
  }
}

/** Which of a path's segments is the bucket. */
const BUCKET_SEGMENTS: ReadonlyMap<string, number> = new Map(
  ROUTES.map(({ path }) => [path, path.split('/').indexOf(':bucket') - 1] as const).filter(([, at]) => at >= 0),
);
