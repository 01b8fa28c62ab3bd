/**
 * A bucket is dropped while one node is down, with writes that it never heard of and hints that wait for it: its next life
 * begins empty at every node and stays so, and what the lives before have left behind goes by itself.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { utf8 } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';
import { TREE_KEYS } from '#repair/tree-tables.ts';
import { recordName, RECORDS, REGISTERS } from '#replica/tables.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { SimulatedCluster, type ClusterOptions } from './cluster.ts';

const NODES = ['n1', 'n2', 'n3'] as const;
const JSON_HEADERS = { 'content-type': 'application/json' };
const KEYS = Array.from({ length: 30 }, (_, i) => `k${i}`);

async function founded(options: Partial<ClusterOptions> = {}): Promise<SimulatedCluster> {
  return SimulatedCluster.founded({ seed: 'dropped', nodes: 3, ...options });
}

async function put(
  cluster: SimulatedCluster,
  id: string,
  bucket: string,
  key: string,
  query = '',
): Promise<InProcessAnswer> {
  const answer = await cluster.request(id, 'PUT', `/v1/kv/${bucket}/${key}${query}`, { body: `${bucket} ${key}` });
  expect(answer.status, new TextDecoder().decode(answer.body)).toBe(204);
  return answer;
}

async function drop(cluster: SimulatedCluster, id: string, bucket: string): Promise<void> {
  const answer = await cluster.request(id, 'DELETE', `/v1/buckets/${bucket}`);
  expect(answer.status, new TextDecoder().decode(answer.body)).toBe(204);
}

/** Which of the keys any node finds, however little it asks for. */
async function found(cluster: SimulatedCluster, ids: readonly string[], bucket: string): Promise<readonly string[]> {
  const alive: string[] = [];
  for (const id of ids) {
    for (const key of KEYS) {
      for (const query of ['?r=1', '?consistency=one', '']) {
        const { status } = await cluster.request(id, 'GET', `/v1/kv/${bucket}/${key}${query}`);
        if (status !== 404) alive.push(`${id} ${key} ${query} ${status}`);
      }
    }
  }
  return alive;
}

/** Rows by bucket and life on one node, and entries of its trees. */
function left(cluster: SimulatedCluster, id: string): Record<string, number> {
  const { disk } = cluster.running(id);
  const counts: Record<string, number> = {};
  for (const [rowKey] of disk.range(RECORDS, { limit: 100_000 })) {
    const { bucket, incarnation } = recordName(rowKey);
    counts[`${bucket} ${incarnation}`] = (counts[`${bucket} ${incarnation}`] ?? 0) + 1;
  }
  const indexed = disk.range(TREE_KEYS, { limit: 100_000 }).length;
  expect(indexed, `entries of the trees of ${id}`).toBe(Object.values(counts).reduce((sum, count) => sum + count, 0));
  return counts;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

test('the new life is empty at once at every node, and only the dropped bucket is', async () => {
  const cluster = await founded();
  await cluster.request('n1', 'PUT', '/v1/buckets/carts', {
    headers: JSON_HEADERS,
    body: '{"conflicts":"siblings","n":2}',
  });
  for (const key of KEYS) {
    await put(cluster, 'n1', 'carts', key, '?w=all');
    await put(cluster, 'n2', 'cart', key, '?w=all');
  }
  await drop(cluster, 'n2', 'carts');
  expect(await found(cluster, NODES, 'carts')).toEqual([]);
  expect((await cluster.request('n3', 'GET', '/v1/kv/cart/k1')).status).toBe(200);
  const shown = await cluster.request('n3', 'GET', '/v1/buckets/carts');
  expect(JSON.parse(new TextDecoder().decode(shown.body))).toMatchObject({ n: 3, conflicts: 'lww' });
  await put(cluster, 'n3', 'carts', 'k1');
  await pass(cluster, 5000);
  for (const id of NODES) expect(left(cluster, id)).toEqual({ 'cart 0': 30, 'carts 1': 1 });
});

test.each(['before', 'after'])(
  'a node that was down during the drop revives nothing, with new writes %s it is back',
  async (when) => {
    const cluster = await founded({ seed: `down ${when}` });
    for (const key of KEYS) await put(cluster, 'n1', 'b', key, '?w=all');
    cluster.crash(cluster.machine('n3'));
    await pass(cluster, 6000);
    // What only the others have: n3 gets hints.
    for (const key of KEYS.slice(0, 10)) await put(cluster, 'n2', 'b', key);
    await drop(cluster, 'n1', 'b');
    expect(await found(cluster, ['n1', 'n2'], 'b')).toEqual([]);
    if (when === 'before') await put(cluster, 'n1', 'b', 'new');
    await cluster.restart('n3');
    expect(await found(cluster, NODES, 'b')).toEqual([]);
    await pass(cluster, 30_000);
    if (when === 'after') await put(cluster, 'n3', 'b', 'new', '?w=all');
    expect(await found(cluster, NODES, 'b')).toEqual([]);
    expect((await cluster.request('n3', 'GET', '/v1/kv/b/new')).status).toBe(200);
    for (const id of NODES) {
      expect(left(cluster, id)['b 0'], id).toBeUndefined();
      expect(cluster.running(id).world.metrics.value('quoral_dropped_buckets_waiting')).toBe(0);
    }
  },
);

test('a crash in the middle costs nothing: the next start goes on', async () => {
  const cluster = await founded({ seed: 'crash', node: { drop: { bytesPerSecond: 4 * 1024 } } });
  for (const key of KEYS) await put(cluster, 'n1', 'b', key, '?w=all');
  await drop(cluster, 'n1', 'b');
  for (let crash = 0; crash < 3; crash++) {
    await pass(cluster, 700);
    cluster.crash(cluster.machine('n2'));
    await cluster.restart('n2');
    const rows = left(cluster, 'n2')['b 0'] ?? 0;
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThan(30);
  }
  await pass(cluster, 10_000);
  for (const id of NODES) expect(left(cluster, id)).toEqual({});
  expect(cluster.running('n1').world.metrics.value('quoral_dropped_rows_total')).toBe(30);
});

test('a full disk only delays it', async () => {
  const cluster = await founded({ seed: 'full' });
  for (const key of KEYS) await put(cluster, 'n1', 'b', key, '?w=all');
  await drop(cluster, 'n1', 'b');
  cluster.machine('n2').medium.capacityBytes = 1;
  await pass(cluster, 5000);
  cluster.machine('n2').medium.capacityBytes = Number.POSITIVE_INFINITY;
  await pass(cluster, 5000);
  for (const id of NODES) expect(left(cluster, id)).toEqual({});
});

test('several lives go together, and what was seen of one serves in no other', async () => {
  const cluster = await founded({ seed: 'lives', node: { drop: { bytesPerSecond: 4 * 1024 } } });
  let context = '';
  for (let life = 0; life < 3; life++) {
    for (const key of KEYS.slice(0, 10)) {
      context = (await put(cluster, 'n1', 'b', key, '?w=all')).headers.get('quoral-context') ?? context;
    }
    await drop(cluster, NODES[life]!, 'b');
  }
  const headers = { 'quoral-context': context };
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k9', { headers, body: 'x' })).status).toBe(400);
  await put(cluster, 'n1', 'b', 'k0', '?w=all');
  await pass(cluster, 30_000);
  for (const id of NODES) expect(left(cluster, id)).toEqual({ 'b 3': 1 });
});

test('a bucket that nobody ever used leaves no trace, one with keys in its defaults is dropped', async () => {
  const cluster = await founded({ seed: 'untouched' });
  const epoch = (): number => cluster.running('n1').node.chain.facts()!.epoch;
  const before = epoch();
  await drop(cluster, 'n1', 'nothing');
  expect(epoch()).toBe(before);
  await put(cluster, 'n1', 'default', 'k1');
  await drop(cluster, 'n1', 'default');
  expect(epoch()).toBe(before + 1);
  expect(await found(cluster, NODES, 'default')).toEqual([]);
  // A definition goes also when there was never a key.
  await cluster.request('n1', 'PUT', '/v1/buckets/empty', { headers: JSON_HEADERS, body: '{"n":2}' });
  await drop(cluster, 'n2', 'empty');
  const list = await cluster.request('n3', 'GET', '/v1/buckets');
  expect(JSON.parse(new TextDecoder().decode(list.body))).toEqual({ buckets: [] });
  // One that cannot be asked may have a key.
  cluster.crash(cluster.machine('n3'));
  await pass(cluster, 6000);
  const last = epoch();
  await drop(cluster, 'n1', 'nothing');
  expect(epoch()).toBe(last + 1);
});

test('hints of a dropped bucket go although their owner does not come back', async () => {
  const cluster = await founded({ seed: 'hints' });
  cluster.crash(cluster.machine('n3'));
  await pass(cluster, 6000);
  const { node, world } = cluster.running('n1');
  const now = (world.clock.wall() - Date.UTC(2025, 0)) * 4096;
  const { epoch: known, ring } = node.chain.facts()!;
  const owner = ring.members.find(({ id }) => id === 'n3')!.index;
  for (const bucket of ['b', 'kept']) {
    for (const name of KEYS) {
      await put(cluster, 'n1', bucket, name);
      const key = utf8(name);
      const partition = partitionOf(ring, hashKey(ring, bucket, key));
      const scope = { epoch: known, n: 3, partition, bucket, incarnation: 0, definition: epoch(0) };
      await cluster.simulation.settle(node.hints.note(scope, key, owner, now));
    }
  }
  const waiting = (): number => node.hints.waiting();
  expect(waiting()).toBe(60);
  await drop(cluster, 'n1', 'b');
  await pass(cluster, 5000);
  expect(waiting()).toBe(30);
  await cluster.restart('n3');
  await pass(cluster, 60_000);
  expect(waiting()).toBe(0);
  expect(left(cluster, 'n3')).toEqual({ 'kept 0': 30 });
});

test('a strong bucket is dropped like any other', async () => {
  const cluster = await founded({ seed: 'strong' });
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body: '{"consistency":"strong"}' });
  for (const key of KEYS.slice(0, 5)) await put(cluster, 'n1', 's', key);
  await drop(cluster, 'n2', 's');
  for (const id of NODES) expect((await cluster.request(id, 'GET', '/v1/kv/s/k1')).status).toBe(404);
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body: '{"consistency":"strong"}' });
  for (const id of NODES) expect((await cluster.request(id, 'GET', '/v1/kv/s/k1')).status).toBe(404);
  await put(cluster, 'n3', 's', 'k1');
  await pass(cluster, 5000);
  for (const id of NODES) {
    expect((await cluster.request(id, 'GET', '/v1/kv/s/k1')).status).toBe(200);
    const rows = cluster.running(id).disk.range(REGISTERS, { limit: 1000 });
    // Those that were only read have a row of their own; none is of the first life.
    expect(rows.map(([rowKey]) => recordName(rowKey).incarnation).filter((life) => life !== 1)).toEqual([]);
  }
});
