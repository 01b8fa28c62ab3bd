/** Whatever a client sends, it gets an answer in the promised shape, and never a 500. */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import { StubNode } from './stub-services.ts';
import { exchangeBytes, harness, jsonOf } from './client.ts';

const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS');
const word = fc.constantFrom(
  '0',
  '1',
  '3',
  '9',
  'one',
  'all',
  'quorum',
  'local_quorum',
  '',
  '%',
  '%zz',
  'true',
  '60000',
);
const parameter = fc.constantFrom(
  'r',
  'w',
  'pr',
  'pw',
  'dw',
  'sloppy',
  'consistency',
  'session',
  'timeout',
  'ttl',
  'return',
  'sibling',
  'x',
);
const query = fc.array(
  fc.tuple(parameter, word).map(([name, value]) => `${name}=${value}`),
  { maxLength: 3 },
);
const segment = fc.oneof(
  fc.constantFrom(
    'v1',
    'kv',
    'kv64',
    'buckets',
    'ring',
    'locate',
    'b',
    'k',
    '..',
    '%2e',
    '',
    'YQ',
    'strong',
    '%00',
    'livez',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const target = fc.oneof(
  fc.tuple(fc.constantFrom('/v1/kv/b/', '/v1/kv64/b/', '/v1/buckets/', '/v1/ring/locate/b/'), segment, query),
  fc.tuple(
    fc.constant('/'),
    fc.array(segment, { maxLength: 5 }).map((all) => all.join('/')),
    query,
  ),
);
const headerName = fc.constantFrom(
  'accept',
  'content-type',
  'content-length',
  'content-encoding',
  'content-range',
  'if-match',
  'if-none-match',
  'quoral-context',
  'quoral-session',
  'quoral-meta-x',
  'quoral-odd',
  'x-request-id',
  'idempotency-key',
);
const headerValue = fc.oneof(
  fc.constantFrom(
    '*',
    '"a"',
    'W/"a", "b"',
    'application/json',
    'application/json;q=2',
    '0',
    '-1',
    'x'.repeat(9000),
    '',
  ),
  fc.string({ unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)), maxLength: 20 }),
);
const headers = fc.dictionary(headerName, headerValue, { maxKeys: 4 });
const body = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constant(Buffer.from('{"n":3}')));

test('within the process', async () => {
  const { send, node } = harness(({ properties }) => {
    properties.set('b', { conflicts: 'siblings' });
    properties.set('strong', { consistency: 'strong' });
  });
  await fc.assert(
    fc.asyncProperty(method, target, headers, body, async (method, [path, segment, query], headers, body) => {
      const answer = await send(
        method,
        `${path}${segment}${query.length > 0 ? `?${query.join('&')}` : ''}`,
        headers,
        body,
      );
      expect(answer.status).not.toBe(500);
      expect(answer.headers.has('x-request-id')).toBe(true);
      if (answer.status < 400 || method === 'HEAD') return;
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(jsonOf(answer)).toMatchObject({
        type: expect.stringMatching(/^urn:quoral:problem:[a-z-]+$/),
        title: expect.any(String),
        status: answer.status,
        detail: expect.any(String),
      });
    }),
    { numRuns: 1000 },
  );
  expect(node.logged).toEqual([]);
});

let server: HttpServer;

beforeAll(async () => {
  const services = new StubNode().services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});

afterAll(() => server.close(0));

test('over a socket, also when it is hardly HTTP', async () => {
  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 30,
  });
  const line = fc.oneof(
    bytes,
    fc.tuple(method, target).map(([name, [path, segment]]) => `${name} ${path}${segment} HTTP/1.1`),
  );
  const field = fc.oneof(
    bytes,
    fc.tuple(headerName, headerValue).map(([name, value]) => `${name}: ${value}`),
  );
  await fc.assert(
    fc.asyncProperty(line, fc.array(field, { maxLength: 3 }), bytes, async (line, fields, rest) => {
      const head = [line, 'Host: x', 'Connection: close', ...fields].join('\r\n');
      // The second request ends what the first left open.
      const text = await exchangeBytes(server.port, `${head}\r\n\r\n${rest}`, '\r\n\r\n\r\n\u0000\r\n\r\n');
      expect(text).toMatch(/^(HTTP\/1\.1 [2-5]\d\d [^]*)?$/);
      expect(text).not.toMatch(/^HTTP\/1\.1 500/m);
    }),
    { numRuns: 200 },
  );
}, 60_000);
