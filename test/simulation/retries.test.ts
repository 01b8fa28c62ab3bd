/** A request sent again with its Idempotency-Key, at three nodes over HTTP: one version, whatever went wrong the first time. */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { SimulatedCluster } from './cluster.ts';

const KEY = { 'idempotency-key': 'order 17' };
const PATH = '/v1/kv/carts/ann';

async function threeNodes(seed: number, conflicts: string): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ conflicts });
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/carts', { headers, body })).status).toBeLessThan(300);
  return cluster;
}

function put(cluster: SimulatedCluster, id: string, query = '', body = 'v', headers = {}): Promise<InProcessAnswer> {
  return cluster.request(id, 'PUT', PATH + query, { headers: { ...KEY, ...headers }, body });
}

async function values(cluster: SimulatedCluster, id: string): Promise<readonly string[]> {
  const answer = await cluster.request(id, 'GET', `${PATH}?r=all`, { headers: { accept: 'application/json' } });
  const text = new TextDecoder().decode(answer.body);
  if (answer.status !== 300) return answer.status === 200 ? [text] : [];
  return (JSON.parse(text) as { siblings: { value: string }[] }).siblings.map(({ value }) => atob(value));
}

function outcomeOf(answer: InProcessAnswer): unknown {
  return (JSON.parse(new TextDecoder().decode(answer.body)) as { outcome: unknown }).outcome;
}

async function apart(cluster: SimulatedCluster, id: string): Promise<void> {
  for (const { id: other, host } of cluster.machines)
    if (other !== id) cluster.network.partition(cluster.machine(id).host, host);
  await cluster.simulation.run(cluster.simulation.now + 5000);
}

async function together(cluster: SimulatedCluster): Promise<void> {
  cluster.network.clearFaults();
  await cluster.simulation.run(() =>
    cluster.machines.every(({ running }) =>
      cluster.machines.every(({ id }) => running!.node.options.id === id || running!.node.messaging.reachable(id)),
    ),
  );
  // The failure detector needs a moment longer than the connections.
  await cluster.simulation.run(cluster.simulation.now + 10_000);
}

for (const conflicts of ['siblings', 'lww']) {
  test(`${conflicts}: sent again to every node it is one version, with the answer of the first`, async () => {
    const cluster = await threeNodes(1, conflicts);
    const first = await put(cluster, 'n1', '', 'v', { 'if-none-match': '*' });
    expect(first.status).toBe(204);
    for (const id of ['n1', 'n2', 'n3']) {
      const again = await put(cluster, id, '?w=all', 'v', { 'if-none-match': '*' });
      expect([again.status, again.headers.get('quoral-replicas')]).toEqual([
        204,
        'acked=3; needed=3; of=3; fallbacks=0',
      ]);
      for (const name of ['etag', 'quoral-context', 'quoral-coordinator'])
        expect(again.headers.get(name)).toBe(first.headers.get(name));
    }
    expect(await values(cluster, 'n2')).toEqual(['v']);
    expect((await put(cluster, 'n3', '', 'another')).status).toBe(422);
    const other = await cluster.request('n2', 'PUT', PATH, { body: 'w', headers: contextOf(first) });
    expect(other.status).toBe(204);
    const late = await put(cluster, 'n1', '', 'v', { 'if-none-match': '*' });
    expect([late.status, late.headers.get('etag')]).toEqual([204, first.headers.get('etag')]);
    expect(await values(cluster, 'n3')).toEqual(['w']);
  });
}

function contextOf(answer: InProcessAnswer): Record<string, string> {
  return { 'quoral-context': answer.headers.get('quoral-context')! };
}

test('a write that did not reach its number is re-sent, not made anew, and its acknowledgements count anew', async () => {
  const cluster = await threeNodes(2, 'siblings');
  await apart(cluster, 'n3');
  const failed = await put(cluster, 'n1', '?w=all');
  expect([failed.status, outcomeOf(failed)]).toEqual([503, 'unknown']);
  expect((await put(cluster, 'n1')).status).toBe(204);
  expect((await put(cluster, 'n3')).status).toBe(503);
  await together(cluster);
  const again = await put(cluster, 'n3', '?w=all');
  expect([again.status, again.headers.get('quoral-replicas')]).toEqual([204, 'acked=3; needed=3; of=3; fallbacks=0']);
  expect(await values(cluster, 'n3')).toEqual(['v']);
});

test('two attempts that could not know of each other become one version when they meet', async () => {
  const cluster = await threeNodes(3, 'siblings');
  // n1 mints, and is cut off before anybody hears of it.
  const cut = cluster.simulation.settle(
    Promise.all([
      cluster.running('n1').api('PUT', `${PATH}?timeout=300`, KEY, new TextEncoder().encode('v')),
      new Promise<void>((resolve) => {
        cluster.simulation.schedule(1, 'cut', () => {
          for (const id of ['n2', 'n3'])
            cluster.network.partition(cluster.machine('n1').host, cluster.machine(id).host);
          resolve();
        });
      }),
    ]),
  );
  const [lost] = await cut;
  const again = await put(cluster, 'n2');
  expect(outcomeOf(lost)).toBe('unknown');
  expect(again.status).toBe(204);
  await cluster.simulation.run(cluster.simulation.now + 5000);
  await together(cluster);
  for (const id of ['n1', 'n2', 'n3']) expect(await values(cluster, id)).toEqual(['v']);
});

test('at one moment at all nodes: one version', async () => {
  const cluster = await threeNodes(4, 'siblings');
  const body = new TextEncoder().encode('v');
  const nodes = ['n1', 'n1', 'n2', 'n2', 'n3', 'n3'];
  const answers = await cluster.simulation.settle(
    Promise.all(nodes.map(async (id) => await cluster.running(id).api('PUT', PATH, KEY, body))),
  );
  expect(answers.map(({ status }) => status)).toEqual(nodes.map(() => 204));
  for (const id of ['n1', 'n2', 'n3']) expect(await values(cluster, id)).toEqual(['v']);
});

test('a delete sent again does not delete what was written after it', async () => {
  const cluster = await threeNodes(5, 'siblings');
  expect((await cluster.request('n1', 'PUT', PATH, { body: 'v' })).status).toBe(204);
  expect((await cluster.request('n2', 'DELETE', PATH, { headers: KEY })).status).toBe(204);
  expect((await cluster.request('n1', 'PUT', PATH, { body: 'w' })).status).toBe(204);
  for (const id of ['n1', 'n2', 'n3'])
    expect((await cluster.request(id, 'DELETE', PATH, { headers: KEY })).status).toBe(204);
  expect(await values(cluster, 'n1')).toEqual(['w']);
});
