/** Batches in whole clusters: what they mean is what their operations mean, and what they cost is far less. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

interface Result {
  readonly status: number;
  readonly value?: string;
  readonly etag?: string;
  readonly context?: string;
  readonly siblings?: readonly { readonly value: string }[];
  readonly problem?: { readonly type: string; readonly outcome?: string; readonly field?: string };
}

async function batch(cluster: SimulatedCluster, id: string, operations: readonly object[], query = '') {
  const body = JSON.stringify({ operations });
  const { status, body: answer } = await cluster.request(id, 'POST', `/v1/batch${query}`, { headers: JSON_TYPE, body });
  const text = new TextDecoder().decode(answer);
  expect(status, text).toBe(200);
  return (JSON.parse(text) as { results: Result[] }).results;
}

function puts(count: number, value = 'v'): object[] {
  return Array.from({ length: count }, (_, i) => ({ op: 'put', bucket: 'b', key: `k${i}`, value: `${value}${i}` }));
}

const gets = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ op: 'get', bucket: 'b', key: `k${i}` }));

/** Requests among the nodes by their names, from here on; each has one answer. Gossip is left out. */
function countRequests(cluster: SimulatedCluster): Record<string, number> {
  const counts: Record<string, number> = {};
  const loses = (message: Uint8Array): boolean => {
    const name = requestName(message);
    if (/^(coordinator|replica|handoff)\./.test(name)) counts[name] = (counts[name] ?? 0) + 1;
    return false;
  };
  for (const { host: from } of cluster.machines)
    for (const { host: to } of cluster.machines) if (from !== to) cluster.network.setFault(from, to, { loses });
  return counts;
}

/** Counts the commits of each node from here on. */
function countCommits(cluster: SimulatedCluster): readonly number[] {
  const commits = cluster.machines.map(() => 0);
  for (const [i, { medium }] of cluster.machines.entries())
    medium.onStep = (step) => (commits[i]! += step === 'append' ? 1 : 0);
  return commits;
}

test('golden: a hundred puts take one message to each other owner and its answer, and one commit a node', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const requests = countRequests(cluster);
  const commits = countCommits(cluster);
  const results = await batch(cluster, 'n1', puts(100));
  expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 204));
  await cluster.simulation.run(cluster.simulation.now + 30);
  expect(requests).toEqual({ 'replica.stores': 2 });
  expect(commits).toEqual([1, 1, 1]);
});

test('golden: puts of different clients that share a commit share its messages too', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const requests = countRequests(cluster);
  const commits = countCommits(cluster);
  const { api } = cluster.running('n1');
  const put = (i: number) => api('PUT', `/v1/kv/b/k${i}`, {}, new TextEncoder().encode(`v${i}`));
  const answers = await cluster.simulation.settle(Promise.all(Array.from({ length: 20 }, (_, i) => put(i))));
  expect(answers.every(({ status }) => status === 204)).toBe(true);
  await cluster.simulation.run(cluster.simulation.now + 30);
  expect(requests).toEqual({ 'replica.stores': 2 });
  expect(commits).toEqual([1, 1, 1]);
});

test('golden: a hundred gets take two messages to each other owner and their answers', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3 });
  await batch(cluster, 'n2', puts(100));
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const requests = countRequests(cluster);
  const results = await batch(cluster, 'n1', gets(100));
  expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, i) => `v${i}`));
  // Two owners of three are enough, and which of the others is asked varies from key to key: two waves, two peers.
  expect(requests).toEqual({ 'coordinator.bundle': 4 });
});

test('golden: at a node that owns nothing, one message to each first owner, and from there to the others', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 5 });
  const headers = JSON_TYPE;
  const body = '{"n":1}';
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers, body })).status).toBe(200);
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const requests = countRequests(cluster);
  const results = await batch(cluster, 'n1', puts(100));
  expect(results.every(({ status }) => status === 204)).toBe(true);
  // With one replica everything that is not here is forwarded: to four nodes.
  expect(requests).toEqual({ 'coordinator.bundle': 4 });
});

test('each operation has its own outcome', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3 });
  const define = async (name: string, properties: object): Promise<void> => {
    const body = JSON.stringify(properties);
    expect((await cluster.request('n1', 'PUT', `/v1/buckets/${name}`, { headers: JSON_TYPE, body })).status).toBe(200);
  };
  await define('sib', { conflicts: 'siblings' });
  await define('strong', { consistency: 'strong' });
  const [first] = await batch(cluster, 'n1', [{ op: 'put', bucket: 'b', key: 'k', value: '1' }]);
  const results = await batch(cluster, 'n2', [
    { op: 'get', bucket: 'b', key: 'k' },
    { op: 'get', bucket: 'b', key: 'none' },
    { op: 'put', bucket: 'b', key: 'cond', value: 'x', ifMatch: '"other"' },
    { op: 'put', bucket: 'b', key: 'bad', value: 'x', context: 'AAAA' },
    { op: 'delete', bucket: 'b', key64: 'azI' },
    { op: 'put', bucket: 'strong', key: 's', value: 'y' },
    { op: 'put', bucket: 'b', key: '', value: 'x' },
    { op: 'put', bucket: 'b', key: 'k', value: 'x', value64: 'eA' },
    { op: 'put', bucket: 'sib', key: 'two', value: 'a' },
    { op: 'put', bucket: 'sib', key: 'two', value: 'b' },
  ]);
  expect(results.map(({ status }) => status)).toEqual([200, 404, 412, 400, 204, 204, 400, 400, 204, 204]);
  expect(results[0]).toMatchObject({ value: '1', etag: first!.etag });
  expect(results[3]!.problem).toMatchObject({ field: 'Quoral-Context' });
  const [both, strong] = await batch(cluster, 'n3', [
    { op: 'get', bucket: 'sib', key: 'two' },
    { op: 'get', bucket: 'strong', key: 's' },
  ]);
  expect(both).toMatchObject({ status: 300 });
  expect(both!.siblings!.map(({ value }) => Buffer.from(value, 'base64').toString()).toSorted()).toEqual(['a', 'b']);
  expect(strong).toMatchObject({ status: 200, value: 'y' });
});

test('without a majority nothing is applied, and each operation says so; with one node away all are', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3 });
  cluster.crash(cluster.machine('n3'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const applied = await batch(cluster, 'n1', puts(50));
  expect(applied.every(({ status }) => status === 204)).toBe(true);
  cluster.crash(cluster.machine('n2'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const refused = await batch(cluster, 'n1', puts(50, 'w'));
  expect(new Set(refused.map(({ status, problem }) => `${status} ${problem?.outcome}`))).toEqual(
    new Set(['503 not-applied']),
  );
  await cluster.restart('n2');
  await cluster.restart('n3');
  const kept = await batch(cluster, 'n3', gets(50), '?r=all');
  expect(kept.map(({ value }) => value)).toEqual(Array.from({ length: 50 }, (_, i) => `v${i}`));
});

test('a peer that dies under a batch leaves every outcome true: applied ones are there, and none is "not applied" and there', async () => {
  for (let seed = 0; seed < 6; seed++) {
    const cluster = await SimulatedCluster.founded({ seed: `die ${seed}`, nodes: 3 });
    const body = new TextEncoder().encode(JSON.stringify({ operations: puts(40) }));
    const target = '/v1/batch?w=all&sloppy=false&timeout=3000';
    const pending = cluster.running('n1').api('POST', target, JSON_TYPE, body);
    await cluster.simulation.run(cluster.simulation.now + seed * 0.4);
    cluster.crash(cluster.machine('n2'));
    const answer = await cluster.simulation.settle(pending);
    const { results } = JSON.parse(new TextDecoder().decode(answer.body)) as { results: Result[] };
    await cluster.restart('n2');
    await cluster.simulation.run(cluster.simulation.now + 15_000);
    const there = await batch(cluster, 'n2', gets(40), '?r=all');
    for (const [i, { status, problem }] of results.entries()) {
      if (status === 204) expect(there[i]).toMatchObject({ status: 200, value: `v${i}` });
      else if (problem!.outcome === 'not-applied') expect(there[i]!.status).toBe(404);
      else expect(problem!.outcome).toBe('unknown');
    }
  }
});

test('an idempotency key makes an operation of a batch one that may be sent again', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 3 });
  const operation = { op: 'put', bucket: 'b', key: 'once', value: 'x', idempotencyKey: 'req-1' };
  const [first] = await batch(cluster, 'n1', [operation]);
  const [again] = await batch(cluster, 'n2', [operation]);
  expect(again!.etag).toBe(first!.etag);
  const [other] = await batch(cluster, 'n3', [{ ...operation, value: 'y' }]);
  expect(other).toMatchObject({ status: 422 });
});
