/** Clients that send more than they should, or promise what they do not send: what they cost is bounded, and others do not pay for it. */

import { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { MAX_PIPELINED } from '#api/server-connections.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import type { ReadOutcome } from '#coordinator/requests.ts';
import { agreed, StubNode } from './stub-services.ts';
import { until } from '../../until.ts';

let node: StubNode;
let server: HttpServer;
const open: Socket[] = [];

beforeEach(async () => {
  node = new StubNode();
  node.settings = { ...node.settings, valueMaxBytes: 1000, bodiesMaxBytes: 3000 };
  const services = node.services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await server.close(0);
});

class Talk {
  readonly socket: Socket = connect({ port: server.port, host: '127.0.0.1', noDelay: true });
  text = '';
  closed = false;

  constructor(...first: readonly string[]) {
    open.push(this.socket);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => (this.text += chunk.toString('latin1')));
    this.socket.on('close', () => (this.closed = true));
    for (const text of first) this.socket.write(text, 'latin1');
  }

  get statuses(): readonly number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
  }

  async write(text: string): Promise<void> {
    if (!this.socket.write(text, 'latin1')) await new Promise((resolve) => this.socket.once('drain', resolve));
  }
}

const GET = 'GET /v1/kv/b/none HTTP/1.1\r\nHost: x\r\n\r\n';
const CHUNKED = 'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
const put = (length: number): string => `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

test.each([
  ['more requests than may be sent ahead', GET, 429],
  ['what is no request', 'nonsense\r\n\r\n', 400],
])('of %s nothing is kept while the first one waits', async (_, flood, last) => {
  let answer = (): void => undefined;
  node.read = () =>
    new Promise<ReadOutcome>((resolve) => {
      answer = () => {
        node.read = undefined;
        resolve({ kind: 'found', agreement: agreed(2), coordinator: node.services().self, versions: [], context: [] });
      };
    });
  const talk = new Talk(GET);
  await until(() => node.reads.length === 1);
  // More than fits into what the two ends of a connection hold: all but that has been read.
  const part = flood.repeat(1_000_000 / flood.length);
  for (let i = 0; i < 20; i++) await talk.write(part);
  // What came in one piece with the first that was too many.
  expect(queryObjects(IncomingMessage, { format: 'count' })).toBeLessThan(5000);
  answer();
  await until(() => talk.closed);
  const ahead = flood === GET ? MAX_PIPELINED : 1;
  expect(talk.statuses).toEqual([...Array.from({ length: ahead }, () => 404), last]);
});

test('who asks for much and does not read it is cut when that is too much for all, the longest waiting first', async () => {
  await server.close(0);
  const size = 4 * 1024 * 1024;
  node.settings = { ...node.settings, valueMaxBytes: size, bodiesMaxBytes: 2 * size, answersMaxBytes: 5.5 * size };
  const services = node.services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  const figure = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await services.metrics.render())?.[1]);
  const writer = new Talk(put(size), 'v'.repeat(size));
  await until(() => writer.statuses.length === 1);
  const slow: Talk[] = [];
  for (let i = 0; i < 10; i++) {
    const talk = new Talk();
    talk.socket.pause();
    // What the system takes is not the node's.
    talk.socket.write(GET.replace('none', 'k').repeat(4));
    slow.push(talk);
    const isCounted = async (): Promise<boolean> =>
      i < 5
        ? (await figure('quoral_http_unread_bytes')) >= (i + 1) * size
        : (await figure('quoral_http_unread_cuts_total')) === i - 4;
    await until(isCounted);
  }
  expect(await figure('quoral_http_unread_bytes')).toBeLessThanOrEqual(5.5 * size);
  expect(await figure('quoral_http_unread_cuts_total')).toBe(5);
  for (const { socket } of slow) socket.resume();
  // Each look goes through all bytes that have come.
  await until(() => slow.slice(5).every(({ statuses }) => statuses.length === 4), 500);
  await until(() => slow.slice(0, 5).every(({ closed }) => closed));
  expect(slow.slice(5).some(({ closed }) => closed)).toBe(false);
  await until(async () => (await figure('quoral_http_unread_bytes')) === 0);
});

describe('bodies', () => {
  test('take the room that they need, not what they might need', async () => {
    const talks = Array.from({ length: 100 }, () => new Talk(CHUNKED, '1\r\nv\r\n'));
    await sleep(20);
    for (const talk of talks) talk.socket.write('0\r\n\r\n');
    await until(() => talks.every(({ statuses }) => statuses.length === 1));
    expect(new Set(talks.flatMap(({ statuses }) => statuses))).toEqual(new Set([204]));
  });

  test('that are announced and do not come keep no room from others', async () => {
    const slow = Array.from({ length: 10 }, () => new Talk(put(1000), 'v'));
    await sleep(20);
    const other = new Talk(put(1000), 'v'.repeat(1000));
    await until(() => other.statuses.length === 1);
    expect(other.statuses).toEqual([204]);
    for (const talk of slow) talk.socket.write('v'.repeat(99));
    for (const talk of slow) expect(talk.statuses).toEqual([]);
  });

  test('that find no room any more are refused in their midst, and what they had is free again', async () => {
    const most = Array.from({ length: 3 }, () => new Talk(put(1000), 'v'.repeat(990)));
    await sleep(20);
    const one = new Talk(CHUNKED, '10\r\n0123456789abcdef\r\n');
    await sleep(20);
    const announced = new Talk(put(1000));
    await until(() => announced.statuses.length === 1);
    expect(announced.statuses).toEqual([429]);
    one.socket.write(`10\r\n0123456789abcdef\r\n0\r\n\r\n${GET}`);
    await until(() => one.statuses.length === 2);
    expect(one.statuses).toEqual([429, 404]);
    for (const talk of most) talk.socket.write('v'.repeat(10));
    await until(() => most.every(({ statuses }) => statuses.length === 1));
    expect(most.flatMap(({ statuses }) => statuses)).toEqual([204, 204, 204]);
    for (let i = 0; i < 5; i++) {
      const again = new Talk(put(1000), 'v'.repeat(1000));
      await until(() => again.statuses.length === 1);
      expect(again.statuses).toEqual([204]);
    }
  });
});
