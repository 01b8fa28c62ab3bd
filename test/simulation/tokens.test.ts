/**
 * Tokens as facts of the whole cluster: what one node was told holds at the others, a node that is cut off goes on with
 * what it knows and learns better afterwards, and one that was down does not act for a token that was revoked meanwhile.
 */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';

const NODES = ['n1', 'n2', 'n3'] as const;

async function founded(seed: string): Promise<SimulatedCluster> {
  return SimulatedCluster.founded({ seed, nodes: 3 });
}

async function create(cluster: SimulatedCluster, id: string, name: string): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name, scopes: ['admin'] });
  const answer = await cluster.request(id, 'POST', '/v1/tokens', { headers, body });
  const text = new TextDecoder().decode(answer.body);
  expect(answer.status, text).toBe(201);
  return (JSON.parse(text) as { token: string }).token;
}

async function revoke(cluster: SimulatedCluster, id: string, name: string): Promise<number> {
  return (await cluster.request(id, 'DELETE', `/v1/tokens/${name}`)).status;
}

function accepts(cluster: SimulatedCluster, token: string): Record<string, boolean> {
  const running = NODES.filter((id) => cluster.machine(id).running !== undefined);
  return Object.fromEntries(
    running.map((id) => [id, typeof cluster.running(id).node.tokens.authenticate(token) !== 'string']),
  );
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

test('created at one node it works at all, revoked at another at none, by the time of the answer', async () => {
  const cluster = await founded('at once');
  const token = await create(cluster, 'n1', 'app');
  expect(accepts(cluster, token)).toEqual({ n1: true, n2: true, n3: true });
  expect(await revoke(cluster, 'n3', 'app')).toBe(204);
  expect(accepts(cluster, token)).toEqual({ n1: false, n2: false, n3: false });
  expect(await revoke(cluster, 'n2', 'app')).toBe(404);
});

test('a node that is cut off learns of a revocation when it is back, and cannot make tokens meanwhile', async () => {
  const cluster = await founded('cut off');
  const token = await create(cluster, 'n1', 'app');
  for (const other of ['n1', 'n2']) cluster.network.partition(cluster.machine('n3').host, cluster.machine(other).host);
  await pass(cluster, 6000);
  expect(await revoke(cluster, 'n1', 'app')).toBe(204);
  expect(accepts(cluster, token)).toEqual({ n1: false, n2: false, n3: true });
  const headers = { 'content-type': 'application/json' };
  const alone = await cluster.request('n3', 'POST', '/v1/tokens', { headers, body: '{"name":"x","scopes":["read"]}' });
  expect(alone.status).toBe(503);
  cluster.network.clearFaults();
  await pass(cluster, 10_000);
  expect(accepts(cluster, token)).toEqual({ n1: false, n2: false, n3: false });
});

test('a node that was down has learnt of a revocation when it is ready', async () => {
  const cluster = await founded('down');
  const token = await create(cluster, 'n1', 'app');
  cluster.crash(cluster.machine('n3'));
  await pass(cluster, 6000);
  expect(await revoke(cluster, 'n1', 'app')).toBe(204);
  await cluster.restart('n3');
  expect(accepts(cluster, token)).toEqual({ n1: false, n2: false, n3: false });
});

test('tokens and buckets change beside each other, whoever proposes', async () => {
  const cluster = await founded('beside');
  const { simulation } = cluster;
  const headers = { 'content-type': 'application/json' };
  const changes = NODES.flatMap((id, i) => [
    cluster.running(id).api('PUT', `/v1/buckets/b${i}`, headers, new TextEncoder().encode(`{"n":${i + 1}}`)),
    cluster
      .running(id)
      .api('POST', '/v1/tokens', headers, new TextEncoder().encode(`{"name":"t${i}","scopes":["read"]}`)),
  ]);
  const answers = await simulation.settle(Promise.all(changes));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 201, 201, 201]);
  await pass(cluster, 2000);
  for (const id of NODES) {
    const facts = cluster.running(id).node.chain.facts()!;
    expect(facts.tokens.map(({ name }) => name)).toEqual(['t0', 't1', 't2']);
    expect(facts.buckets.map(({ name }) => name)).toEqual(['b0', 'b1', 'b2']);
  }
});
