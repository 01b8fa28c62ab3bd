import { expect, test } from 'vitest';
import { readOrigins } from '../../../src/setting-readers.ts';
import { harness, type Harness } from './client.ts';

const SHOP = 'https://shop.example';
const ASKS = {
  'access-control-request-method': 'PUT',
  'access-control-request-headers': 'quoral-meta-a, authorization',
};

function open(...corsOrigins: readonly string[]): Harness {
  return harness((node) => {
    node.settings = { ...node.settings, corsOrigins };
    node.guarded = true;
  });
}

test('by default pages of other origins see nothing, and their questions are methods like any other', async () => {
  const { send } = harness();
  const answer = await send('GET', '/v1/kv/b/k', { origin: SHOP });
  expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control') || name === 'vary')).toEqual([]);
  expect((await send('OPTIONS', '/v1/kv/b/k', { origin: SHOP, ...ASKS })).status).toBe(405);
});

test('a page that is allowed may ask without a token, and sees answers, also those that are errors', async () => {
  const { send } = open(SHOP, 'http://localhost:3000');
  const asked = await send('OPTIONS', '/v1/kv/b/k', { origin: SHOP, ...ASKS });
  expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, SHOP]);
  expect(asked.headers.get('access-control-allow-methods')).toContain('PUT');
  expect(asked.headers.get('access-control-allow-headers')).toBe('*, Authorization');
  const refused = await send('GET', '/v1/kv/b/k', { origin: SHOP });
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, SHOP]);
  expect([refused.headers.get('access-control-expose-headers'), refused.headers.get('vary')]).toEqual(['*', 'Origin']);
});

test('another page is not', async () => {
  const { send } = open(SHOP);
  for (const origin of ['https://shop.example.evil', 'null', '']) {
    const asked = await send('OPTIONS', '/v1/kv/b/k', { origin, ...ASKS });
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([401, undefined]);
    const answer = await send('GET', '/v1/kv/b/k', { origin });
    expect([answer.headers.get('access-control-allow-origin'), answer.headers.get('vary')]).toEqual([
      undefined,
      'Origin',
    ]);
  }
});

test('the star allows all', async () => {
  const { send } = open('*');
  expect((await send('GET', '/livez', { origin: 'null' })).headers.get('access-control-allow-origin')).toBe('*');
  expect((await send('GET', '/livez')).headers.get('access-control-allow-origin')).toBe(undefined);
});

test('what is set are origins', () => {
  expect(readOrigins(`${SHOP}, http://localhost:3000`)).toEqual([SHOP, 'http://localhost:3000']);
  expect([readOrigins(''), readOrigins('*')]).toEqual([[], ['*']]);
  for (const text of ['shop.example', 'https://shop.example/', 'https://shop.example/path', 'x'])
    expect(() => readOrigins(text)).toThrow('origins such as');
});
