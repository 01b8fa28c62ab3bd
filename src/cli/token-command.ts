/** `quoral token create|list|revoke`. */

import { askJson, ask, expectStatus, type ClientOptions } from './client.ts';
import { readTtl } from './measures.ts';
import { print, table } from './output.ts';

interface Token {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

export interface CreateOptions extends ClientOptions {
  readonly scope: readonly string[];
  readonly ttl?: string;
}

/** The token alone stands on stdout, so that a script can take it from there. */
export async function createToken(name: string, options: CreateOptions): Promise<void> {
  const ttl = options.ttl === undefined ? null : readTtl(options.ttl);
  const made = (await askJson(
    options,
    '/v1/tokens',
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, scopes: options.scope, ttl }),
    },
    [201],
  )) as Token & { readonly token: string };
  if (options.json === true) {
    print(JSON.stringify(made));
    return;
  }
  print(made.token);
  const end = made.expiresAt === null ? 'does not expire' : `expires ${made.expiresAt}`;
  process.stderr.write(`token ${made.name} (${made.scopes.join(', ')}) ${end}; it is shown this once\n`);
}

export async function listTokens(options: ClientOptions): Promise<void> {
  const { tokens } = (await askJson(options, '/v1/tokens')) as { readonly tokens: readonly Token[] };
  if (options.json === true) {
    print(JSON.stringify({ tokens }));
    return;
  }
  if (tokens.length === 0) {
    print('there are no tokens');
    return;
  }
  const rows = tokens.map(({ name, scopes, createdAt, expiresAt }) => [
    name,
    createdAt,
    expiresAt ?? 'never',
    scopes.join(' '),
  ]);
  print(table(['token', 'created', 'expires', 'scopes'], rows));
}

export async function revokeToken(name: string, options: ClientOptions): Promise<void> {
  expectStatus(await ask(options, `/v1/tokens/${encodeURIComponent(name)}`, { method: 'DELETE' }), [204]);
  print(options.json === true ? JSON.stringify({ revoked: name }) : `revoked ${name}`);
}
