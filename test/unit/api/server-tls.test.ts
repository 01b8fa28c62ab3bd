/**
 * The client door with TLS, over real sockets.
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import type { DoorTls } from '#api/server-tls.ts';
import { Authority, writePair, type Pair } from '../../authority.ts';
import { halfHandshake } from '../../half-handshake.ts';
import { StubNode } from './stub-services.ts';

const ours = new Authority('ours');
const theirs = new Authority('theirs');

let directory: string;
let node: StubNode;
let server: HttpServer;
let failures: string[];
let change: () => void;
let served: Pair;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-server-tls-'));
});
afterEach(async () => {
  await server.close(0);
  rmSync(directory, { recursive: true });
});

async function open(clients?: Authority): Promise<void> {
  // A late failure of a former door must not be taken for one of this.
  const mine: string[] = [];
  failures = mine;
  served = ours.sign({ names: ['localhost', '127.0.0.1'] });
  const tls: DoorTls = {
    pair: () => ({ ...served, ...(clients === undefined ? {} : { ca: [clients.pem] }) }),
    mutual: clients !== undefined,
    onChange: (listener) => (change = listener),
    handshakeFailed: (error, socket) => {
      const unauthorized: unknown = socket.authorizationError;
      mine.push(String(unauthorized ?? ('code' in error ? error.code : error)));
    },
  };
  node = new StubNode();
  const services = node.services();
  server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0, tls });
}

async function knock(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, ca: ours.pem, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** The status line of an answer on a connection that stays. */
async function ask(socket: TLSSocket, target = '/livez'): Promise<string> {
  socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString().split('\r\n')[0]!;
}

/** What a client that may be shown out is told over HTTP before the connection ends. */
async function answerTo(options: ConnectionOptions): Promise<string> {
  let text = '';
  const socket = connect({ host: '127.0.0.1', port: server.port, ca: ours.pem, ...options });
  socket.on('secureConnect', () => socket.write('GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'));
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
  return text;
}

describe('who gets in', () => {
  test('whoever trusts the authority, with TLS 1.3 and 1.2 and nothing older', async () => {
    await open();
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const socket = await knock({ maxVersion });
      expect([await ask(socket), socket.getProtocol()]).toEqual(['HTTP/1.1 200 OK', maxVersion]);
      socket.destroy();
    }
    await expect(knock({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' })).rejects.toThrow(
      /protocol version/i,
    );
  });

  test('a client that trusts another authority, or wants another name, does not come in', async () => {
    await open();
    await expect(knock({ ca: theirs.pem })).rejects.toThrow(/unable to verify|self.signed|unable to get/i);
    await expect(knock({ servername: 'elsewhere.example' })).rejects.toThrow(/altnames/);
  });

  test('an ended certificate is seen by the client', async () => {
    await open();
    served = ours.sign({ names: ['127.0.0.1'], days: -1 });
    change();
    await expect(knock()).rejects.toThrow(/expired/);
  });

  test('where clients must show a certificate: the right one, none, a stranger’s, an ended one', async () => {
    await open(theirs);
    const socket = await knock(theirs.sign({ names: ['app'] }));
    expect(await ask(socket)).toBe('HTTP/1.1 200 OK');
    socket.destroy();
    for (const shown of [{}, ours.sign({ names: ['app'] }), theirs.sign({ names: ['app'], days: -1 })]) {
      expect(await answerTo(shown)).toBe('');
    }
    expect(failures).toEqual([
      'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
      expect.stringMatching(/UNABLE_TO|SELF_SIGNED/),
      'CERT_HAS_EXPIRED',
    ]);
  });

  test('plain HTTP at a TLS door is shown out; the others are served on', async () => {
    await open();
    const socket = connectTcp(server.port, '127.0.0.1').on('error', () => undefined);
    socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(failures).toEqual(['ERR_SSL_HTTP_REQUEST']);
    const good = await knock();
    expect(await ask(good)).toBe('HTTP/1.1 200 OK');
    good.destroy();
  });

  test('TLS at a plain door fails at the client', async () => {
    const services = new StubNode().services();
    server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
    await expect(knock()).rejects.toThrow(/wrong version number|packet length too long/);
  });
});

test('connections on which nothing has ever come, with or without a handshake, do not hold the door open', async () => {
  await open();
  const silent = [connectTcp(server.port, '127.0.0.1'), await knock()];
  await ask(await knock());
  let told = '';
  for (const socket of silent) socket.on('data', (chunk: Buffer) => (told += chunk.toString()));
  const ended = silent.map((socket) => once(socket, 'close'));
  await server.close(60_000, 1);
  await Promise.all(ended);
  // Neither after so long that nobody waits for a request, or for a handshake, any more.
  expect([told, failures]).toEqual(['', []]);
});

test('a handshake that its client does not end is not waited for when the door closes', async () => {
  await open();
  const half = await halfHandshake(server.port);
  const closed = server.close(8000, 1);
  await once(half, 'close');
  await closed;
  // Nothing was left to cut at the end of the time that requests get; and that it was broken off says nothing of the client.
  expect([node.logged.map(({ event }) => event), failures]).toEqual([[], []]);
});

test('renewed while a connection stands: it goes on, and the next handshake sees the new certificate', async () => {
  await open();
  writePair(directory, 'door', served, ours.pem);
  const before = await knock();
  const former = before.getPeerX509Certificate()!.fingerprint256;
  const session = new Promise<Buffer>((resolve) => before.once('session', resolve));
  expect(await ask(before)).toBe('HTTP/1.1 200 OK');
  served = ours.sign({ names: ['127.0.0.1'] });
  change();
  const after = await knock({ session: await session });
  expect(after.isSessionReused()).toBe(false);
  expect(after.getPeerX509Certificate()!.fingerprint256).not.toBe(former);
  expect([await ask(before), await ask(after)]).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK']);
  before.destroy();
  after.destroy();
});
