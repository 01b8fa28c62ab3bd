/**
 * Three nodes in one process: the first promises of the store, shown with the real coordinator, wire encoding and HTTP
 * layer in the simulated world.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { epoch } from '#kernel/identity.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };

function text(answer: InProcessAnswer): string {
  return new TextDecoder().decode(answer.body);
}

function values(answer: InProcessAnswer): readonly string[] {
  if (answer.status === 404) return [];
  if (answer.status === 200) return [text(answer)];
  expect(answer.status).toBe(300);
  const { siblings } = JSON.parse(text(answer)) as { siblings: { value: string }[] };
  return siblings.map(({ value }) => Buffer.from(value, 'base64').toString()).sort();
}

function cut(cluster: SimulatedCluster, a: string, b: string): void {
  cluster.network.partition(cluster.machine(a).host, cluster.machine(b).host);
}

function heal(cluster: SimulatedCluster): void {
  cluster.network.clearFaults();
}

async function reconnected(cluster: SimulatedCluster): Promise<void> {
  await cluster.simulation.run(() =>
    cluster.machines.every(({ running, id }) =>
      cluster.machines.every((other) => other.id === id || running?.node.messaging.reachable(other.id) === true),
    ),
  );
}

async function defined(cluster: SimulatedCluster, bucket: string, properties: object): Promise<void> {
  const answer = await cluster.request('n1', 'PUT', `/v1/buckets/${bucket}`, {
    headers: JSON_HEADERS,
    body: JSON.stringify(properties),
  });
  expect(answer.status, text(answer)).toBeLessThan(300);
}

async function read(cluster: SimulatedCluster, id: string, path: string): Promise<InProcessAnswer> {
  return cluster.request(id, 'GET', path, { headers: { accept: 'application/json' } });
}

test('equal seeds give equal runs, other seeds other ones', async () => {
  const hashes = [];
  for (const seed of [7, 7, 8]) {
    const cluster = await SimulatedCluster.founded({ seed, nodes: 3 });
    for (let i = 0; i < 20; i++) {
      const id = `n${(i % 3) + 1}`;
      expect((await cluster.request(id, 'PUT', `/v1/kv/b/key-${i % 5}`, { body: `value ${i}` })).status).toBe(204);
      expect((await read(cluster, id, `/v1/kv/b/key-${i % 5}`)).status).toBe(200);
    }
    cluster.crash(cluster.machine('n2'));
    await cluster.restart('n2');
    hashes.push(cluster.simulation.hash());
  }
  expect(hashes[0]).toBe(hashes[1]);
  expect(hashes[2]).not.toBe(hashes[0]);
});

test('messages cross the wire encoded: what a PUT and a GET cost', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  const path = '/v1/kv/b/k';
  const owner = (await cluster.request('n1', 'GET', '/v1/ring/locate/b/k')).body;
  expect(JSON.parse(new TextDecoder().decode(owner))).toHaveProperty('primaries');
  const before = cluster.network.sentInAll();
  expect((await cluster.request('n1', 'PUT', path, { body: 'x'.repeat(1024) })).status).toBe(204);
  await cluster.simulation.run(cluster.simulation.now + 50);
  const after = cluster.network.sentInAll();
  // Two states to the other owners and two answers; heartbeats may come between.
  expect(after.messages - before.messages).toBeGreaterThanOrEqual(4);
  expect(after.messages - before.messages).toBeLessThan(20);
  expect(after.bytes - before.bytes).toBeGreaterThan(2 * 1024);
});

test('siblings: writes that cannot see each other both live, a write with their context replaces both', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3 });
  await defined(cluster, 'carts', { conflicts: 'siblings' });
  for (const [a, b] of [
    ['n1', 'n2'],
    ['n1', 'n3'],
    ['n2', 'n3'],
  ] as const) {
    cut(cluster, a, b);
  }
  await cluster.simulation.run(cluster.simulation.now + 5000);
  expect((await cluster.request('n1', 'PUT', '/v1/kv/carts/ann?w=1&dw=1', { body: 'milk' })).status).toBe(204);
  expect((await cluster.request('n2', 'PUT', '/v1/kv/carts/ann?w=1&dw=1', { body: 'bread' })).status).toBe(204);
  expect((await cluster.request('n1', 'PUT', '/v1/kv/carts/ann', { body: 'no' })).status).toBe(503);
  heal(cluster);
  await reconnected(cluster);
  const both = await read(cluster, 'n3', '/v1/kv/carts/ann?r=all');
  expect(values(both)).toEqual(['bread', 'milk']);
  const context = (JSON.parse(text(both)) as { context: string }).context;
  const resolved = await cluster.request('n3', 'PUT', '/v1/kv/carts/ann', {
    headers: { 'quoral-context': context },
    body: 'milk and bread',
  });
  expect(resolved.status).toBe(204);
  expect(resolved.headers.get('quoral-context')).toBeDefined();
  for (const id of ['n1', 'n2', 'n3'])
    expect(values(await read(cluster, id, '/v1/kv/carts/ann?r=all'))).toEqual(['milk and bread']);
});

test('lww: of two such writes the later one stays, on every replica', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  cut(cluster, 'n1', 'n2');
  cut(cluster, 'n1', 'n3');
  cut(cluster, 'n2', 'n3');
  await cluster.simulation.run(cluster.simulation.now + 5000);
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k?w=1&dw=1', { body: 'earlier' })).status).toBe(204);
  await cluster.simulation.run(cluster.simulation.now + 1000);
  expect((await cluster.request('n2', 'PUT', '/v1/kv/b/k?w=1&dw=1', { body: 'later' })).status).toBe(204);
  heal(cluster);
  await reconnected(cluster);
  expect(values(await read(cluster, 'n1', '/v1/kv/b/k?r=all'))).toEqual(['later']);
  await cluster.simulation.run(cluster.simulation.now + 1000);
  for (const id of ['n1', 'n2', 'n3']) {
    cluster.machines.filter((machine) => machine.id !== id).forEach((machine) => cut(cluster, id, machine.id));
    await cluster.simulation.run(cluster.simulation.now + 5000);
    expect(values(await read(cluster, id, '/v1/kv/b/k?r=1')), id).toEqual(['later']);
    heal(cluster);
    await reconnected(cluster);
  }
});

test('a context never erases what its holder was not shown: blind A, blind B, PUT with the context of B', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3 });
  await defined(cluster, 's', { conflicts: 'siblings' });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'A' })).headers.get('quoral-context')).toBeDefined();
  const blind = await cluster.request('n2', 'PUT', '/v1/kv/s/k', { body: 'B' });
  const context = blind.headers.get('quoral-context');
  const headers: Record<string, string> = context === undefined ? {} : { 'quoral-context': context };
  expect((await cluster.request('n3', 'PUT', '/v1/kv/s/k', { headers, body: 'C' })).status).toBe(204);
  expect(values(await read(cluster, 'n1', '/v1/kv/s/k?r=all'))).toContain('A');
  expect(values(await read(cluster, 'n1', '/v1/kv/s/k?r=all'))).toContain('C');
});

test('with one of three nodes dead, quorum requests go on at once', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3 });
  cluster.crash(cluster.machine('n3'));
  await cluster.simulation.run(cluster.simulation.now + 20);
  for (let i = 0; i < 10; i++) {
    const started = cluster.simulation.now;
    expect((await cluster.request(`n${(i % 2) + 1}`, 'PUT', `/v1/kv/b/${i}`, { body: `${i}` })).status).toBe(204);
    expect(values(await read(cluster, `n${((i + 1) % 2) + 1}`, `/v1/kv/b/${i}`))).toEqual([`${i}`]);
    expect(cluster.simulation.now - started).toBeLessThan(100);
  }
  const all = await cluster.request('n1', 'PUT', '/v1/kv/b/x?w=all', { body: 'x' });
  expect(all.status).toBe(503);
  expect(JSON.parse(text(all))).toMatchObject({ outcome: 'not-applied', needed: 3 });
});

test('a node that lost its disk comes back as another actor and never answers for what it has forgotten', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 3 });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k?w=all', { body: 'kept' })).status).toBe(204);
  const lost = cluster.machine('n1');
  cluster.crash(lost);
  lost.medium.wipe();
  await cluster.restart('n1');
  expect(values(await read(cluster, 'n2', '/v1/kv/b/k?r=quorum'))).toEqual(['kept']);
  const view = JSON.parse(text(await cluster.request('n2', 'GET', '/v1/cluster'))) as {
    members: { id: string; state: string }[];
  };
  expect(view.members.find(({ id }) => id === 'n1')?.state).toBe('refilling');
  // Asked directly, it does not answer either: its absences would be lies.
  const { node } = cluster.running('n1');
  const { partition } = JSON.parse(text(await cluster.request('n2', 'GET', '/v1/ring/locate/b/k'))) as {
    partition: number;
  };
  const scope = {
    epoch: node.chain.facts()!.epoch,
    n: 3,
    partition,
    bucket: 'b',
    incarnation: 0,
    definition: epoch(0),
  };
  const request = { scope, requestId: 'r', key: new TextEncoder().encode('k') };
  const ask = async (): Promise<unknown> => node.replica.fetch(request, cluster.simulation.now + 1000);
  await expect(cluster.simulation.settle(ask())).rejects.toMatchObject({ code: 'refilling' });
  for (const id of ['n1', 'n2', 'n3']) {
    const answer = await read(cluster, id, '/v1/kv/b/k?r=1');
    expect(values(answer), id).toEqual(['kept']);
  }
});

test('explain asks each replica itself and says who is behind', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3 });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k', { body: 'first' })).status).toBe(204);
  await cluster.simulation.run(cluster.simulation.now + 100);
  const explain = async (): Promise<{
    agree: boolean;
    replicas: { node: string; reachable: boolean; digest: string | null; versions: unknown[] }[];
    differences: string[];
  }> => JSON.parse(text(await cluster.request('n2', 'GET', '/v1/explain/b/k'))) as never;
  const equal = await explain();
  expect(equal).toMatchObject({ agree: true, differences: [] });
  expect(equal.replicas.map(({ node }) => node).toSorted()).toEqual(['n1', 'n2', 'n3']);
  expect(new Set(equal.replicas.map(({ digest }) => digest)).size).toBe(1);
  cut(cluster, 'n1', 'n2');
  cut(cluster, 'n1', 'n3');
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const cutOff = await explain();
  expect(cutOff.agree).toBe(false);
  expect(cutOff.replicas.find(({ node }) => node === 'n1')).toMatchObject({ reachable: false });
  expect(cutOff.differences).toEqual(['n1 did not answer: unreachable']);
});
