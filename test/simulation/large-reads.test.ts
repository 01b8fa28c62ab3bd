/** Reads of large values: one owner sends the value, the others say what they know. What that costs on the wire. */

import { expect, test } from 'vitest';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_WIRE_SETTINGS } from '#wire/settings.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const KIB = 1024;
const PATH = '/v1/kv/b/k';
const EVERYTHING = Number.MAX_SAFE_INTEGER;
const CARRY_STATES = /^(replica\.store|handoff\.|repair\.)/;

async function founded(valuesUpTo: number = DEFAULT_COORDINATOR_SETTINGS.valuesUpTo): Promise<SimulatedCluster> {
  const coordinator = { ...DEFAULT_COORDINATOR_SETTINGS, valuesUpTo };
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3, node: { coordinator } });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  return cluster;
}

async function put(cluster: SimulatedCluster, id: string, size: number, fill: string): Promise<void> {
  const answer = await cluster.request(id, 'PUT', `${PATH}?w=2`, { body: fill.repeat(size) });
  expect(answer.status).toBe(204);
  await cluster.simulation.run(cluster.simulation.now + 300);
}

/** Whatever carries states does not get through to `id`. */
function keepBehind(cluster: SimulatedCluster, id: string): void {
  const loses = (message: Uint8Array): boolean => CARRY_STATES.test(requestName(message));
  for (const { host } of cluster.machines) {
    if (host !== cluster.machine(id).host) cluster.network.setFault(host, cluster.machine(id).host, { loses });
  }
}

interface Got {
  readonly messages: number;
  readonly bytes: number;
  readonly status: number;
  readonly size: number;
  readonly first: string;
}

/** A GET at `id`: what it found, and what was sent among the nodes for it. */
async function get(cluster: SimulatedCluster, id: string, query: string): Promise<Got> {
  const before = cluster.network.sentInAll();
  const { status, body } = await cluster.request(id, 'GET', PATH + query);
  const after = cluster.network.sentInAll();
  return {
    messages: after.messages - before.messages,
    bytes: after.bytes - before.bytes,
    ...{ status, size: body.length, first: String.fromCharCode(body[0] ?? 0) },
  };
}

/**
 * Golden: a request and an answer of each other owner, and what a coordinator that is behind asks for once more. Who has the same as
 * the coordinator says no more than that.
 */
const COSTS = {
  'all agree, r=2': { query: '?r=2', at: 'n1', small: [2, 127], large: [2, 92], wholeLarge: [2, 134] },
  'all agree, r=all': { query: '?r=all', at: 'n1', small: [4, 254], large: [4, 184], wholeLarge: [4, 268] },
  'another is behind, r=all': {
    query: '?r=all',
    at: 'n1',
    small: [4, 1344],
    large: [4, 184],
    wholeLarge: [4, 102_737],
  },
  'the coordinator is behind, r=2': {
    query: '?r=2',
    at: 'n3',
    small: [2, 1217],
    large: [4, 102_616],
    wholeLarge: [2, 102_603],
  },
  'the coordinator is behind, r=all': {
    query: '?r=all',
    at: 'n3',
    small: [4, 2434],
    large: [6, 102_708],
    wholeLarge: [4, 205_206],
  },
} as const;

test.each([
  ['small', KIB, undefined],
  ['large', 100 * KIB, undefined],
  ['wholeLarge', 100 * KIB, EVERYTHING],
] as const)('what a GET costs: %s', async (column, size, upTo) => {
  for (const [name, { query, at, ...costs }] of Object.entries(COSTS)) {
    const cluster = await founded(upTo);
    await put(cluster, 'n1', size, 'x');
    if (!name.startsWith('all agree')) {
      keepBehind(cluster, 'n3');
      await put(cluster, 'n1', size, 'y');
    }
    const { messages, bytes, ...found } = await get(cluster, at, query);
    expect([messages, bytes], name).toEqual(costs[column]);
    expect(found, name).toEqual({ status: 200, size, first: name.startsWith('all agree') ? 'x' : 'y' });
  }
});

test('a coordinator that lacks a large value gets it once, and is mended', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', 100 * KIB, 'x');
  keepBehind(cluster, 'n3');
  await put(cluster, 'n1', 100 * KIB, 'y');
  expect(await get(cluster, 'n3', '?r=1')).toMatchObject({ first: 'x' });
  const found = await get(cluster, 'n3', '?r=all');
  expect(found).toMatchObject({ status: 200, size: 100 * KIB, first: 'y' });
  await cluster.simulation.run(cluster.simulation.now + 100);
  expect(await get(cluster, 'n3', '?r=1')).toMatchObject({ first: 'y' });
});

test('a replica that is behind is seen by its outline and mended', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', 100 * KIB, 'x');
  keepBehind(cluster, 'n3');
  await put(cluster, 'n1', 100 * KIB, 'y');
  expect(await get(cluster, 'n1', '?r=all')).toMatchObject({ size: 100 * KIB, first: 'y' });
  cluster.network.clearFaults();
  expect(await get(cluster, 'n1', '?r=all')).toMatchObject({ size: 100 * KIB, first: 'y' });
  const metrics = cluster.machine('n1').running!.world.metrics;
  expect(metrics.value('quoral_stale_replicas_found_total')).toBeGreaterThan(0);
});

test('many large answers at once do not break the connection that they leave on, however slow it is', async () => {
  const wire = { ...DEFAULT_WIRE_SETTINGS, maxQueuedBytes: 256 * KIB };
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 4, node: { wire } });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  await put(cluster, 'n1', 400 * KIB, 'x');
  const { body } = await cluster.request('n1', 'GET', '/v1/ring/locate/b/k');
  const { fallbacks } = JSON.parse(Buffer.from(body).toString()) as { readonly fallbacks: readonly string[] };
  const { api } = cluster.running(fallbacks[0]!);
  const gets = Array.from({ length: 24 }, async () => await api('GET', PATH));
  const answers = await cluster.simulation.settle(Promise.all(gets));
  expect(answers.map(({ status }) => status)).toEqual(Array(24).fill(200));
  expect(cluster.log.entries.filter(({ event }) => event === 'peer-disconnected')).toEqual([]);
});

test('many strong reads of a large value wait for their turn, and for room on a slow connection', async () => {
  const wire = { ...DEFAULT_WIRE_SETTINGS, maxQueuedBytes: 256 * KIB };
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 4, node: { wire } });
  const { simulation } = cluster;
  await simulation.run(simulation.now + 2000);
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'x'.repeat(400 * KIB) })).status).toBe(204);
  const { body } = await cluster.request('n1', 'GET', '/v1/ring/locate/s/k');
  const { fallbacks } = JSON.parse(Buffer.from(body).toString()) as { readonly fallbacks: readonly string[] };
  await simulation.run(simulation.now + 2000);
  const { api } = cluster.running(fallbacks[0]!);
  let most = 0;
  let answered = 0;
  const gets = Array.from({ length: 24 }, async () => (await api('GET', '/v1/kv/s/k')).status);
  for (const get of gets) void get.then(() => (answered += 1));
  await simulation.run(() => {
    const waiting = cluster.machines.map(({ running }) => running!.world.metrics.value('quoral_large_reads_waiting'));
    most = Math.max(most, ...waiting);
    return answered === gets.length;
  });
  expect(await Promise.all(gets)).toEqual(Array(24).fill(200));
  expect(most).toBeGreaterThan(5);
  expect(cluster.log.entries.filter(({ event }) => event === 'peer-disconnected')).toEqual([]);
});
