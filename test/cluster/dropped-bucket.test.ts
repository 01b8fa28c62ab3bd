/**
 * A bucket is dropped while one of three nodes is down: over HTTP its next life is empty at every node, also at the one that
 * comes back with the old rows, and the old rows go.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, runQuoral, TestCluster } from './support.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(3);
});

afterAll(async () => cluster.stop());

async function statuses(path: string): Promise<readonly number[]> {
  return Promise.all(cluster.ids.map(async (id) => (await http('GET', cluster.url(id) + path)).status));
}

async function figure(id: string, name: string): Promise<number> {
  const text = (await http('GET', `${cluster.url(id)}/metrics`)).body.toString();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

test('empty at once at every node, and the other buckets are not', async () => {
  for (const bucket of ['carts', 'cart']) {
    for (let i = 0; i < 20; i++) {
      expect((await http('PUT', `${cluster.url('n1')}/v1/kv/${bucket}/${i}?w=all`, { body: 'old' })).status).toBe(204);
    }
  }
  const asked = await runQuoral(['bucket', 'drop', 'carts', '--url', cluster.url('n2')]);
  expect([asked.status, asked.stderr]).toEqual([1, expect.stringContaining('--yes')]);
  expect(await statuses('/v1/kv/carts/7')).toEqual([200, 200, 200]);
  const dropped = await runQuoral(['bucket', 'drop', 'carts', '--yes', '--url', cluster.url('n2')]);
  expect([dropped.status, dropped.stdout.trim()]).toEqual([0, 'dropped carts']);
  for (const query of ['', '?r=1', '?consistency=all'])
    expect(await statuses(`/v1/kv/carts/7${query}`)).toEqual([404, 404, 404]);
  expect(await statuses('/v1/kv/cart/7')).toEqual([200, 200, 200]);
  expect((await http('DELETE', `${cluster.url('n3')}/v1/buckets/carts`)).status).toBe(204);
  expect((await http('DELETE', `${cluster.url('n3')}/v1/buckets/never-heard-of`)).status).toBe(204);
  for (const id of cluster.ids) {
    while ((await figure(id, 'quoral_dropped_buckets_waiting')) > 0) await sleep(50);
    expect(await figure(id, 'quoral_dropped_rows_total')).toBe(20);
  }
  expect(cluster.nodes.get('n2')!.stdout()).toContain('"act":"DELETE /v1/buckets/:bucket"');
});

test('a node that was down meanwhile revives nothing', async () => {
  for (let i = 0; i < 20; i++) await http('PUT', `${cluster.url('n1')}/v1/kv/b/${i}?w=all`, { body: 'old' });
  await cluster.signal('n3', 'SIGKILL');
  expect((await http('PUT', `${cluster.url('n1')}/v1/kv/b/0`, { body: 'newer than n3 knows' })).status).toBe(204);
  expect((await http('DELETE', `${cluster.url('n1')}/v1/buckets/b`)).status).toBe(204);
  expect((await http('PUT', `${cluster.url('n2')}/v1/kv/b/1`, { body: 'new' })).status).toBe(204);
  cluster.startNode('n3');
  await cluster.ready(['n3']);
  for (const query of ['?r=1', '?consistency=all', '']) {
    for (let i = 0; i < 20; i++) {
      if (i !== 1) expect(await statuses(`/v1/kv/b/${i}${query}`), `key ${i} ${query}`).toEqual([404, 404, 404]);
    }
  }
  expect(await statuses('/v1/kv/b/1')).toEqual([200, 200, 200]);
  while ((await figure('n3', 'quoral_dropped_buckets_waiting')) > 0) await sleep(50);
  expect(await figure('n3', 'quoral_dropped_rows_total')).toBe(20);
});
