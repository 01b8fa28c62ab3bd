/** Requests that are turned away ahead of the parser, over real sockets: nobody may get another's answer, or none. */

import fc from 'fast-check';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { REFUSALS_SAVED_MAX } from '#api/admission.ts';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import type { WriteOutcome } from '#coordinator/requests.ts';
import { realClock } from '#world/real/clock.ts';
import { StubNode } from './stub-services.ts';

/** Its bound is moved while requests come. */
const settings = { ...new StubNode().settings, requestsMax: 0 };
/** Where time stands still, if it does. */
let frozenAt: number | undefined;
let node: StubNode;
let server: HttpServer;
let metrics: { render(): Promise<string> };
const open: Talk[] = [];

beforeEach(async () => {
  settings.requestsMax = 0;
  frozenAt = undefined;
  node = new StubNode();
  node.settings = settings;
  const real = realClock();
  node.clock = {
    wall: () => real.wall(),
    monotonic: () => frozenAt ?? real.monotonic(),
    after: (delay, callback) => real.after(delay, callback),
  };
  const services = node.services();
  metrics = services.metrics;
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  for (const talk of open.splice(0)) talk.socket.destroy();
  await server.close(0);
});

interface Heard {
  readonly status: number;
  readonly head: string;
  readonly id: string | undefined;
  readonly body: string;
}

/** One connection, and the answers that have come on it so far. */
class Talk {
  readonly socket: Socket = connect({ port: server.port, host: '127.0.0.1', noDelay: true });
  readonly heard: Heard[] = [];
  closed = false;
  #rest = '';
  #wake: () => void = () => undefined;

  constructor() {
    open.push(this);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => this.#data(chunk.toString('latin1')));
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  say(bytes: string): void {
    this.socket.write(bytes, 'latin1');
  }

  /** When so many answers have come, or the connection is closed. */
  async until(count: number): Promise<readonly Heard[]> {
    while (this.heard.length < count && !this.closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.heard;
  }

  /** One request, and its answer. */
  async ask(bytes: string): Promise<Heard> {
    const count = this.heard.length + 1;
    this.say(bytes);
    return (await this.until(count))[count - 1]!;
  }

  #data(text: string): void {
    this.#rest += text;
    for (;;) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) break;
      const head = this.#rest.slice(0, end);
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (this.#rest.length < end + 4 + length) break;
      const id = /^x-request-id: (.*)$/im.exec(head)?.[1];
      this.heard.push({
        status: Number(head.slice(9, 12)),
        head,
        id,
        body: this.#rest.slice(end + 4, end + 4 + length),
      });
      this.#rest = this.#rest.slice(end + 4 + length);
    }
    this.#wake();
  }
}

async function figure(name: string): Promise<number> {
  const line = (await metrics.render()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

const early = (): Promise<number> => figure('quoral_http_short_refusals_total');

function request(method: string, id: string, body = ''): string {
  const length = method === 'PUT' ? `Content-Length: ${body.length}\r\n` : '';
  const head = `${method} /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${length}\r\n`;
  return method === 'PUT' ? head + body : head;
}

test('from the second on they are turned away ahead of the parser, in the same words', async () => {
  const talk = new Talk();
  const heard: Heard[] = [];
  for (let i = 0; i < 6; i++) heard.push(await talk.ask(request(i % 2 === 0 ? 'GET' : 'PUT', 'same', 'v')));
  expect(await early()).toBe(5);
  const plain = ({ head, body }: Heard): string => head.replace(/^date: .*$/im, '').toLowerCase() + body;
  for (let i = 2; i < 6; i++) expect(plain(heard[i]!)).toBe(plain(heard[i % 2]!));
  expect(heard[5]!.head).toMatch(/^retry-after: 1$/im);
  expect(heard[5]!.head).toMatch(/^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/im);
  settings.requestsMax = 10;
  expect(await talk.ask(request('PUT', 'in', 'v'))).toMatchObject({ status: 204, id: 'in' });
  expect(await talk.ask(request('GET', 'out'))).toMatchObject({ status: 200, id: 'out', body: 'v' });
});

test('what is admitted is finished while the others are turned away at once', async () => {
  settings.requestsMax = 4;
  const finish: (() => void)[] = [];
  const services = node.services();
  node.write = (asked) =>
    new Promise<WriteOutcome>((resolve) => {
      finish.push(() => {
        node.write = undefined;
        resolve(services.write(asked));
      });
    });
  const talks = Array.from({ length: 40 }, () => new Talk());
  for (const [i, talk] of talks.entries()) talk.say(request('PUT', `first-${i}`, 'v'));
  const admitted = new Set<Talk>();
  while (talks.filter(({ heard }) => heard.length === 1).length < 36) await sleep(1);
  for (const talk of talks) if (talk.heard.length === 0) admitted.add(talk);
  const refused = talks.filter((talk) => !admitted.has(talk));
  for (let round = 2; round <= 4; round++) {
    for (const talk of refused) talk.say(request('GET', `again-${round}`));
    for (const talk of refused) await talk.until(round);
  }
  for (const { heard } of refused) {
    expect(heard.map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    for (const { head } of heard) expect(head).toMatch(/^retry-after: 1$/im);
  }
  expect(admitted.size).toBe(4);
  expect(finish).toHaveLength(4);
  for (const each of finish) each();
  for (const talk of admitted) expect((await talk.until(1))[0]).toMatchObject({ status: 204 });
});

/** Requests cut anywhere, sent ahead of each other or not, while there is room now and then. */
test('every request gets its own answer, in its turn, however the bytes come', async () => {
  const kinds = fc.constantFrom('GET', 'PUT', 'GET', 'PUT', 'PUT in chunks', 'DELETE', 'livez');
  const step = fc.record({
    kind: kinds,
    // A body that looks like a request must never be taken for one.
    body: fc.constantFrom('', 'v', request('GET', 'in-a-body'), `\r\n${request('GET', 'in-a-body')}`),
    cuts: fc.oneof(fc.constant<number[]>([]), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 2 })),
    waits: fc.constantFrom(true, true, false),
    room: fc.constantFrom(false, false, true),
  });
  let number = 0;
  const before = await early();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
      const talk = new Talk();
      const ids: string[] = [];
      for (const { kind, body, cuts, waits, room } of steps) {
        settings.requestsMax = room ? 100 : 0;
        const id = `id-${number++}`;
        ids.push(id);
        const bytes = bytesOf(kind, id, body);
        const places = [
          0,
          ...cuts.map((cut) => Math.floor(cut * bytes.length)).toSorted((a, b) => a - b),
          bytes.length,
        ];
        for (let i = 1; i < places.length; i++) {
          talk.say(bytes.slice(places[i - 1], places[i]));
          if (i + 1 < places.length) await sleep(1);
        }
        if (waits) await talk.until(ids.length);
      }
      const heard = await talk.until(ids.length);
      expect(heard.map(({ id }) => id)).toEqual(ids);
      for (const { status } of heard) expect([200, 204, 404, 429]).toContain(status);
      talk.socket.destroy();
    }),
    { numRuns: 60 },
  );
  expect(await early()).toBeGreaterThan(before + 20);
}, 60_000);

function bytesOf(kind: string, id: string, body: string): string {
  switch (kind) {
    case 'PUT in chunks': {
      const chunks = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
      const head = `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      return `${head}${chunks}0\r\n\r\n`;
    }
    case 'livez':
      return request('GET', id).replace('/v1/kv/b/k', '/livez');
    default:
      return request(kind, id, kind === 'PUT' ? body : '');
  }
}

/** Repeats at once what is turned away, until that is too much. */
async function untilHeld(talk: Talk): Promise<number> {
  for (let i = 0; i < REFUSALS_SAVED_MAX; i++) await talk.ask(request('GET', `at-once-${i}`));
  expect(await figure('quoral_http_connections_held')).toBe(1);
  return REFUSALS_SAVED_MAX;
}

test('when nothing but refusals is done, connections wait a while after their answer', async () => {
  frozenAt = 1000;
  const impatient = new Talk();
  const asked = await untilHeld(impatient);
  expect(await figure('quoral_http_holds_total')).toBe(1);
  impatient.say(request('GET', 'held'));
  // The first answer on a connection comes from the parser, which leaves none alone.
  const other = new Talk();
  for (let i = 0; i < 2; i++) expect(await other.ask(request('GET', `other-${i}`))).toMatchObject({ status: 429 });
  expect(await figure('quoral_http_connections_held')).toBe(2);
  expect(impatient.heard).toHaveLength(asked);
  // It is answered all the same, when its time has come.
  frozenAt += settings.repeatPauseMs;
  expect((await impatient.until(asked + 1)).at(-1)).toMatchObject({ status: 429, id: 'held' });
  settings.requestsMax = 10;
  expect(await impatient.ask(request('PUT', 'in', 'v'))).toMatchObject({ status: 204, id: 'in' });
  expect(await figure('quoral_http_connections_held')).toBe(0);
});

test('a door that closes leaves nobody alone', async () => {
  frozenAt = 1000;
  const talk = new Talk();
  const asked = await untilHeld(talk);
  talk.say(request('GET', 'held'));
  await sleep(10);
  expect(talk.heard).toHaveLength(asked);
  const closed = server.close(2000, 100);
  expect((await talk.until(asked + 1)).at(-1)).toMatchObject({ status: 429, id: 'held' });
  await closed;
  server = await startServer(createApp(node.services()), node.services(), { host: '127.0.0.1', port: 0 });
});

test('mistakes and tunnels on such a connection are answered as anywhere', async () => {
  for (const [bytes, status] of [
    ['CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\nGET /v1/kv/b/k HTTP/1.1\r\n\r\n', 405],
    ['GET /v1/kv/b/k HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    [request('GET', 'last').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), 429],
  ] as const) {
    const talk = new Talk();
    for (let i = 0; i < 4; i++) await talk.ask(request('GET', `before-${i}`));
    expect((await talk.ask(bytes)).status).toBe(status);
    talk.say(request('GET', 'behind'));
    expect(await talk.until(6)).toHaveLength(5);
  }
});
