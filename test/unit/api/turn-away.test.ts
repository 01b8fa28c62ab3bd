/** The short way out says what the usual way says. */

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { inProcess } from '#api/in-process.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import { TurnAway, type RequestHead } from '#api/turn-away.ts';
import { StubNode } from './stub-services.ts';

const node = new StubNode();
const full = { ...node.services(), settings: { ...node.services().settings, requestsMax: 0 } };
let server: HttpServer;

beforeAll(async () => {
  server = await startServer(createApp(full), full, { host: '127.0.0.1', port: 0 });
});
afterAll(() => server.close(0));

interface Seen {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const CHANGES: ReadonlySet<string> = new Set(['x-request-id', 'server-timing', 'date']);

/** Sends the requests one behind the other on one connection, each after the answer to the one before. */
async function sendAll(requests: readonly string[]): Promise<readonly Seen[]> {
  const socket = connect(server.port, '127.0.0.1');
  const seen: Seen[] = [];
  for (const request of requests) {
    const isHead = request.startsWith('HEAD');
    let text = '';
    const answered = new Promise<Seen>((resolve, reject) => {
      socket.once('error', reject);
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        const [head = '', body = ''] = text.split('\r\n\r\n');
        const [first = '', ...lines] = head.split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ') as [string, string]));
        if (!isHead && body.length < Number(headers['content-length'])) return;
        resolve({ status: Number(first.split(' ')[1]), headers, body });
      });
    });
    socket.write(request);
    seen.push(await answered);
    socket.removeAllListeners('data');
  }
  socket.destroy();
  return seen;
}

function withoutChanges(headers: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries(
    [...headers].filter(([name]) => !CHANGES.has(name) && name !== 'connection' && name !== 'keep-alive'),
  );
}

test('a full node turns requests away as it would after it had read them, and the connection stays in use', async () => {
  const line = (method: string, target: string, more = ''): string =>
    `${method} ${target} HTTP/1.1\r\nHost: x\r\n${more}`;
  const body = 'v'.repeat(300_000);
  const withBody = `Content-Length: ${body.length}\r\n\r\n${body}`;
  const requests: readonly (readonly [string, string, Record<string, string>])[] = [
    ['GET', '/v1/kv/b/k', {}],
    ['PUT', '/v1/kv/b/k?w=2', { 'content-type': 'text/plain' }],
    ['PUT', '/v1/kv64/b/aw', { 'Idempotency-Key': 'one' }],
    ['DELETE', '/v1/kv/b/k', { 'X-Request-Id': 'mine' }],
    ['HEAD', '/v1/kv/b/k', {}],
  ];
  const seen = await sendAll(
    requests.map(([method, target, headers]) => {
      const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      return line(method, target, fields.join('') + (method === 'PUT' ? withBody : '\r\n'));
    }),
  );
  const usual = inProcess(createApp(full));
  for (const [i, [method, target, headers]] of requests.entries()) {
    const expected = await usual(method, target, headers);
    const { status, body: said, headers: fields } = seen[i]!;
    expect([status, said]).toEqual([429, new TextDecoder().decode(expected.body)]);
    const { 'content-length': length, ...others } = withoutChanges(Object.entries(fields));
    expect(Number(length)).toBeGreaterThan(0);
    expect(others).toEqual({ ...withoutChanges(expected.headers), 'content-length': undefined });
    expect(fields['retry-after']).toBe('1');
  }
  expect(seen[3]!.headers['x-request-id']).toBe('mine');
  expect(new Set(seen.map(({ headers }) => headers['x-request-id'])).size).toBe(requests.length);
});

const USED = { accessLog: 'errors', corsOrigins: [] } as const;

function refusalOf(
  head: Partial<RequestHead>,
  settings: ConstructorParameters<typeof TurnAway>[0]['settings'] = USED,
  room = false,
) {
  const counted: unknown[] = [];
  const turnAway = new TurnAway({
    admission: { hasRoom: () => room, isCrowded: !room, refused: () => undefined, refusesTooMuch: false },
    figures: { count: (route, method, { status }) => counted.push([route, method, status]) },
    newRequestId: () => 'new',
    settings,
  });
  const refusal = turnAway.refusal({ method: 'GET', url: '/v1/kv/b/k', httpVersion: '1.1', rawHeaders: [], ...head });
  return { refusal, counted };
}

test('what is turned away is counted by its route', () => {
  expect(refusalOf({ method: 'PUT', url: '/v1/kv64/b/aw?w=1' }).counted).toEqual([
    ['/v1/kv64/:bucket/:key', 'PUT', 429],
  ]);
});

test('that a connection goes on is what it does anyway', () => {
  expect(refusalOf({ rawHeaders: ['Connection', 'keep-alive'] }).refusal?.status).toBe(429);
});

test('whatever is not plainly a request for a key takes the usual way', () => {
  const heads: readonly Partial<RequestHead>[] = [
    { url: '/livez' },
    { url: '/v1/cluster' },
    { url: '/v1/kv/b' },
    { url: '/v1/kv/b/' },
    { url: '/v1/kv//k' },
    { method: 'PATCH' },
    { httpVersion: '1.0' },
    { rawHeaders: ['Connection', 'close'] },
    { rawHeaders: ['X-Request-Id', 'with a space'] },
    { rawHeaders: ['X-Request-Id', 'a', 'x-request-id', 'b'] },
  ];
  for (const head of heads) expect(refusalOf(head)).toEqual({ refusal: undefined, counted: [] });
  expect(refusalOf({}, { ...USED, accessLog: 'all' }).refusal).toBeUndefined();
  expect(refusalOf({}, { ...USED, corsOrigins: ['https://a'] }).refusal).toBeUndefined();
  expect(refusalOf({}, USED, true).refusal).toBeUndefined();
});
