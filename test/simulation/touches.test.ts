/** Touches where replicas know different things: of nodes that are cut off, deletions, other writes, and values of any size. */

import { expect, test } from 'vitest';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const IDS = ['n1', 'n2', 'n3'] as const;
const PATH = '/v1/kv/b/k';
const SOON = { ...DEFAULT_REPAIR_SETTINGS, interval: 500, settle: 200 };
const CARRY_STATES = /^(replica\.store|handoff\.|repair\.)/;
const JSON_TYPE = { 'content-type': 'application/json' };

async function founded(conflicts = 'lww'): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3, node: { repair: SOON } });
  const body = JSON.stringify({ conflicts });
  await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers: JSON_TYPE, body });
  return cluster;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

/** What of the others reaches `id`, and the other way round. */
function cut(cluster: SimulatedCluster, id: string, loses: (message: Uint8Array) => boolean = () => true): void {
  const { host } = cluster.machine(id);
  for (const other of cluster.machines) {
    if (other.host === host) continue;
    cluster.network.setFault(other.host, host, { loses });
    cluster.network.setFault(host, other.host, { loses });
  }
}

async function put(cluster: SimulatedCluster, at: string, query: string, body = 'x'): Promise<void> {
  expect((await cluster.request(at, 'PUT', PATH + query, { body })).status).toBe(204);
}

async function touch(cluster: SimulatedCluster, at: string, query: string): Promise<number> {
  return (await cluster.request(at, 'POST', PATH + query, { headers: JSON_TYPE, body: '{"op":"touch"}' })).status;
}

async function found(cluster: SimulatedCluster, at: string, query = ''): Promise<number | string> {
  const { status, body } = await cluster.request(at, 'GET', PATH + query);
  return status === 200 ? new TextDecoder().decode(body).slice(0, 1) : status;
}

async function everywhere(cluster: SimulatedCluster): Promise<readonly (number | string)[]> {
  const all = [];
  for (const id of IDS) all.push(await found(cluster, id, '?r=1&sloppy=false'));
  return all;
}

function allEqual(cluster: SimulatedCluster): boolean {
  const [first, ...others] = cluster.machines.map(({ medium }) => JSON.stringify([...medium.table(RECORDS).rows()]));
  return others.every((other) => other === first);
}

test.each(['lww', 'siblings'])('%s: a touch brings back nothing that was deleted without it', async (conflicts) => {
  const cluster = await founded(conflicts);
  await put(cluster, 'n1', '?w=all&ttl=600');
  cut(cluster, 'n3');
  await pass(cluster, 3000);
  expect((await cluster.request('n1', 'DELETE', PATH)).status).toBe(204);
  expect(await touch(cluster, 'n3', '?consistency=one&ttl=3600')).toBe(204);
  expect(await found(cluster, 'n3', '?r=1')).toBe('x');
  cluster.network.clearFaults();
  await pass(cluster, 15_000);
  expect(await everywhere(cluster)).toEqual([404, 404, 404]);
  expect(allEqual(cluster)).toBe(true);
});

test.each(['lww', 'siblings'])('%s: a touch replaces no write that it has not seen', async (conflicts) => {
  const cluster = await founded(conflicts);
  await put(cluster, 'n1', '?w=all&ttl=600');
  const context = (await cluster.request('n1', 'GET', PATH)).headers.get('quoral-context')!;
  cut(cluster, 'n3');
  await pass(cluster, 3000);
  const headers = { 'quoral-context': context };
  expect((await cluster.request('n1', 'PUT', PATH, { headers, body: 'new' })).status).toBe(204);
  await pass(cluster, 1000);
  expect(await touch(cluster, 'n3', '?consistency=one&ttl=3600')).toBe(204);
  cluster.network.clearFaults();
  await pass(cluster, 15_000);
  expect(await everywhere(cluster)).toEqual(['n', 'n', 'n']);
});

test.each([
  ['small', 1],
  ['large', 100 * 1024],
])('one that has missed a touch of a %s value learns of it from a read, and without one', async (_, size) => {
  const cluster = await founded();
  await put(cluster, 'n1', '?w=all&ttl=10', 'x'.repeat(size));
  cut(cluster, 'n3', (message) => CARRY_STATES.test(requestName(message)));
  expect(await touch(cluster, 'n1', '?ttl=3600')).toBe(204);
  // The old end is over: n3 has let go of the bytes.
  await pass(cluster, 15_000);
  expect(await found(cluster, 'n3', '?r=1&sloppy=false')).toBe(404);
  expect(await found(cluster, 'n3', '?consistency=strict_quorum')).toBe('x');
  cluster.network.clearFaults();
  await pass(cluster, 30_000);
  expect(await everywhere(cluster)).toEqual(['x', 'x', 'x']);
  expect(allEqual(cluster)).toBe(true);
});

test('two sides touch: the later end holds on both, and then it is over everywhere', async () => {
  const cluster = await founded('siblings');
  await put(cluster, 'n1', '?w=all&ttl=20');
  cut(cluster, 'n3');
  await pass(cluster, 3000);
  expect(await touch(cluster, 'n1', '?ttl=30')).toBe(204);
  expect(await touch(cluster, 'n3', '?consistency=one&ttl=60')).toBe(204);
  cluster.network.clearFaults();
  await pass(cluster, 40_000);
  expect(await everywhere(cluster)).toEqual(['x', 'x', 'x']);
  await pass(cluster, 30_000);
  expect(await everywhere(cluster)).toEqual([404, 404, 404]);
  expect(await touch(cluster, 'n2', '?ttl=60')).toBe(404);
});

test('siblings: what has ended is no sibling any more, however often it was written without a context', async () => {
  const cluster = await founded('siblings');
  for (let i = 0; i < 110; i++) {
    await put(cluster, IDS[i % 3]!, '?ttl=1');
    await pass(cluster, i === 90 ? 1500 : 1);
  }
  await pass(cluster, 3000);
  expect(await found(cluster, 'n1')).toBe(404);
  await put(cluster, 'n1', '', 'new');
  expect(await found(cluster, 'n2')).toBe('n');
});
