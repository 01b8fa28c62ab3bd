/** Who a client is (RFC 6750), by the token that it shows. */

import { UNGUARDED, type Access } from '#access/access.ts';
import type { Answer, Incoming } from './exchange.ts';
import { CHALLENGE, invalid, Problem, problemAnswer } from './problem.ts';
import type { Need } from './routes.ts';
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
