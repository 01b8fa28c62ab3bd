/** Requests that are read ahead of the HTTP parser, over real sockets: nobody may notice, whatever happens meanwhile. */

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import type { ReadOutcome } from '#coordinator/requests.ts';
import { agreed, StubNode } from './stub-services.ts';
import { until } from '../../until.ts';

let node: StubNode;
let server: HttpServer;
let metrics: { render(): Promise<string> };
const open: Socket[] = [];

beforeEach(async () => {
  node = new StubNode();
  node.settings = { ...node.settings, valueMaxBytes: 10_000 };
  const services = node.services();
  metrics = services.metrics;
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await server.close(0);
});

const GET = 'GET /v1/kv/b/none HTTP/1.1\r\nHost: x\r\n\r\n';

/** How many requests have been taken in ahead of the parser. */
async function taken(): Promise<number> {
  const line = (await metrics.render())
    .split('\n')
    .find((each) => each.startsWith('quoral_http_short_requests_total '));
  return Number(line?.split(' ')[1]);
}

/** A connection whose next request is read ahead of the parser, if it is plain. */
class Talk {
  readonly socket: Socket;
  text = '';
  ended = false;

  constructor() {
    this.socket = connect({ port: server.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    open.push(this.socket);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => (this.text += chunk.toString('latin1')));
    this.socket.on('end', () => (this.ended = true));
  }

  static async begin(): Promise<Talk> {
    const talk = new Talk();
    await talk.ask(GET);
    return talk;
  }

  /** All that comes within the next answer. */
  async ask(bytes: string): Promise<string> {
    this.text = '';
    this.socket.write(bytes, 'latin1');
    await until(() => isWhole(this.text, bytes.startsWith('HEAD')) || this.ended, 1);
    return this.text;
  }
}

function isWhole(text: string, isHead: boolean): boolean {
  const end = text.indexOf('\r\n\r\n');
  const length = isHead ? 0 : Number(/^content-length: (\d+)$/im.exec(text)?.[1] ?? 0);
  return end >= 0 && text.length >= end + 4 + length;
}

function statuses(text: string): readonly number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d+) /gm)].map(([, status]) => Number(status));
}

/** Without what differs between two answers to the same: their time, their number, and how the names of fields are written. */
function comparable(answer: string): string {
  const [head = '', ...body] = answer.split('\r\n\r\n');
  const own = head.startsWith('HTTP/1.1 204') ? /^(date|server-timing|etag|quoral-context):/ : /^(date|server-timing):/;
  const lines = head
    .split('\r\n')
    .map((line) => line.replace(/^[^:]*:/, (name) => name.toLowerCase()))
    .map((line) => line.replace(/^(x-request-id: n1-\w+)-.*/, '$1'))
    .filter((line) => !own.test(line));
  return [...lines.toSorted(), ...body].join('\n');
}

/** A read that is answered when the test says so. */
function heldRead(): { readonly asked: Promise<void>; readonly answer: () => void } {
  let finish: (outcome: ReadOutcome) => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    node.read = () => {
      resolve();
      return new Promise((done) => (finish = done));
    };
  });
  const answer = (): void => {
    node.read = undefined;
    finish({ kind: 'found', agreement: agreed(2), versions: [], context: [], coordinator: node.services().self });
  };
  return { asked, answer };
}

describe('the answer is the same as from the parser', () => {
  const put = (path: string, body: string, ...fields: readonly string[]): string =>
    [`PUT ${path} HTTP/1.1`, 'Host: x', `Content-Length: ${body.length}`, ...fields, '', body].join('\r\n');
  const get = (path: string, ...fields: readonly string[]): string =>
    [`GET ${path} HTTP/1.1`, 'Host: x', ...fields, '', ''].join('\r\n');
  const id = 'X-Request-Id: same';

  test.each([
    ['a value', get('/v1/kv/b/k', id)],
    ['a large value', get('/v1/kv/b/large', id)],
    ['the length of a value', get('/v1/kv/b/k', id).replace('GET', 'HEAD')],
    ['nothing', get('/v1/kv/b/none', id)],
    ['what has not changed', get('/v1/kv/b/k', id, 'If-None-Match: *')],
    ['a deletion', get('/v1/kv/b/none', id).replace('GET', 'DELETE')],
    ['an empty body', put('/v1/kv/b/k2', '', id)],
    ['a body without a length', get('/v1/kv/b/k2', id).replace('GET', 'PUT')],
    ['a body that is too large', put('/v1/kv/b/k', 'v'.repeat(10_001), id)],
    ['a parameter that is none', get('/v1/kv/b/k?q=1', id)],
    ['a request id that is none', get('/v1/kv/b/k', 'X-Request-Id: \xe4')],
    ['a field given twice', put('/v1/kv/b/k', 'v', id, 'Content-Type: a/b', 'Content-Type: c/d')],
    ['no host', get('/v1/kv/b/k', id).replace('Host: x\r\n', '')],
    ['a malformed path', get('/v1/kv/b/%zz', id)],
    ['a path too long', get('/v1/kv/b/k/more', id)],
    ['a method that does not apply', put('/v1/kv/b/k', '{}', id).replace('PUT', 'POST')],
    ['a body nobody wants', put('/v1/kv/b/k', 'GET / HTTP/1.1', id).replace('PUT', 'GET')],
    ['a misspelt field', put('/v1/kv/b/k', 'v', id, 'Quoral-Contxt: x')],
  ])('%s', async (_, request) => {
    const talk = await Talk.begin();
    const meta = ['Content-Type: text/plain; \xe4', 'Content-Encoding:gzip', 'Quoral-Meta-A:\t b  '];
    expect(statuses(await talk.ask(put('/v1/kv/b/k', 'some \xff bytes', ...meta)))).toEqual([204]);
    expect(statuses(await talk.ask(put('/v1/kv/b/large', 'L'.repeat(9000))))).toEqual([204]);
    const plain = await talk.ask(request);
    // The first request of a connection goes to the parser.
    expect(comparable(await new Talk().ask(request))).toBe(comparable(plain));
    expect(plain).toMatch(/^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/im);
  });

  test('what a PUT brings is stored as it came', async () => {
    const talk = await Talk.begin();
    const before = await taken();
    await talk.ask(
      put('/v1/kv/b/k', 'a\r\n\r\nb', 'Content-Type:  text/x ', 'Quoral-Meta-B: 2', 'Quoral-Meta-A: \xe9'),
    );
    expect(await taken()).toBe(before + 1);
    expect(node.writes[0]?.content).toEqual({
      value: new Uint8Array(Buffer.from('a\r\n\r\nb')),
      ...{ contentType: 'text/x', contentEncoding: '' },
      meta: [
        ['a', '\xe9'],
        ['b', '2'],
      ],
    });
  });
});

describe('while one is under way', () => {
  test('others behind it wait for their turn', async () => {
    const talk = await Talk.begin();
    const { asked, answer } = heldRead();
    talk.text = '';
    talk.socket.write(GET);
    await asked;
    talk.socket.write(GET.replace('/v1/kv/b/none', '/livez'));
    talk.socket.write('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n');
    await sleep(20);
    talk.socket.write('v');
    await sleep(20);
    expect(talk.text).toBe('');
    expect(node.writes).toHaveLength(0);
    answer();
    await until(() => statuses(talk.text).length === 3);
    expect(statuses(talk.text)).toEqual([404, 200, 204]);
  });

  test('a mistake behind it is answered after it', async () => {
    const talk = await Talk.begin();
    const { asked, answer } = heldRead();
    talk.text = '';
    talk.socket.write(GET);
    await asked;
    talk.socket.write('GET /v1/kv/b/k HTTP/1.1\r\nHost : x\r\n\r\n');
    await sleep(20);
    expect(talk.text).toBe('');
    answer();
    await until(() => talk.ended);
    expect(statuses(talk.text)).toEqual([404, 400]);
  });

  test.each([
    ['nothing', '', [404]],
    ['another request', GET, [404, 404]],
  ])(
    'a client that has said that nothing more will come gets its answers, with %s behind',
    async (_, more, expected) => {
      const talk = await Talk.begin();
      const { asked, answer } = heldRead();
      talk.text = '';
      talk.socket.write(GET);
      await asked;
      talk.socket.end(more);
      await sleep(20);
      answer();
      await until(() => talk.ended);
      expect(statuses(talk.text)).toEqual(expected);
    },
  );

  test('a client that vanishes leaves nothing behind', async () => {
    const talk = await Talk.begin();
    const { asked, answer } = heldRead();
    talk.socket.write(GET);
    await asked;
    talk.socket.resetAndDestroy();
    await sleep(20);
    answer();
    await sleep(1);
    await server.close(60_000);
    expect(node.logged).toEqual([]);
  });

  test('a door that closes waits for it, and its answer says that the connection ends', async () => {
    const talk = await Talk.begin();
    const idle = await Talk.begin();
    const { asked, answer } = heldRead();
    talk.text = '';
    talk.socket.write(GET);
    await asked;
    const closed = server.close(60_000);
    await sleep(20);
    answer();
    await until(() => talk.ended && idle.ended);
    expect(talk.text).toMatch(/^HTTP\/1\.1 404 .*connection: close\r\n/is);
    for (const { socket } of [talk, idle]) socket.destroy();
    await closed;
    expect(node.logged).toEqual([]);
  });

  test('a door that closes does not wait for it longer than it may', async () => {
    const talk = await Talk.begin();
    const { asked } = heldRead();
    talk.socket.write(GET);
    await asked;
    await server.close(20);
    expect(node.logged.map(({ event }) => event)).toEqual(['requests-cut']);
  });
});

test('a request in the midst of others, behind a body that ends like a head, is not where the parser stands', async () => {
  const next = 'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv';
  const third = 'PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: 0\r\nQuoral-Meta-X: ';
  const tail = `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${next.length + third.length}\r\n\r\n`;
  const talk = new Talk();
  talk.socket.write(`PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${tail.length + 1}\r\n\r\nv`);
  await sleep(20);
  // In one packet: the end of that body, a request, and the begin of another one, whose last field looks like a request.
  talk.socket.write(tail + next + third);
  await until(() => statuses(talk.text).length === 2);
  talk.socket.write(GET);
  await until(() => statuses(talk.text).length === 3);
  expect(statuses(talk.text)).toEqual([204, 204, 204]);
  expect(node.reads).toEqual([]);
  expect(node.writes.at(-1)!.content!.meta).toEqual([['x', 'GET /v1/kv/b/none HTTP/1.1']]);
});

test('an answer that cannot be sent is none, and the log says why', async () => {
  const talk = await Talk.begin();
  node.read = async () => ({
    kind: 'found',
    agreement: agreed(2),
    coordinator: 'n1\r\nX: y' as ReturnType<StubNode['services']>['self'],
    ...{ versions: [], context: [] },
  });
  expect(statuses(await talk.ask(GET))).toEqual([500]);
  expect(talk.text).toMatch(/^connection: close\r$/im);
  await until(() => talk.ended);
  expect(node.logged).toMatchObject([
    { event: 'answer-not-sent', fields: { reason: expect.stringContaining('quoral-coordinator') } },
  ]);
});
