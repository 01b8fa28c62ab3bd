/**
 * `quoral cluster`, with TLS from the environment: what it says, what it writes, what it survives and how it ends.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { afterAll, expect, test } from 'vitest';
import { Authority, writePair } from '../authority.ts';
import { freeBase } from './ports.ts';
import { http, MAIN, runQuoral, temporaryDirectory } from './support.ts';

/** As `npm start` runs it: other tests run what is made of the sources. */
const SOURCES = new URL('../../src/main.ts', import.meta.url).pathname;
const authority = new Authority('of a local cluster');
const directory = temporaryDirectory();
const { cert, key, ca } = writePair(
  join(directory, 'tls'),
  'all',
  authority.sign({ names: ['127.0.0.1'] }),
  authority.pem,
);
const ENVIRONMENT = {
  QUORAL_TLS_CERT: cert,
  QUORAL_TLS_KEY: key,
  QUORAL_PEER_TLS_CERT: cert,
  QUORAL_PEER_TLS_KEY: key,
  QUORAL_PEER_TLS_CA: ca,
  QUORAL_CA: ca,
};

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
}

let running: Running | undefined;
const begun: ChildProcess[] = [];

afterAll(() => {
  // Its nodes end when their channel to it does.
  for (const child of begun) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Starts a cluster of so many nodes, and gives the port of the first one. */
async function start(main: string, count: number, flags: readonly string[], data: string): Promise<number> {
  const basePort = await freeBase(Array.from({ length: count }, (_, i) => [i, 100 + i]).flat());
  const layout = ['--nodes', String(count), '--base-port', String(basePort), '--data-dir', join(directory, data)];
  const child = spawn(process.execPath, [main, 'cluster', ...layout, ...flags], {
    env: { ...process.env, ...ENVIRONMENT },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  running = { child, output: () => output };
  begun.push(child);
  // The last line that it says by itself.
  while (!/cluster ready[^]*\ntry: .*\n/.test(output)) {
    if (child.exitCode !== null) throw new Error(`no cluster: ${output}`);
    await sleep(25);
  }
  return basePort;
}

test('three nodes over TLS: ready when all serve, goes on without one, ends with all', async () => {
  const basePort = await start(SOURCES, 3, [], 'data');
  const { child, output } = running!;
  const dispatcher = new Agent({ connect: { ca: authority.pem } });
  try {
    const { nodes } = JSON.parse(readFileSync(join(directory, 'data', 'cluster.json'), 'utf8')) as {
      nodes: { id: string; pid: number; url: string; peer: string }[];
    };
    expect(nodes.map(({ id, url }) => [id, url])).toEqual(
      [0, 1, 2].map((i) => [`n${i + 1}`, `https://127.0.0.1:${basePort + i}`]),
    );
    for (const { id, url } of nodes) expect(output()).toContain(`${id} serves on ${url} `);
    expect(output()).toContain(`try: curl -i --cacert ${ca} -X PUT`);
    const url = (i: number): string => `${nodes[i]!.url}/v1/kv/demo/greeting`;
    expect((await http('PUT', url(0), { body: 'hello', dispatcher })).status).toBe(204);
    process.kill(nodes[1]!.pid, 'SIGKILL');
    while (!output().includes('n2 stopped (signal SIGKILL)')) await sleep(25);
    expect((await http('GET', url(2), { dispatcher })).body.toString()).toBe('hello');
    // Made from TypeScript then and there, of which Node.js warns at stderr.
    expect((await http('GET', `${nodes[0]!.url}/ui/`, { dispatcher })).status).toBe(200);
  } finally {
    await dispatcher.close();
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  child.kill('SIGINT');
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(output()).toMatch(/\nstopping\n/);
  for (const id of ['n1', 'n3']) expect(output()).toContain(`${id} stopped (exit status 0)\n`);
  expect(output(), 'two signals that come together are one act').not.toContain('at once');
});

test('several nodes a host: replicas stand in as many zones as there are', async () => {
  const basePort = await start(MAIN, 4, ['--zones', '2'], 'zones');
  const dispatcher = new Agent({ connect: { ca: authority.pem } });
  const { body } = await http('GET', `https://127.0.0.1:${basePort}/v1/ring`, { dispatcher });
  await dispatcher.close();
  const { members, placements } = JSON.parse(body.toString()) as {
    members: { id: string; zone: string }[];
    placements: Record<string, string[][]>;
  };
  const zones = Object.fromEntries(members.map(({ id, zone }) => [id, zone]));
  expect(zones).toEqual({ n1: 'z1', n2: 'z2', n3: 'z1', n4: 'z2' });
  const spread = placements['3']!.map((owners) => new Set(owners.map((id) => zones[id])).size);
  expect(new Set(spread)).toEqual(new Set([2]));
  const { child } = running!;
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test.each(['', '{}', '{"nodes":[{}]}'])(
  'a list of nodes that says nothing (%j) is met with one line that names it and what to do',
  async (content) => {
    const data = join(directory, 'no-list');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'cluster.json'), content);
    const { status, stderr } = await runQuoral(['cluster', '--data-dir', data]);
    expect(status).toBe(1);
    expect(stderr.trim().split('\n'), stderr).toHaveLength(1);
    expect(stderr).toMatch(/no-list\/cluster\.json does not say which nodes the cluster has \(.*\); delete it/);
  },
);
