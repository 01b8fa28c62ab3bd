/**
 * Tokens × routes × methods × buckets. The requests are generated from the route table, what they need is written here by
 * hand: a route that is added without a line here fails, and so does one whose need was changed.
 */

import { describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { ROUTES } from '#api/routes.ts';
import { toBase64url } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import { parseScope } from '#access/scope.ts';
import { harness, jsonOf, textOf, type Harness } from './client.ts';
import { BOOTSTRAP_TOKEN, StubNode } from './stub-services.ts';

/** `X bucket`: the right X on the bucket of the path; `X all`: on all buckets. */
const EXPECTED: Readonly<Record<string, string>> = {
  'GET /v1/kv/:bucket/:key': 'read bucket',
  'PUT /v1/kv/:bucket/:key': 'write bucket',
  'POST /v1/kv/:bucket/:key': 'write bucket',
  'DELETE /v1/kv/:bucket/:key': 'write bucket',
  'GET /v1/kv64/:bucket/:key': 'read bucket',
  'PUT /v1/kv64/:bucket/:key': 'write bucket',
  'POST /v1/kv64/:bucket/:key': 'write bucket',
  'DELETE /v1/kv64/:bucket/:key': 'write bucket',
  'GET /v1/kv/:bucket': 'read bucket',
  'GET /v1/watch/:bucket': 'read bucket',
  'POST /v1/batch': 'token',
  'GET /v1/buckets': 'token',
  'GET /v1/buckets/:bucket': 'any bucket',
  'PUT /v1/buckets/:bucket': 'admin bucket',
  'DELETE /v1/buckets/:bucket': 'admin bucket',
  'GET /v1/leases/:bucket/:key': 'read bucket',
  'POST /v1/leases/:bucket/:key': 'write bucket',
  'DELETE /v1/leases/:bucket/:key': 'write bucket',
  'GET /v1/leases64/:bucket/:key': 'read bucket',
  'POST /v1/leases64/:bucket/:key': 'write bucket',
  'DELETE /v1/leases64/:bucket/:key': 'write bucket',
  'GET /v1/tokens': 'admin all',
  'POST /v1/tokens': 'admin all',
  'DELETE /v1/tokens/:name': 'admin all',
  'GET /v1/cluster': 'token',
  'GET /v1/ring': 'token',
  'GET /v1/ring/locate/:bucket/:key': 'any bucket',
  'GET /v1/ring/locate64/:bucket/:key': 'any bucket',
  'GET /v1/explain/:bucket/:key': 'read bucket',
  'GET /v1/explain64/:bucket/:key': 'read bucket',
  'GET /v1/ring/repair': 'admin all',
  'POST /v1/ring/repair': 'admin all',
  'POST /v1/ring/force': 'admin all',
  'GET /v1/ring/force/:bucket/:key': 'admin bucket',
  'POST /v1/ring/force/:bucket/:key': 'admin bucket',
  'GET /v1/ring/force64/:bucket/:key': 'admin bucket',
  'POST /v1/ring/force64/:bucket/:key': 'admin bucket',
  'POST /v1/ring/plans': 'admin all',
  'POST /v1/ring/plans/:id/apply': 'admin all',
  'POST /v1/ring/transfers/pause': 'admin all',
  'POST /v1/ring/transfers/resume': 'admin all',
  'POST /v1/ring/transfers/abort': 'admin all',
  'GET /v1/ring/transfers': 'admin all',
  'GET /livez': 'open',
  'GET /readyz': 'open',
  'GET /healthz': 'token',
  'GET /metrics': 'token',
  'GET /openapi.json': 'open',
  'GET /docs': 'open',
  'GET /ui/': 'open',
};

const METHODS = ['GET', 'PUT', 'POST', 'DELETE'] as const;

test('every route and method has a line in the table, and the other way round', () => {
  const routed = ROUTES.flatMap(({ path, methods }) => Object.keys(methods).map((method) => `${method} ${path}`));
  expect(routed.toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
});

const SCOPES: Readonly<Record<string, readonly string[]>> = {
  'reads-orders': ['read:orders'],
  'writes-orders': ['write:orders'],
  'rules-orders': ['admin:orders'],
  'reads-and-writes': ['read:orders', 'write:orders'],
  'prefix-ord': ['read:ord*', 'write:ord*', 'admin:ord*'],
  'other-bucket': ['read:order', 'write:order', 'admin:order', 'read:orders2', 'write:ordersx*'],
  'reads-all': ['read:*'],
  'writes-all': ['write:*'],
  'rules-all': ['admin:*'],
  everything: ['read', 'write', 'admin'],
  'figures-only': [],
};

const BUCKETS = ['orders', '%6frders', 'ord%65rs', 'other', 'o%74her'] as const;

function decoded(segment: string): string {
  return decodeURIComponent(segment);
}

/** What the table and the token's scopes say, in a reading of its own. */
function allowed(need: string, scopes: readonly string[], bucket: string): boolean {
  const [right, where] = need.split(' ');
  if (where === undefined) return true;
  return scopes.some((text) => {
    const [given, pattern = '*'] = text.split(':');
    if (right !== 'any' && given !== right) return false;
    if (where === 'all') return pattern === '*';
    return pattern.endsWith('*') ? bucket.startsWith(pattern.slice(0, -1)) : pattern === bucket;
  });
}

interface Guarded extends Harness {
  readonly tokens: ReadonlyMap<string, string>;
}

async function guarded(prepare: (node: StubNode) => void = () => undefined): Promise<Guarded> {
  const made = harness((node) => {
    node.guarded = true;
    node.settings = { ...node.settings, auditRefusalsMax: 100_000 };
    prepare(node);
  });
  const tokens = new Map([['bootstrap', BOOTSTRAP_TOKEN]]);
  for (const [name, scopes] of Object.entries(SCOPES)) {
    const wish = { name, scopes: scopes.map((text) => parseScope(text)!), ttl: null };
    const created = await made.node.tokens.create(wish, 0);
    if (created.kind === 'created') tokens.set(name, created.text);
  }
  return { ...made, tokens };
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/** A watch ends at once. */
function pathOf(template: string, bucket: string): string {
  const path = template
    .replace(':bucket', bucket)
    .replace(':key', template.includes('kv64') ? toBase64url(utf8('k')) : 'k')
    .replace(/:\w+/, 'some-id');
  return template.startsWith('/v1/watch') ? `${path}?timeout=1` : path;
}

/** Nothing of the node may have been asked. */
function untouched({ reads, writes }: StubNode): void {
  expect([reads.length, writes.length]).toEqual([0, 0]);
}

describe.each(Object.entries(SCOPES))('a token with %s', (name, scopes) => {
  test('gets exactly what it has the right to', async () => {
    const { send, tokens, node } = await guarded();
    for (const [line, need] of Object.entries(EXPECTED)) {
      const [method, template] = line.split(' ') as [string, string];
      for (const bucket of template.includes(':bucket') ? BUCKETS : ['']) {
        for (const variant of method === 'GET' ? ['GET', 'HEAD'] : [method]) {
          const what = `${variant} ${pathOf(template, bucket)}`;
          node.reads.length = node.writes.length = 0;
          const answer = await send(variant, pathOf(template, bucket), bearer(tokens.get(name)));
          if (allowed(need, scopes, decoded(bucket))) {
            expect([401, 403], what).not.toContain(answer.status);
          } else {
            expect(answer.status, what).toBe(403);
            expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="quoral", error="insufficient_scope"');
            if (variant !== 'HEAD')
              expect(textOf(answer)).toContain(need.startsWith('any') ? 'any scope' : need.split(' ')[0]);
            untouched(node);
          }
        }
      }
    }
  });
});

describe('without a valid token', () => {
  test.each([
    ['nothing', []],
    ['no token of the cluster', [`Bearer quoral_reads-all_${'A'.repeat(43)}`]],
    ['an expired one', ['expired']],
    ['a revoked one', ['revoked']],
    ['another scheme', ['Basic dXNlcjpwYXNz']],
    ['only the scheme', ['Bearer']],
    ['spaces in it', ['Bearer quoral a']],
    ['two of them', ['twice']],
  ])('%s: every route but the open ones is closed, and also what does not exist', async (_, given) => {
    const { send, tokens, node } = await guarded();
    const spare = await node.tokens.create({ name: 'spare', scopes: [{ right: 'admin', buckets: '*' }], ttl: 1 }, 0);
    const text = spare.kind === 'created' ? spare.text : '';
    let headers: Record<string, string> = given[0] === undefined ? {} : { Authorization: given[0] };
    if (given[0] === 'expired' || given[0] === 'revoked') headers = bearer(text);
    if (given[0] === 'twice') headers = { Authorization: `Bearer ${tokens.get('everything')}, Bearer ${text}` };
    if (given[0] === 'expired') node.now += 1000;
    if (given[0] === 'revoked') await node.tokens.revoke('spare', 0);
    const paths = [...ROUTES.map(({ path }) => pathOf(path, 'orders')), '/nowhere', '/v1/kv/orders', '/v1/kv/a/b/c'];
    const answers = new Set<string>();
    for (const path of paths) {
      for (const method of [...METHODS, 'HEAD', 'PATCH', 'OPTIONS']) {
        const open = EXPECTED[`${method === 'HEAD' ? 'GET' : method} ${path}`] === 'open';
        const answer = await send(method, path, headers);
        if (open) {
          expect([401, 400], `${method} ${path}`).not.toContain(answer.status);
          continue;
        }
        expect([401, 400], `${method} ${path}`).toContain(answer.status);
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="quoral"/);
        if (method !== 'HEAD')
          answers.add(`${answer.status} ${textOf(answer)} ${answer.headers.get('www-authenticate')}`);
      }
    }
    // One and the same answer: it tells nothing of what is there.
    expect([...answers]).toHaveLength(1);
    untouched(node);
  });

  test('the challenge says what is wrong', async () => {
    const { send } = await guarded();
    const challenge = async (headers: Record<string, string>) =>
      (await send('GET', '/v1/kv/b/k', headers)).headers.get('www-authenticate');
    expect(await challenge({})).toBe('Bearer realm="quoral"');
    expect(await challenge(bearer('nobody'))).toBe('Bearer realm="quoral", error="invalid_token"');
    expect(await challenge(bearer('no body'))).toBe('Bearer realm="quoral", error="invalid_request"');
  });

  test('the scheme is read without regard to case, spaces may follow it', async () => {
    const { send, tokens } = await guarded();
    const token = tokens.get('reads-all')!;
    for (const given of [`bearer ${token}`, `BEARER   ${token}`]) {
      expect((await send('GET', '/v1/kv/b/k', { Authorization: given })).status).toBe(404);
    }
    for (const given of [`Bearer${token}`, token, `Bearer ${token} `, `Bearer\t${token}`, `Token ${token}`]) {
      expect([400, 401]).toContain((await send('GET', '/v1/kv/b/k', { Authorization: given })).status);
    }
  });
});

describe('with a valid token', () => {
  test('what does not exist is 404, what does not apply is 405, a malformed bucket is 400', async () => {
    const { send, tokens } = await guarded();
    const headers = bearer(tokens.get('reads-orders'));
    expect((await send('GET', '/nowhere', headers)).status).toBe(404);
    expect((await send('PATCH', '/v1/kv/b/k', headers)).status).toBe(405);
    expect((await send('PUT', '/v1/ring', headers)).status).toBe(405);
    expect((await send('GET', '/v1/kv/a%20b/k', headers)).status).toBe(400);
  });

  test('a refusal does not depend on what is there', async () => {
    const { send, tokens } = await guarded((node) => node.properties.set('secret', { n: 5 }));
    await send('PUT', '/v1/kv/secret/there', bearer(BOOTSTRAP_TOKEN), utf8('v'));
    const asked = async (path: string) => textOf(await send('GET', path, bearer(tokens.get('reads-orders'))));
    expect(await asked('/v1/kv/secret/there')).toBe(await asked('/v1/kv/secret/absent'));
    expect(await asked('/v1/buckets/secret')).toBe((await asked('/v1/buckets/absent')).replace('absent', 'secret'));
  });

  test('a write whose answer tells what is there needs to read as well', async () => {
    const { send, tokens, node } = await guarded();
    const telling = [
      ['PUT', '/v1/kv/orders/k?return=body', {}],
      ['PUT', '/v1/kv/orders/k?%72eturn=body', {}],
      ['PUT', '/v1/kv/orders/k', { 'If-None-Match': '*' }],
      ['PUT', '/v1/kv64/orders/aw', { 'If-Match': '"x"' }],
      ['DELETE', '/v1/kv/orders/k', { 'If-Match': '*' }],
    ] as const;
    for (const [method, path, extra] of telling) {
      const refused = await send(method, path, { ...bearer(tokens.get('writes-orders')), ...extra });
      expect([refused.status, jsonOf(refused)['detail']]).toEqual([
        403,
        'token writes-orders lacks the scope read:orders',
      ]);
      untouched(node);
    }
    for (const [method, path, extra] of telling) {
      const { status } = await send(method, path, { ...bearer(tokens.get('reads-and-writes')), ...extra });
      expect(status).not.toBe(403);
    }
    expect((await send('DELETE', '/v1/kv/orders/k', bearer(tokens.get('writes-orders')))).status).toBe(204);
  });

  test('each operation of a batch wants its own right', async () => {
    const { send, tokens, node } = await guarded();
    const operations = [
      { op: 'get', bucket: 'orders', key: 'k' },
      { op: 'put', bucket: 'orders', key: 'k', value: 'x' },
      { op: 'delete', bucket: 'orders', key: 'other' },
      { op: 'get', bucket: 'other', key: 'k' },
      { op: 'put', bucket: 'orders', key: 'k', value: 'x', ifNoneMatch: '*' },
    ];
    const statuses = async (token: string) => {
      const headers = { ...bearer(tokens.get(token)), 'content-type': 'application/json' };
      const answer = await send('POST', '/v1/batch', headers, utf8(JSON.stringify({ operations })));
      return (jsonOf(answer) as { results: { status: number }[] }).results.map(({ status }) => status);
    };
    expect(await statuses('reads-orders')).toEqual([404, 403, 403, 403, 403]);
    expect(node.writes).toEqual([]);
    expect(await statuses('writes-orders')).toEqual([403, 204, 204, 403, 403]);
    expect(await statuses('reads-and-writes')).toEqual([200, 204, 204, 403, 412]);
  });

  test('the list of buckets shows those with which the token has to do', async () => {
    const { send, tokens } = await guarded((node) => {
      for (const name of ['orders', 'order', 'other']) node.properties.set(name, {});
    });
    const names = async (token: string) => {
      const { buckets } = jsonOf(await send('GET', '/v1/buckets', bearer(tokens.get(token)))) as {
        buckets: { name: string }[];
      };
      return buckets.map(({ name }) => name);
    };
    expect(await names('reads-orders')).toEqual(['orders']);
    expect(await names('rules-orders')).toEqual(['orders']);
    expect(await names('prefix-ord')).toEqual(['order', 'orders']);
    expect(await names('writes-all')).toEqual(['order', 'orders', 'other']);
  });

  test('a node that is not ready acts for nobody whose token may be revoked meanwhile', async () => {
    const { send, tokens } = await guarded((node) => (node.refusal = 'epoch 7 is not confirmed'));
    const look = async (token: string) => (await send('GET', '/v1/ring/transfers', bearer(tokens.get(token)))).status;
    expect([await look('everything'), await look('bootstrap')]).toEqual([503, 200]);
    expect((await send('GET', '/v1/cluster', bearer(tokens.get('everything')))).status).toBe(200);
  });

  test('a node that is not ready, whose clock may be wrong, does not say of a token that it has expired', async () => {
    const { send, node } = await guarded();
    const brief = await node.tokens.create({ name: 'brief', scopes: [{ right: 'read', buckets: '*' }], ttl: 1 }, 0);
    node.now += 1000;
    const read = async () =>
      (await send('GET', '/v1/kv/orders/k', bearer(brief.kind === 'created' ? brief.text : ''))).status;
    expect(await read()).toBe(401);
    node.refusal = 'the clock of this node is three hours ahead';
    expect(await read()).toBe(503);
  });
});

test('figures are open where the setting says so', async () => {
  const { send } = await guarded((node) => (node.metricsOpen = true));
  expect((await send('GET', '/metrics')).status).toBe(200);
  expect((await send('GET', '/healthz')).status).toBe(200);
  expect((await send('GET', '/v1/cluster')).status).toBe(401);
});

test('where tokens are not asked for, nobody needs one and what is sent is not looked at', async () => {
  const { send } = harness();
  expect((await send('GET', '/v1/tokens')).status).toBe(200);
  expect((await send('GET', '/v1/cluster', { Authorization: 'Basic x' })).status).toBe(200);
});

test('the body of a refused request is not read', async () => {
  const node = new StubNode();
  node.guarded = true;
  const app = createApp(node.services());
  let read = 0;
  const incoming = {
    method: 'PUT',
    target: { path: '/v1/kv/b/k', segments: ['v1', 'kv', 'b', 'k'], query: '' },
    remote: 'test',
    header: () => undefined,
    fields: () => [],
    headerNames: () => [],
    readBody: async () => {
      read += 1;
      return { kind: 'broken' as const };
    },
  };
  expect((await app.fetch(new Request('http://x/'), { incoming })).status).toBe(401);
  expect(read).toBe(0);
});
