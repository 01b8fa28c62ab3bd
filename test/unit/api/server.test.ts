import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { ListenError } from '#api/server-acceptors.ts';
import { MAX_HEAD_BYTES, startServer, type HttpServer } from '#api/server.ts';
import { MAX_PIPELINED } from '#api/server-connections.ts';
import { agreed, StubNode } from './stub-services.ts';
import { exchangeBytes } from './client.ts';
import { until } from '../../until.ts';

const CLOSE = 'Host: x\r\nConnection: close\r\n\r\n';

let node: StubNode;
let server: HttpServer;
let metrics: { render(): Promise<string> };

beforeEach(async () => {
  node = new StubNode();
  node.settings = { ...node.settings, valueMaxBytes: 100_000 };
  const services = node.services();
  metrics = services.metrics;
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});

afterEach(() => server.close(0));

interface Response {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The responses in the bytes that came back; those that announce no length have no body here. */
function responses(bytes: string): Response[] {
  const found: Response[] = [];
  let rest = bytes;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const head = rest.slice(0, end);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    found.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return found;
}

async function send(...chunks: readonly (string | Uint8Array)[]): Promise<Response[]> {
  return responses(await exchangeBytes(server.port, ...chunks));
}

function statuses(all: readonly Response[]): number[] {
  return all.map(({ status }) => status);
}

function expectProblem(response: Response | undefined, status: number, code: string): void {
  expect(response?.head).toMatch(/^content-type: application\/problem\+json$/im);
  expect(response?.head).toMatch(/^x-request-id: \S+$/im);
  expect(JSON.parse(response!.body)).toMatchObject({
    type: `urn:quoral:problem:${code}`,
    status,
    detail: expect.any(String),
  });
  expect(response!.status).toBe(status);
}

describe('a request over a socket', () => {
  test('stores and gives back bytes', async () => {
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    const put = await send('PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: 256\r\n', CLOSE, value);
    expect(statuses(put)).toEqual([204]);
    const [got] = await send('GET /v1/kv/b/k HTTP/1.1\r\n', CLOSE);
    expect(Buffer.from(got!.body, 'latin1')).toEqual(Buffer.from(value));
    expect(node.writes[0]!.content!.value.constructor).toBe(Uint8Array);
  });

  test('chunked, in pieces', async () => {
    const put = await send(
      'PUT /v1/kv/b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n',
      CLOSE,
      '2\r\nhi\r\n',
      '4;x=y\r\n th',
      'e\r\n0\r\n\r\n',
    );
    expect(statuses(put)).toEqual([204]);
    expect(node.writes[0]!.content!.value).toEqual(new TextEncoder().encode('hi the'));
  });

  test('HEAD has the length and no body', async () => {
    await send('PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: 2\r\n', CLOSE, 'hi');
    const text = await exchangeBytes(server.port, 'HEAD /v1/kv/b/k HTTP/1.1\r\n', CLOSE);
    expect(text).toMatch(/^HTTP\/1\.1 200 [^]*content-length: 2\r\n[^]*\r\n\r\n$/i);
    const missing = await exchangeBytes(server.port, 'HEAD /v1/kv/b/none HTTP/1.1\r\n', CLOSE);
    expect(missing).toMatch(/^HTTP\/1\.1 404 [^]*\r\n\r\n$/);
  });

  test('HTTP/1.0 needs no host, HTTP/1.1 does', async () => {
    expect(statuses(await send('GET /livez HTTP/1.0\r\n\r\n'))).toEqual([200]);
    expectProblem((await send('GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n'))[0], 400, 'invalid-request');
    expectProblem(
      (await send('GET /livez HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'))[0],
      400,
      'invalid-request',
    );
    expect(statuses(await send('GET http://h/livez HTTP/1.1\r\n', CLOSE))).toEqual([200]);
  });

  test.each(['a b', 'a/b', '[::1', 'a:b', 'u@a'])('%j is no host, for keys as well', async (host) => {
    for (const path of ['/livez', '/v1/kv/b/k'])
      for (const answer of await send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))
        expectProblem(answer, 400, 'invalid-request');
    expect(node.reads).toEqual([]);
  });

  test('OPTIONS may ask for the whole server', async () => {
    const [answer] = await send('OPTIONS * HTTP/1.1\r\n', CLOSE);
    expectProblem(answer, 405, 'method-not-allowed');
    expect(answer?.head).toMatch(/^allow: GET, HEAD, PUT, POST, DELETE$/im);
  });

  test('of a body whose last coding is none that tells its end nobody knows where it ends', async () => {
    const [answer] = await send(`PUT /v1/kv/b/k HTTP/1.1\r\nTransfer-Encoding: gzip\r\n${CLOSE}`, 'x');
    expectProblem(answer, 400, 'invalid-request');
    expect(node.writes).toEqual([]);
  });

  test.each(['gzip, chunked', 'identity, chunked'])(
    'a body that is coded otherwise than in chunks is not taken for what it holds: %s',
    async (coding) => {
      const head = `PUT /v1/kv/b/k HTTP/1.1\r\nTransfer-Encoding: ${coding}\r\n${CLOSE}`;
      const [answer] = await send(head, '3\r\nabc\r\n0\r\n\r\n');
      expect([answer?.status, node.writes]).toEqual([501, []]);
    },
  );
});

describe('paths as they stand on the request line', () => {
  test.each([
    '/v1/kv/b/..',
    '/v1/kv/b/%2e%2e/%2e%2e/cluster',
    '/v1/kv/b/.%2E',
    '/v1/kv/../../livez',
    '/./livez',
    '//livez',
    '/v1\\..\\livez',
    '/v1/kv/b/%',
    '/v1/kv/b/%zz',
    '/v1/kv/b/a%00b',
    '/v1/kv/b/',
    '/livez#x',
    'http://host/../livez',
    '*',
  ])('%s is refused', async (target) => {
    expectProblem((await send(`GET ${target} HTTP/1.1\r\n`, CLOSE))[0], 400, 'invalid-request');
    expect(node.reads).toHaveLength(0);
  });

  test('what is not refused is taken literally', async () => {
    expect(statuses(await send('GET /v1/kv/b/%2Flivez HTTP/1.1\r\n', CLOSE))).toEqual([404]);
    expect(node.reads[0]!.key).toEqual(new TextEncoder().encode('/livez'));
  });

  test('raw bytes beyond ASCII', async () => {
    expectProblem((await send('GET /v1/kv/b/\u00e9 HTTP/1.1\r\n', CLOSE))[0], 400, 'invalid-request');
  });
});

describe('what is not HTTP', () => {
  test.each([
    'nonsense\r\n\r\n',
    'BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /livez HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET /livez HTTP/2.0\r\nHost: x\r\n\r\n',
    'GET /v1/kv/b/k HTTP/2.0\r\nHost: x\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost x\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n',
    'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n',
    'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /livez\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000',
  ])('%j', async (bytes) => {
    const [answer] = await send(bytes);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer?.head).toMatch(/^server-timing: total;dur=\d/im);
    expect([node.reads, node.writes]).toEqual([[], []]);
  });

  test('a head that is too large is 431', async () => {
    const answer = await send(`GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(MAX_HEAD_BYTES)}\r\n\r\n`);
    expectProblem(answer[0], 431, 'headers-too-large');
    expectProblem((await send(`GET /${'x'.repeat(MAX_HEAD_BYTES)} HTTP/1.1\r\n`, CLOSE))[0], 431, 'headers-too-large');
  });

  test('thousands of header fields are all seen', async () => {
    const fields = Array.from({ length: 3000 }, (_, i) => `x${i}:\r\n`).join('');
    const answer = await send(
      `PUT /v1/kv/b/k HTTP/1.1\r\n${fields}Quoral-Context: broken\r\nContent-Length: 0\r\n`,
      CLOSE,
    );
    expectProblem(answer[0], 400, 'invalid-request');
  });

  test.each(['Host: y', 'Content-Type: a/b', 'content-type: a/b', 'Idempotency-Key: "k"'])(
    'two of %s, of which one would count',
    async (field) => {
      const head = `PUT /v1/kv/b/k HTTP/1.1\r\n${field}\r\n${field}\r\nContent-Length: 0\r\n`;
      expectProblem(
        (await send(head, field.startsWith('Host') ? 'Connection: close\r\n\r\n' : CLOSE))[0],
        400,
        'invalid-request',
      );
      expect(node.writes).toEqual([]);
    },
  );

  test('two of a field that is a list are one list', async () => {
    await send('PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: 1\r\n', CLOSE, 'x');
    const answer = await send('GET /v1/kv/b/k HTTP/1.1\r\nIf-None-Match: "a"\r\nIf-None-Match: "b"\r\n', CLOSE);
    expect(statuses(answer)).toEqual([200]);
  });

  test('a tunnel', async () => {
    const [refused] = await send('CONNECT host:1 HTTP/1.1\r\nHost: x\r\n\r\n');
    expectProblem(refused, 405, 'method-not-allowed');
    expect(refused!.head).toMatch(/^allow: GET, HEAD, PUT, POST, DELETE$/im);
  });
});

describe('bodies', () => {
  test('that end too soon are refused and not stored', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('end', () => socket.destroy());
      socket.on('close', () => resolve(text));
      socket.end('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhi');
    });
    expectProblem(responses(answer)[0], 400, 'invalid-request');
    expect(responses(answer)).toHaveLength(1);
    expect(node.writes).toEqual([]);
  });

  test('whose client vanishes are not stored', async () => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.write('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhi', () => socket.destroy());
    await new Promise((resolve) => socket.on('close', resolve));
    expect(statuses(await send('GET /livez HTTP/1.1\r\n', CLOSE))).toEqual([200]);
    expect(node.writes).toEqual([]);
  });

  test('with malformed chunks', async () => {
    const answer = await send(
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n',
    );
    expectProblem(answer[0], 400, 'invalid-request');
    expect(answer).toHaveLength(1);
    expect(node.writes).toEqual([]);
  });

  test('announced as too large are refused unread, and the connection goes on when they came all the same', async () => {
    const big = Buffer.alloc(6 * 1024 * 1024);
    const answer = await send(
      `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${big.length}\r\n\r\n`,
      big,
      'GET /livez HTTP/1.1\r\n',
      CLOSE,
    );
    expectProblem(answer[0], 413, 'value-too-large');
    expect(statuses(answer)).toEqual([413, 200]);
  });

  test('that are too large get their answer also on a connection that ends with them', async () => {
    const big = Buffer.alloc(8 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      const answer = await send(`PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: ${big.length}\r\n`, CLOSE, big);
      expectProblem(answer[0], 413, 'value-too-large');
    }
    const pieces = ['PUT /v1/kv/b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n', CLOSE, '800000\r\n'];
    expectProblem((await send(...pieces, big, '\r\n0\r\n\r\n'))[0], 413, 'value-too-large');
  });

  test('that nobody wants and that never come are waited for as long as the request may take', async () => {
    const answer = await send(`PUT /v1/kv/b/k?timeout=1 HTTP/1.1\r\nContent-Length: 200000\r\n`, CLOSE, 'h');
    expectProblem(answer[0], 413, 'value-too-large');
  });

  test('that turn out too large are refused', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const answer = await send(
      'PUT /v1/kv/b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n',
      CLOSE,
      chunk,
      chunk,
      chunk,
      '0\r\n\r\n',
    );
    expectProblem(answer[0], 413, 'value-too-large');
    expect(node.writes).toEqual([]);
  });

  test('that are not announced are empty', async () => {
    const answer = await send(`PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/b/k HTTP/1.1\r\n${CLOSE}`);
    expect(statuses(answer)).toEqual([204, 200]);
    expect(answer[1]!.head).toMatch(/^content-length: 0$/im);
  });

  test('that go on behind their refusal end with their connection', async () => {
    const answer = await send('PUT /v1/kv/b/k?w=9 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhi');
    expectProblem(answer[0], 400, 'invalid-request');
    expect(answer[0]!.head).toMatch(/connection: keep-alive/i);
    expect(answer).toHaveLength(1);
  });

  test('come back byte by byte, small ones and large ones', async () => {
    for (const size of [256, 4096, 4097, 70_000]) {
      const value = Uint8Array.from({ length: size }, (_, i) => i * 7);
      const head = `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`;
      const answer = await send(head, value, `GET /v1/kv/b/k HTTP/1.1\r\n${CLOSE}`);
      expect(statuses(answer)).toEqual([204, 200]);
      expect(Buffer.from(answer[1]!.body, 'latin1')).toEqual(Buffer.from(value));
    }
  });

  test('that do not arrive by the deadline are late', async () => {
    const answer = await send('PUT /v1/kv/b/k?timeout=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nh');
    expectProblem(answer[0], 408, 'request-timeout');
    expect(answer[0]!.head).toMatch(/connection: close/i);
  });

  test('are asked for with 100 only when everything else is in order', async () => {
    const head = 'PUT /v1/kv/b/k HTTP/1.1\r\nExpect: 100-continue\r\n';
    expect(statuses(await send(`${head}Content-Length: 2\r\n`, CLOSE, 'hi'))).toEqual([100, 204]);
    const size = `Content-Length: 100001\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(statuses(await send(head, size))).toEqual([413]);
    expect(statuses(await send(head.replace('/k ', '/k?w=9 '), 'Content-Length: 2\r\n', CLOSE))).toEqual([400]);
    expectProblem(
      (await send('PUT /v1/kv/b/k HTTP/1.1\r\nExpect: magic\r\nContent-Length: 0\r\n', CLOSE))[0],
      417,
      'expectation-failed',
    );
  });
});

describe('what HTTP does not allow and the parser lets through', () => {
  const MISTAKES: readonly (readonly [string, number])[] = [
    ['GET /livez HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n', 400],
    [
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n',
      400,
    ],
    ['GET /livez HTTP/1.1\r\nHost: a b\r\nX-Request-Id: mine\r\n\r\n', 400],
    ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    // Whoever sends it on may not know of chunks (RFC 9112 section 6.1).
    [
      'PUT /v1/kv/b/k HTTP/1.0\r\nConnection: keep-alive\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nExpect: magic\r\n\r\n', 417],
  ];

  test('is answered as all else: with its id, and among the figures', async () => {
    for (const [request, status] of MISTAKES) {
      const [answer] = await send(request);
      expect(answer!.status).toBe(status);
      expect(answer!.head).toMatch(/^x-request-id: mine$/im);
      expect(answer!.head).toMatch(/^server-timing: total;dur=/im);
      expect(answer!.head).toMatch(/^connection: close$/im);
    }
    const counted = (await metrics.render()).matchAll(/^quoral_http_problems_total\{.*code="([^"]*)".*\} (\d+)$/gm);
    expect([...counted].map(([, code, count]) => `${code} ${count}`).toSorted()).toEqual([
      'expectation-failed 1',
      'invalid-request 4',
      'not-found 0',
      'not-implemented 1',
    ]);
  });

  test('an id that is given twice is that mistake', async () => {
    const [answer] = await send('GET /livez HTTP/1.1\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n', CLOSE);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer!.body).toMatch('more than once');
    expect(answer!.head).toMatch(/^x-request-id: n1-/im);
  });
});

describe('requests sent ahead', () => {
  test.each([
    ['', ''],
    ['Content-Length: 3\r\n', 'abc'],
    ['Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'],
  ])('are answered behind one that wants another protocol (%j)', async (length, body) => {
    const wanting = `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n${length}\r\n${body}`;
    const behind = 'GET /v1/kv/b/absent HTTP/1.1\r\nHost: x\r\n\r\n';
    const last = `GET /v1/kv/b/k HTTP/1.1\r\n${CLOSE}`;
    const heard = await send(wanting + wanting + behind + last);
    expect(statuses(heard)).toEqual([204, 204, 404, 200]);
    const cut = wanting.length + 10;
    const inTwo = await send((wanting + last).slice(0, cut), (wanting + last).slice(cut));
    expect([...statuses(inTwo), inTwo[1]?.body]).toEqual([204, 200, body === '' ? '' : 'abc']);
  });

  const PUT = 'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi';

  test('are worked on in their order', async () => {
    const answer = await send(
      `${PUT}GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\nDELETE /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/b/k HTTP/1.1\r\n${CLOSE}`,
    );
    expect(statuses(answer)).toEqual([204, 200, 204, 404]);
    expect(answer[1]!.body).toBe('hi');
  });

  test('a mistake behind them is answered after them', async () => {
    const answer = await send(`${PUT}${PUT}nonsense\r\n\r\n`);
    expect(statuses(answer)).toEqual([204, 204, 400]);
    expectProblem(answer[2], 400, 'invalid-request');
    expect(node.writes).toHaveLength(2);
  });

  test('are answered to a client that has said that nothing more will come', async () => {
    let answerRead = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      node.read = (request) => {
        resolve();
        const outcome = { kind: 'found' as const, agreement: agreed(request.r), versions: [], context: [] };
        return new Promise((done) => (answerRead = () => done({ ...outcome, coordinator: node.services().self })));
      };
    });
    const received = new Promise<string>((resolve) => {
      const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('end', () => socket.destroy());
      socket.on('close', () => resolve(text));
      socket.end(`GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\n${PUT}`);
    });
    await asked;
    // By the time of this answer the door has noticed the end as well.
    for (let i = 0; i < 3; i++) await send('GET /livez HTTP/1.1\r\n', CLOSE);
    answerRead();
    expect(statuses(responses(await received))).toEqual([404, 204]);
  });

  test('behind an answer that closes the connection are not done', async () => {
    const closing = [
      'GET /livez HTTP/1.1\r\n\r\n',
      'GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
      'GET /livez HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n',
    ];
    for (const last of closing) {
      const answer = await send(`${PUT}${last}${PUT}${PUT}`);
      expect(statuses(answer)).toEqual([204, last.includes('Expect') ? 417 : 400]);
      expect(node.writes.splice(0)).toHaveLength(1);
    }
  });

  test('a tunnel behind them is refused after them', async () => {
    expect(statuses(await send(`${PUT}${PUT}CONNECT h:1 HTTP/1.1\r\nHost: x\r\n\r\n`))).toEqual([204, 204, 405]);
  });

  test('are bounded', async () => {
    const answer = await send('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(MAX_PIPELINED + 10));
    expect(statuses(answer)).toEqual([...Array.from({ length: MAX_PIPELINED }, () => 200), 429]);
  });

  test('beyond the bound leave nothing behind at their connection', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    try {
      const put = 'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx';
      expect(statuses(await send(put.repeat(MAX_PIPELINED + 30))).at(-1)).toBe(429);
      // Warnings come a turn later.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('warning', note);
    }
    expect(warnings).toEqual([]);
  });
});

describe('opening and closing the door', () => {
  test('a port in use is named', async () => {
    const services = node.services();
    const second = startServer(createApp(services), services, { host: '127.0.0.1', port: server.port });
    await expect(second).rejects.toThrow(ListenError);
    await expect(second).rejects.toThrow(`--listen 127.0.0.1:${server.port}: the port is in use by another process`);
  });

  test('an address of another machine is named', async () => {
    const services = node.services();
    const elsewhere = startServer(createApp(services), services, { host: '192.0.2.1', port: 0 });
    await expect(elsewhere).rejects.toThrow('--listen 192.0.2.1:0: this machine does not have that address');
  });

  test('closing finishes what is under way and takes nothing new', async () => {
    let answerRead = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      node.read = (request) => {
        resolve();
        const outcome = { kind: 'found' as const, agreement: agreed(request.r), versions: [], context: [] };
        return new Promise((done) => (answerRead = () => done({ ...outcome, coordinator: node.services().self })));
      };
    });
    const idle = exchangeBytes(server.port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    const busy = exchangeBytes(server.port, 'GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\n');
    await asked;
    const closed = server.close(60_000);
    await expect(exchangeBytes(server.port, 'GET /livez HTTP/1.1\r\n', CLOSE)).rejects.toThrow('ECONNREFUSED');
    answerRead();
    expect(statuses(responses(await busy))).toEqual([404]);
    expect(statuses(responses(await idle))).toEqual([200]);
    await closed;
  });

  test('what was under way when the closing began says that its connection ends, behind what was sent ahead of it', async () => {
    let answerRead = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      node.read = (request) => {
        resolve();
        const outcome = { kind: 'found' as const, agreement: agreed(request.r), versions: [], context: [] };
        return new Promise((done) => (answerRead = () => done({ ...outcome, coordinator: node.services().self })));
      };
    });
    const piped = exchangeBytes(
      server.port,
      'GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await asked;
    const closed = server.close(60_000, 60_000);
    answerRead();
    const answers = responses(await piped);
    expect(statuses(answers)).toEqual([404, 200]);
    expect(answers.map(({ head }) => /^connection: (.*)$/im.exec(head)?.[1])).toEqual(['keep-alive', 'close']);
    await closed;
  });

  test('a connection on which nothing is under way may bring one more request for a while', async () => {
    const idle = connect(server.port, '127.0.0.1');
    let text = '';
    idle.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = new Promise((resolve) => idle.once('close', resolve));
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => text.includes('alive') || text.includes('"ok"'));
    const closed = server.close(60_000, 60_000);
    text = '';
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await ended;
    expect(text).toMatch(/^HTTP\/1\.1 200 .*connection: close/is);
    await closed;
  });

  test('a connection on which nothing has ever come does not hold the door open', async () => {
    const silent = connect(server.port, '127.0.0.1');
    await once(silent, 'connect');
    const asked = exchangeBytes(server.port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n', CLOSE);
    let told = '';
    silent.on('data', (chunk: Buffer) => (told += chunk.toString()));
    const ended = once(silent, 'close');
    await asked;
    await server.close(60_000, 1);
    await ended;
    // Not after so long that nobody waits for a request on it any more, which it would be told.
    expect(told).toBe('');
  });

  test('half a head does not hold the door open, and a request whose answer is not there yet does', async () => {
    const half = connect(server.port, '127.0.0.1');
    half.write('GET /livez HTTP/1.1\r\nHo');
    const upload = connect(server.port, '127.0.0.1');
    upload.write('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n');
    let told = '';
    upload.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await Promise.all([once(half, 'connect'), once(upload, 'connect')]);
    // What was written has been read when a later request is answered.
    await exchangeBytes(server.port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n', CLOSE);
    const ended = [once(half, 'close'), once(upload, 'close')];
    const closed = server.close(60_000, 1);
    await ended[0];
    upload.write('x');
    await Promise.all([closed, ...ended]);
    expect(told).toMatch(/^HTTP\/1.1 204 /);
  });

  test('connections that wait to be accepted are answered before the door closes, though their clients come again', async () => {
    const answers: string[] = [];
    const ask = async (): Promise<void> => {
      for (let refused = false; !refused;) {
        const socket = connect(server.port, '127.0.0.1');
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          socket.end();
        });
        socket.on('error', ({ code }: NodeJS.ErrnoException) => (refused = code === 'ECONNREFUSED'));
        const ended = new Promise((resolve) => socket.once('close', resolve));
        socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
        await ended;
        if (!refused) answers.push(text);
      }
    };
    const clients = Array.from({ length: 30 }, ask);
    await until(() => answers.length > 0);
    await server.close(60_000, 60_000, 60_000);
    await Promise.all(clients);
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('who comes while the last requests are begun finds the door closed, not a connection that breaks', async () => {
    const knock = `require('node:net').connect(${server.port}, '127.0.0.1').on('connect', function () {
      console.log('connected'); this.destroy();
    }).on('error', ({ code }) => console.log(code))`;
    let late = '';
    node.read = async (request) => {
      late = spawnSync(process.execPath, ['-e', knock], { encoding: 'utf8' }).stdout;
      const outcome = { kind: 'found' as const, agreement: agreed(request.r), versions: [], context: [] };
      return { ...outcome, coordinator: node.services().self };
    };
    const client = connect(server.port, '127.0.0.1');
    let text = '';
    client.on('data', (chunk: Buffer) => (text += chunk.toString()));
    client.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => text.includes('"ok"'));
    client.write('GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\n');
    const ended = once(client, 'close');
    await server.close(60_000, 60_000, 60_000);
    await ended;
    expect(text).toMatch(/HTTP\/1\.1 404 /);
    expect(late).toBe('ECONNREFUSED\n');
  });

  test('closing cuts what takes too long', async () => {
    const asked = new Promise<void>((resolve) => {
      node.read = () => {
        resolve();
        return new Promise(() => undefined);
      };
    });
    const busy = exchangeBytes(server.port, 'GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n\r\n');
    await asked;
    await server.close(0);
    expect(await busy).toBe('');
    expect(node.logged.map(({ event }) => event)).toEqual(['requests-cut']);
  });
});
