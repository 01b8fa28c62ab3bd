/** Reads of large values: one owner sends the value, the others say what they know. What that costs on the wire. */

import { expect, test } from 'vitest';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
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

/** KiB sent among the nodes for a GET at `id`, and what it found. */
async function get(
  cluster: SimulatedCluster,
  id: string,
  query: string,
): Promise<{ kib: number; status: number; size: number; first: string }> {
  const before = cluster.network.sentInAll().bytes;
  const { status, body } = await cluster.request(id, 'GET', PATH + query);
  const kib = Math.round((cluster.network.sentInAll().bytes - before) / KIB);
  return { kib, status, size: body.length, first: String.fromCharCode(body[0] ?? 0) };
}

test.each([
  ['as it is', undefined, 100, { two: 0, all: 0 }],
  ['without outlines', EVERYTHING, 100, { two: 100, all: 200 }],
])('what a GET of 100 KiB costs where replicas agree, %s', async (_name, upTo, size, { two, all }) => {
  const cluster = await founded(upTo);
  await put(cluster, 'n1', size * KIB, 'x');
  for (const id of ['n1', 'n2', 'n3']) {
    expect(await get(cluster, id, '?r=2')).toEqual({ kib: two, status: 200, size: size * KIB, first: 'x' });
    expect(await get(cluster, id, '?r=all')).toEqual({ kib: all, status: 200, size: size * KIB, first: 'x' });
  }
});

test('small values cost what they cost before', async () => {
  const [before, after] = [await founded(EVERYTHING), await founded()];
  for (const cluster of [before, after]) await put(cluster, 'n1', KIB, 'x');
  for (const query of ['?r=2', '?r=all']) expect(await get(after, 'n2', query)).toEqual(await get(before, 'n2', query));
});

test('a coordinator that lacks a large value gets it once, and is mended', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', 100 * KIB, 'x');
  keepBehind(cluster, 'n3');
  await put(cluster, 'n1', 100 * KIB, 'y');
  expect(await get(cluster, 'n3', '?r=1')).toMatchObject({ first: 'x' });
  const found = await get(cluster, 'n3', '?r=all');
  expect(found).toMatchObject({ status: 200, size: 100 * KIB, first: 'y' });
  expect(found.kib).toBeGreaterThanOrEqual(100);
  expect(found.kib).toBeLessThan(110);
  await cluster.simulation.run(cluster.simulation.now + 100);
  expect(await get(cluster, 'n3', '?r=1')).toMatchObject({ first: 'y' });
});

test('a replica that is behind is seen by its outline and mended', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', 100 * KIB, 'x');
  keepBehind(cluster, 'n3');
  await put(cluster, 'n1', 100 * KIB, 'y');
  expect(await get(cluster, 'n1', '?r=all')).toMatchObject({ kib: 0, size: 100 * KIB, first: 'y' });
  cluster.network.clearFaults();
  expect(await get(cluster, 'n1', '?r=all')).toMatchObject({ size: 100 * KIB, first: 'y' });
  const metrics = cluster.machine('n1').running!.world.metrics;
  expect(metrics.value('quoral_stale_replicas_found_total')).toBeGreaterThan(0);
});
