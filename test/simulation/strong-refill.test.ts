/** Owners of strong keys that lose their disk: an acceptor that has forgotten its votes must not vote. */

import { expect, test } from 'vitest';
import { REGISTERS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

function isolate(cluster: SimulatedCluster, id: string): void {
  for (const { id: other, host } of cluster.machines) {
    if (other !== id) cluster.network.partition(cluster.machine(id).host, host);
  }
}

function state(cluster: SimulatedCluster, id: string): string | undefined {
  const members = cluster.running('n1').node.chain.facts()?.ring.members;
  return members?.find((member) => member.id === id)?.state;
}

test('a member that was filled again knows the registers that a majority has accepted', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong refill', nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers, body: '{"consistency":"strong"}' });
  isolate(cluster, 'n3');
  for (let i = 0; i < 12; i++) {
    const { status } = await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}?timeout=20000`, { body: `value ${i}` });
    expect(status).toBe(204);
  }
  cluster.network.clearFaults();
  cluster.crash(cluster.machine('n2'));
  cluster.machine('n2').medium.wipe();
  await cluster.restart('n2');
  await cluster.simulation.run(() => state(cluster, 'n2') === 'active');
  expect([...cluster.machine('n2').medium.table(REGISTERS).rows()]).toHaveLength(12);
  isolate(cluster, 'n1');
  for (let i = 0; i < 12; i++) {
    const answer = await cluster.request('n3', 'GET', `/v1/kv/s/k${i}?timeout=20000`);
    expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([200, `value ${i}`]);
  }
});
