/** More clients than the door holds: each is told so, or counted; who is let in already goes on. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import type { ApiServices } from '#api/services.ts';
import { StubNode } from './stub-services.ts';

const MAX = 4;
/** What may be told is a quarter of it. */
const TOLD = 1;

let node: StubNode;
let services: ApiServices;
let server: HttpServer;
let sockets: Socket[];

beforeEach(async () => {
  node = new StubNode();
  services = node.services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0, maxConnections: MAX });
  sockets = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close(0);
});

async function opened(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** The first bytes that come back; empty when the connection ends without any. */
async function ask(socket: Socket, request: string): Promise<string> {
  const heard = new Promise<string>((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    socket.once('close', () => resolve(''));
  });
  socket.write(`${request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
  return heard;
}

async function full(): Promise<Socket[]> {
  const clients: Socket[] = [];
  while (clients.length < MAX) {
    const client = await opened();
    expect(await ask(client, 'GET /livez')).toMatch(/^HTTP\/1.1 200/);
    clients.push(client);
  }
  return clients;
}

test('a client too many gets 429 and its connection ends; those that are in go on', async () => {
  const clients = await full();
  const late = await opened();
  const answer = await ask(late, 'GET /v1/kv/b/k');
  expect(answer).toMatch(
    /^HTTP\/1.1 429 [^]*retry-after: [^]*"detail":"this node holds 4 connections of clients, and all are in use"/i,
  );
  expect(answer).toMatch(/connection: close/i);
  if (!late.closed) await once(late, 'close');
  for (const [request, outcome] of [
    ['PUT /v1/kv/b/k', 'not-applied'],
    ['POST /v1/batch', 'unknown'],
  ] as const) {
    const writer = await opened();
    expect(await ask(writer, request)).toContain(`"outcome":"${outcome}"`);
    if (!writer.closed) await once(writer, 'close');
  }
  expect(await ask(clients[0]!, 'GET /livez')).toMatch(/^HTTP\/1.1 200/);
});

test('whoever looks whether the node is well is answered, and one that leaves makes room', async () => {
  const clients = await full();
  const probe = await opened();
  expect(await ask(probe, 'GET /livez')).toMatch(/^HTTP\/1.1 200/);
  for (const socket of [probe, clients[0]!]) {
    socket.destroy();
    await once(socket, 'close');
  }
  await expect
    .poll(async () => await ask(await opened(), 'GET /v1/buckets'), { timeout: 5000 })
    .toMatch(/^HTTP\/1.1 200/);
});

test('what is beyond those that can be told is cut, and all are counted', async () => {
  await full();
  for (let i = 0; i < TOLD; i++) await opened();
  expect(await ask(await opened(), 'GET /livez')).toBe('');
  await expect(services.metrics.render()).resolves.toContain(`quoral_http_connections_refused_total ${TOLD + 1}\n`);
  expect(node.logged.map(({ event }) => event)).toEqual(['connections-refused']);
});
