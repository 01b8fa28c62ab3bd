/** Replicas that differ find each other's differences by themselves, with few bytes, and then say nothing more. */

import { expect, test } from 'vitest';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS } from '#replica/tables.ts';
import { DiskError } from '#world/world.ts';
import { SimulatedCluster } from './cluster.ts';

const SOON = { ...DEFAULT_REPAIR_SETTINGS, interval: 500, settle: 200 };

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

async function put(cluster: SimulatedCluster, at: string, key: string, value: string, query = ''): Promise<number> {
  return (await cluster.request(at, 'PUT', `/v1/kv/b/${key}?${query}`, { body: value })).status;
}

function rowsAt(cluster: SimulatedCluster, id: string): string {
  const rows = [...cluster.machine(id).medium.table(RECORDS).rows()];
  return rows.map(([key, value]) => `${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`).join();
}

function rowCount(cluster: SimulatedCluster, id: string): number {
  return [...cluster.machine(id).medium.table(RECORDS).rows()].length;
}

function allEqual(cluster: SimulatedCluster): boolean {
  const [first, ...others] = cluster.machines.map(({ id }) => rowsAt(cluster, id));
  return others.every((other) => other === first);
}

/** Takes a row away behind the node's back, as nothing in the program would, with its leaf. */
function forget(cluster: SimulatedCluster, id: string, count: number): void {
  const { medium } = cluster.machine(id);
  for (const [key] of [...medium.table(RECORDS).rows()].slice(0, count)) medium.set(RECORDS, key, undefined);
}

test('a disk that cannot be read ends a comparison, and nothing else', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3, node: { repair: SOON } });
  const { antiEntropy } = cluster.running('n1').node.repair;
  antiEntropy.differingPlaces = () => Promise.reject(new DiskError('failed', 'a page is damaged', false));
  expect(await cluster.simulation.settle(antiEntropy.compareWith(cluster.machine('n2').id))).toBe(false);
  antiEntropy.differingPlaces = () => Promise.reject(new Error('what nobody has thought of'));
  expect(await cluster.simulation.settle(antiEntropy.compareWith(cluster.machine('n2').id))).toBe(false);
  const faults = cluster.log.entries.filter(({ event }) => event === 'comparison-faulty');
  expect(faults.map(({ fields }) => fields['reason'])).toEqual(['Error: what nobody has thought of']);
});

test('a node that was cut off gets what it has missed, and gives what only it has', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3, node: { repair: SOON } });
  const [a, b, c] = cluster.machines;
  cluster.network.partition(a!.host, c!.host);
  cluster.network.partition(b!.host, c!.host);
  await pass(cluster, 4500);
  for (let i = 0; i < 60; i++) expect(await put(cluster, 'n1', `k${i}`, `v${i}`)).toBe(204);
  for (let i = 0; i < 20; i++) expect(await put(cluster, 'n3', `only${i}`, 'v', 'w=1&dw=1')).toBe(204);
  for (let i = 0; i < 10; i++) expect(await put(cluster, 'n3', `k${i}`, 'later', 'w=1&dw=1')).toBe(204);
  expect(rowCount(cluster, 'n3')).toBe(30);
  cluster.network.clearFaults();
  await cluster.simulation.run(() => allEqual(cluster) && rowCount(cluster, 'n3') === 80);
  await pass(cluster, 3000);
  const before = cluster.network.sentInAll();
  await pass(cluster, 60_000);
  const idle = cluster.network.sentInAll();
  // Pings, and a few dozen bytes for each comparison of all roots.
  expect((idle.bytes - before.bytes) / 60 / 3).toBeLessThan(700);
});

test('rows that are gone at one owner come back from the others, also when trees must be built for that', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3, node: { repair: SOON } });
  for (let i = 0; i < 100; i++) await put(cluster, 'n2', `k${i}`, `v${i}`, 'w=3');
  cluster.crash(cluster.machine('n2'));
  forget(cluster, 'n2', 40);
  for (const table of ['trees', 'tree_log', 'tree_keys']) {
    const { medium } = cluster.machine('n2');
    for (const [key] of [...medium.table(table).rows()]) medium.set(table, key, undefined);
  }
  await cluster.restart('n2');
  await cluster.simulation.run(() => allEqual(cluster) && rowCount(cluster, 'n2') === 100);
});
