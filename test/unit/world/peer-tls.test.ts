/**
 * Mutual TLS between peer doors: who gets in, who does not, and what both sides say about it.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { handshakeTrouble } from '#world/real/tls.ts';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { Certificates } from '#world/real/certificates.ts';
import { realClock } from '#world/real/clock.ts';
import { createNetwork } from '#world/real/network.ts';
import type { Connection, Listener, Log, Network } from '#world/world.ts';
import { Authority, writePair, type Wanted } from '../../authority.ts';
import { halfHandshake } from '../../half-handshake.ts';
import { until } from '../../until.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const ours = new Authority('ours');
const theirs = new Authority('theirs');

let directory: string;
let listener: Listener;
let accepted: Connection[];
let received: string[];
let logged: string[];
let server: Certificates;
const opened: Certificates[] = [];

const note = (event: string, fields?: unknown): void => void logged.push(`${event} ${JSON.stringify(fields)}`);
const log: Log = { debug: note, info: note, warn: note, error: note };
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-peer-tls-'));
});
afterAll(() => {
  for (const certificates of opened) certificates.close();
  rmSync(directory, { recursive: true });
});

function certificatesFor(name: string, wanted: Wanted, by = ours, trusts = ours): Certificates {
  const certificates = Certificates.open({
    door: 'peer',
    files: writePair(directory, name, by.sign(wanted), trusts.pem),
    reloadInterval: DAY_MS,
    expiryWarning: 0,
    clock: realClock(),
    log: name === 'server' ? log : silent,
  });
  opened.push(certificates);
  return certificates;
}

function network(certificates?: Certificates): Network {
  const options = { listenHost: '127.0.0.1', listenPort: 0, log: certificates === server ? log : silent };
  return createNetwork(certificates === undefined ? options : { ...options, certificates });
}

async function listen(certificates?: Certificates): Promise<void> {
  listener = await network(certificates).listen((connection) => {
    accepted.push(connection);
    return { message: (message) => void received.push(Buffer.from(message).toString()), closed: () => undefined };
  });
}

beforeEach(async () => {
  [accepted, received, logged] = [[], [], []];
  server = certificatesFor('server', { names: ['n1', '127.0.0.1'] });
  await listen(server);
});
afterEach(() => listener.close());

async function dial(certificates?: Certificates): Promise<Connection> {
  let connection!: Connection;
  await network(certificates).connect(listener.address, 'foreground', 2000, (open) => {
    connection = open;
    return { message: () => undefined, closed: () => undefined };
  });
  return connection;
}

function port(): number {
  return Number(listener.address.split(':')[1]);
}

test('two that one authority has signed talk, and each can tell whom the other’s certificate names', async () => {
  const connection = await dial(certificatesFor('client', { names: ['n2', 'two.example'] }));
  connection.send(utf8('hello'));
  await until(() => received.length === 1);
  expect(['n1', '127.0.0.1', 'n2', '127.0.0.2'].map((name) => connection.certifies!(name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  const asked = ['n2', 'two.example', 'TWO.example', 'n1', '127.0.0.1', '.example', 'example', '*.example', ''];
  expect(asked.filter((name) => accepted[0]!.certifies!(name))).toEqual(['n2', 'two.example', 'TWO.example']);
  connection.close('done');
});

test.each([
  ['signed by another authority', () => certificatesFor('client', { names: ['n2'] }, theirs)],
  ['ended', () => certificatesFor('client', { names: ['n2'], days: -1 })],
])('a dialer whose certificate is %s is shown out', async (_name, make) => {
  await expect(dial(make())).rejects.toThrow(/cannot connect to .*(hung up|alert)/);
  await until(() => logged.some((line) => line.includes('tls-handshake-failed')));
  expect(logged.join()).toMatch(/the certificate of the other end is refused|ERR_SSL|CERT/);
  expect(accepted).toEqual([]);
});

test.each([
  [
    'signed by another authority',
    () => certificatesFor('server', { names: ['n1'] }, theirs),
    /none of the authorities in peer-tls-ca has signed its certificate \((UNABLE_TO_VERIFY|SELF_SIGNED)/,
  ],
  ['ended', () => certificatesFor('server', { names: ['n1'], days: -1 }), /CERT_HAS_EXPIRED/],
])('a door whose certificate is %s is not entered', async (_name, make, reason) => {
  await listener.close();
  await listen(make());
  await expect(dial(certificatesFor('client', { names: ['n2'] }))).rejects.toThrow(reason);
  expect(accepted).toEqual([]);
});

test('a visitor without a certificate is shown out', async () => {
  const socket = connectTls({ host: '127.0.0.1', port: port(), rejectUnauthorized: false });
  await new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
  expect(logged.join()).toContain('the other end shows no certificate');
});

test('one that never comes to the end of the handshake is told of in words', () => {
  const error = Object.assign(new Error('timeout'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
  expect(handshakeTrouble(error, new TLSSocket(new PassThrough()))).toBe(
    'the other end did not come to the end of the handshake in time',
  );
});

test('one that does not end the handshake is not waited for when the door closes, and nothing is told of it', async () => {
  const half = await halfHandshake(port());
  const closed = listener.close();
  await once(half, 'close');
  await closed;
  expect(logged.join()).not.toContain('tls-handshake-failed');
});

test('TLS older than 1.3 is not spoken', async () => {
  const { cert, key } = certificatesFor('client', { names: ['n2'] }).pair();
  const socket = connectTls({ host: '127.0.0.1', port: port(), cert, key, ca: ours.pem, maxVersion: 'TLSv1.2' });
  await expect(once(socket, 'secureConnect')).rejects.toThrow(/protocol version/i);
});

test('plain HTTP at a TLS door, dialed and by hand', async () => {
  await expect(dial()).rejects.toThrow(/it hung up .*may want TLS/);
  const socket = connectTcp(port(), '127.0.0.1').on('error', () => undefined);
  socket.write('GET /peer HTTP/1.1\r\nhost: a\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
  await until(() => logged.some((line) => line.includes('speaks plain HTTP')));
});

test('TLS at a plain door: both sides say so', async () => {
  await listener.close();
  listener = await createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log }).listen(() => expect.unreachable());
  await expect(dial(server)).rejects.toThrow(/it does not speak TLS/);
  await until(() => logged.some((line) => line.includes('it speaks TLS, and this door does not')));
});

test('renewed while connections stand: they go on, and the next handshake sees the new certificate', async () => {
  const client = certificatesFor('client', { names: ['n2'] });
  const before = await dial(client);
  writePair(directory, 'server', ours.sign({ names: ['n1-renewed'] }), ours.pem);
  await server.reload();
  const after = await dial(client);
  expect([before, after].map(({ certifies }) => certifies!('n1-renewed'))).toEqual([false, true]);
  before.send(utf8('still here'));
  after.send(utf8('new here'));
  await until(() => received.length === 2);
  before.close('done');
  after.close('done');
});

test('an authority taken out of the file lets nobody in any more', async () => {
  const client = certificatesFor('client', { names: ['n2'] });
  (await dial(client)).close('done');
  writePair(directory, 'server', ours.sign({ names: ['n1'] }), theirs.pem);
  await server.reload();
  await expect(dial(client)).rejects.toThrow('cannot connect');
});

test('garbage instead of a handshake hurts nobody', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.boolean(), async (garbage, looksLikeTls) => {
      const socket = connectTcp(port(), '127.0.0.1').on('error', () => undefined);
      socket.end(looksLikeTls ? Buffer.concat([Buffer.from('160301', 'hex'), garbage]) : garbage);
      socket.resume();
      await once(socket, 'close');
    }),
    { numRuns: 30 },
  );
  (await dial(certificatesFor('client', { names: ['n2'] }))).close('done');
});
