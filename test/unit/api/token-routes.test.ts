import { expect, test } from 'vitest';
import { TOKEN_SCOPES_MAX } from '#access/directory.ts';
import { nodeId } from '#kernel/identity.ts';
import { utf8 } from '#kernel/bytes.ts';
import { harness, jsonOf, type Harness } from './client.ts';
import { BOOTSTRAP_TOKEN } from './stub-services.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

async function create({ send }: Harness, body: unknown, query = '') {
  return send('POST', `/v1/tokens${query}`, JSON_TYPE, utf8(JSON.stringify(body)));
}

test('created, shown, listed without its secret, revoked', async () => {
  const made = harness();
  const created = await create(made, { name: 'shop', scopes: ['read', 'write:orders-*'], ttl: 60 });
  expect([created.status, created.headers.get('location')]).toEqual([201, '/v1/tokens/shop']);
  expect(created.headers.get('cache-control')).toBe('no-store');
  const view = {
    name: 'shop',
    scopes: ['read:*', 'write:orders-*'],
    createdAt: '2025-06-15T15:06:40.000Z',
    expiresAt: '2025-06-15T15:07:40.000Z',
  };
  expect(jsonOf(created)).toEqual({ ...view, token: expect.stringMatching(/^quoral_shop_[\w-]{43}$/) as string });
  expect(jsonOf(await made.send('GET', '/v1/tokens'))).toEqual({ tokens: [view] });
  const revoked = await made.send('DELETE', '/v1/tokens/s%68op');
  expect([revoked.status, revoked.body.length]).toEqual([204, 0]);
  expect((await made.send('DELETE', '/v1/tokens/shop')).status).toBe(404);
  expect(jsonOf(await made.send('GET', '/v1/tokens'))).toEqual({ tokens: [] });
});

test('one that never expires, and one without scopes', async () => {
  const made = harness();
  expect(jsonOf(await create(made, { name: 'a', scopes: [], ttl: null }))).toMatchObject({
    scopes: [],
    expiresAt: null,
  });
  expect(jsonOf(await create(made, { name: 'b', scopes: ['admin'] }))).toMatchObject({ expiresAt: null });
});

test.each([
  ['no object', [], 'body'],
  ['nothing', null, 'body'],
  ['no name', { scopes: ['read'] }, 'name'],
  ['a name with a space', { name: 'a b', scopes: ['read'] }, 'name'],
  ['a long name', { name: 'n'.repeat(65), scopes: ['read'] }, 'name'],
  ['a name that no path can hold, so that nobody could revoke it', { name: '..', scopes: ['read'] }, 'name'],
  ['no scopes', { name: 'a' }, 'scopes'],
  ['scopes that are no list', { name: 'a', scopes: 'read' }, 'scopes'],
  ['a scope that is none', { name: 'a', scopes: ['read', 'own'] }, 'scopes'],
  ['a scope that is no text', { name: 'a', scopes: [1] }, 'scopes'],
  ['too many scopes', { name: 'a', scopes: Array.from({ length: TOKEN_SCOPES_MAX + 1 }, () => 'read') }, 'scopes'],
  ['no life at all', { name: 'a', scopes: ['read'], ttl: 0 }, 'ttl'],
  ['half a second', { name: 'a', scopes: ['read'], ttl: 0.5 }, 'ttl'],
  ['more than a hundred years', { name: 'a', scopes: ['read'], ttl: 4e9 }, 'ttl'],
  ['a time as text', { name: 'a', scopes: ['read'], ttl: '60' }, 'ttl'],
  ['an unknown member', { name: 'a', scopes: ['read'], buckets: ['b'] }, 'buckets'],
])('%s is 400 and names it', async (_, body, field) => {
  const answer = await create(harness(), body);
  expect([answer.status, jsonOf(answer)['field']]).toEqual([400, field]);
});

test('a name that is taken, the name of the one from the file, a name that cannot be one', async () => {
  const made = harness();
  await create(made, { name: 'a', scopes: ['read'] });
  expect((await create(made, { name: 'a', scopes: ['read'] })).status).toBe(409);
  expect((await create(made, { name: 'bootstrap', scopes: ['read'] })).status).toBe(409);
  expect((await made.send('DELETE', '/v1/tokens/a%20b')).status).toBe(400);
  expect((await made.send('DELETE', '/v1/tokens/a?x=1')).status).toBe(400);
  expect((await create(made, { name: 'b', scopes: ['read'] }, '?timeout=0')).status).toBe(400);
});

test('what is not known to have happened says so', async () => {
  const made = harness();
  made.node.chain.missing = [nodeId('n2')];
  const unknown = await create(made, { name: 'a', scopes: ['read'] });
  expect([unknown.status, jsonOf(unknown)['outcome']]).toEqual([503, 'unknown']);
  made.node.chain.failure = 'not-applied';
  const failed = await made.send('DELETE', '/v1/tokens/a');
  expect([failed.status, jsonOf(failed)['outcome']]).toEqual([503, 'not-applied']);
});

test('a node that starts judges tokens when it knows which were made and revoked while it was away', async () => {
  const { send, node } = harness((stub) => {
    stub.guarded = true;
    stub.settings = { ...stub.settings, startPatienceMs: 60_000 };
  });
  const admin = { authorization: `Bearer ${BOOTSTRAP_TOKEN}` };
  const made = async (name: string): Promise<string> => {
    const body = utf8(JSON.stringify({ name, scopes: ['read'] }));
    return String(jsonOf(await send('POST', '/v1/tokens', { ...admin, ...JSON_TYPE }, body))['token']);
  };
  const [old, fresh] = [await made('old'), await made('fresh')];
  const authenticate = node.tokens.authenticate.bind(node.tokens);
  let isFreshKnown = false;
  node.tokens.authenticate = (token) => (token === fresh && !isFreshKnown ? 'unknown' : authenticate(token));
  node.refusal = 'the epoch is not confirmed yet';
  const answers = [old, fresh, 'of-nobody'].map((token) =>
    send('GET', '/v1/kv/b/absent', { authorization: `Bearer ${token}` }),
  );
  await node.tokens.revoke('old', performance.now() + 10_000);
  isFreshKnown = true;
  node.refusal = undefined;
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([401, 404, 401]);
  expect(node.reads).toHaveLength(1);
});
