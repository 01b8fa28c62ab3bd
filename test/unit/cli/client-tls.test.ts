/**
 * How the verbs reach an https node that wants to know its clients.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import { ask } from '#cli/client.ts';
import { dispatcherFor } from '#cli/client-tls.ts';
import { Authority, writePair, type Files } from '../../authority.ts';
import { StubNode } from '../api/stub-services.ts';

const authority = new Authority('of these tests');
let directory: string;
let files: Files;
let server: HttpServer;
let url: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-client-tls-'));
  files = writePair(directory, 'client', authority.sign({ names: ['app'] }), authority.pem);
  const pair = authority.sign({ names: ['127.0.0.1'] });
  const services = new StubNode().services();
  server = await startServer(createApp(services), services, {
    host: '127.0.0.1',
    port: 0,
    tls: {
      pair: () => ({ ...pair, ca: [authority.pem] }),
      mutual: true,
      onChange: () => undefined,
      handshakeFailed: () => undefined,
    },
  });
  url = `https://127.0.0.1:${server.port}`;
});

afterAll(async () => {
  await server.close(0);
  rmSync(directory, { recursive: true });
});

test('with an authority and a certificate', async () => {
  const { status } = await ask({ url, ca: files.ca, cert: files.cert, certKey: files.key }, '/livez');
  expect(status).toBe(200);
});

test('without one of them: one line that says what would help', async () => {
  await expect(ask({ url, cert: files.cert, certKey: files.key }, '/livez')).rejects.toThrow(
    /^no answer from https:.*--ca or QUORAL_CA names the file/,
  );
  await expect(ask({ url, ca: files.ca }, '/livez')).rejects.toThrow(/^no answer from https:/);
});

test('plain http to an https node', async () => {
  await expect(ask({ url: url.replace('https', 'http') }, '/livez')).rejects.toThrow(
    /^no answer from http:.*\(does it speak https\?/,
  );
});

test('files that do not fit together or cannot be read', () => {
  expect(() => dispatcherFor({ cert: files.cert })).toThrow('--cert and --cert-key belong together');
  expect(() => dispatcherFor({ certKey: files.key })).toThrow('--cert and --cert-key belong together');
  expect(() => dispatcherFor({ ca: '/absent' })).toThrow('--ca or QUORAL_CA: /absent cannot be read (ENOENT)');
  expect(() => dispatcherFor({ ca: files.key })).toThrow(
    `--ca or QUORAL_CA: ${files.key} holds no certificate in PEM form`,
  );
  expect(dispatcherFor({})).toBeUndefined();
});
