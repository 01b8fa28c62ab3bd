/** Large rows read by work in the background: how much of them in one turn, in which nobody else is served. */

import { expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { TURN_BYTES } from '#replica/large-turns.ts';
import { PAGE_BYTES as MESSAGE_BYTES } from '#repair/tree-source.ts';
import { TREES } from '#repair/tree-tables.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { PAGE_BYTES } from '#world/pages.ts';
import type { SimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const VALUE = 200 * 1024;
const KEYS = 12;
/** A page, and the row that reaches it. */
const MOST = PAGE_BYTES + VALUE + 1024;
/** The same of states in a message. */
const MOST_IN_MESSAGES = MESSAGE_BYTES + VALUE + 1024;
const JSON_HEADERS = { 'content-type': 'application/json' };
const SETTINGS = { ...DEFAULT_REPAIR_SETTINGS, scrubPeriod: 20_000, bytesPerSecond: 1024 ** 3 };

/** What n1 has read from its disk within one event and all that follows from it at once: in this one, and at the most. */
interface Turns {
  bytes: number;
  most: number;
}

function count(disk: SimulatedDisk, turns: Turns): SimulatedDisk {
  const get = disk.get.bind(disk);
  const range = disk.range.bind(disk);
  disk.get = (table, key) => {
    const value = get(table, key);
    turns.bytes += value?.length ?? 0;
    return value;
  };
  disk.range = (table, options) => {
    const rows = range(table, options);
    for (const [, value] of rows) turns.bytes += value.length;
    return rows;
  };
  return disk;
}

async function watched(
  seed: string,
  consistency: 'eventual' | 'strong' = 'eventual',
): Promise<{ readonly cluster: SimulatedCluster; readonly turns: Turns }> {
  const turns: Turns = { bytes: 0, most: 0 };
  const cluster = await SimulatedCluster.founded({
    ...{ seed, nodes: 3, node: { repair: SETTINGS } },
    disk: (disk, { id }) => (id === 'n1' ? count(disk, turns) : disk),
  });
  cluster.simulation.afterEvent = () => {
    turns.most = Math.max(turns.most, turns.bytes);
    turns.bytes = 0;
  };
  const body = JSON.stringify({ consistency });
  await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers: JSON_HEADERS, body });
  return { cluster, turns };
}

/** Keys of one partition, so that all of them are in what is read at once. */
async function fill(cluster: SimulatedCluster, keys: number = KEYS): Promise<void> {
  const { ring } = cluster.running('n1').node.chain.facts()!;
  for (let i = 0, stored = 0; stored < keys; i++) {
    if (partitionOf(ring, hashKey(ring, 'b', utf8(`k${i}`))) !== 0) continue;
    const { status } = await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}`, { body: 'v'.repeat(VALUE) });
    expect(status).toBe(204);
    stored += 1;
  }
}

function value(cluster: SimulatedCluster, id: string, name: string): number {
  return cluster.running(id).world.metrics.value(name);
}

test('a pass over all rows', async () => {
  const { cluster, turns } = await watched('large turns of a scrub');
  await fill(cluster);
  turns.most = 0;
  const passes = value(cluster, 'n1', 'quoral_scrub_passes');
  await cluster.simulation.run(() => value(cluster, 'n1', 'quoral_scrub_passes') > passes + 1);
  expect(turns.most).toBeGreaterThan(VALUE);
  expect(turns.most).toBeLessThan(MOST);
});

test('trees that are built anew', async () => {
  const { cluster, turns } = await watched('large turns of a rebuild');
  await fill(cluster);
  cluster.crash(cluster.machine('n1'));
  const trees = cluster.machine('n1').medium.table(TREES);
  for (const [key] of [...trees.rows()]) trees.set(key, undefined);
  turns.most = 0;
  await cluster.restart('n1');
  await cluster.simulation.run(() => value(cluster, 'n1', 'quoral_trees_ready') === 1);
  expect(turns.most).toBeGreaterThan(VALUE);
  expect(turns.most).toBeLessThan(MOST);
});

test('owners that compare and mend', async () => {
  const { cluster, turns } = await watched('large turns of a repair');
  const loses = (message: Uint8Array): boolean => /^(replica\.store|handoff\.)/.test(requestName(message));
  for (const from of ['n1', 'n2'])
    cluster.network.setFault(cluster.machine(from).host, cluster.machine('n3').host, { loses });
  await fill(cluster);
  cluster.network.clearFaults();
  turns.most = 0;
  expect((await cluster.request('n1', 'POST', '/v1/ring/repair')).status).toBe(202);
  await cluster.simulation.run(cluster.simulation.now + 60_000);
  expect(turns.most).toBeGreaterThan(VALUE);
  // What has been compared and what it asks for may be one turn.
  expect(turns.most).toBeLessThan(MOST + MOST_IN_MESSAGES);
});

test('a partition that moves to another node, and what its owner lets go', async () => {
  const { cluster, turns } = await watched('large turns of a move');
  await fill(cluster);
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
  const post = async (path: string, body?: string): Promise<unknown> => {
    const answer = await cluster.request('n1', 'POST', path, body === undefined ? {} : { headers: JSON_HEADERS, body });
    return JSON.parse(new TextDecoder().decode(answer.body));
  };
  const { id } = (await post('/v1/ring/plans', '{"replace":{"n1":"n4"}}')) as { readonly id: string };
  turns.most = 0;
  await post(`/v1/ring/plans/${id}/apply`);
  await cluster.simulation.run(() => cluster.running('n4').node.chain.facts()!.ring.change === undefined);
  expect(turns.most).toBeGreaterThan(VALUE);
  expect(turns.most).toBeLessThan(MOST_IN_MESSAGES);
});

test('strong keys that are looked through', async () => {
  const { cluster, turns } = await watched('large turns of strong keys', 'strong');
  await fill(cluster, 2 * KEYS);
  turns.most = 0;
  expect((await cluster.request('n1', 'POST', '/v1/ring/repair')).status).toBe(202);
  await cluster.simulation.run(cluster.simulation.now + 60_000);
  expect(turns.most).toBeGreaterThan(VALUE);
  // To compare them each is read once more, at the wish of other nodes too, in turns.
  expect(turns.most).toBeLessThan(MOST + TURN_BYTES + VALUE);
});
