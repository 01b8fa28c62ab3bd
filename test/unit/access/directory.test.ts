import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BOOTSTRAP_NAME, TokenDirectory, type Authentication, type TokenWish } from '#access/directory.ts';
import { addToken, removeToken } from '#access/change.ts';
import { formatToken, secretOf, splitToken } from '#access/token.ts';
import { MAXIMUM_TOKEN_ROWS } from '#consensus/facts-codec.ts';
import type { Facts } from '#consensus/facts.ts';
import { nodeId } from '#kernel/identity.ts';
import { digest } from '#world/digest.ts';
import type { Digest } from '#world/world.ts';
import { OneNodeChain } from './one-node-chain.ts';

const BOOTSTRAP = 'the-admin-token-of-this-file-1234';
const WISH: TokenWish = { name: 'app', scopes: [{ right: 'read', buckets: 'a' }], ttl: null };

function setup(counting: Partial<Digest> = {}) {
  const chain = new OneNodeChain();
  const state = { now: 1000.5, seed: 1 };
  const directory = new TokenDirectory({
    chain,
    digest: { ...digest, ...counting },
    random: { uint32: () => 0, bytes: (length) => new Uint8Array(length).fill(state.seed++) },
    wall: () => state.now,
    bootstrap: BOOTSTRAP,
  });
  const create = async (wish: Partial<TokenWish> = {}): Promise<string> => {
    const made = await directory.create({ ...WISH, ...wish }, 0);
    if (made.kind !== 'created') throw new Error(made.detail);
    return made.text;
  };
  return { chain, state, directory, create };
}

function nameOf(found: Authentication): string | undefined {
  return typeof found === 'string' ? found : found.token;
}

test('a token works once it is created, and says its name', async () => {
  const { chain, directory, create } = setup();
  const text = await create();
  expect(text).toBe(`quoral_app_${Buffer.from(new Uint8Array(32).fill(1)).toString('base64url')}`);
  expect(nameOf(directory.authenticate(text))).toBe('app');
  expect(chain.installs).toEqual([2]);
  expect(directory.list()).toEqual([{ name: 'app', scopes: ['read:a'], createdAt: 1000, expiresAt: 0 }]);
  expect(JSON.stringify(chain.current)).not.toContain(text.slice(-43));
});

test('names may hold underscores, also such that look like secrets', async () => {
  const { directory, create } = setup();
  const names = ['_', 'a_b', `x_${'A'.repeat(43)}`, 'quoral_x'];
  for (const name of names) expect(nameOf(directory.authenticate(await create({ name })))).toBe(name);
});

test('everything that is not exactly the token is unknown, before and after the right one was seen', async () => {
  const { directory, create } = setup();
  const text = await create();
  const other = await create({ name: 'other' });
  const wrong = [
    ...[
      '',
      'x',
      'quoral_',
      'quoral_app_',
      text.slice(0, -1),
      `${text}A`,
      text.toUpperCase(),
      text.replace('app', 'apq'),
    ],
    ...[text.replace('quoral_app', 'quoral_other'), text.slice(0, -43) + other.slice(-43), text.slice(7), ` ${text}`],
    `${text.slice(0, -1)}${text.endsWith('E') ? 'F' : 'E'}`,
  ];
  for (let round = 0; round < 2; round++) {
    for (const given of wrong) expect(directory.authenticate(given), given).toBe('unknown');
    expect(nameOf(directory.authenticate(text))).toBe('app');
  }
});

test('the token of the file has all rights and its name to itself', async () => {
  const { directory } = setup();
  const found = directory.authenticate(BOOTSTRAP);
  expect(nameOf(found)).toBe(BOOTSTRAP_NAME);
  expect(typeof found !== 'string' && found.permitsAll('admin') && found.permits('read', 'x')).toBe(true);
  expect(directory.authenticate(`${BOOTSTRAP}x`)).toBe('unknown');
  expect((await directory.create({ ...WISH, name: BOOTSTRAP_NAME }, 0)).kind).toBe('refused');
  const without = new TokenDirectory({
    ...{ chain: new OneNodeChain(), digest, wall: () => 0, bootstrap: undefined },
    random: { uint32: () => 0, bytes: (length) => new Uint8Array(length) },
  });
  expect(without.authenticate('')).toBe('unknown');
});

test('it ends when it expires, also after it was seen', async () => {
  const { state, directory, create } = setup();
  const text = await create({ ttl: 60 });
  state.now = 60_999;
  expect(nameOf(directory.authenticate(text))).toBe('app');
  state.now = 61_000;
  expect(directory.authenticate(text)).toBe('expired');
  // Whoever has only the name does not learn that there is such a token.
  expect(directory.authenticate(`${text.slice(0, -43)}${'A'.repeat(43)}`)).toBe('unknown');
});

test('a revoked one is unknown at once, and its name can be given again', async () => {
  const { chain, directory, create } = setup();
  const text = await create();
  directory.authenticate(text);
  expect(await directory.revoke('app', 0)).toEqual({ kind: 'revoked' });
  expect(directory.authenticate(text)).toBe('unknown');
  expect(await directory.revoke('app', 0)).toEqual({ kind: 'absent' });
  expect(chain.installs).toEqual([2, 3, 3]);
  const again = await create();
  expect(directory.authenticate(text)).toBe('unknown');
  expect(nameOf(directory.authenticate(again))).toBe('app');
});

test('the same secret under other facts is proved anew', async () => {
  const { chain, directory, create } = setup();
  const text = await create();
  directory.authenticate(text);
  const tokens = chain.current!.tokens.map((row) => ({ ...row, digest: new Uint8Array(32) }));
  chain.current = { ...chain.current!, tokens };
  expect(directory.authenticate(text)).toBe('unknown');
  chain.current = undefined;
  expect(directory.authenticate(text)).toBe('unknown');
});

test('a second one of the name, too many, or no majority', async () => {
  const { chain, directory, create } = setup();
  await create();
  expect(await directory.create(WISH, 0)).toMatchObject({
    kind: 'refused',
    detail: expect.stringContaining('app') as string,
  });
  chain.missing = [nodeId('n2')];
  const late = { kind: 'failed', outcome: 'unknown', votes: { needed: 3, got: 2 } };
  expect(await directory.create({ ...WISH, name: 'b' }, 0)).toMatchObject(late);
  expect(await directory.revoke('b', 0)).toMatchObject({ kind: 'failed', outcome: 'unknown' });
  chain.reachable = false;
  expect((await directory.create({ ...WISH, name: 'c' }, 0)).kind).toBe('created');
  chain.failure = 'not-applied';
  expect(await directory.create({ ...WISH, name: 'd' }, 0)).toMatchObject({ kind: 'failed', outcome: 'not-applied' });
  expect(await directory.revoke('c', 0)).toMatchObject({ kind: 'failed', outcome: 'not-applied' });
});

test('changes of the facts', () => {
  let facts: Facts = new OneNodeChain().current!;
  const row = (name: string) => ({ name, digest: new Uint8Array(32), scopes: [], createdAt: 1, expiresAt: 0 });
  for (let i = 0; i < MAXIMUM_TOKEN_ROWS; i++) facts = addToken(facts, row(`t${i}`)) as Facts;
  expect(facts.epoch).toBe(1 + MAXIMUM_TOKEN_ROWS);
  expect(facts.tokens.map(({ name }) => name)).toEqual(facts.tokens.map(({ name }) => name).toSorted());
  expect(addToken(facts, row('one-more'))).toMatchObject({ refused: expect.stringContaining('256') as string });
  expect(addToken(facts, row('t7'))).toBe(facts);
  expect(addToken(facts, { ...row('t7'), digest: new Uint8Array(32).fill(1) })).toHaveProperty('refused');
  expect(removeToken(facts, 'absent')).toBe(facts);
  expect(removeToken(facts, 't7').tokens).toHaveLength(MAXIMUM_TOKEN_ROWS - 1);
});

test('a scope that this version does not know gives nothing', async () => {
  const { chain, directory, create } = setup();
  const text = await create();
  const tokens = chain.current!.tokens.map((row) => ({ ...row, scopes: ['own:a', 'read:a:b', 'write:w'] }));
  chain.current = { ...chain.current!, tokens };
  const found = directory.authenticate(text);
  expect(typeof found !== 'string' && [found.permits('write', 'w'), found.permits('read', 'a')]).toEqual([true, false]);
});

test('every decision is a comparison in constant time', async () => {
  const compared: number[] = [];
  let hashed = 0;
  const { directory, create } = setup({
    equalSecrets: (a, b) => {
      compared.push(a.length);
      return digest.equalSecrets(a, b);
    },
    sha256: (bytes) => {
      hashed += 1;
      return digest.sha256(bytes);
    },
  });
  const text = await create();
  hashed = 0;
  directory.authenticate(text);
  expect([compared, hashed]).toEqual([[32], 1]);
  directory.authenticate(text);
  // From now on no digest is made, and the comparison stays one in constant time.
  expect([compared, hashed]).toEqual([[32, 43], 1]);
  // Nothing in the file compares a secret with an operator.
  const source = readFileSync(new URL('../../../src/access/directory.ts', import.meta.url), 'utf8');
  expect(source).not.toMatch(/equalBytes|compareBytes/);
  expect(source).not.toMatch(
    /(secret\w*|proved|digest)\)? [!=]==(?! undefined)|[!=]== (secret|known\.(proved|digest))/i,
  );
});

test('the parts of a token', () => {
  const secret = new Uint8Array(32).fill(0xff);
  const parts = splitToken(formatToken('a', secret));
  expect(parts?.name).toBe('a');
  expect(secretOf(parts!.secretText)).toEqual(secret);
  // 43 characters carry two bits more than 32 bytes: only one form is good.
  expect(secretOf(`${'_'.repeat(42)}9`)).toBeUndefined();
});
