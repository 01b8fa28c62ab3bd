/** Conditional writes at three nodes whose clocks differ: what has passed its condition is not older than what that was judged by. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';

const PATH = '/v1/kv/b/k';

/** `n1`, whose clock is ahead, has written what `n3` does not get; so `n3` knows it only from what it reads. */
async function aheadAndUnheard(): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  cluster.machine('n1').host.clock.jump(400);
  cluster.network.setFault(cluster.machine('n1').host, cluster.machine('n3').host, { loses: () => true });
  expect((await cluster.request('n1', 'PUT', PATH, { body: 'old' })).status).toBe(204);
  return cluster;
}

async function isThere(cluster: SimulatedCluster, value: string): Promise<void> {
  expect(new TextDecoder().decode((await cluster.request('n3', 'GET', PATH)).body)).toBe(value);
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 15_000);
  for (const { id } of cluster.machines)
    expect(new TextDecoder().decode((await cluster.request(id, 'GET', `${PATH}?r=all`)).body)).toBe(value);
}

test('lww: what is made anew where something was deleted is there, although the deletion came from a faster clock', async () => {
  const cluster = await aheadAndUnheard();
  expect((await cluster.request('n1', 'DELETE', PATH)).status).toBe(204);
  const made = await cluster.request('n3', 'PUT', PATH, { headers: { 'if-none-match': '*' }, body: 'new' });
  expect(made.status).toBe(204);
  await isThere(cluster, 'new');
});

test('lww: what replaces another version than the one that it must not is later than that', async () => {
  const cluster = await aheadAndUnheard();
  const made = await cluster.request('n3', 'PUT', PATH, { headers: { 'if-none-match': '"another"' }, body: 'new' });
  expect(made.status).toBe(204);
  await isThere(cluster, 'new');
});
