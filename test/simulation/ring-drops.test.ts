/** A bucket is dropped, and used again, while its partitions move: nothing of its former life is left anywhere, and the new one is whole. */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { recordName, RECORDS, REGISTERS } from '#replica/tables.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS = 40;

async function post(cluster: SimulatedCluster, id: string, path: string, body: unknown = {}): Promise<unknown> {
  const answer = await cluster.request(id, 'POST', path, { headers: JSON_TYPE, body: JSON.stringify(body) });
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

const STRONG = { consistency: 'strong' };

test.each([
  ['planned', {}, 'aborted'],
  ['dual', STRONG, 'done'],
  ['read-new', {}, 'aborted'],
  ['read-new', STRONG, 'aborted'],
  ['offload', STRONG, 'done'],
] as const)('a bucket is dropped in %s: %j, and the change is %s', async (stage, bucket, outcome) => {
  const cluster = await SimulatedCluster.founded({ seed: 'dropped', nodes: 4 });
  const options = { headers: JSON_TYPE, body: JSON.stringify(bucket) };
  const define = async () => await cluster.request('n1', 'PUT', '/v1/buckets/s', options);
  expect((await define()).status).toBeLessThan(300);
  for (let i = 0; i < KEYS; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: `value ${i}` });
  await cluster.simulation.settle(cluster.start(cluster.add('n5', ['n1:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
  const { id } = (await post(cluster, 'n1', '/v1/ring/plans', { join: ['n5'], leave: ['n2'] })) as PlanView;
  await post(cluster, 'n1', `/v1/ring/plans/${id}/apply`);
  const ring = () => cluster.running('n1').node.chain.facts()!.ring;
  const end = cluster.simulation.now + 60_000;
  const isThere = () => movingEntries(ring()).some(({ entry }) => entry.move!.stage === stage);
  await cluster.simulation.run(() => isThere() || cluster.simulation.now > end);
  expect(isThere()).toBe(true);
  if (outcome === 'aborted') await post(cluster, 'n3', '/v1/ring/transfers/abort');
  expect((await cluster.request('n3', 'DELETE', '/v1/buckets/s')).status).toBe(204);
  // Strong again it can be only when the change is over.
  expect((await define()).status).toBe(bucket === STRONG ? 409 : 200);
  for (let i = 0; i < KEYS; i += 2) {
    const { status } = await cluster.request('n3', 'PUT', `/v1/kv/s/k${i}`, { body: `second ${i}` });
    expect(status).toBe(204);
  }
  await cluster.simulation.run(() => ring().change === undefined || cluster.simulation.now > end);
  expect([ring().change, ring().lastChange?.outcome]).toEqual([undefined, outcome]);
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  for (let i = 0; i < KEYS; i++) {
    const { status } = await cluster.request('n4', 'GET', `/v1/kv/s/k${i}`);
    expect([i, status]).toEqual([i, i % 2 === 0 ? 200 : 404]);
  }
  for (const machine of cluster.machines) {
    const rows = [RECORDS, REGISTERS]
      .flatMap((table) => machine.running!.disk.range(table, { limit: 10_000 }))
      .map(([key]) => recordName(key));
    expect([machine.id, rows.filter(({ incarnation }) => incarnation === 0)]).toEqual([machine.id, []]);
  }
});
