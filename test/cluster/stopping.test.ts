/**
 * How a real node ends: what it still does after SIGTERM, what it says, and what a second signal does.
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PATIENCE_MS, TestCluster } from './support.ts';

/** Longer than the time within which signals count as one act. */
const LATER_MS = 700;

let cluster: TestCluster;

async function start(count: number, flags: readonly string[] = []): Promise<void> {
  cluster = await TestCluster.start(count, flags);
}

beforeEach(() => {
  cluster = undefined as unknown as TestCluster;
});
afterEach(() => cluster?.stop());

function connectTo(id: string): Socket {
  return connect(Number(new URL(cluster.url(id)).port), '127.0.0.1').on('error', () => undefined);
}

function exitOf(id: string): Promise<number | null> {
  const { process: child } = cluster.nodes.get(id)!;
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

async function read(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, 'close');
  return text;
}

async function refused(id: string): Promise<boolean> {
  const socket = connect(Number(new URL(cluster.url(id)).port), '127.0.0.1');
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => false),
    new Promise<boolean>((resolve) => socket.once('error', () => resolve(true))),
  ]).catch(() => true);
  socket.destroy();
  return outcome;
}

test('a request under way is finished, its connection ends, nothing new is taken, the others are told', async () => {
  await start(3);
  const upload = connectTo('n1');
  upload.write('PUT /v1/kv/b/k?w=all HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234');
  const idle = connectTo('n1');
  await Promise.all([once(upload, 'connect'), once(idle, 'connect')]);
  // What was written has surely been read when a later request on another connection is answered.
  idle.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(idle, 'data');
  const ended = exitOf('n1');
  cluster.nodes.get('n1')!.process.kill('SIGTERM');
  while (!(await refused('n1'))) await sleep(5);
  while (!cluster.nodes.get('n2')!.stdout().includes('"peer-stopping"')) await sleep(5);
  idle.write('GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await read(idle)).toMatch(/^HTTP\/1\.1 503 .*connection: close.*"detail":"stopping"/is);
  upload.write('56789');
  expect(await read(upload)).toMatch(/^HTTP\/1\.1 204 .*connection: close/is);
  expect(await ended).toBe(0);
  expect(cluster.nodes.get('n1')!.stdout()).toContain('node-stopped');
  cluster.startNode('n1');
  await cluster.ready(['n1']);
});

test('a node whose parent goes while it is being loaded ends', async () => {
  cluster = await TestCluster.prepare(1);
  const { process: child } = cluster.startNode('n1');
  child.disconnect();
  await once(child, 'exit');
});

test('signals that mean something else reach a node that is still being started, and it goes on', async () => {
  cluster = await TestCluster.prepare(1);
  const secret = join(cluster.directory, 'secret');
  execFileSync('mkfifo', [secret]);
  const { process: child, stdout } = cluster.startNode('n1', ['--cluster-secret-file', secret]);
  // The node waits for its secret, with the disk not opened yet, when this can be written.
  const writing = await open(secret, 'w');
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) child.kill(signal);
  await writing.writeFile('a secret of this test');
  await writing.close();
  await cluster.ready();
  const ignored = stdout()
    .split('\n')
    .filter((line) => line.includes('signal-ignored'))
    .map((line) => (JSON.parse(line) as { readonly signal: string }).signal);
  expect(ignored.toSorted()).toEqual(['SIGHUP', 'SIGUSR1', 'SIGUSR2']);
});

test('signals that mean nothing change nothing; lingering: load balancers see 503, and requests are served as before', async () => {
  await start(1, ['--stop-linger', '4s']);
  const ended = exitOf('n1');
  const { process: child, stdout, stderr } = cluster.nodes.get('n1')!;
  child.kill('SIGUSR1');
  child.kill('SIGUSR2');
  child.kill('SIGHUP');
  await expect.poll(() => stdout().match(/"signal-ignored"/g)?.length, { timeout: PATIENCE_MS }).toBe(3);
  expect(stderr()).not.toContain('Debugger');
  cluster.nodes.get('n1')!.process.kill('SIGTERM');
  while (await cluster.isReady('n1')) await sleep(5);
  const client = new Client(cluster.url('n1'));
  const answer = await client.request({ method: 'PUT', path: '/v1/kv/b/k', body: 'x' });
  expect([answer.statusCode, answer.headers['connection']]).toEqual([204, 'keep-alive']);
  await answer.body.dump();
  await client.close();
  expect(await ended).toBe(0);
});

test('a second signal ends the node at once, with a line that says so; one that comes with the first does not', async () => {
  await start(1, ['--stop-linger', '60s']);
  const { process: child, stderr } = cluster.nodes.get('n1')!;
  const ended = exitOf('n1');
  child.kill('SIGTERM');
  child.kill('SIGINT');
  while (await cluster.isReady('n1')) await sleep(5);
  await sleep(LATER_MS);
  expect(child.exitCode).toBeNull();
  child.kill('SIGINT');
  expect(await ended).toBe(1);
  expect(stderr()).toMatch(
    /^quoral: SIGINT during the stop that SIG(TERM|INT) asked for: ending at once, requests under way are cut\n$/,
  );
});
