/**
 * `/v1/tokens`: the tokens of clients. A secret is in one answer, the one that creates it, and nowhere else.
 */

import { TOKEN_SCOPES_MAX, type Token, type TokenFailure, type TokenWish } from '#access/directory.ts';
import { parseScope, SCOPE_FORM, type Scope } from '#access/scope.ts';
import { isTokenName, TOKEN_NAME_FORM } from '#access/token.ts';
import type { Answer, Exchange } from './exchange.ts';
import { isoDate } from './http-date.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { quoted } from './raw-path.ts';

const TTL_MAX_SECONDS = 100 * 365 * 24 * 3600;
const MEMBERS: ReadonlySet<string> = new Set(['name', 'scopes', 'ttl']);

export async function listTokens({ services }: Exchange): Promise<Answer> {
  return jsonAnswer({ tokens: services.tokens.list().map(view) });
}

export async function createToken(exchange: Exchange): Promise<Answer> {
  const deadline = deadlineOf(exchange);
  if (deadline instanceof Problem) return problemAnswer(deadline);
  return withJson(exchange, deadline, async (body) => {
    const wish = readWish(body);
    if (wish instanceof Problem) return problemAnswer(wish);
    const outcome = await exchange.services.tokens.create(wish, deadline);
    switch (outcome.kind) {
      case 'created': {
        const headers = { location: `/v1/tokens/${outcome.token.name}` };
        return jsonAnswer({ ...view(outcome.token), token: outcome.text }, 201, headers);
      }
      case 'refused':
        return problemAnswer(new Problem('conflict', `name: ${outcome.detail}`, { field: 'name' }));
      case 'failed':
        return failure(outcome);
    }
  });
}

export async function revokeToken(exchange: Exchange): Promise<Answer> {
  const deadline = deadlineOf(exchange);
  if (deadline instanceof Problem) return problemAnswer(deadline);
  // Names of tokens have the characters of names of buckets.
  const name = decodeBucket(exchange.target.segments[2] ?? '');
  if (name instanceof Problem || !isTokenName(name))
    return problemAnswer(invalid('name', `must be ${TOKEN_NAME_FORM}`));
  const outcome = await exchange.services.tokens.revoke(name, deadline);
  switch (outcome.kind) {
    case 'revoked':
      return { status: 204, headers: {}, body: null };
    case 'absent':
      return problemAnswer(new Problem('not-found', `there is no token ${name}`, { field: 'name' }));
    case 'failed':
      return failure(outcome);
  }
}

function deadlineOf({ services, startedAt, target }: Exchange): number | Problem {
  const query = parseQuery(target.query, ['timeout']);
  if (query instanceof Problem) return query;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  return timeout instanceof Problem ? timeout : startedAt + timeout;
}

function readWish(body: unknown): TokenWish | Problem {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return invalid('body', 'must be a JSON object with name, scopes and, if it expires, ttl');
  }
  const unknown = Object.keys(body).find((member) => !MEMBERS.has(member));
  if (unknown !== undefined) return invalid(unknown.slice(0, 128), `unknown; known are ${[...MEMBERS].join(', ')}`);
  const { name, scopes, ttl = null } = body as Partial<Record<string, unknown>>;
  if (typeof name !== 'string' || !isTokenName(name)) return invalid('name', `must be ${TOKEN_NAME_FORM}`);
  const read = readScopes(scopes);
  if (read instanceof Problem) return read;
  const lives =
    ttl === null || (typeof ttl === 'number' && Number.isInteger(ttl) && ttl >= 1 && ttl <= TTL_MAX_SECONDS);
  if (!lives) return invalid('ttl', `must be whole seconds from 1 to ${TTL_MAX_SECONDS}, or null for ever`);
  return { name, scopes: read, ttl };
}

/** None is allowed too: such a token sees figures and the ring, and no bucket. */
function readScopes(given: unknown): readonly Scope[] | Problem {
  const wrong = `must be a list of at most ${TOKEN_SCOPES_MAX} scopes: ${SCOPE_FORM}`;
  if (!Array.isArray(given) || given.length > TOKEN_SCOPES_MAX) return invalid('scopes', wrong);
  const scopes: Scope[] = [];
  for (const text of given as readonly unknown[]) {
    const scope = typeof text === 'string' ? parseScope(text) : undefined;
    if (scope === undefined) return invalid('scopes', `${quoted(String(text))} is no scope: ${SCOPE_FORM}`);
    scopes.push(scope);
  }
  return scopes;
}

function view({ name, scopes, createdAt, expiresAt }: Token) {
  return {
    name,
    scopes,
    createdAt: isoDate(createdAt),
    expiresAt: expiresAt === 0 ? null : isoDate(expiresAt),
  };
}

function failure({ outcome, detail }: TokenFailure): Answer {
  return problemAnswer(new Problem('quorum-unavailable', detail, { outcome }));
}
