/** The guard behind real sockets: what Node's parser makes of header fields must not let anybody through. */

import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import { exchangeBytes, harness } from './client.ts';
import { BOOTSTRAP_TOKEN, StubNode } from './stub-services.ts';

let node: StubNode;
let server: HttpServer;

beforeEach(async () => {
  node = new StubNode();
  node.guarded = true;
  const services = node.services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});

afterEach(() => server.close(0));

const RIGHT = `Authorization: Bearer ${BOOTSTRAP_TOKEN}`;

/** The statuses of the answers to `GET` with these header lines. */
async function get(...lines: readonly string[]): Promise<string> {
  const fields = ['Host: x', 'Connection: close', ...lines].map((line) => `${line}\r\n`).join('');
  return statuses(await exchangeBytes(server.port, `GET /v1/cluster HTTP/1.1\r\n${fields}\r\n`));
}

function statuses(bytes: string): string {
  return [...bytes.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status).join(' ');
}

test('one field, however it is spelt', async () => {
  expect(await get(RIGHT)).toBe('200');
  expect(await get(`aUTHORIZATION:bearer    ${BOOTSTRAP_TOKEN}  `)).toBe('200');
});

test.each([
  ['the right one twice', [RIGHT, RIGHT]],
  ['the right one first', [RIGHT, 'Authorization: Bearer other']],
  ['the right one last', ['authorization: Basic x', RIGHT]],
  ['an empty one beside it', [RIGHT, 'Authorization:']],
  ['both in one', [`${RIGHT}, Bearer other`]],
  ['none', []],
  ['an empty one', ['Authorization:']],
  ['in another field', [`Proxy-Authorization: Bearer ${BOOTSTRAP_TOKEN}`, `Cookie: ${BOOTSTRAP_TOKEN}`]],
  ['folded', [`Authorization: Bearer\r\n ${BOOTSTRAP_TOKEN}`]],
  ['with a space before the colon', [`Authorization : Bearer ${BOOTSTRAP_TOKEN}`]],
])('%s lets nobody through', async (_, lines) => {
  expect(await get(...lines)).toMatch(/^40[01]$/);
});

test('a client that asks before it sends a body is refused without being told to go on', async () => {
  const head = 'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n';
  expect(statuses(await exchangeBytes(server.port, `${head}Content-Length: 5\r\n\r\n`))).toBe('401');
  expect(node.writes).toHaveLength(0);
  const allowed = await exchangeBytes(server.port, `${head}${RIGHT}\r\nContent-Length: 5\r\n\r\n`, 'hello');
  expect(statuses(allowed)).toBe('100 204');
});

test('requests of one connection are judged one by one', async () => {
  const one = (fields: string): string => `GET /v1/cluster HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
  const bytes = one(`${RIGHT}\r\n`) + one('') + one(`${RIGHT}\r\n`) + one('Connection: close\r\n');
  expect(statuses(await exchangeBytes(server.port, bytes))).toBe('200 401 200 401');
});

test('no text is taken for a token, and none breaks anything', async () => {
  const { send } = harness((stub) => (stub.guarded = true));
  const scheme = fc.constantFrom(
    'Bearer ',
    'bearer',
    'BEARER  ',
    '',
    'Basic ',
    'Bearer quoral_',
    `Bearer ${BOOTSTRAP_TOKEN} `,
  );
  await fc.assert(
    fc.asyncProperty(scheme, fc.string({ unit: 'binary-ascii', maxLength: 80 }), async (start, rest) => {
      const authorization = start + rest;
      if (/^bearer +/i.test(authorization) && authorization.replace(/^bearer +/i, '') === BOOTSTRAP_TOKEN) return;
      const answer = await send('GET', '/v1/kv/b/k', { authorization });
      expect([400, 401]).toContain(answer.status);
    }),
    { numRuns: 500 },
  );
});
