/** What is read ahead of the HTTP parser must be what the parser would have found, and all of it. */

import fc from 'fast-check';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, Socket, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PlainRequest } from '#api/server-plain-request.ts';
import { SEEN_MAX, WholeRequests, type WholeRequest } from '#api/whole-request.ts';
import { MAX_SESSION_CHARACTERS } from '#causality/session-token.ts';

/** One for all tests: what it remembers of one request must make no difference to the next. */
const requests = new WholeRequests();
const whole = (text: string): WholeRequest | undefined => requests.read(Buffer.from(text, 'latin1'));
const get = (...lines: readonly string[]): string =>
  ['GET /v1/kv/b/k HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n');

test('a plain request is known by what an answer needs', () => {
  expect(whole(get())).toEqual({
    ...{ method: 'GET', url: '/v1/kv/b/k', line: 25, head: get() },
    fields: {
      ...{ names: ['host'], places: [6, 7], isPlain: true },
      ...{ bodyBytes: undefined, requestId: undefined, isRepeatable: false },
    },
  });
  const head = 'PUT /v1/kv64/b/aw?w=2 HTTP/1.1\r\nhost:x\r\nIdempotency-Key: a\r\nX-Request-Id:  mine \r\n';
  expect(whole(`${head}Connection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello`)).toMatchObject({
    ...{ method: 'PUT', url: '/v1/kv64/b/aw?w=2' },
    fields: {
      ...{ requestId: 'mine', isRepeatable: true, bodyBytes: 5 },
      names: ['host', 'idempotency-key', 'x-request-id', 'connection', 'content-length'],
    },
  });
});

test('one with a session of the largest kind is among them', () => {
  expect(whole(get(`Quoral-Session: ${'A'.repeat(MAX_SESSION_CHARACTERS)}`))?.fields.names).toEqual([
    'host',
    'quoral-session',
  ]);
});

test('what a client sends with each of its reads is taken apart once, and all else each time', () => {
  const fieldsOf = (text: string): WholeRequest['fields'] | undefined => whole(text)?.fields;
  const steady = get('User-Agent: x', 'Accept: */*');
  expect(fieldsOf(steady.replace('/b/k', '/b/another'))).toBe(fieldsOf(steady));
  for (const given of [
    'X-Request-Id: a',
    'Quoral-Session: a',
    'Content-Length: 0',
    `User-Agent: ${'x'.repeat(1024)}`,
  ]) {
    const text = get(given);
    expect(fieldsOf(text)).toEqual(fieldsOf(text));
    expect(fieldsOf(text)).not.toBe(fieldsOf(text));
  }
  const put = steady.replace('GET', 'PUT');
  expect(fieldsOf(put)).not.toBe(fieldsOf(put));
});

test('of many clients the fields of the latest are remembered', () => {
  const first = whole(get('User-Agent: first'))?.fields;
  for (let i = 0; i < SEEN_MAX; i++) whole(get(`User-Agent: ${i}`));
  expect(whole(get(`User-Agent: ${SEEN_MAX - 1}`))?.fields).toBe(whole(get(`User-Agent: ${SEEN_MAX - 1}`))?.fields);
  expect(whole(get('User-Agent: first'))?.fields).not.toBe(first);
  expect(whole(get('User-Agent: first'))?.fields).toEqual(first);
});

test.each([
  ['nothing', ''],
  ['half a head', get().slice(0, -2)],
  ['something in front', `\r\n${get()}`],
  ['a second request behind', get() + get()],
  ['a body that is not there yet', `${get('Content-Length: 5')}hell`],
  ['more than the body', `${get('Content-Length: 5')}hello!`],
  ['a body that nobody told of', `${get()}hello`],
  ['two lengths', `${get('Content-Length: 5', 'Content-Length: 5')}hello`],
  ['a length that is no number', `${get('Content-Length: +5')}hello`],
  ['a length with blanks behind it', `${get('Content-Length: 5  ')}hello`],
  ['a length with other white space behind it', `${get('Content-Length: 5\xa0')}hello`],
  ['a request id with other white space behind it', get('X-Request-Id: a\xa0')],
  ['a length in chunks', `${get('Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['an expectation', get('Expect: 100-continue')],
  ['another protocol', get('Connection: upgrade', 'Upgrade: x')],
  ['the end of the connection', get('Connection: close')],
  ['the end of the connection, to a proxy', get('Proxy-Connection: close')],
  ['a bare line feed', get('X: a\nY: b')],
  ['a bare carriage return', get('X: a\rY: b')],
  ['a folded field', get('X: a', ' b')],
  ['a space before the colon', get('X : a')],
  ['a field without a colon', get('X')],
  ['a zero byte', get('X: \0')],
  ['two request ids', get('X-Request-Id: a', 'X-Request-Id: b')],
  ['a request id that none is', get('X-Request-Id: a b')],
  ['another version', get().replace('HTTP/1.1', 'HTTP/1.0')],
  ['another path', get().replace('/v1/kv/b/k', '/v1/cluster')],
  ['another method', get().replace('GET', 'PATCH')],
  ['a long head', get(`X: ${'x'.repeat(9000)}`)],
])('%s is left to the parser', (_, text) => {
  expect(whole(text)).toBeUndefined();
});

interface Found {
  readonly url: string;
  readonly fields: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const found: Found[] = [];
const server = createServer({ requireHostHeader: false }, (request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
  request.on('end', () => {
    const { url, rawHeaders, headers } = request;
    found.push({ url: url!, fields: rawHeaders.length / 2, headers, body });
    response.end();
  });
});
beforeAll(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)));
afterAll(() => server.close());

/** What Node's parser finds in these bytes and in one more request behind them. */
async function parsed(text: string): Promise<readonly Found[]> {
  found.length = 0;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined).resume();
  socket.end(`${text}GET /behind HTTP/1.1\r\nConnection: close\r\n\r\n`, 'latin1');
  await closed;
  return [...found];
}

test('whatever is taken for a whole request is just that for the parser', async () => {
  const piece = fc.constantFrom(
    ...['GET /v1/kv/b/k HTTP/1.1', 'PUT /v1/kv64/b/a%2F?w=1 HTTP/1.1', 'DELETE /v1/kv/b/"<>\\ HTTP/1.1'],
    ...['\r\n', '\r\n', '\r\n', '\n', '\r', ' ', '\t', ':', ',', ';', '0', '\0', '\x80', '\xa0'],
    ...[
      'Host: x',
      'X-Y: z',
      'cookie:a',

      'Content-Length: 5',
      'Content-Length: 0',
      'Content-Length:\t3 ',
      'content-length',
      '5',
    ],
    ...['Transfer-Encoding: chunked', 'Connection: keep-alive', 'Connection: close, x', 'Expect: x', 'hello', 'abc'],
  );
  const line = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join(''));
  const first = fc.constantFrom(
    'GET /v1/kv/b/k HTTP/1.1\r\n',
    'GET /v1/kv/b/k HTTP/1.1\r\nhost:x\r\n',
    'PUT /v1/kv/b/k?w=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n',
  );
  const lines = fc.array(fc.tuple(line, fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '')), { maxLength: 4 });
  const end = fc.constantFrom('\r\n', '\r\nhello', '\r\nabc', '\r\n\r\n', '');
  const text = fc.tuple(first, lines, end).map(([a, b, c]) => a + b.map((each) => each.join('')).join('') + c);
  let taken = 0;
  let read = 0;
  await fc.assert(
    fc.asyncProperty(text, async (bytes) => {
      const request = whole(bytes);
      if (request === undefined) return;
      taken += 1;
      const body = bytes.slice(bytes.indexOf('\r\n\r\n') + 4);
      const all = await parsed(bytes);
      expect(all).toMatchObject([
        { url: request.url, fields: request.fields.names.length, body },
        { url: '/behind', fields: 1, body: '' },
      ]);
      const plain = PlainRequest.of(new Socket(), Buffer.from(bytes, 'latin1'), request);
      if (plain === undefined) return;
      read += 1;
      const headers = Object.fromEntries([...plain.headerNames()].map((name) => [name, plain.header(name)]));
      expect(headers).toEqual(all[0]!.headers);
      const given = plain.readBody(100, 0, { reserve: () => true, release: () => undefined });
      expect(given.kind === 'body' && Buffer.from(given.bytes).toString('latin1')).toBe(body);
    }),
    { numRuns: 4000 },
  );
  expect(taken).toBeGreaterThan(50);
  expect(read).toBeGreaterThan(20);
});
