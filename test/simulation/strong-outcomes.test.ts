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
