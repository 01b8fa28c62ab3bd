/** A node that the cluster has removed while it was cut off, and that does not know of it yet when it can reach others again. */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const REPAIR = {
  ...DEFAULT_REPAIR_SETTINGS,
  ...{ interval: 1000, settle: 200, reclaimInterval: 2000, reclaimAge: 1000, reclaimWait: 1000, leaverPatience: 2000 },
};

async function json(on: SimulatedCluster, id: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const options = body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) };
  const answer = await on.request(id, method, path, options);
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function pass(on: SimulatedCluster, milliseconds: number): Promise<void> {
  await on.simulation.run(on.simulation.now + milliseconds);
}

function cut(on: SimulatedCluster, id: string): void {
  for (const other of on.machines) {
    if (other.id === id) continue;
    on.network.setFault(on.machine(id).host, other.host, { blocked: true });
    on.network.setFault(other.host, on.machine(id).host, { blocked: true });
  }
}

test('its hints bring nothing back that was deleted and forgotten since', async () => {
  const on = await SimulatedCluster.founded({ seed: 'a removed node', nodes: 5, node: { repair: REPAIR } });
  const where = (await json(on, 'n1', 'GET', '/v1/ring/locate/b/k')) as { primaries: string[]; fallbacks: string[] };
  const [first, , absent] = where.primaries as [string, string, string];
  const holder = where.fallbacks[0]!;
  on.crash(on.machine(absent));
  await pass(on, 5000);
  expect((await on.request(first, 'PUT', '/v1/kv/b/k?w=3', { body: 'to be deleted' })).status).toBe(204);
  await pass(on, 1000);
  expect(on.running(holder).node.hints.waiting()).toBe(1);
  cut(on, holder);
  await pass(on, 5000);
  await on.restart(absent);
  await on.simulation.settle(on.start(on.add('n6', ['n1:7201', 'n2:7201'])));
  cut(on, holder);
  await pass(on, 4000);
  const { id } = (await json(on, first, 'POST', '/v1/ring/plans', { replace: { [holder]: 'n6' } })) as PlanView;
  await json(on, first, 'POST', `/v1/ring/plans/${id}/apply`, {});
  const ring = () => on.running(first).node.chain.facts()!.ring;
  const end = on.simulation.now + 60_000;
  await on.simulation.run(() => ring().change === undefined || on.simulation.now > end);
  expect(ring().lastChange?.outcome).toBe('done');
  expect((await on.request(first, 'DELETE', '/v1/kv/b/k?w=3')).status).toBe(204);
  const tombstones = () =>
    where.primaries.reduce((sum, owner) => sum + on.running(owner).world.metrics.value('quoral_tombstones'), 0);
  expect(tombstones()).toBe(3);
  await on.simulation.run(() => tombstones() === 0, 60_000);
  expect(tombstones()).toBe(0);
  // Its disk is slow: that it was removed it knows a while after it has been told.
  on.machine(holder).medium.extraSyncMilliseconds = 3000;
  on.network.clearFaults();
  await pass(on, 10_000);
  expect((await on.request(first, 'GET', '/v1/kv/b/k?r=3')).status).toBe(404);
});
