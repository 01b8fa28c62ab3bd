/** What is said of a change of a strong key that did not succeed in time must be true later, too. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';

const CHANGES = 40;

test('a change that was called not applied is not made by the round that was under way', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong late promises', nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  for (const { host: a } of cluster.machines) {
    for (const { host: b } of cluster.machines) if (a !== b) cluster.network.setFault(a, b, { delay: 60 });
  }
  const { api } = cluster.running('n1');
  const notApplied: string[] = [];
  // The first takes the first round and fails; the other two share the next, of which only the second can await the end.
  const change = async (i: number): Promise<void> => {
    const first = api('PUT', `/v1/kv/s/k${i}?timeout=40`, {}, new Uint8Array(1));
    const second = api('PUT', `/v1/kv/s/k${i}?timeout=120`, {}, new Uint8Array(2));
    const lease = new TextEncoder().encode('{"holder":"h","ttl":60}');
    const third = api('POST', `/v1/leases/s/k${i}?timeout=20000`, headers, lease);
    for (const { status, body } of await Promise.all([first, second])) {
      if (status === 204 || !new TextDecoder().decode(body).includes('not-applied')) return;
    }
    await third;
    notApplied.push(`/v1/kv/s/k${i}`);
  };
  for (let i = 0; i < CHANGES; i++) await cluster.simulation.settle(change(i));
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 10_000);
  expect(notApplied.length).toBeGreaterThan(3);
  for (const key of notApplied) {
    expect([key, (await cluster.request('n2', 'GET', `${key}?timeout=20000`)).status]).toEqual([key, 404]);
  }
});

/** Of many limits those that these tests are about. */
const LIMITS = {
  ...{ siblingsMax: 100, commitGroupMax: 128, commitQueueMax: 8192, commitQueueBytesMax: 256 * 1024 * 1024 },
  ...{ retryWindow: 600_000, retriesMax: 1_000_000, retryPurgeInterval: 10_000 },
  ...{ entriesMax: 20, stateBytesMax: 4096 },
};

test('what would make a key too large is refused by itself, and not what shares its round', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong too large', nodes: 3, node: { replica: LIMITS } });
  const headers = { 'content-type': 'application/json' };
  const body = '{"consistency":"strong","type":"set"}';
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers, body });
  for (const { host: a } of cluster.machines) {
    for (const { host: b } of cluster.machines) if (a !== b) cluster.network.setFault(a, b, { delay: 60 });
  }
  const { api } = cluster.running('n1');
  const change = async (op: 'add' | 'remove', ...values: readonly (string | number)[]): Promise<number> => {
    const given = new TextEncoder().encode(JSON.stringify({ op, values }));
    return (await api('POST', '/v1/kv/s/k?timeout=20000', headers, given)).status;
  };
  const lease = new TextEncoder().encode('{"holder":"h","ttl":60}');
  const large = 'x'.repeat(2500);
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const statuses = await cluster.simulation.settle(
    Promise.all([
      ...[change('add', 'first'), change('add', 'a'), change('add', `${large}1`), change('add', `${large}2`)],
      ...[change('add', ...numbers), change('add', 'b'), change('remove', 'a')],
      api('POST', '/v1/leases/s/k?timeout=20000', headers, lease).then(({ status }) => status),
    ]),
  );
  expect(statuses).toEqual([204, 204, 204, 413, 413, 204, 204, 200]);
  const { body: shown } = await cluster.request('n2', 'GET', '/v1/kv/s/k?timeout=20000');
  const { value } = JSON.parse(new TextDecoder().decode(shown)) as { readonly value: readonly string[] };
  expect(value.map((one) => one.slice(0, 5)).toSorted()).toEqual(['b', 'first', 'xxxxx']);
});

test('a change that another proposer has made is not made again by the one that was given it first', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong second proposer', nodes: 4 });
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n4', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  const [key, owners] = await keyNotOwnedBy(cluster, 'n4');
  const path = `/v1/kv/s/${key}`;
  const [first, ...others] = owners;
  const cut = (other: string): void =>
    cluster.network.partition(cluster.machine(first!).host, cluster.machine(other).host);
  for (const other of others) cut(other);
  // A round of another request holds up the queue of the first proposer while it gets the change.
  const lease = new TextEncoder().encode('{"holder":"h","ttl":60}');
  void cluster.running(first!).api('POST', `/v1/leases/s/${key}?timeout=20000`, headers, lease);
  const write = cluster.running('n4').api('PUT', `${path}?timeout=20000`, {}, new TextEncoder().encode('early'));
  await cluster.simulation.run(cluster.simulation.now + 50);
  cut('n4');
  cluster.network.breakConnections(cluster.machine(first!).host, cluster.machine('n4').host);
  const answer = await cluster.simulation.settle(write);
  expect(answer.status).toBe(204);
  for (let i = 0; i < 80; i++) {
    const { status } = await cluster.request('n4', 'PUT', `${path}?timeout=20000`, { body: `later ${i}` });
    expect(status).toBe(204);
  }
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  const read = await cluster.request('n4', 'GET', path);
  expect(new TextDecoder().decode(read.body)).toBe('later 79');
});

test('a condition that failed at the second proposer does not hold at the first one later, or nothing is said of it', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong second judgement', nodes: 4 });
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n4', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  const [key, owners] = await keyNotOwnedBy(cluster, 'n4');
  const path = `/v1/kv/s/${key}`;
  expect((await cluster.request(owners[1]!, 'PUT', path, { body: 'there' })).status).toBe(204);
  const first = cluster.machine(owners[0]!).host;
  for (const other of owners.slice(1)) cluster.network.partition(first, cluster.machine(other).host);
  const lease = new TextEncoder().encode('{"holder":"h","ttl":60}');
  void cluster.running(owners[0]!).api('POST', `/v1/leases/s/${key}?timeout=20000`, headers, lease);
  const create = cluster.running('n4').api('PUT', `${path}?timeout=20000`, { 'if-none-match': '*' }, new Uint8Array(1));
  await cluster.simulation.run(cluster.simulation.now + 50);
  cluster.network.partition(first, cluster.machine('n4').host);
  cluster.network.breakConnections(first, cluster.machine('n4').host);
  const { status, body } = await cluster.simulation.settle(create);
  const unknown = new TextDecoder().decode(body).includes('"outcome":"unknown"');
  expect((await cluster.request('n4', 'DELETE', `${path}?timeout=20000`)).status).toBe(204);
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  if (!unknown) expect([status, (await cluster.request('n4', 'GET', path)).status]).toEqual([412, 404]);
});

test('a read ends by its deadline while the own disk hangs', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong hanging disk', nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  cluster.network.partition(cluster.machine('n1').host, cluster.machine('n3').host);
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  cluster.machine('n1').medium.extraSyncMilliseconds = 30_000;
  const { api } = cluster.running('n1');
  const empty = new Uint8Array(0);
  for (let i = 0; i < 6; i++) void api('PUT', `/v1/kv/s/k${i}?timeout=20000`, {}, empty);
  await cluster.simulation.run(cluster.simulation.now + 100);
  const asked = cluster.simulation.now;
  const reads = Array.from({ length: 6 }, async (_, i) => api('GET', `/v1/kv/s/k${i}?timeout=700`, {}, empty));
  await cluster.simulation.settle(Promise.all(reads));
  expect(cluster.simulation.now - asked).toBeLessThan(1000);
});

async function keyNotOwnedBy(cluster: SimulatedCluster, id: string): Promise<[string, readonly string[]]> {
  for (let i = 0; ; i++) {
    const { body } = await cluster.request(id, 'GET', `/v1/ring/locate/s/k${i}`);
    const { primaries } = JSON.parse(new TextDecoder().decode(body)) as { readonly primaries: readonly string[] };
    if (!primaries.includes(id)) return [`k${i}`, primaries];
  }
}
