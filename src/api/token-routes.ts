/**
 * `/v1/tokens`: the tokens of clients. A secret is in one answer, the one that creates it, and nowhere else.
 */

import { TOKEN_SCOPES_MAX, type Token, type TokenRevocation, type TokenWish } from '#access/directory.ts';
import { parseScope, SCOPE_FORM, SCOPE_PATTERN } from '#access/scope.ts';
import { isTokenName, TOKEN_NAME_FORM, TOKEN_NAME_PATTERN } from '#access/token.ts';
import { present } from '#kernel/assert.ts';
import { mismatch, type Schema } from '#kernel/json-schema.ts';
import type { Answer, Exchange } from './exchange.ts';
import { isoDate } from './http-date.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';

const TTL_MAX_SECONDS = 100 * 365 * 24 * 3600;

/** What a client sends to create a token. */
export const TOKEN_SCHEMA = {
  type: 'object',
  properties: {
    name: {
      type: 'string',
      pattern: TOKEN_NAME_PATTERN,
      'x-form': TOKEN_NAME_FORM,
      description: 'Names the token to people, and to revoke it.',
    },
    scopes: {
      type: 'array',
      items: { type: 'string', pattern: SCOPE_PATTERN, 'x-form': SCOPE_FORM },
      maxItems: TOKEN_SCOPES_MAX,
      description: `What it may do: ${SCOPE_FORM}. With none it sees figures and the ring, and no bucket.`,
    },
    ttl: {
      anyOf: [{ type: 'integer', minimum: 1, maximum: TTL_MAX_SECONDS, 'x-unit': 'seconds' }, { type: 'null' }],
      default: null,
      description: 'Seconds until it expires; null for never.',
    },
  },
  required: ['name', 'scopes'],
  additionalProperties: false,
} as const satisfies Schema;

export const TOKEN_PARAMETERS = ['timeout'] as const;

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
  const query = parseQuery(target.query, TOKEN_PARAMETERS);
  if (query instanceof Problem) return query;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  return timeout instanceof Problem ? timeout : startedAt + timeout;
}

function readWish(body: unknown): TokenWish | Problem {
  const wrong = mismatch(TOKEN_SCHEMA, body);
  if (wrong !== undefined) return invalid(wrong.member || 'body', wrong.detail);
  const { name, scopes, ttl = null } = body as { name: string; scopes: readonly string[]; ttl?: number | null };
  return { name, scopes: scopes.map((text) => present(parseScope(text), 'a scope of the form')), ttl };
}

function view({ name, scopes, createdAt, expiresAt }: Token) {
  return {
    name,
    scopes,
    createdAt: isoDate(createdAt),
    expiresAt: expiresAt === 0 ? null : isoDate(expiresAt),
  };
}

function failure({ outcome, detail, votes }: Extract<TokenRevocation, { kind: 'failed' }>): Answer {
  return problemAnswer(new Problem('quorum-unavailable', detail, { ...votes, outcome }));
}
